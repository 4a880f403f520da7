"""What one practice CRM holds: records, users and teams in memory, and the ledger of every effect."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from sandbox.clock import Clock
from schemas.metadata import ConnectionMetadata, Tab, User
from schemas.values import Value, fold, is_empty

Change = Literal["insert", "update", "delete", "restore"]
NewId: TypeAlias = Callable[[str, int], str]
"""Makes a record id in the vendor's form from the tab and a number that rises over the whole CRM."""


class Actor(NamedTuple):
    """Who does something: a user, through an API client; a person's hand has no client.

    ``origin`` is what the client says of itself, ``transaction`` names what was written by one request.
    """

    user: str
    client: str = ""
    origin: str = ""
    transaction: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One record in our field values, with what the CRM itself notes about it; times in milliseconds."""

    tab: str
    id: str
    fields: Mapping[str, Value]
    created_at: int
    modified_at: int
    created_by: str
    modified_by: str
    by_api: bool = False
    deleted_at: int | None = None

    @property
    def live(self) -> bool:
        """Whether the record is not in the recycle bin."""
        return self.deleted_at is None


@dataclass(frozen=True, slots=True)
class Effect:
    """One line of the ledger: what was written, when, by whom; ``before`` is the record as it was."""

    sequence: int
    at: int
    operation: Change
    tab: str
    record_id: str
    fields: Mapping[str, Value]
    actor: Actor
    before: Row | None


class Store:
    """Thread-safe records of one CRM; every change is one line in the ledger.

    Modified times rise strictly over the whole store, so a tab's rows lie in the order of their last change. Hold
    ``lock`` to make several steps one.
    """

    def __init__(self, metadata: ConnectionMetadata, clock: Clock, new_id: NewId) -> None:
        self.metadata = metadata
        self.clock = clock
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        """Told after every effect, for those who wait for one."""
        self._new_id = new_id
        self._rows: dict[str, dict[str, Row]] = {name: {} for name in metadata.tabs}
        self._unique: dict[tuple[str, str], dict[str, dict[str, None]]] = {
            (tab.name, field.name): {}
            for tab in metadata.tabs.values()
            for field in tab.fields.values()
            if field.unique
        }
        self._users = {user.id: user for user in metadata.users}
        self._ledger: list[Effect] = []
        self._numbers = 0
        self._last_change = 0

    def tab(self, name: str) -> Tab | None:
        """The tab of that name, if the seed has one."""
        return self.metadata.tabs.get(name)

    def user(self, user_id: str) -> User | None:
        """The user of that id."""
        return self._users.get(user_id)

    def row(self, tab: str, record_id: str) -> Row | None:
        """A record that is not deleted."""
        row = self.any_row(tab, record_id)
        return row if row is not None and row.live else None

    def any_row(self, tab: str, record_id: str) -> Row | None:
        """A record, deleted or not."""
        with self.lock:
            return self._rows.get(tab, {}).get(record_id)

    def rows(self, tab: str) -> list[Row]:
        """The live records of a tab, the longest unchanged first."""
        return [row for row in self.all_rows(tab) if row.live]

    def all_rows(self, tab: str) -> list[Row]:
        """The records of a tab and its recycle bin, the longest unchanged first."""
        with self.lock:
            return list(self._rows[tab].values())

    def changed_since(self, tab: str, at: int) -> list[Row]:
        """Records changed or deleted after a moment, the longest unchanged first."""
        with self.lock:
            newest = list(_while_after(reversed(self._rows[tab].values()), at))
        return newest[::-1]

    def holder(self, tab: str, field: str, value: Value) -> Row | None:
        """The live record that holds a value in a field, the one with the least id of several."""
        return min(self.holders(tab, field, value), key=lambda row: row.id, default=None)

    def holders(self, tab: str, field: str, value: Value) -> list[Row]:
        """The live records that hold a value in a field; by index where the field is unique."""
        if is_empty(value):
            return []
        with self.lock:
            index = self._unique.get((tab, field))
            if index is not None:
                return [self._rows[tab][record_id] for record_id in index.get(mark(value), ())]
            return [row for row in self.rows(tab) if mark(row.fields.get(field)) == mark(value)]

    def insert(self, tab: str, fields: Mapping[str, Value], actor: Actor, record_id: str = "") -> Row:
        """Add a record; its id is the given one or the next in the vendor's form."""
        with self.lock:
            self._numbers += 1
            name = record_id or self._new_id(tab, self._numbers)
            at = self._next_change()
            row = Row(tab, name, dict(fields), at, at, actor.user, actor.user, by_api=bool(actor.client))
            return self._commit("insert", row, fields, actor)

    def update(self, tab: str, record_id: str, fields: Mapping[str, Value], actor: Actor) -> Row:
        """Overlay fields on a live record. Raises KeyError when it is not there."""
        with self.lock:
            row = self._live(tab, record_id)
            merged = {**row.fields, **fields}
            changed = replace(row, fields=merged, modified_at=self._next_change(), modified_by=actor.user)
            return self._commit("update", changed, fields, actor)

    def delete(self, tab: str, record_id: str, actor: Actor) -> Row:
        """Move a live record to the recycle bin. Raises KeyError when it is not there."""
        with self.lock:
            at = self._next_change()
            row = self._live(tab, record_id)
            gone = replace(row, modified_at=at, modified_by=actor.user, deleted_at=at)
            return self._commit("delete", gone, {}, actor)

    def restore(self, tab: str, record_id: str, actor: Actor) -> Row:
        """Take a record out of the recycle bin. Raises KeyError when there is no such record."""
        with self.lock:
            row = self._rows[tab][record_id]
            back = replace(row, modified_at=self._next_change(), modified_by=actor.user, deleted_at=None)
            return self._commit("restore", back, {}, actor)

    def quietly(self, row: Row, operation: Change, actor: Actor) -> Row:
        """Put a record in the place of its former self: modified time and order stay, so no change feed tells it."""
        with self.lock:
            before = self._rows[row.tab][row.id]
            self._unindex(before)
            self._place(row)
            effect = Effect(len(self._ledger) + 1, self.clock.now(), operation, row.tab, row.id, {}, actor, before)
            self._ledger.append(effect)
            return row

    def ledger(self) -> tuple[Effect, ...]:
        """Every effect so far, in order; the records of the seed are not effects."""
        with self.lock:
            return tuple(self._ledger)

    def forget_effects(self) -> None:
        """Empty the ledger: what happened until now is the ground the next story stands on."""
        with self.lock:
            self._ledger.clear()

    def rollback(self, to: int) -> None:
        """Undo every effect after the first ``to`` lines of the ledger, as if it had never been."""
        with self.lock:
            undone = self._ledger[to:]
            del self._ledger[to:]
            for effect in reversed(undone):
                self._unindex(self._rows[effect.tab].pop(effect.record_id))
                if effect.before is not None:
                    self._place(effect.before)
            for tab in {effect.tab for effect in undone}:
                self._rows[tab] = dict(sorted(self._rows[tab].items(), key=lambda item: item[1].modified_at))

    def _live(self, tab: str, record_id: str) -> Row:
        row = self.row(tab, record_id)
        if row is None:
            raise KeyError(f"no record {record_id} in {tab}")
        return row

    def _next_change(self) -> int:
        self._last_change = max(self.clock.now(), self._last_change + 1)
        return self._last_change

    def _commit(self, operation: Change, row: Row, fields: Mapping[str, Value], actor: Actor) -> Row:
        before = self._rows[row.tab].pop(row.id, None)
        if before is not None:
            self._unindex(before)
        self._place(row)
        effect = Effect(len(self._ledger) + 1, row.modified_at, operation, row.tab, row.id, dict(fields), actor, before)
        self._ledger.append(effect)
        self.changed.notify_all()
        return row

    def _place(self, row: Row) -> None:
        self._rows[row.tab][row.id] = row
        for index, value in self._unique_values(row):
            index.setdefault(mark(value), {})[row.id] = None

    def _unindex(self, row: Row) -> None:
        for index, value in self._unique_values(row):
            holders = index[mark(value)]
            del holders[row.id]
            if not holders:
                del index[mark(value)]

    def _unique_values(self, row: Row) -> Iterator[tuple[dict[str, dict[str, None]], Value]]:
        if not row.live:
            return
        for name, value in row.fields.items():
            index = self._unique.get((row.tab, name))
            if index is not None and not is_empty(value):
                yield index, value


def _while_after(rows: Iterator[Row], at: int) -> Iterator[Row]:
    for row in rows:
        if row.modified_at <= at:
            return
        yield row


def mark(value: Value) -> str:
    """The form in which values are compared by unique rules: all three vendors compare them without case."""
    return fold(str(value))
