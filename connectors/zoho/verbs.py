"""What every operation on Zoho has in common: its ground, its request, and reading its answer row by row."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from connectors.answers import parsed, retry, retry_after, text, uncertain, unreadable
from connectors.base import Request, Response
from connectors.checks import overtaken, rejected
from connectors.directory import Directory, Refused
from connectors.fields import field_types
from connectors.settings import ConnectionSettings
from connectors.zoho.values import API, JSON, image
from schemas.codec import to_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata, FieldType

TRY_AGAIN = frozenset(
    {"TOO_MANY_REQUESTS", "RATE_LIMIT_EXCEEDED", "DAILY_LIMIT_EXCEEDED", "DEPENDENT_SERVICE_ERROR",
     "ALREADY_SCHEDULED", "CANNOT_PROCESS", "RECORD_LOCKED", "AUTHENTICATION_FAILURE"}
)  # fmt: skip
"""Codes that say: nothing was written, and it is not the command's fault."""
WHO_KNOWS = frozenset(
    {"INTERNAL_ERROR", "INTERNAL_SERVER_ERROR", "BAD_GATEWAY", "SERVICE_UNAVAILABLE", "REQUEST_TIMEOUT", "SCHEDULED"}
)
"""Codes after which it may have been done, or is still to be done."""
_LATER, _LOCKED = 10.0, 60.0

Row: TypeAlias = Mapping[str, Any]
Read: TypeAlias = Callable[[Command, Row], Outcome]


class Ground:
    """What the operations of one connection stand on."""

    def __init__(self, settings: ConnectionSettings, metadata: ConnectionMetadata) -> None:
        self.settings = settings
        self.metadata = metadata
        self.directory = Directory(metadata)

    def types(self, command: Command) -> Mapping[str, FieldType]:
        """The types of the fields of a command's tab; empty where it is not known."""
        return field_types(self.metadata, tab(command))

    def owner(self, command: Command) -> str | Refused:
        """The id of the user who shall own the record; empty where nobody is named."""
        if not command.owner:
            return ""
        user = self.directory.member(command.owner, command.id)
        return user if isinstance(user, Refused) else user.id

    def owner_id(self, command: Command) -> str:
        """The same for a command that was not refused."""
        owner = self.owner(command)
        return owner if isinstance(owner, str) else ""

    def url(self, command: Command, record_id: str) -> str:
        """Where people open a record."""
        return f"{self.settings.web_url}/tab/{tab(command)}/{record_id}" if self.settings.web_url else ""

    def applied(self, command: Command, record_id: str = "", modified: object = None, **more: Any) -> Applied:
        """The effect is there; with the record's modified time where it was told."""
        known = record_id or command.record_id
        fields = image({"Modified_Time": modified}, {}) if modified else {}
        fields |= more.pop("fields", {})
        return Applied(command_id=command.id, record_id=known, url=self.url(command, known), fields=fields, **more)


class Verb(ABC):
    """One operation, or several that are made and read alike; all methods are pure."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def refuse(self, command: Command) -> Rejected | None:
        """Why the command cannot be sent."""
        return None

    @abstractmethod
    def request(self, commands: Sequence[Command]) -> Request:
        """The request for commands of one batch. Raises ValueError where they do not fit into one."""

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """One outcome per command, in order."""
        return by_row(commands, response, self.read, self.refused)

    def read(self, command: Command, row: Row) -> Outcome:
        """What a row that says SUCCESS means."""
        return self._ground.applied(command, modified=details(row).get("Modified_Time"))

    def refused(self, command: Command, row: Row) -> Outcome:
        """What an error of its row, or of the whole request, means."""
        return failure(command, row)

    def looks_first(self, command: Command) -> bool:
        """Whether the command has to be looked up before it can be sent."""
        return False

    def find(self, command: Command) -> Request | None:
        """The request that looks the effect up; none where it cannot be."""
        return None

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """What that says."""
        return Uncertain(command_id=command.id, reason="this cannot be looked up")


def by_row(commands: Sequence[Command], response: Response, read: Read, refused: Read) -> list[Outcome]:
    """Row by row, in order; the status alone says nothing about rows (fact sheet 2.3).

    Rows that are too few or too many, that name other records, or that succeed under a status of failure say nothing.
    """
    answer = parsed(response)
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        return without_rows(commands, response, answer, refused)
    if len(rows) != len(commands) or not all(isinstance(row, dict) for row in rows):
        return unreadable(commands, response)
    if response.status >= 300 and any(succeeded(row) for row in rows):
        return unreadable(commands, response)
    pairs = list(zip(commands, rows, strict=True))
    if any(succeeded(row) and _names_another(command, row) for command, row in pairs):
        return uncertain(commands, "the answer's rows name other records")
    return [read(command, row) if succeeded(row) else refused(command, row) for command, row in pairs]


def without_rows(commands: Sequence[Command], response: Response, answer: Any, refused: Read) -> list[Outcome]:
    """What an answer means that has no rows: a refusal of the whole request, or nothing readable."""
    if response.status == 429:
        return retry(commands, "429: credits or concurrency used up", retry_after(response, _LATER))
    code = text(answer.get("code")) if isinstance(answer, dict) else ""
    if not code or not 400 <= response.status < 500:
        return unreadable(commands, response)
    return [refused(command, answer) for command in commands]


def failure(command: Command, row: Row) -> Outcome:
    """What an error of one row, or of the whole request, means for a command."""
    code = text(row.get("code"))
    if not code or code == "SUCCESS" or code in WHO_KNOWS:
        return Uncertain(command_id=command.id, reason=f"Zoho answered {code or 'without a code'}")
    if code in TRY_AGAIN:
        return RetryLater(command_id=command.id, reason=code, after=_LOCKED if code == "RECORD_LOCKED" else _LATER)
    if code == "OAUTH_SCOPE_MISMATCH":
        return rejected(command, code, "the connection lacks a scope for this: `renkei doctor` names what is missing")
    if code == "ALREADY_MODIFIED":
        return overtaken(command)
    return rejected(command, code, f"{text(row.get('message')) or code}{_where(row)}")


def succeeded(row: Row) -> bool:
    """Whether a row says that it was written."""
    return row.get("code") == "SUCCESS" and row.get("status", "success") == "success"


def details(row: Row) -> Row:
    """The details of a row; nothing where there are none."""
    found = row.get("details")
    return found if isinstance(found, dict) else {}


def found_rows(response: Response) -> list[dict[str, Any]] | None:
    """The records that a lookup found: none at all where it answered 204; None where it cannot be read."""
    if response.status == 204 and not response.body:
        return []
    answer = parsed(response)
    rows = answer.get("data") if isinstance(answer, dict) and response.status == 200 else None
    readable = isinstance(rows, list) and rows and all(isinstance(row, dict) and text(row.get("id")) for row in rows)
    return rows if readable else None


def wondering(command: Command, response: Response) -> Uncertain:
    """A lookup that says nothing."""
    return Uncertain(command_id=command.id, reason=f"the lookup answered {response.status}")


def not_there(command: Command) -> RetryLater:
    """A lookup that proves that nothing was done."""
    return RetryLater(command_id=command.id, reason="looked up: not there")


def tab(command: Command) -> str:
    """The module, without the connection."""
    return command.tab.partition(":")[2]


def path(command: Command, *more: str) -> str:
    """The path of a command's record, and what follows it."""
    return "/".join([API, tab(command), command.record_id, *more])


def json_request(method: str, where: str, body: object, headers: Mapping[str, str] | None = None) -> Request:
    """A request with a JSON body."""
    return Request(method=method, path=where, body=to_json(body), content_type=JSON, headers=dict(headers or {}))


def _names_another(command: Command, row: Row) -> bool:
    named = text(details(row).get("id"))
    wanted = {command.record_id, text(command.fields.get("to"))} if command.record_id else {named}
    return bool(named) and named not in wanted


def _where(row: Row) -> str:
    """The field that an error names; never its value."""
    name = text(details(row).get("api_name"))
    return f" ({name})" if name else ""
