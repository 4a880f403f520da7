"""One partition without a broker: records in, work to commit out, and what is not taken is set aside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import pytest

from schemas import topics
from schemas.codec import pack
from schemas.keys import in_workspace
from schemas.messages import Tick
from schemas.values import DAY
from streams.changelog import Restored
from streams.hosting import LayoutChangedError
from streams.stage import Changed, Output, Source
from streams.topology import ORIGIN, Incoming
from tests.hosting.partition import (
    AT,
    AT_NINE,
    DEALS,
    IN_TOKYO,
    IN_UTC,
    LATER,
    MOVED,
    WON,
    Log,
    change,
    dues,
    joined,
    marker,
    record,
    replanned,
    topology,
)


def test_work_holds_outputs_rows_and_positions_together() -> None:
    log = Log(topology())
    work = log.feed(marker(0), change(1, "Won"))
    assert work.next == {DEALS: 2}
    assert log.topics() == ["commands.mail", "decisions"]
    assert work.rows
    assert log.open().positions.next == {DEALS: 2}


def test_work_is_handed_out_once() -> None:
    log = Log(topology())
    log.feed(change(0, "Won"))
    assert log.host.work().is_empty


def test_what_was_taken_before_is_dropped() -> None:
    log = Log(topology())
    log.feed(marker(0), change(1, "Won"))
    log.feed(marker(0), change(1, "Won"))
    log.open()
    log.feed(change(1, "Won"), change(2, "Won"))
    assert log.notified() == 1
    assert log.host.positions.next == {DEALS: 3}


def test_a_repetition_never_moves_the_position_back() -> None:
    log = Log(topology())
    log.feed(change(5, "Won"))
    assert log.feed(change(1, "Open")).next == {DEALS: 6}


BAD: Mapping[str, tuple[Incoming, str]] = {
    "not a change event": (Incoming(3, in_workspace("main", "1"), b"\xff\x00nonsense", (), AT), ""),
    "no workspace in the key": (Incoming(3, b"1", b"", (), AT), "the key does not begin with a workspace"),
    "not UTF-8": (Incoming(3, b"\xff\x1f1", b"", (), AT), "utf-8"),
    "nobody's workspace": (change(3, "Won", workspace="other"), "no project of workspace 'other' is served here"),
    "a marker of nonsense": (Incoming(3, in_workspace("main", ""), b"\x01\x93", (), AT), ""),
    "an origin of nonsense": (msgspec.structs.replace(change(3, "Won"), headers=[(ORIGIN, b"x")]), ""),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_set_aside_and_the_rest_goes_on(name: str) -> None:
    record, why = BAD[name]
    log = Log(topology())
    work = log.feed(marker(0), record, change(4, "Won"))
    (note,) = log.parked()
    assert (note["topic"], note["partition"], note["offset"]) == (DEALS, 0, 3)
    assert note["why"]
    assert why in note["why"]
    assert note["how"] == f"renkei parked retry {DEALS}/0/3"
    assert (work.parked, work.next, log.notified()) == ({DEALS: 1}, {DEALS: 5}, 1)


def test_a_record_without_a_key_or_a_value_is_set_aside() -> None:
    log = Log(topology())
    log.feed(
        Incoming(0, None, b"v", (), AT),
        Incoming(1, in_workspace("main", "1"), None, (), AT),
        change(2, "Won"),
    )
    assert [one["offset"] for one in log.parked()] == [0, 1]


def test_a_parked_record_is_stepped_over() -> None:
    log = Log(topology())
    log.host.park(DEALS, change(7, "Won"), "KeyError: 'x'")
    log.commit()
    assert log.parked()[0]["why"] == "KeyError: 'x'"
    assert log.open().positions.next == {DEALS: 8}


def test_only_workspaces_that_took_something_have_rows_to_write() -> None:
    log = Log(topology())
    log.feed(change(0, "Won"), change(1, "Won", workspace="客户"))
    work = log.feed(change(2, "Open"))
    restored = Restored()
    restored.take(work.rows)
    assert restored.workspaces() == ["main"]


def test_workspaces_do_not_see_each_other() -> None:
    log = Log(topology())
    log.feed(marker(0), change(1, "Won"), marker(2, "客户"), change(3, "Open", workspace="客户"))
    assert log.notified() == 1
    assert {one.key.split(b"\x1f")[0] for _, one in log.said} == {b"main"}


@pytest.mark.parametrize(
    "changed",
    [{"partitions": 2}, {"spread": True}],
    ids=["partitions", "spread"],
)
def test_another_layout_is_refused(changed: Mapping[str, Any]) -> None:
    log = Log(topology())
    log.feed(change(0, "Won"))
    with pytest.raises(LayoutChangedError, match="Keys would change their homes"):
        log.open(topology(**changed))


def test_changed_workflows_see_known_records_and_fire_nothing_for_them() -> None:
    """D-82, and the rows of the former joins are deleted."""
    log = Log(topology())
    log.feed(marker(0), change(1, "Won"), change(2, "Open", deal="2"))
    log.topology = topology(rules=WON.replace("name: won", "name: again"))
    log.open()
    log.commit()
    assert log.notified() == 1
    log.open()
    assert log.host.work().is_empty, "opened under the same workflows, nothing is left to do"
    log.feed(change(3, "Won", deal="2"))
    assert log.notified() == 2


def test_rows_of_former_joins_are_gone_once_workflows_changed() -> None:
    log = Log(joined())
    log.feed(record(DEALS, "1", Stage="Won", Account="A"))
    assert log.host.flow("main").states("relations").names()  # type: ignore[union-attr]
    log.topology = topology()
    log.open()
    log.commit()
    restored = Restored()
    restored.take(log.rows)
    assert restored.of("relations", "main").rows.keys() <= {"\x1fpartition"}


# -- calendars --------------------------------------------------------------


def test_timers_follow_a_changed_calendar_and_their_number_is_told_once() -> None:
    """D-56, fused: with all that is joined anew."""
    log = Log(topology(rules=AT_NINE))
    log.feed(marker(0), change(1, "Won"))
    assert (dues(log), log.host.news) == (IN_UTC, [])
    log.open(topology(rules=AT_NINE, zone="Asia/Tokyo"))
    assert (dues(log), log.host.news) == (IN_TOKYO, [MOVED])
    log.commit()
    assert sorted(replanned(log)) == ["dated", "later"]
    log.open(topology(rules=AT_NINE, zone="Asia/Tokyo"))
    assert (dues(log), log.host.news) == (IN_TOKYO, [])


# -- time --------------------------------------------------------------


def ticks(log: Log) -> list[Incoming]:
    found = [one for topic, one in log.said if topic == topics.JOURNEYS]
    return [Incoming(number, one.key, one.value or b"", one.headers, one.at) for number, one in enumerate(found)]


def test_a_due_timer_writes_one_tick_and_fires_when_that_is_read() -> None:
    log = Log(topology(rules=LATER))
    log.feed(marker(0), change(1, "Won"))
    assert log.host.wait(AT) == 2 * DAY
    log.host.ticks(AT + 2 * DAY - 1)
    assert log.commit().is_empty
    for _ in range(2):
        log.host.ticks(AT + 2 * DAY)
        log.commit()
    (tick,) = ticks(log)
    assert log.host.wait(AT + 3 * DAY) is None
    assert log.notified() == 1
    log.feed(tick, topic=topics.JOURNEYS)
    assert log.notified() == 2


def test_a_tick_that_was_not_committed_is_written_again() -> None:
    log = Log(topology(rules=LATER))
    log.feed(change(0, "Won"))
    log.host.ticks(AT + 2 * DAY)
    log.open()
    log.host.ticks(AT + 2 * DAY)
    log.commit()
    assert len(ticks(log)) == 1


def test_a_history_is_its_own_clock() -> None:
    log = Log(topology(rules=LATER, history=True))
    log.feed(change(0, "Won"))
    assert log.host.wait(AT + 9 * DAY) is None
    log.host.ticks(AT + 9 * DAY)
    assert log.commit().is_empty
    log.feed(change(1, "Open", deal="2", seen_at=AT + 9 * DAY))
    assert log.notified() == 2


def test_a_workspace_may_have_a_clock_of_its_own() -> None:
    now = AT
    log = Log(topology(rules=LATER, clock=lambda: now))
    log.feed(change(0, "Won"))
    assert log.host.is_clocked
    log.host.ticks(AT + 9 * DAY)
    assert log.commit().is_empty
    now = AT + 2 * DAY
    assert log.host.wait(0) == 0
    log.host.ticks(0)
    log.commit()
    assert [one.at for one in ticks(log)] == [now]


# -- strangers --------------------------------------------------------------


class Counting:
    """A stranger's stage that counts decisions, and remembers."""

    name: ClassVar[str] = "counting"
    reads: ClassVar[tuple[str, ...]] = (topics.DECISIONS,)

    def __init__(self) -> None:
        self.count = 0

    def restore(self, rows: Mapping[str, Mapping[str, bytes]]) -> None:
        self.count = int(rows.get("all", {}).get("", b"0"))

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        self.count += 1
        return []

    def changed(self) -> Iterator[Changed]:
        yield Changed("all", "", str(self.count).encode())


def test_a_stage_of_a_stranger_finds_its_rows_again() -> None:
    made: list[Counting] = []

    def make() -> Counting:
        made.append(Counting())
        return made[-1]

    stages: Sequence[Callable[[], Counting]] = [make]
    log = Log(topology(more_stages=stages))
    log.feed(marker(0), change(1, "Won"))
    counted = max(one.count for one in made)
    assert counted > 0
    made.clear()
    log.open()
    assert max(one.count for one in made) == counted
    assert isinstance(log.host.flow("main"), object)


def test_a_tick_is_a_message_of_its_workspace_alone() -> None:
    log = Log(topology(rules=LATER))
    log.feed(change(0, "Won"), change(1, "Won", workspace="客户"))
    log.host.ticks(AT + 3 * DAY)
    log.commit()
    assert {one.key for one in ticks(log)} == {in_workspace("main", ""), in_workspace("客户", "")}
    assert {pack(Tick(at=AT + 3 * DAY))} == {one.value for one in ticks(log)}
