"""Commands to Salesforce: what to send, what the answers mean, and how to look an effect up."""

import re
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
from connectors.salesforce import reading
from connectors.salesforce.capture import capture
from connectors.salesforce.describe import describe
from connectors.salesforce.tasks import TAB, create_task
from connectors.salesforce.values import API, JSON, image, literal, write
from connectors.settings import ConnectionSettings
from connectors.tasks import TASK
from schemas.codec import to_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata
from schemas.values import Value

_TRY_AGAIN = frozenset(
    {"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT", "ALL_OR_NONE_OPERATION_ROLLED_BACK"}
)
_WHO_KNOWS = frozenset({"UNKNOWN_EXCEPTION", "INTERNAL_SERVER_ERROR", "REQUEST_RUNNING_TOO_LONG"})
_WRITTEN_BY_PEOPLE = frozenset({"FIELD_CUSTOM_VALIDATION_EXCEPTION"})
"""Codes whose message an administrator wrote for people; other messages may quote field values, so stay unshown."""
_TAKEN = re.compile(r"duplicate value found: (\w+) duplicates")
_OPERATIONS = frozenset({"create", "update", "upsert", "delete", "link", READ, TASK})


class SalesforceConnector(Connector):
    """Salesforce by sObject collections: 200 rows per call; a create with a key upserts by external id (D-42).

    ``link`` writes a lookup: its field is ``relation``, its value ``to``. A ``task`` is a create of a Task.
    """

    kind = "salesforce"
    batch: ClassVar[Mapping[str, int]] = {
        **dict.fromkeys(("create", "update", "upsert", "delete", "link", TASK), 200),
        READ: reading.MOST,
    }
    limits = Limits(per_minute=1200, at_once=8)
    modified_field = "SystemModstamp"
    repeatable = frozenset({READ})
    never_blind = frozenset({"create", TASK})
    task_tab = TAB

    def __init__(self, settings: ConnectionSettings, metadata: ConnectionMetadata) -> None:
        super().__init__(settings, metadata)
        self._directory = Directory(metadata)

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses commands of a wrong shape, and owners that nobody is (D-48)."""
        owner = self._owner(command)
        if isinstance(owner, Refused):
            return rejected(command, owner.code, owner.reason)
        if command.operation == READ and not reading.is_id(command.record_id):
            return not_found(command)
        return refusal(command, _OPERATIONS)

    def request(self, commands: Sequence[Command]) -> Request:
        """One call for up to 200 rows, each settled alone (``allOrNone`` false)."""
        if commands[0].operation == READ:
            return reading.request(commands, self.metadata)
        commands = [self._plain(command) for command in commands]
        first = commands[0]
        if first.operation == "delete":
            ids = ",".join(command.record_id for command in commands)
            params = {"ids": ids, "allOrNone": "false"}
            return Request(method="DELETE", path=f"{API}/composite/sobjects", params=params, headers=_headers(first))
        body = {"allOrNone": False, "records": [self._row(command) for command in commands]}
        if first.operation in {"create", "upsert"} and first.key:
            path = f"{API}/composite/sobjects/{_tab(first)}/{first.key[0]}"
        else:
            path = f"{API}/composite/sobjects"
        method = "POST" if first.operation == "create" and not first.key else "PATCH"
        return Request(method=method, path=path, headers=_headers(first), body=to_json(body), content_type=JSON)

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """Row by row; a collection answers 200 even when rows fail."""
        commands = [self._plain(command) for command in commands]
        read = reading.outcomes(commands, response, self.metadata) if commands[0].operation == READ else None
        if read:
            return read
        answer = parsed(response)
        if response.status in {200, 201} and isinstance(answer, list) and commands[0].operation != READ:
            return self._rows(commands, answer, response)
        error = answer[0] if isinstance(answer, list) and answer and isinstance(answer[0], dict) else {}
        if response.status in {420, 429}:
            return retry(commands, f"{response.status}: throttled", retry_after(response))
        if response.status >= 500 or not text(error.get("errorCode")) or response.status < 300:
            return unreadable(commands, response)
        return [self._failure(command, error) for command in commands]

    def find(self, command: Command) -> Request | None:
        """A query by external id or id; SOQL sees every committed row."""
        command = self._plain(command)
        if command.operation == READ or (command.operation in {"create", "upsert"} and not command.key):
            return None
        name, value = (
            command.key if command.key and command.operation in {"create", "upsert"} else ("Id", command.record_id)
        )
        columns = ", ".join(dict.fromkeys(["Id", "SystemModstamp", *self._compared(command)]))
        query = f"SELECT {columns} FROM {_tab(command)} WHERE {name} = {literal(value)} LIMIT 2"  # noqa: S608
        return Request(method="GET", path=f"{API}/query", params={"q": query})

    def found(self, command: Command, response: Response) -> Outcome:
        """No rows proves absence."""
        command = self._plain(command)
        answer = parsed(response)
        rows = answer.get("records") if isinstance(answer, dict) and response.status == 200 else None
        if (
            not isinstance(rows, list)
            or len(rows) > 1
            or not all(isinstance(row, dict) and row.get("Id") for row in rows)
        ):
            return Uncertain(command_id=command.id, reason=f"the lookup answered {response.status}")
        if not rows:
            return self._absent(command)
        row = image(rows[0], field_types(self.metadata, _tab(command)))
        if command.operation == "create" or (command.operation != "delete" and holds(row, self._wanted(command))):
            return self._there(command, row)
        return RetryLater(command_id=command.id, reason="looked up: not as it should be")

    def authentication(self, credentials: Credentials, send: Send) -> Auth:
        """A refresh token or client credentials, as the settings say."""
        return OAuth(self.settings, credentials, send, path="/services/oauth2/token", scheme="Bearer")

    def capture(self, tab: str, send: Send, fields: Sequence[str] = ()) -> Capture:
        """Polls an object by SystemModstamp, deleted rows included."""
        return capture(self.settings, self.metadata, tab, send, fields)

    def describe(self, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
        """Objects, fields, users, groups and queues."""
        return describe(self.settings.connection, send, tabs)

    def _plain(self, command: Command) -> Command:
        return create_task(command, self.metadata) if command.operation == TASK else command

    def _owner(self, command: Command) -> str | Refused:
        if not command.owner:
            return ""
        if command.owner.startswith("queue:"):
            owner = self._directory.owner(command.owner)  # queues own records themselves
        else:
            owner = self._directory.member(command.owner, command.id)
        return owner if isinstance(owner, Refused) else owner.id

    def _row(self, command: Command) -> dict[str, object]:
        row: dict[str, object] = {"attributes": {"type": _tab(command)}}
        if command.operation in {"update", "link"}:
            row["id"] = command.record_id
        types = field_types(self.metadata, _tab(command))
        row |= {name: write(value, types.get(name, "unknown")) for name, value in _written(command).items()}
        if command.key and command.operation in {"create", "upsert"}:
            row[command.key[0]] = command.key[1]
        owner = self._owner(command)
        if isinstance(owner, str) and owner:
            row["OwnerId"] = owner
        return row

    def _wanted(self, command: Command) -> dict[str, Value]:
        owner = self._owner(command)
        return {**_written(command), "OwnerId": owner} if isinstance(owner, str) and owner else _written(command)

    def _compared(self, command: Command) -> list[str]:
        return list(self._wanted(command)) if command.operation in {"update", "upsert", "link"} else []

    def _rows(self, commands: Sequence[Command], rows: list[Any], response: Response) -> list[Outcome]:
        if len(rows) != len(commands) or not all(isinstance(row, dict) for row in rows):
            return unreadable(commands, response)
        for command, row in zip(commands, rows, strict=True):
            if (
                row.get("success") is True
                and command.record_id
                and not _same_id(text(row.get("id")), command.record_id)
            ):
                return uncertain(commands, "the answer's rows name other records")
        return [self._outcome(command, row) for command, row in zip(commands, rows, strict=True)]

    def _outcome(self, command: Command, row: dict[str, Any]) -> Outcome:
        record_id = text(row.get("id")) or command.record_id
        if row.get("success") is True and record_id:
            duplicate = command.operation == "create" and row.get("created") is False
            url = self._url(record_id)
            return Applied(command_id=command.id, record_id=record_id, url=url, duplicate=duplicate)
        errors = row.get("errors")
        error = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
        return self._failure(command, error)

    def _failure(self, command: Command, error: Mapping[str, Any]) -> Outcome:
        code = text(error.get("statusCode")) or text(error.get("errorCode"))
        message = text(error.get("message"))
        if not code or code in _WHO_KNOWS:
            return Uncertain(command_id=command.id, reason=f"Salesforce answered {code or 'without a code'}")
        if code == "ENTITY_IS_DELETED" and command.operation == "delete":
            return self._there(command, {})
        if code == "REQUEST_LIMIT_EXCEEDED":
            after = 3600.0 if message.startswith("TotalRequests") else 5.0
            return RetryLater(command_id=command.id, reason=code, after=after)
        if code in _TRY_AGAIN or "UNABLE_TO_LOCK_ROW" in message or _raced(command, code, message):
            return RetryLater(command_id=command.id, reason=code)
        return rejected(command, code, _reason(code, message, error.get("fields")))

    def _absent(self, command: Command) -> Outcome:
        if command.operation == "delete":
            return self._there(command, {})
        if command.operation in {"update", "link"}:
            return rejected(command, "NOT_FOUND", "the record is not there any more")
        return RetryLater(command_id=command.id, reason="looked up: not there")

    def _there(self, command: Command, row: dict[str, Any]) -> Applied:
        record_id = text(row.get("id")) or command.record_id
        fields = {"SystemModstamp": row["SystemModstamp"]} if row.get("SystemModstamp") else {}
        return Applied(
            command_id=command.id,
            record_id=record_id,
            url=self._url(record_id),
            fields=fields,
            duplicate=True,
        )

    def _url(self, record_id: str) -> str:
        return f"{self.settings.web_url}/{record_id}" if self.settings.web_url else ""


def _tab(command: Command) -> str:
    return command.tab.partition(":")[2]


def _written(command: Command) -> dict[str, Any]:
    if command.operation != "link":
        return command.fields
    return {str(command.fields.get("relation", "")): command.fields.get("to")}


def _headers(first: Command) -> dict[str, str]:
    quiet = {} if first.trigger_native else {"Sforce-Auto-Assign": "false"}
    return {"Sforce-Call-Options": "client=renkei", **quiet}


def _raced(command: Command, code: str, message: str) -> bool:
    """Whether a concurrent create with our key clashed: the upsert finds it at the next try.

    The message names the field, though not always; another field's clash would only come again.
    """
    named = _TAKEN.search(message)
    ours = command.key is not None and command.operation in {"create", "upsert"}
    return code == "DUPLICATE_VALUE" and ours and (named is None or named[1] == (command.key or ("",))[0])


def _same_id(left: str, right: str) -> bool:
    """15 and 18 characters name the same record; the last three are a checksum."""
    return left[:15] == right[:15]


def _reason(code: str, message: str, fields: object) -> str:
    names = [name for name in fields if isinstance(name, str)] if isinstance(fields, list) else []
    taken = _TAKEN.search(message) if not names else None
    names += [taken[1]] if taken else []
    told = message if code in _WRITTEN_BY_PEOPLE else code
    return f"{told} ({', '.join(names)})" if names else told
