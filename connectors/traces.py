"""What our commands leave behind beside the rows that they write: records they made, touched or took away (D-60).

A conversion makes an account, a contact and a deal, and the lead is gone; a tag, a lock or a transition touches its
record. No field says so: such changes are known by the ids that the outcome names, by who made them, and by when.
"""

from collections.abc import Iterable, Iterator

from connectors.answers import text
from connectors.base import Connector
from connectors.echo import GONE, MADE, OF_ROWS, TOUCHED, EchoBook, Written, modified_at, written
from connectors.ledger import Entry
from connectors.reading import READ
from schemas.abilities import Abilities, Ability
from schemas.commands import Applied
from schemas.values import MINUTE, Ref, ref

SKEW = MINUTE
"""How far the CRM's clock may be from ours: `renkei doctor` speaks up at half of it."""
VANISHING = frozenset({"convert"})
"""Operations after which a CRM may say that the record is no longer there."""


def book_of(entries: Iterable[Entry], connector: Connector, user: str = "") -> EchoBook:
    """All recent writes of a connection, by a ledger's entries, oldest first."""
    abilities = connector.abilities(connector.settings) or {}
    return EchoBook((one for entry in entries for one in _all(entry, connector.modified_field, abilities)), user)


def _all(entry: Entry, modified_field: str, abilities: Abilities) -> Iterator[Written]:
    row = written(entry, modified_field)
    if row is not None:
        yield row
    yield from traces(entry, modified_field, abilities)


def traces(entry: Entry, modified_field: str, abilities: Abilities) -> Iterator[Written]:
    """What a command did to records beside writing a row; nothing where it was never sent, or found done."""
    command, outcome = entry.command, entry.outcome
    if command.operation in OF_ROWS or command.operation == READ or command.chain is None:
        return
    if not isinstance(outcome, Applied) or entry.sent_at is None:
        return
    within = (entry.sent_at - SKEW, entry.updated_at + SKEW)
    told = modified_at(outcome, modified_field)
    for record, operation in _records(entry, outcome, abilities.get(command.operation, Ability())):
        yield Written(
            record=record, operation=operation, fields={}, chain=command.chain,
            modified=None if operation == MADE else told, within=None if operation == GONE else within,
        )  # fmt: skip


def _records(entry: Entry, outcome: Applied, ability: Ability) -> Iterator[tuple[Ref, str]]:
    """The records that a command changed, and how."""
    command = entry.command
    for place, tab in ability.makes.items():
        record_id = text(outcome.fields.get(place)) if place else outcome.record_id
        joined = bool(place) and command.fields.get(place.lower()) == record_id
        if record_id:
            yield ref(f"{command.connection}:{tab}", record_id), TOUCHED if joined else MADE
    if command.record_id:
        yield ref(command.tab, command.record_id), TOUCHED
        if command.operation in VANISHING and not outcome.duplicate:
            yield ref(command.tab, command.record_id), GONE
