"""``renkei capture`` as processes: one captures, others stand by; killed anywhere, each change is told once."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from renkei.kafka_sink import SPENT_NOTE, read_spent
from sandbox.broker.cluster import Cluster
from sandbox.server import Sandbox
from schemas import keys
from schemas.codec import Unpacker
from schemas.events import ChangeEvent
from schemas.messages import Loaded
from tests.kafka.project import NOUNS, OnKafka, until

pytestmark = pytest.mark.installation


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def there(tmp_path: Path, sandbox: Sandbox, broker: Cluster, topics: str) -> Iterator[OnKafka]:
    made = OnKafka(tmp_path, sandbox, f"kafka://{broker.bootstrap}", topics)
    yield made
    made.close()


def events(there: OnKafka, tab: str = "Deals") -> list[ChangeEvent]:
    """What is told of a tab, markers left out."""
    found = []
    for told in there.read(f"changes.zoho.{tab}"):
        if keys.parted(told.key or b"")[1]:
            event = NOUNS.decode(told.value or b"", told.headers, "changes.")
            assert isinstance(event, ChangeEvent)
            found.append(event)
    return found


def markers(there: OnKafka, tab: str = "Deals") -> list[tuple[int, str]]:
    """The partitions that were told of a complete first load."""
    read: Unpacker[Loaded] = Unpacker(Loaded)
    told = [one for one in there.read(f"changes.zoho.{tab}") if not keys.parted(one.key or b"")[1]]
    return [(one.partition.number, read(one.value or b"").tab) for one in told]


def deals(there: OnKafka, *names: str) -> None:
    for name in names:
        there.sandbox.zoho.insert("Deals", {"Deal_Name": name, "Stage": "Negotiation"})


def names(there: OnKafka) -> list[str]:
    return sorted(str((event.after or {}).get("Deal_Name")) for event in events(there) if not event.load)


def test_a_first_load_its_marker_and_then_every_change(there: OnKafka) -> None:
    deals(there, "old 株式会社")
    capture = there.start("capture").wait_ready()
    until(lambda: bool(markers(there)), "the marker")
    assert "old 株式会社" in {(event.after or {})["Deal_Name"] for event in events(there) if event.load}
    home = keys.home("main", "", 2, False)
    assert markers(there) == [(home, "zoho:Deals")]
    deals(there, "new")
    until(lambda: names(there) == ["new"], "the change")
    assert {told.partition.number for told in there.read("changes.zoho.Deals")} == {home}
    capture.send(signal.SIGTERM)
    assert capture.ended(10) == 0


def test_where_a_workspace_is_spread_every_partition_is_told_of_the_load(
    tmp_path: Path, sandbox: Sandbox, broker: Cluster, topics: str
) -> None:
    there = OnKafka(tmp_path, sandbox, f"kafka://{broker.bootstrap}", topics, kafka="spread: true")
    try:
        deals(there, *(f"d{number}" for number in range(8)))
        there.start("capture")
        until(lambda: len(markers(there)) == 2, "both markers")
        assert markers(there) == [(0, "zoho:Deals"), (1, "zoho:Deals")]
        for told in there.read("changes.zoho.Deals"):
            _, record = keys.parted(told.key or b"")
            assert not record or told.partition.number == keys.home("main", f"zoho:Deals/{record}", 2, True)
    finally:
        there.close()


@pytest.mark.parametrize("point", ["polled:4", "produced:4", "committed:4"])
def test_killed_anywhere_each_change_is_told_once(there: OnKafka, point: str) -> None:
    """Fault matrix rows 2 to 4 for the captures: events and position appear together or not at all."""
    first = there.start("capture", RENKEI_KILL_AT=point)
    until(lambda: bool(markers(there)) or not first.is_alive, "the first load")
    deals(there, "a", "b")
    assert first.ended() == -signal.SIGKILL
    second = there.start("capture").wait_ready()
    deals(there, "c")
    until(lambda: "c" in names(there), "the last change")
    told = [(event.record_id, event.source_position) for event in events(there)]
    assert len(told) == len(set(told)), "no change is told twice"
    assert set(names(there)) | loaded(there) >= {"a", "b", "c"}
    assert markers(there) == [(keys.home("main", "", 2, False), "zoho:Deals")]
    second.send(signal.SIGTERM)
    assert second.ended(10) == 0


def loaded(there: OnKafka) -> set[str]:
    return {str((event.after or {}).get("Deal_Name")) for event in events(there) if event.load}


def test_of_two_captures_one_works_and_the_other_takes_over_when_it_is_suspended(there: OnKafka) -> None:
    first = there.start("capture").wait_ready()
    until(lambda: bool(markers(there)), "the first load")
    second = there.start("capture").wait_ready()
    deals(there, "a")
    until(lambda: names(there) == ["a"], "the change is told once")
    for one in (first, second):  # whoever of them captures
        one.send(signal.SIGSTOP)
        deals(there, f"during {one is first}")
        until(lambda seen=f"during {one is first}": seen in names(there), "the other one tells it")  # type: ignore[misc]
        one.send(signal.SIGCONT)
        deals(there, f"after {one is first}")
        until(lambda seen=f"after {one is first}": seen in names(there), "it goes on")  # type: ignore[misc]
    assert names(there) == sorted(["a", "during True", "after True", "during False", "after False"])
    assert len(markers(there)) == 1


def used(there: OnKafka) -> int:
    """Calls that captures have noted for the day, in all."""
    newest = [one.value for one in there.read("positions.zoho") if keys.parted(one.key or b"")[1] == SPENT_NOTE]
    return sum(read_spent(newest[-1] or b"").since(0).values()) if newest else 0


def test_the_next_capture_counts_the_calls_of_the_day_on(there: OnKafka) -> None:
    """D-101"""
    for number in range(250):
        there.sandbox.zoho.insert("Deals", {"Deal_Name": f"商談 {number}", "Stage": "Negotiation"})
    first = there.start("capture").wait_ready()
    until(lambda: bool(markers(there)) and used(there) > 1, "what the first load cost")
    first.send(signal.SIGTERM)
    assert first.ended(10) == 0
    before = used(there)
    there.start("capture").wait_ready()
    until(lambda: used(there) > before, "the second one's calls on top")
