"""Recognising our own writes when they come back as change events (D-60), without swallowing a
person's edit (D-64).
"""

from collections.abc import Iterable

import msgspec

from connectors.answers import holds
from connectors.ledger import Entry
from schemas.commands import Applied, Command
from schemas.events import Chain, ChangeEvent
from schemas.values import Ref, Value, parse_instant, ref


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """One write of ours that was applied; ``modified`` is the record's modified time that the answer told."""

    record: Ref
    operation: str
    fields: dict[str, Value]
    chain: Chain
    key: tuple[str, str] | None = None
    modified: int | None = None


class EchoBook:
    """Our recent writes of one connection, by record; ``user`` is the record id of the integration user."""

    def __init__(self, writes: Iterable[Written], user: str = "") -> None:
        self._user = user
        self._writes: dict[Ref, list[Written]] = {}
        for write in writes:
            self._writes.setdefault(write.record, []).append(write)

    @classmethod
    def of(cls, entries: Iterable[Entry], modified_field: str, user: str = "") -> "EchoBook":
        """The book of a ledger's recent entries, oldest first."""
        return cls((write for entry in entries if (write := written(entry, modified_field))), user)

    def stamp(self, event: ChangeEvent) -> ChangeEvent:
        """The event with the chain of the write that it echoes, one hop further; unchanged if it is
        no echo.
        """
        if event.origin or event.load:
            return event
        for write in reversed(self._writes.get(event.ref, [])):
            if self._echoes(event, write):
                chain = msgspec.structs.replace(write.chain, hop=write.chain.hop + 1)
                return msgspec.structs.replace(event, origin=chain)
        return event

    def _echoes(self, event: ChangeEvent, write: Written) -> bool:
        if event.op == "delete":
            return write.operation == "delete" and self._ours(event, write)
        if write.operation == "delete" or event.after is None:
            return False
        if event.op == "create":
            by_key = write.key is not None and event.after.get(write.key[0]) == write.key[1]
            return write.operation != "update" and by_key and self._ours(event, write)
        return holds(event.after, write.fields) and self._ours(event, write)

    def _ours(self, event: ChangeEvent, write: Written) -> bool:
        """By who changed it, or by the very time that our write was answered with; without either, by
        content alone.
        """
        if not self._user and write.modified is None:
            return event.op == "create"
        by_user = bool(self._user) and event.actor == self._user
        return by_user or (write.modified is not None and write.modified == event.committed_at)


def written(entry: Entry, modified_field: str) -> Written | None:
    """What a ledger entry wrote; none where nothing was, or where it belongs to no chain."""
    command, outcome = entry.command, entry.outcome
    if not isinstance(outcome, Applied) or command.chain is None or not outcome.record_id:
        return None
    told = outcome.fields.get(modified_field)
    return Written(
        record=ref(command.tab, outcome.record_id),
        operation=command.operation,
        fields=_fields(command),
        chain=command.chain,
        key=command.key,
        modified=parse_instant(told) if isinstance(told, str) else None,
    )


def _fields(command: Command) -> dict[str, Value]:
    if command.operation == "link":
        return {}
    return dict(command.fields) if command.key is None else {**command.fields, command.key[0]: command.key[1]}
