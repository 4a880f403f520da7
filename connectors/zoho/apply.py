"""Commands to Zoho CRM: what to send, what the answers mean, and how to look an effect up."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from connectors.answers import holds, parsed, retry, retry_after, text, uncertain, unreadable
from connectors.auth import OAuth
from connectors.base import Auth, Capture, Connector, Limits, Request, Response, Send
from connectors.checks import refusal, rejected
from connectors.credentials import Credentials
from connectors.directory import Directory, Refused
from connectors.fields import field_types
from connectors.reading import READ, not_found
from connectors.settings import ConnectionSettings
from connectors.tasks import TASK
from connectors.zoho import reading
from connectors.zoho.capture import capture
from connectors.zoho.describe import describe
from connectors.zoho.tasks import TAB, create_task
from connectors.zoho.values import API, JSON, image, literal, write
from schemas.codec import to_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata
from schemas.values import Value

_TRY_AGAIN = frozenset(
    {"TOO_MANY_REQUESTS", "RATE_LIMIT_EXCEEDED", "DAILY_LIMIT_EXCEEDED", "DEPENDENT_SERVICE_ERROR",
     "ALREADY_SCHEDULED", "CANNOT_PROCESS", "RECORD_LOCKED"}
)  # fmt: skip
_WHO_KNOWS = frozenset({"INTERNAL_ERROR", "INTERNAL_SERVER_ERROR", "BAD_GATEWAY", "SERVICE_UNAVAILABLE"})
_OPERATIONS = frozenset({"create", "update", "upsert", "delete", "link", READ, TASK})
_COMPARED = 40
"""A COQL query selects at most 50 columns, so a lookup compares this many fields."""


class ZohoConnector(Connector):
    """Zoho CRM, REST v8: 100 rows per call; a create with a key is an upsert on that unique field (D-42).

    A ``task`` is a create in Tasks.
    """

    kind = "zoho"
    batch: ClassVar[Mapping[str, int]] = dict.fromkeys(("create", "update", "upsert", "delete", READ, TASK), 100)
    limits = Limits(per_minute=600, at_once=5)
    repeatable = frozenset({"link", READ})
    never_blind = frozenset({"create", TASK})
    task_tab = TAB
    modified_field = "Modified_Time"

    def __init__(self, settings: ConnectionSettings, metadata: ConnectionMetadata) -> None:
        super().__init__(settings, metadata)
        self._directory = Directory(metadata)

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses commands of a wrong shape, and owners that nobody is (D-48)."""
        owner = self._owner(command)
        if isinstance(owner, Refused):
            return rejected(command, owner.code, owner.reason)
        if command.operation == READ and not command.record_id.isdecimal():
            return not_found(command)  # Zoho would refuse the whole batch because of it
        return refusal(command, _OPERATIONS)

    def most(self, command: Command) -> int:
        """100, but a module of many fields is read record by record."""
        if command.operation == READ:
            return reading.most(self.metadata, command.tab.partition(":")[2])
        return super().most(command)

    def request(self, commands: Sequence[Command]) -> Request:
        """One call for up to 100 rows."""
        if commands[0].operation == READ:
            return reading.request(commands, self.metadata)
        commands = [self._plain(command) for command in commands]
        first = commands[0]
        tab = first.tab.partition(":")[2]
        if first.operation == "delete":
            ids = ",".join(command.record_id for command in commands)
            flag = {} if first.trigger_native else {"wf_trigger": "false"}
            return Request(method="DELETE", path=f"{API}/{tab}", params={"ids": ids, **flag})
        if first.operation == "link":
            path = f"{API}/{tab}/{first.record_id}/{first.fields.get('relation', '')}"
            return _json("PUT", path, {"data": [{"id": first.fields.get("to")}]})
        body: dict[str, object] = {"data": [self._row(command) for command in commands]}
        if not first.trigger_native:
            body["trigger"] = []
        if first.operation == "update":
            return _json("PUT", f"{API}/{tab}", body)
        if first.key:
            return _json("POST", f"{API}/{tab}/upsert", {**body, "duplicate_check_fields": [first.key[0]]})
        return _json("POST", f"{API}/{tab}", body)

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """Row by row; the status alone says nothing about rows."""
        commands = [self._plain(command) for command in commands]
        read = reading.outcomes(commands, response, self.metadata) if commands[0].operation == READ else None
        if read:
            return read
        answer = parsed(response)
        rows = answer.get("data") if isinstance(answer, dict) else None
        if isinstance(rows, list) and commands[0].operation != READ:
            return self._rows(commands, rows, response)
        if response.status == 429:
            return retry(commands, "429: credits or concurrency used up", retry_after(response))
        code = text(answer.get("code")) if isinstance(answer, dict) else ""
        if response.status >= 500 or not code or not 400 <= response.status < 500:
            return unreadable(commands, response)
        return [_failure(command, answer) for command in commands]

    def find(self, command: Command) -> Request | None:
        """By key with COQL, which unlike search has no index lag; by id otherwise."""
        command = self._plain(command)
        tab = command.tab.partition(":")[2]
        if command.operation in {"create", "upsert"} and command.key:
            columns = ", ".join(dict.fromkeys(["id", "Modified_Time", *self._compared(command)]))
            query = f"select {columns} from {tab} where {command.key[0]} = {literal(command.key[1])} limit 2"  # noqa: S608
            return _json("POST", f"{API}/coql", {"select_query": query})
        if command.operation in {"update", "delete"}:
            fields = ",".join(["Modified_Time", *self._compared(command)])
            return Request(method="GET", path=f"{API}/{tab}/{command.record_id}", params={"fields": fields})
        return None

    def found(self, command: Command, response: Response) -> Outcome:
        """204 proves absence, for a record in the recycle bin too."""
        command = self._plain(command)
        gone = response.status == 204
        if gone and command.operation != "update":
            there = command.operation == "delete"
            return (
                self._there(command, {}) if there else RetryLater(command_id=command.id, reason="looked up: not there")
            )
        rows = self._found_rows(response)
        if gone or rows is None or (command.key and len(rows) > 1 and command.operation != "update"):
            return Uncertain(command_id=command.id, reason=f"the lookup answered {response.status}")
        row = image(rows[0], field_types(self.metadata, command.tab.partition(":")[2]))
        if command.operation == "create" or (command.operation != "delete" and holds(row, self._wanted(command))):
            return self._there(command, row)
        return RetryLater(command_id=command.id, reason="looked up: not as it should be")

    def authentication(self, credentials: Credentials, send: Send) -> Auth:
        """A refresh token; Zoho allows ten access tokens in ten minutes, so they are shared."""
        return OAuth(self.settings, credentials, send, path="/oauth/v2/token", scheme="Zoho-oauthtoken")

    def capture(self, tab: str, send: Send, fields: Sequence[str] = ()) -> Capture:
        """Polls a module by modified time."""
        return capture(self.settings, self.metadata, tab, send, fields)

    def describe(self, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
        """Modules, fields, users and groups."""
        return describe(self.settings.connection, send, tabs)

    def _plain(self, command: Command) -> Command:
        return create_task(command, self.metadata) if command.operation == TASK else command

    def _owner(self, command: Command) -> str | Refused:
        if not command.owner:
            return ""
        user = self._directory.member(command.owner, command.id)
        return user if isinstance(user, Refused) else user.id

    def _row(self, command: Command) -> dict[str, object]:
        row: dict[str, object] = {"id": command.record_id} if command.operation == "update" else {}
        types = field_types(self.metadata, command.tab.partition(":")[2])
        row |= {name: write(value, types.get(name, "unknown")) for name, value in command.fields.items()}
        if command.key and command.operation != "update":
            row[command.key[0]] = command.key[1]
        owner = self._owner(command)
        if isinstance(owner, str) and owner:
            row["Owner"] = {"id": owner}
        return row

    def _wanted(self, command: Command) -> dict[str, Value]:
        owner = self._owner(command)
        wanted = dict(list(command.fields.items())[:_COMPARED])
        return {**wanted, "Owner": owner} if isinstance(owner, str) and owner else wanted

    def _compared(self, command: Command) -> list[str]:
        return list(self._wanted(command)) if command.operation in {"update", "upsert"} else []

    def _rows(self, commands: Sequence[Command], rows: list[Any], response: Response) -> list[Outcome]:
        if len(rows) != len(commands) or not all(isinstance(row, dict) for row in rows):
            return unreadable(commands, response)
        ids = [text(row["details"].get("id")) if isinstance(row.get("details"), dict) else "" for row in rows]
        for command, row, record_id in zip(commands, rows, ids, strict=True):
            if row.get("code") == "SUCCESS" and command.record_id and record_id not in {"", command.record_id}:
                return uncertain(commands, "the answer's rows name other records")
        return [
            self._outcome(command, row, record_id) for command, row, record_id in zip(commands, rows, ids, strict=True)
        ]

    def _outcome(self, command: Command, row: dict[str, Any], record_id: str) -> Outcome:
        if row.get("code") != "SUCCESS":
            return _failure(command, row)
        record_id = record_id or command.record_id
        if not record_id:
            return Uncertain(command_id=command.id, reason="a success without a record id")
        details = row.get("details")
        times = {"Modified_Time": details.get("Modified_Time")} if isinstance(details, dict) else {}
        return Applied(
            command_id=command.id, record_id=record_id, url=self._url(command, record_id),
            fields=image({name: time for name, time in times.items() if time}, {}),
            duplicate=command.operation == "create" and row.get("action") == "update",
        )  # fmt: skip

    def _found_rows(self, response: Response) -> list[Any] | None:
        answer = parsed(response)
        rows = answer.get("data") if isinstance(answer, dict) and response.status == 200 else None
        readable = isinstance(rows, list) and rows and all(isinstance(row, dict) and row.get("id") for row in rows)
        return rows if readable else None

    def _there(self, command: Command, row: dict[str, Any]) -> Applied:
        record_id = text(row.get("id")) or command.record_id
        fields = {"Modified_Time": row["Modified_Time"]} if row.get("Modified_Time") else {}
        url = self._url(command, record_id)
        return Applied(command_id=command.id, record_id=record_id, url=url, fields=fields, duplicate=True)

    def _url(self, command: Command, record_id: str) -> str:
        tab = command.tab.partition(":")[2]
        return f"{self.settings.web_url}/tab/{tab}/{record_id}" if self.settings.web_url else ""


def _json(method: str, path: str, body: object) -> Request:
    return Request(method=method, path=path, body=to_json(body), content_type=JSON)


def _failure(command: Command, row: Mapping[str, Any]) -> Outcome:
    code = text(row.get("code"))
    if not code or code in _WHO_KNOWS:
        return Uncertain(command_id=command.id, reason=f"Zoho answered {code or 'without a code'}")
    if code in _TRY_AGAIN:
        return RetryLater(command_id=command.id, reason=code, after=60.0 if code == "RECORD_LOCKED" else 10.0)
    return rejected(command, code, f"{text(row.get('message')) or code}{_where(row)}")


def _where(row: Mapping[str, Any]) -> str:
    """The field that an error names; never its value."""
    details = row.get("details")
    name = text(details.get("api_name")) if isinstance(details, dict) else ""
    return f" ({name})" if name else ""
