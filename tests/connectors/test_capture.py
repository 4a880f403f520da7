"""What a poll finds, told once and in rising order per record (D-03, D-82)."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import LoadProgress, NoAnswer, Polled
from connectors.capture import TIE_BITS, CaptureFailed, Gone, Mark, Page, PollingCapture, Row
from schemas.events import ChangeEvent
from schemas.values import MINUTE
from tests.connectors.fakes import NOW


class Table:
    """A CRM's tab with one-second modified times; the reader of the stories."""

    overlap = MINUTE

    def __init__(self, size: int = 3, sweep: bool = False) -> None:
        self.live: dict[str, Row] = {}
        self.bin: dict[str, Gone] = {}
        self.size = size
        self.sweep_every = MINUTE if sweep else 0

    def put(self, record_id: str, value: str, at: int, actor: str = "ann") -> None:
        """Writes a record as the CRM's clock says."""
        at = at // 1000 * 1000
        created = self.live[record_id].created if record_id in self.live else at
        self.bin.pop(record_id, None)
        self.live[record_id] = Row(record_id, {"id": record_id, "Name": value}, at, created, actor)

    def drop(self, record_id: str, at: int) -> None:
        """Deletes a record."""
        del self.live[record_id]
        self.bin[record_id] = Gone(record_id, at // 1000 * 1000, "ann")

    def rows(self, after: Mark, loading: bool) -> Page:
        there = sorted(self.live.values(), key=lambda row: (row.modified, row.id))
        found = [row for row in there if (row.modified, row.id) > (after.time, after.id)]
        return Page(found[: self.size], len(found) > self.size)

    def gone(self, since: int, now: int) -> Iterable[Gone]:
        return [gone for gone in self.bin.values() if gone.at >= since]

    def ids(self) -> set[str]:
        return set(self.live)


class Watch:
    """Polls a table until it has nothing more to tell."""

    def __init__(self, table: Table) -> None:
        self.capture = PollingCapture("toy:Deals", table)
        self.position: bytes | None = None

    def poll(self, now: int) -> list[ChangeEvent]:
        events: list[ChangeEvent] = []
        while True:
            polled: Polled = self.capture.poll(self.position, now)
            self.position = polled.position
            events += polled.events
            if not polled.more:
                assert polled.loaded
                return events


def told(events: Iterable[ChangeEvent]) -> list[tuple[str, str]]:
    return [(event.op, event.record_id) for event in events]


def test_a_first_load_tells_every_record_once_and_fires_nothing() -> None:
    table = Table()
    for number in range(7):
        table.put(f"r{number}", "x", NOW)
    watch = Watch(table)
    first = watch.capture.poll(None, NOW)
    assert first.more
    assert not first.loaded
    events = watch.poll(NOW)
    assert sorted(event.record_id for event in events) == [f"r{number}" for number in range(7)]
    assert all(event.load for event in events)
    assert watch.poll(NOW + 1000) == []


class CountedTable(Table):
    """A tab whose CRM counts, or refuses to."""

    counts = 0
    refusal: Exception | None = None

    def count(self) -> int | None:
        self.counts += 1
        if self.refusal is not None:
            raise self.refusal
        return len(self.live)


def loaded(table: Table, between: dict[int, str] | None = None) -> list[LoadProgress | None]:
    """How far a first load says that it is after each page, every poll by a capture that was just started."""
    position: bytes | None = None
    found: list[LoadProgress | None] = []
    more = True
    while more:
        polled = PollingCapture("toy:Deals", table).poll(position, NOW)
        more = polled.more
        position = polled.position
        found.append(polled.progress)
        if record := (between or {}).get(len(found)):
            table.put(record, "later", NOW + MINUTE)
    assert PollingCapture("toy:Deals", table).poll(position, NOW + MINUTE).progress is None
    return found


def seven(table: Table) -> None:
    for number in range(7):
        table.put(f"r{number}", "x", NOW)


def test_a_first_load_says_how_far_it_is_and_counts_once() -> None:
    seven(table := CountedTable())
    assert loaded(table) == [LoadProgress(3, 7), LoadProgress(6, 7), LoadProgress(7, 7)]
    assert table.counts == 1
    table.put("r8", "x", NOW)
    assert loaded(table, {2: "新しい"})[-1] == LoadProgress(9, 9), "what came meanwhile is read too"


@pytest.mark.parametrize("refusal", [NoAnswer("too slow to count"), CaptureFailed("it may not count")])
def test_a_tab_that_cannot_be_counted_is_loaded_all_the_same(refusal: Exception) -> None:
    seven(table := CountedTable())
    table.refusal = refusal
    assert loaded(table) == [LoadProgress(3), LoadProgress(6), LoadProgress(7)]
    seven(uncounted := Table())
    assert loaded(uncounted) == [LoadProgress(3), LoadProgress(6), LoadProgress(7)]


def test_create_edit_delete_and_restore_are_told_as_such() -> None:
    table, watch = Table(), None
    table.put("old", "x", NOW - MINUTE * 9)
    watch = Watch(table)
    watch.poll(NOW)
    table.put("new", "a", NOW + 5_000)
    assert told(watch.poll(NOW + 6_000)) == [("create", "new")]
    table.put("old", "y", NOW + 7_000, actor="bob")
    [event] = watch.poll(NOW + 8_000)
    assert (event.op, event.actor, event.committed_at, event.seen_at) == (
        "update",
        "bob",
        NOW + 7_000,
        NOW + 8_000,
    )
    assert event.after == {"id": "old", "Name": "y"}
    table.drop("new", NOW + 9_000)
    [event] = watch.poll(NOW + 10_000)
    assert (event.op, event.after) == ("delete", None)
    assert watch.poll(NOW + 11_000) == []
    table.put("new", "b", NOW + 12_000)
    assert told(watch.poll(NOW + 13_000)) == [("undelete", "new")]


def test_two_edits_in_one_second_both_rise() -> None:
    table = Table()
    watch = Watch(table)
    watch.poll(NOW)
    table.put("r", "a", NOW + 1_000)
    [first] = watch.poll(NOW + 1_100)
    table.put("r", "b", NOW + 1_500)
    [second] = watch.poll(NOW + 1_600)
    assert first.committed_at == second.committed_at
    assert first.source_position == ((NOW + 1_000) << TIE_BITS) + 100
    assert second.source_position == ((NOW + 1_000) << TIE_BITS) + 600


def test_a_change_that_becomes_visible_late_is_still_found() -> None:
    table = Table()
    watch = Watch(table)
    watch.poll(NOW)
    table.put("quick", "a", NOW + 30_000)
    watch.poll(NOW + 31_000)
    table.put("slow", "a", NOW + 10_000)
    assert told(watch.poll(NOW + 40_000)) == [("create", "slow")]


def test_a_long_silence_of_ours_marks_changes_as_coalesced() -> None:
    table = Table()
    table.put("r", "a", NOW - 1000)
    watch = Watch(table)
    watch.poll(NOW)
    table.put("r", "b", NOW + 60 * MINUTE)
    [event] = watch.poll(NOW + 61 * MINUTE)
    assert event.coalesced
    table.put("r", "c", NOW + 62 * MINUTE)
    [event] = watch.poll(NOW + 62 * MINUTE)
    assert not event.coalesced


def test_a_sweep_finds_deletions_that_the_crm_does_not_tell() -> None:
    table = Table(sweep=True)
    for name in ("a", "b", "c"):
        table.put(name, "x", NOW - 1000)
    watch = Watch(table)
    watch.poll(NOW)
    table.put("d", "x", NOW + 1000)
    del table.live["b"]
    watch.poll(NOW + 2000)
    del table.live["d"]
    assert told(watch.poll(NOW + MINUTE)) == [("delete", "b"), ("delete", "d")]
    assert watch.poll(NOW + 3 * MINUTE) == []


edits = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from(["put", "drop", "poll"]), st.integers(0, 3000)),
    max_size=30,
)


@given(edits=edits, size=st.integers(1, 3), again=st.booleans())
def test_what_was_told_adds_up_to_what_is_there(edits: list[tuple[str, str, int]], size: int, again: bool) -> None:
    table = Table(size)
    table.put("a", "old", NOW - 5 * MINUTE)
    watch, now, events = Watch(table), NOW, []
    events += watch.poll(now)
    for number, (name, what, wait) in enumerate(edits):
        now += wait
        if what == "put":
            table.put(name, str(number), now)
        elif what == "drop" and name in table.live:
            table.drop(name, now)
        else:
            before = watch.position
            events += watch.poll(now)
            watch.position = before if again else watch.position
    events += watch.poll(now + 1)
    _check(table, events)


def _check(table: Table, events: list[ChangeEvent]) -> None:
    state: dict[str, ChangeEvent] = {}
    for event in events:
        last = state.get(event.record_id)
        if last is None or event.source_position > last.source_position:
            state[event.record_id] = event
    images = {name: event.after for name, event in state.items() if event.after is not None}
    assert images == {name: row.image for name, row in table.live.items()}
