"""Locking a record and unlocking it: the lock itself is a record, found under the one that it locks."""

from collections.abc import Sequence

import msgspec

from connectors.answers import text
from connectors.base import Request, Response
from connectors.zoho.verbs import Row, Verb, by_row, found_rows, json_request, not_there, path, wondering
from schemas.commands import Command, Outcome, Rejected, RetryLater, Uncertain

_LIST, _LOCK = "Locking_Information__s", "lock"


class Locks(Verb):
    """``lock`` with the field ``reason``, and ``unlock``; who already finds it so has nothing to do."""

    def looks_first(self, command: Command) -> bool:
        """To unlock, the lock's id must be known."""
        return command.operation == "unlock" and _LOCK not in command.fields

    def request(self, commands: Sequence[Command]) -> Request:
        """One lock."""
        [command] = commands
        if command.operation == "unlock":
            return Request(method="DELETE", path=path(command, _LIST, text(command.fields.get(_LOCK))))
        reason = text(command.fields.get("reason")) or "Renkei"
        return json_request("POST", path(command, _LIST), {"data": [{"Locked_Reason__s": reason}]})

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """What is locked already, or has no such lock any more, is looked up."""
        [outcome] = by_row([_without_id(command) for command in commands], response, self.read)
        gone = isinstance(outcome, Rejected) and outcome.code == "INVALID_DATA" and commands[0].operation == "unlock"
        if gone or (isinstance(outcome, RetryLater) and outcome.reason == "RECORD_LOCKED"):
            return [Uncertain(command_id=commands[0].id, reason="perhaps so already")]
        if isinstance(outcome, Uncertain | Rejected | RetryLater):
            return [outcome]
        return [self._ground.applied(commands[0])]

    def read(self, command: Command, row: Row) -> Outcome:
        """Done."""
        return self._ground.applied(command)

    def find(self, command: Command) -> Request | None:
        """The locks of the record."""
        return Request(method="GET", path=path(command, _LIST), params={"fields": "id,Locked_Reason__s"})

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """Whether it is locked, and by which lock."""
        rows = found_rows(response)
        if rows is None or len(rows) > 1:
            return wondering(command, response)
        if bool(rows) == (command.operation == "lock"):
            return self._ground.applied(command, duplicate=True)
        if command.operation == "lock":
            return not_there(command)
        if self.looks_first(command):
            return msgspec.structs.replace(command, fields={**command.fields, _LOCK: text(rows[0]["id"])})
        still = rows[0]["id"] == command.fields[_LOCK]
        return not_there(command) if still else self._ground.applied(command, duplicate=True)


def _without_id(command: Command) -> Command:
    """Rows name the lock, not the record."""
    return msgspec.structs.replace(command, record_id="")
