"""What Salesforce's answers mean: error codes as outcomes, and what an answer says of the whole connection.

Facts: the vendor's pages on status codes and error responses, and on API request limits.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.answers import parsed, retry, retry_after, text, unreadable
from connectors.base import Pressure, Response, Usage
from connectors.checks import rejected
from connectors.settings import ConnectionSettings
from schemas.commands import Applied, Command, Outcome, RetryLater, Uncertain

_TRY_AGAIN = frozenset(
    {"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT", "ALL_OR_NONE_OPERATION_ROLLED_BACK",
     "PROCESSING_HALTED"}
)  # fmt: skip
_WHO_KNOWS = frozenset({"UNKNOWN_EXCEPTION", "INTERNAL_SERVER_ERROR", "REQUEST_RUNNING_TOO_LONG"})
_WRITTEN_BY_PEOPLE = frozenset({"FIELD_CUSTOM_VALIDATION_EXCEPTION"})
"""Codes whose message an administrator wrote for people; other messages may quote field values, so stay unshown."""
_OF_THE_BODY = frozenset({"INVALID_FIELD", "JSON_PARSER_ERROR"})
"""Codes about one row for which Salesforce refuses a whole request; its message names the field."""

_TAKEN = re.compile(r"duplicate value found: (\w+) duplicates")
_WORD = re.compile(r"[A-Za-z]\w*")
_USED = re.compile(r"(?:^|[;,\s])(?:api-usage|per-app-api-usage)=(\d{1,12})/(\d{1,12})")
_DAY_SPENT, _BUSY, _LOCKED = 3600.0, 5.0, 300.0
"""Seconds to wait: a used-up day frees up by the hour, calls at once in moments, an approval when people decide."""


class Verdicts:
    """Outcomes of one connection."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings

    def applied(
        self, command: Command, record_id: str = "", *, fields: Mapping[str, Any] | None = None, duplicate: bool = False
    ) -> Applied:
        """The effect is in the CRM."""
        record_id = record_id or command.record_id
        url = f"{self._settings.web_url}/{record_id}" if self._settings.web_url and record_id else ""
        return Applied(
            command_id=command.id, record_id=record_id, url=url, fields=dict(fields or {}), duplicate=duplicate
        )

    def failure(self, command: Command, error: Mapping[str, Any]) -> Outcome:
        """What one error means for one command."""
        code = text(error.get("statusCode")) or text(error.get("errorCode"))
        message = text(error.get("message"))
        if not code or code in _WHO_KNOWS:
            return Uncertain(command_id=command.id, reason=f"Salesforce answered {code or 'without a code'}")
        if code == "ENTITY_IS_DELETED" and command.operation == "delete":
            return self.applied(command, duplicate=True)
        if code == "REQUEST_LIMIT_EXCEEDED":
            return RetryLater(command_id=command.id, reason=code, after=_pressure(message).after)
        if code == "ENTITY_IS_LOCKED":
            return RetryLater(command_id=command.id, reason=f"{code}: an approval holds the record", after=_LOCKED)
        if code in _TRY_AGAIN or "UNABLE_TO_LOCK_ROW" in message or _raced(command, code, message):
            return RetryLater(command_id=command.id, reason=code)
        return rejected(command, code, _reason(code, message, error.get("fields")))

    def whole(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """What an answer means that is about the request as a whole, and not of the form of a success."""
        error = first_error(parsed(response))
        if response.status in {420, 429}:
            return retry(commands, f"{response.status}: throttled", retry_after(response))
        code = text(error.get("errorCode"))
        if response.status >= 500 or not code or response.status < 300:
            return unreadable(commands, response)
        if len({command.tab for command in commands}) > 1:  # each tab is tried alone next, and told what is wrong
            return retry(commands, f"{code} of one object: nothing was written")
        guilty = self._guilty(commands, error) if code in _OF_THE_BODY and len(commands) > 1 else commands
        return [
            self.failure(command, error)
            if command in guilty
            else RetryLater(command_id=command.id, reason=f"{code} of another row: nothing was written")
            for command in commands
        ]

    def _guilty(self, commands: Sequence[Command], error: Mapping[str, Any]) -> Sequence[Command]:
        """The commands that write a field which the error names; all where it names none of theirs."""
        named = {*_names(error.get("fields")), *_WORD.findall(text(error.get("message")))}
        return [command for command in commands if named & command.fields.keys()] or commands


def first_error(answer: object) -> Mapping[str, Any]:
    """The first error of a list of errors; empty where there is none."""
    first = answer[0] if isinstance(answer, list) and answer else None
    return first if isinstance(first, dict) else {}


def usage(response: Response) -> Sequence[Usage]:
    """How much of the day's calls is left, by the header ``Sforce-Limit-Info``; the tighter of two allowances."""
    found = _USED.findall(response.headers.get("sforce-limit-info", ""))
    counts = [(int(most) - int(used), int(most)) for used, most in found]
    if not counts:
        return ()
    left, most = min(counts)
    return (Usage(quota="day", left=max(0, left), most=most),)


def pressure(response: Response) -> Pressure | None:
    """Whether the whole connection was refused for want of room; a missing right (403 too) is none of that."""
    if response.status in {420, 429}:
        return Pressure(kind="busy", after=retry_after(response, _BUSY))
    if response.status == 503:
        return Pressure(kind="unwell", after=retry_after(response))
    error = first_error(parsed(response)) if response.status == 403 else {}
    return _pressure(text(error.get("message"))) if error.get("errorCode") == "REQUEST_LIMIT_EXCEEDED" else None


def _pressure(message: str) -> Pressure:
    if message.startswith("TotalRequests"):
        return Pressure(kind="spent", after=_DAY_SPENT)
    return Pressure(kind="busy", after=_BUSY)


def _raced(command: Command, code: str, message: str) -> bool:
    """Whether a concurrent create with our key clashed: the upsert finds it at the next try.

    The message names the field, though not always; another field's clash would only come again.
    """
    named = _TAKEN.search(message)
    ours = command.key is not None and command.operation in {"create", "upsert"}
    return code == "DUPLICATE_VALUE" and ours and (named is None or named[1] == (command.key or ("",))[0])


def _names(fields: object) -> list[str]:
    return [name for name in fields if isinstance(name, str)] if isinstance(fields, list) else []


def _reason(code: str, message: str, fields: object) -> str:
    names = _names(fields)
    taken = _TAKEN.search(message) if not names else None
    names += [taken[1]] if taken else []
    told = message if code in _WRITTEN_BY_PEOPLE else code
    return f"{told} ({', '.join(names)})" if names else told
