"""Commands to Vtiger: what to send, what the answers mean, and how to look an effect up."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from connectors.answers import holds, retry, retry_after, text, unreadable
from connectors.auth import FORM, VtigerSession
from connectors.base import Auth, Capture, Connector, Limits, Request, Response, Send
from connectors.checks import refusal, rejected
from connectors.credentials import Credentials
from connectors.directory import Directory, Refused
from connectors.fields import field_types
from connectors.reading import READ, not_found
from connectors.settings import ConnectionSettings
from connectors.tasks import TASK
from connectors.vtiger import reading
from connectors.vtiger.capture import capture
from connectors.vtiger.clashes import DUPLICATE, clash
from connectors.vtiger.describe import describe
from connectors.vtiger.tasks import TAB, create_task
from connectors.vtiger.values import PATH, envelope, error_code, image, write
from schemas.codec import to_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata
from schemas.values import Value

_OPERATIONS = {
    "create": "create",
    "update": "revise",
    "upsert": "create",
    "delete": "delete",
    "link": "add_related",
    READ: "query",
    TASK: "create",
}
_TRY_AGAIN = frozenset({"TOO_MANY_REQUESTS"})
_WHO_KNOWS = frozenset({"INTERNAL_SERVER_ERROR", "DATABASE_QUERY_ERROR", ""})


class VtigerConnector(Connector):
    """Vtiger's webservice: one record per call, no upsert; a key is looked up before a create (D-42).

    A module's unique rule is not safe against two creates at once, so one worker serves a connection. A ``task`` is a
    create in Calendar.
    """

    kind = "vtiger"
    limits = Limits(per_minute=600, at_once=4)
    batch: ClassVar[Mapping[str, int]] = {}
    look_first = frozenset({"create", "upsert", TASK})
    repeatable = frozenset({"link", READ})
    never_blind = frozenset({"create", TASK})
    task_tab = TAB
    modified_field = "modifiedtime"

    def __init__(self, settings: ConnectionSettings, metadata: ConnectionMetadata) -> None:
        super().__init__(settings, metadata)
        self._directory = Directory(metadata)
        self._zone = ZoneInfo(settings.zone)

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses commands of a wrong shape, and owners that nobody is (D-48)."""
        owner = self._owner(command)
        if isinstance(owner, Refused):
            return rejected(command, owner.code, owner.reason)
        if command.operation == READ and not reading.is_id(command.record_id):
            return not_found(command)
        return refusal(command, _OPERATIONS)

    def request(self, commands: Sequence[Command]) -> Request:
        """One call for one record."""
        [command] = commands
        if command.operation == READ:
            return reading.request(command)
        command = self._plain(command)
        form = {"operation": _OPERATIONS[command.operation]}
        if command.operation == "delete":
            form["id"] = command.record_id
        elif command.operation == "link":
            form["sourceRecordId"] = command.record_id
            form["relatedRecordId"] = text(command.fields.get("to"))
            form["relationIdLabel"] = text(command.fields.get("relation"))
        else:
            if command.operation != "update":
                form["elementType"] = _tab(command)
            form["element"] = to_json(self._element(command)).decode()
        return Request(method="POST", path=PATH, body=urlencode(form).encode(), content_type=FORM)

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """Vtiger answers 200 whatever happens; the envelope tells."""
        if response.status == 429:
            return retry(commands, "429: too many requests", retry_after(response))
        answer = envelope(response)
        if answer is None or response.status >= 500 or len(commands) != 1:
            return unreadable(commands, response)
        command = self._plain(commands[0])
        if not answer["success"]:
            return [self._failure(command, error_code(answer))]
        outcome = (
            reading.outcome(command, answer, self.metadata, self._zone)
            if command.operation == READ
            else self._success(command, answer.get("result"))
        )
        return [outcome] if outcome else unreadable(commands, response)

    def find(self, command: Command) -> Request | None:
        """A query by key or id; deleted records are never returned."""
        command = self._plain(command)
        if command.operation in {"link", READ} or (command.operation in {"create", "upsert"} and not command.key):
            return None
        name, value = (
            command.key if command.key and command.operation in {"create", "upsert"} else ("id", command.record_id)
        )
        return reading.lookup(_tab(command), name, value)

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """No rows proves absence; an upsert of a record that is there goes on as its update."""
        command = self._plain(command)
        answer = envelope(response)
        rows = answer.get("result") if answer and answer["success"] and response.status == 200 else None
        if (
            not isinstance(rows, list)
            or len(rows) > 1
            or not all(isinstance(row, dict) and row.get("id") for row in rows)
        ):
            return Uncertain(command_id=command.id, reason=f"the lookup answered {response.status}")
        if not rows:
            return self._absent(command)
        row = image(rows[0], field_types(self.metadata, _tab(command)), self._zone)
        if command.operation == "create" or (command.operation != "delete" and holds(row, self._wanted(command))):
            return self._applied(command, row, duplicate=True)
        if command.operation == "upsert":
            return msgspec.structs.replace(command, operation="update", record_id=text(row["id"]))
        return RetryLater(command_id=command.id, reason="looked up: not as it should be")

    def authentication(self, credentials: Credentials, send: Send) -> Auth:
        """The challenge session."""
        return VtigerSession(self.settings, credentials, send)

    def capture(self, tab: str, send: Send, fields: Sequence[str] = ()) -> Capture:
        """Polls a module by modified time."""
        return capture(self.settings, self.metadata, tab, send, fields)

    def describe(self, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
        """Modules, fields, users and groups."""
        return describe(self.settings.connection, send, tabs)

    def _plain(self, command: Command) -> Command:
        return create_task(command, self.metadata, self._zone) if command.operation == TASK else command

    def _owner(self, command: Command) -> str | Refused:
        if command.owner:
            owner = self._directory.owner(command.owner)  # groups own records themselves
            return owner if isinstance(owner, Refused) else owner.id
        missing = command.operation == "create" and "assigned_user_id" not in command.fields
        return self.settings.user if missing else ""  # Vtiger wants an owner in every record

    def _element(self, command: Command) -> dict[str, str]:
        element = {"id": command.record_id} if command.operation == "update" else {}
        types = field_types(self.metadata, _tab(command))
        element |= {
            name: write(value, types.get(name, "unknown"), self._zone) for name, value in command.fields.items()
        }
        if command.key and command.operation != "update":
            element[command.key[0]] = command.key[1]
        owner = self._owner(command)
        return {**element, "assigned_user_id": owner} if isinstance(owner, str) and owner else element

    def _wanted(self, command: Command) -> dict[str, Value]:
        owner = self._owner(command)
        return {**command.fields, "assigned_user_id": owner} if isinstance(owner, str) and owner else command.fields

    def _success(self, command: Command, result: Any) -> Outcome | None:
        if not isinstance(result, dict):
            return None
        if command.operation in {"delete", "link"}:
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

    def _applied(self, command: Command, row: dict[str, Any], duplicate: bool) -> Applied:
        record_id = text(row.get("id"))
        url = ""
        if self.settings.web_url:
            number = record_id.partition("x")[2]
            url = f"{self.settings.web_url}/index.php?module={_tab(command)}&view=Detail&record={number}"
        return Applied(command_id=command.id, record_id=record_id, url=url, fields=row, duplicate=duplicate)


def _tab(command: Command) -> str:
    return command.tab.partition(":")[2]
