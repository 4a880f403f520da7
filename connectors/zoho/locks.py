"""Locking a record and unlocking it: the lock itself is a record, found under the one that it locks."""

from collections.abc import Sequence

import msgspec

from connectors.answers import text
from connectors.base import Request, Response
from connectors.checks import rejected
from connectors.zoho.verbs import Row, Verb, failure, found_rows, json_request, not_there, path, wondering
from schemas.commands import Applied, Command, Outcome, Rejected, Uncertain

_LIST, _LOCK = "Locking_Information__s", "lock"


class Locks(Verb):
    """``lock`` with the field ``reason``, and ``unlock``; who already finds it so has nothing to do."""

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses a lock that is no id: it goes into a path."""
        if _LOCK in command.fields and not text(command.fields[_LOCK]).isalnum():
            return rejected(command, "bad_value", f"field {_LOCK}: it takes the id of a lock")
        return None

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
        """By the one row, which names the lock and not the record."""
        [outcome] = super().outcomes([msgspec.structs.replace(one, record_id="") for one in commands], response)
        return [self._ground.applied(commands[0])] if isinstance(outcome, Applied) else [outcome]

    def refused(self, command: Command, row: Row) -> Outcome:
        """What is locked already, or has no such lock any more, is looked up."""
        if row.get("code") == {"lock": "RECORD_LOCKED", "unlock": "INVALID_DATA"}[command.operation]:
            return Uncertain(command_id=command.id, reason="perhaps so already")
        return failure(command, row)

    def find(self, command: Command) -> Request | None:
        """The locks of the record."""
        return Request(method="GET", path=path(command, _LIST), params={"fields": "id,Locked_Reason__s"})

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """Whether it is locked, and by which lock."""
        rows = found_rows(response)
        if rows is None or len(rows) > 1 or not all(text(row["id"]).isalnum() for row in rows):
            return wondering(command, response)
        if bool(rows) == (command.operation == "lock"):
            return self._ground.applied(command, duplicate=True)
        if command.operation == "lock":
            return not_there(command)
        if self.looks_first(command):
            return msgspec.structs.replace(command, fields={**command.fields, _LOCK: text(rows[0]["id"])})
        still = rows[0]["id"] == command.fields[_LOCK]
        return not_there(command) if still else self._ground.applied(command, duplicate=True)
