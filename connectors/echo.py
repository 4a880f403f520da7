"""Recognising our own writes when they come back as change events (D-60), without swallowing a person's edit (D-64)."""

from collections.abc import Iterable

import msgspec

from connectors.answers import holds
from connectors.ledger import Entry
from connectors.tasks import TASK
from schemas.commands import Applied, Command
from schemas.events import Chain, ChangeEvent
from schemas.values import Image, Ref, Value, parse_instant, ref

OF_ROWS = frozenset({"create", "update", "upsert", "delete", TASK})
"""Operations whose fields are fields of a record; what others change is known by who changed it, and when."""

MADE, TOUCHED, GONE = "made", "touched", "gone"
"""What other operations do to records, one of them or several: see ``connectors.traces``."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """One write of ours that was applied; ``modified`` is the record's modified time that the answer told."""

    record: Ref
    operation: str
    fields: dict[str, Value]
    chain: Chain
    key: tuple[str, str] | None = None
    modified: int | None = None
    within: tuple[int, int] | None = None
    """Between which times it was made, where its fields do not tell."""


CLIENT = "renkei"
"""How our writes name themselves, where a CRM tells who wrote (Salesforce)."""


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
        """The event with the chain of the write that it echoes; unchanged if it is no echo.

        The chain of a command is already that of its echo: whoever planned it counted the hop.
        """
        if event.origin or event.load:
            return event
        for write in reversed(self._writes_of(event)):
            if self._echoes(event, write):
                return msgspec.structs.replace(event, origin=write.chain)
        return event

    def _writes_of(self, event: ChangeEvent) -> list[Written]:
        # A task's command does not name the tab in which the CRM keeps tasks; record ids are unique across tabs.
        task = ref(f"{event.tab.partition(':')[0]}:{TASK}", event.record_id)
        return [*self._writes.get(event.ref, []), *self._writes.get(task, [])]

    def _echoes(self, event: ChangeEvent, write: Written) -> bool:
        if event.op == "delete":
            return write.operation in _ENDS and self._ours(event, write)
        if write.operation in _ENDS or event.after is None:
            return False
        if event.op == "create":
            return write.operation != "update" and _made(event.after, write) and self._ours(event, write)
        return holds(event.after, _told(event, write)) and self._ours(event, write)

    def _ours(self, event: ChangeEvent, write: Written) -> bool:
        """By who changed it, or by the very time that our write was answered with; without either, by content alone."""
        if write.within is not None and not write.within[0] <= event.committed_at <= write.within[1]:
            return False
        if event.op == "delete" and not (event.actor or event.client):
            return True  # nobody tells who did it, and what we took away is gone
        if event.client:
            return event.client == CLIENT
        if not self._user and write.modified is None:
            return event.op == "create"
        by_user = bool(self._user) and event.actor == self._user
        return by_user or (write.modified is not None and write.modified == event.committed_at)


_ENDS = frozenset({"delete", GONE})


def _told(event: ChangeEvent, write: Written) -> dict[str, Value]:
    """What an event must hold to be the echo of a write: a partial one tells only what the write changed."""
    if not event.partial or event.after is None:
        return write.fields
    told = {name: value for name, value in write.fields.items() if name in event.after}
    return told or write.fields


def _made(image: Image, write: Written) -> bool:
    return write.operation in {TASK, MADE} or (write.key is not None and image.get(write.key[0]) == write.key[1])


def written(entry: Entry, modified_field: str) -> Written | None:
    """What a ledger entry wrote into a row; none where nothing was, or where it belongs to no chain."""
    command, outcome = entry.command, entry.outcome
    if command.operation not in OF_ROWS or command.chain is None:
        return None
    if not isinstance(outcome, Applied) or not outcome.record_id:
        return None
    return Written(
        record=ref(command.tab, outcome.record_id),
        operation=command.operation,
        fields=_fields(command),
        chain=command.chain,
        key=command.key,
        modified=modified_at(outcome, modified_field),
    )


def modified_at(outcome: Applied, modified_field: str) -> int | None:
    """The record's modified time that an outcome tells."""
    told = outcome.fields.get(modified_field)
    return parse_instant(told) if isinstance(told, str) else None


def _fields(command: Command) -> dict[str, Value]:
    return dict(command.fields) if command.key is None else {**command.fields, command.key[0]: command.key[1]}
