"""The lanes of the embedded log: each is taken and settled alone, and a restart goes on where it was (D-101)."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renkei.logged import LANES, LoggedCommands, waiting
from schemas import topics
from schemas.codec import pack
from schemas.commands import Applied, Command, Lane
from streams import wire
from streams.store import NewEntry, Store
from tests.connectors.fakes import update


def put(store: Store, *commands: Command) -> None:
    with store.transaction():
        store.append(NewEntry(topics.commands("toy"), one.record_id, 0, pack(one)) for one in commands)


def lane(store: Store, name: Lane) -> LoggedCommands:
    return LoggedCommands(store, "toy", lambda: 5, name)


def apply(source: LoggedCommands, *names: str) -> None:
    """The worker has applied these of what waits."""
    done = [one for one in source.take(1_000) if one.id in names]
    source.settle([(one, Applied(command_id=one.id, record_id=one.record_id)) for one in done])


def ids(commands: Iterable[Command]) -> list[str]:
    return [one.id for one in commands]


def left(store: Store) -> list[str]:
    return [wire.read_entry(entry).id for entry in waiting(store, "toy")]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "renkei.db")


def test_a_live_command_is_taken_before_thousands_that_may_wait(store: Store) -> None:
    put(store, *(update(number, f"B{number}", lane="bulk") for number in range(3_000)), update(9_999, "L"))
    assert ids(lane(store, "live").take(10)) == ["u9999"]
    assert len(lane(store, "bulk").take(5_000)) == 3_000


def test_what_one_lane_settles_is_not_settled_in_the_other(store: Store) -> None:
    put(store, update(1, "A", lane="bulk"), update(2, "B"), update(3, "C", lane="bulk"), update(4, "D"))
    live, bulk = lane(store, "live"), lane(store, "bulk")
    apply(live, "u4", "u2")
    apply(bulk, "u3")
    assert left(store) == ["u1"]
    assert (ids(lane(store, "live").take(9)), ids(lane(store, "bulk").take(9))) == ([], ["u1"])
    assert len(store.read(topics.JOURNEYS)) == 3


def test_a_position_of_both_lanes_as_one_is_taken_over(store: Store) -> None:
    """As an earlier release left it: all up to the second is settled, and the fourth."""
    put(store, update(1, "A"), update(2, "B", lane="bulk"), update(3, "C", lane="bulk"), update(4, "D", lane="bulk"))
    store.set_note("position.commands.toy", b'{"low": 2, "settled": [4]}')
    assert left(store) == ["u3"]
    live, bulk = lane(store, "live"), lane(store, "bulk")
    put(store, update(5, "E"))
    apply(live, "u5")
    assert ids(lane(store, "bulk").take(9)) == ["u3"], "the live lane has moved on alone"
    apply(bulk, "u3")
    assert left(store) == []


def test_a_command_that_stands_twice_is_settled_twice(store: Store) -> None:
    """As after an operator's word on a command that no fire waits for."""
    put(store, update(1, "A"), update(1, "A"))
    live = lane(store, "live")
    apply(live, "u1")
    assert left(store) == []
    assert len(store.read(topics.JOURNEYS)) == 2


STEPS = st.lists(st.tuples(st.sampled_from(LANES), st.booleans(), st.sets(st.integers(0, 30))), max_size=12)


@given(steps=STEPS)
def test_nothing_is_lost_or_told_twice_whatever_the_order_and_restarts(
    steps: list[tuple[Lane, bool, set[int]]],
) -> None:
    store = Store(":memory:")
    sources = {name: lane(store, name) for name in LANES}
    kinds: dict[str, Lane] = {}
    done: set[str] = set()
    for number, (name, restarts, some) in enumerate(steps):
        kinds[f"u{number}"] = name
        put(store, update(number, f"R{number}", lane=name))
        sources = {one: lane(store, one) for one in LANES} if restarts else sources
        names = [f"u{one}" for one in some if f"u{one}" in kinds]
        for source in sources.values():
            apply(source, *names)
        done |= set(names)
    assert left(store) == [one for one in kinds if one not in done]
    assert len(store.read(topics.JOURNEYS)) == len(done)
    store.close()
