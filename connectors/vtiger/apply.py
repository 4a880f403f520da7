"""Commands to Vtiger: what to send, what the answers mean, and how to look an effect up."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from connectors.answers import holds, retry, text, unreadable
from connectors.auth import BasicAuth, VtigerSession
from connectors.base import Auth, Capture, Connector, Limits, Pressure, Request, Response, Send, Usage
from connectors.checks import overtaken, refusal, rejected
from connectors.credentials import Credentials
from connectors.directory import Directory, Refused
from connectors.fields import field_types, milliseconds
from connectors.reading import READ, not_found
from connectors.settings import ConnectionSettings
from connectors.tasks import ACTIVITIES
from connectors.vtiger import conversion, describe, reading, surface
from connectors.vtiger.abilities import CLOUD_ONLY, abilities
from connectors.vtiger.capture import capture
from connectors.vtiger.clashes import clash
from connectors.vtiger.conversion import CONVERT
from connectors.vtiger.mangling import Mangling
from connectors.vtiger.surface import DUPLICATE, envelope, error_code, surface_of
from connectors.vtiger.tasks import NOTE, create_activity, create_note
from connectors.vtiger.values import image, write
from schemas.abilities import Abilities
from schemas.codec import to_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata
from schemas.values import Value

TAGS = {"tag": "tags_add", "untag": "tags_delete"}
_OPERATIONS = frozenset({"create", "update", "upsert", "delete", "link", READ, *ACTIVITIES, NOTE, CONVERT, *CLOUD_ONLY})
_LINKS = {"link": "add_related", "unlink": "delete_related"}
_CONDITIONAL = frozenset({"update", "delete"})
_TRY_AGAIN = frozenset({"TOO_MANY_REQUESTS"})
_WHO_KNOWS = frozenset({"INTERNAL_SERVER_ERROR", "DATABASE_QUERY_ERROR", ""})


class VtigerConnector(Connector):
    """Vtiger's two surfaces: one record per call, no upsert; a key is looked up before a create (D-42).

    A module's unique rule is not safe against two creates at once, so one worker serves a connection. A ``task`` is a
    create in Calendar, an ``event`` or ``call`` one in Events, a ``note`` one in ModComments. A write with
    ``if_unmodified`` reads the record's modified time before it writes: Vtiger has no conditional write, so a change
    between the two requests, or within the second of the modified time that was seen, is overwritten.
    """

    kind = "vtiger"
    limits = Limits(per_minute=600, at_once=4)
    batch: ClassVar[Mapping[str, int]] = {}
    look_first = frozenset({"create", "upsert", *ACTIVITIES, NOTE, CONVERT})
    repeatable = frozenset({*_LINKS, *TAGS, READ, CONVERT})
    never_blind = frozenset({"create", *ACTIVITIES, NOTE})
    modified_field = "modifiedtime"

    def __init__(self, settings: ConnectionSettings, metadata: ConnectionMetadata) -> None:
        super().__init__(settings, metadata)
        self._directory = Directory(metadata)
        self._zone = ZoneInfo(settings.zone)
        self._surface = surface_of(settings)
        self._mangling = Mangling(settings.options, metadata)

    @classmethod
    def abilities(cls, settings: ConnectionSettings) -> Abilities:
        """Those of its surface."""
        return abilities(surface_of(settings).cloud)

    def price(self, request: Request) -> int:
        """One call of the cloud's day; the open source edition counts nothing."""
        return 1 if self._surface.cloud else 0

    def usage(self, response: Response) -> Sequence[Usage]:
        """What ``X-FloodControl-*`` and ``X-RateLimit-*`` tell of the minute and of the day."""
        return surface.usage(response)

    def pressure(self, response: Response) -> Pressure | None:
        """429 until the reset that the headers name; 503."""
        return surface.pressure(response)

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses wrong shapes, owners that nobody is (D-48), what a surface lacks, and what would be mangled."""
        owner = self._owner(command)
        if isinstance(owner, Refused):
            return rejected(command, owner.code, owner.reason)
        if command.operation == READ and not reading.is_id(command.record_id):
            return not_found(command)
        return refusal(command, _OPERATIONS) or self._unable(command) or self._mangled(command)

    def looks_first(self, command: Command) -> bool:
        """A key before a create; the modified time before a conditional write; an account that a lead is to join."""
        joins = command.operation == CONVERT and isinstance(command.fields.get("account"), str)
        return joins or _is_conditional(command) or super().looks_first(command)

    def request(self, commands: Sequence[Command]) -> Request:
        """One call for one record."""
        [command] = commands
        if command.operation == READ:
            return reading.request(self._surface, command)
        if command.operation == CONVERT:
            return conversion.request(self._surface, command, text(self._owner(command)), self.metadata)
        operation, form = self._form(command)
        return self._surface.post(operation, **form)

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """webservice.php answers 200 whatever happens, the cloud 400 for a refusal; the envelope tells."""
        if response.status == 429:
            wait = self.pressure(response)
            return retry(commands, "429: too many requests", wait.after if wait else 0.0)
        answer = envelope(response)
        if answer is None or response.status >= 500 or len(commands) != 1:
            return unreadable(commands, response)
        [command] = commands
        if not answer["success"]:
            return [self._failure(self._plain(command), error_code(answer))]
        if response.status != 200:
            return unreadable(commands, response)
        outcome = self._success(self._plain(command), answer)
        return [outcome] if outcome else unreadable(commands, response)

    def find(self, command: Command) -> Request | None:
        """A query by key or id; deleted records are never returned."""
        if command.operation == CONVERT:
            return conversion.find(self._surface, command, self.metadata)
        command = self._plain(command)
        if command.operation in self.repeatable or (command.operation in {"create", "upsert"} and not command.key):
            return None
        by_key = command.key if command.operation in {"create", "upsert"} else None
        return reading.lookup(self._surface, _tab(command), *(by_key or ("id", command.record_id)))

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """No rows proves absence; an upsert of a record that is there goes on as its update."""
        if command.operation == CONVERT:
            return conversion.found(command, response)
        command = self._plain(command)
        rows = reading.rows_of(response)
        if rows is None:
            return Uncertain(command_id=command.id, reason=f"the lookup answered {response.status}")
        if not rows:
            return self._absent(command)
        row = image(rows[0], field_types(self.metadata, _tab(command)), self._zone)
        if command.operation == "create" or (command.operation != "delete" and holds(row, self._wanted(command))):
            return self._applied(command, row, duplicate=True)
        if command.operation == "upsert":
            return msgspec.structs.replace(command, operation="update", record_id=text(row["id"]))
        return self._still_there(command, row)

    def authentication(self, credentials: Credentials, send: Send) -> Auth:
        """The challenge session of webservice.php; name and access key with every request for the cloud."""
        if self._surface.cloud:
            return BasicAuth(self.settings, credentials)
        return VtigerSession(self.settings, credentials, send)

    def capture(self, tab: str, send: Send, fields: Sequence[str] = ()) -> Capture:
        """Follows ``sync`` where it works, else polls the module by modified time."""
        return capture(self.settings, self.metadata, tab, send, fields)

    def describe(self, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
        """Modules, fields, users with their roles, and groups."""
        return describe.describe(self.settings.connection, self._surface, send, tabs)

    def missing_permissions(self, send: Send, tabs: Sequence[str]) -> list[str]:
        """Modules that the login cannot see or write, and whether it may read users."""
        return describe.missing_permissions(self._surface, send, tabs)

    def _unable(self, command: Command) -> Rejected | None:
        operation, fields = command.operation, command.fields
        if operation in CLOUD_ONLY and not self._surface.cloud:
            return rejected(command, "not_supported", CLOUD_ONLY[operation])
        if operation in TAGS and not (fields.get("tags") and _is_texts(fields["tags"])):
            return rejected(command, "no_tags", f"{operation} needs the field `tags`, a list of names")
        if operation == NOTE and not (text(fields.get("text")).strip() or text(fields.get("title")).strip()):
            return rejected(command, "no_text", "note needs the field `text`")
        return conversion.refuse(command) if operation == CONVERT else None

    def _mangled(self, command: Command) -> Rejected | None:
        if command.operation in {*_LINKS, *TAGS, CONVERT, READ, "delete"}:
            return None
        plain = self._plain(command)
        why = self._mangling.complaint(_tab(plain), plain.fields)
        return rejected(command, "would_be_mangled", why) if why else None

    def _plain(self, command: Command) -> Command:
        if command.operation == NOTE:
            return create_note(command, self.metadata)
        if command.operation in ACTIVITIES:
            return create_activity(command, self.metadata, self._zone)
        return command

    def _owner(self, command: Command) -> str | Refused:
        if command.owner:
            owner = self._directory.owner(command.owner)  # groups own records themselves
            return owner if isinstance(owner, Refused) else owner.id
        missing = command.operation == "create" and "assigned_user_id" not in command.fields
        return self.settings.user if missing else ""  # Vtiger wants an owner in every record

    def _element(self, command: Command) -> str:
        element = {"id": command.record_id} if command.operation == "update" else {}
        types = field_types(self.metadata, _tab(command))
        element |= {
            name: write(value, types.get(name, "unknown"), self._zone) for name, value in command.fields.items()
        }
        if command.key and command.operation != "update":
            element[command.key[0]] = command.key[1]
        owner = self._owner(command)
        element |= {"assigned_user_id": owner} if isinstance(owner, str) and owner else {}
        return to_json(element).decode()

    def _form(self, command: Command) -> tuple[str, dict[str, str]]:
        """Vtiger's operation and its parameters."""
        operation = command.operation
        if operation == "delete":
            return operation, {"id": command.record_id}
        if operation == "update":
            return "revise", {"element": self._element(command)}
        if operation in _LINKS:
            ids = {"sourceRecordId": command.record_id, "relatedRecordId": text(command.fields.get("to"))}
            label = {"relationIdLabel": text(command.fields.get("relation"))} if operation == "link" else {}
            return _LINKS[operation], {**ids, **label}
        if operation in TAGS:
            every = {"delete_all": "0"} if operation == "untag" else {}
            tags = to_json(command.fields["tags"]).decode()
            return TAGS[operation], {"id": command.record_id, "tags": tags, **every}
        plain = self._plain(command)
        return "create", {"elementType": _tab(plain), "element": self._element(plain)}

    def _wanted(self, command: Command) -> dict[str, Value]:
        owner = self._owner(command)
        return {**command.fields, "assigned_user_id": owner} if isinstance(owner, str) and owner else command.fields

    def _success(self, command: Command, answer: Mapping[str, Any]) -> Outcome | None:
        result = answer.get("result")
        if command.operation == READ:
            return reading.outcome(command, answer, self.metadata, self._zone)
        if command.operation == CONVERT:
            return conversion.outcome(command, result)
        if not isinstance(result, dict):
            return None
        if command.operation == "delete" or command.operation in {*_LINKS, *TAGS}:
            return Applied(command_id=command.id, record_id=command.record_id)
        row = image(result, field_types(self.metadata, _tab(command)), self._zone)
        record_id = text(row.get("id"))
        if not record_id or (command.record_id and record_id != command.record_id):
            return None
        return self._applied(command, row, duplicate=False)

    def _failure(self, command: Command, code: str) -> Outcome:
        if code in _WHO_KNOWS:
            return Uncertain(command_id=command.id, reason=f"Vtiger answered {code or 'without a code'}")
        if code == "RECORD_NOT_FOUND" and command.operation == "delete":
            return Applied(command_id=command.id, record_id=command.record_id, duplicate=True)
        if code == conversion.ALREADY and command.operation == CONVERT:
            return conversion.already(command)
        if code == DUPLICATE:
            return clash(command, self.metadata, command.operation in self.look_first)
        if code in _TRY_AGAIN:
            return RetryLater(command_id=command.id, reason=code)
        return rejected(command, code, code)

    def _absent(self, command: Command) -> Outcome:
        if command.operation == "delete":
            return Applied(command_id=command.id, record_id=command.record_id, duplicate=True)
        if command.operation == "update":
            return rejected(command, "RECORD_NOT_FOUND", "the record is not there any more")
        return RetryLater(command_id=command.id, reason="looked up: not there")

    def _still_there(self, command: Command, row: Mapping[str, Any]) -> Outcome:
        """The record is there and not as it should be: it was not written yet, or somebody else wrote it meanwhile."""
        seen = command.if_unmodified
        if seen is not None and milliseconds(row.get("modifiedtime")) != seen // 1000 * 1000:
            return overtaken(command)
        return RetryLater(command_id=command.id, reason="looked up: not as it should be")

    def _applied(self, command: Command, row: dict[str, Any], duplicate: bool) -> Applied:
        record_id = text(row.get("id"))
        url = ""
        if self.settings.web_url:
            number = record_id.partition("x")[2]
            url = f"{self.settings.web_url}/index.php?module={_tab(command)}&view=Detail&record={number}"
        return Applied(command_id=command.id, record_id=record_id, url=url, fields=row, duplicate=duplicate)


def _tab(command: Command) -> str:
    return command.tab.partition(":")[2]


def _is_conditional(command: Command) -> bool:
    return command.if_unmodified is not None and command.operation in _CONDITIONAL


def _is_texts(tags: object) -> bool:
    return isinstance(tags, list) and all(isinstance(tag, str) and tag.strip() for tag in tags)
