"""A stranger's stage on Kafka, fused and spread: its rows come back after a kill, its tab is joined by workflows."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from renkei.streaming import Nouns
from rules.actions.registry import registry
from rules.project import Project
from rules.publishing import publish
from sandbox.broker.cluster import Cluster
from schemas.codec import Unpacker, pack
from schemas.events import ChangeEvent
from schemas.keys import home
from schemas.messages import Loaded
from streams.changelog import Restored
from streams.hosting import PartitionHost
from streams.outbox import UnknownTopicError
from streams.stage import Changed, Output, Source
from streams.topology import Incoming, Outgoing, Topology, Workspace
from tests.kafka.played import PARTITIONS, Place
from tests.kafka.shop import now
from tests.stranger.installing import HOUSE, install
from tests.stranger.renkei_chat.action import Message
from tests.stranger.renkei_chat.stage import Seen
from tests.stranger.test_chat import CHEER

_seen: Unpacker[Seen] = Unpacker(Seen)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("site"))


@pytest.fixture
def place(broker: Cluster, topics: str) -> Iterator[Place]:
    made = Place(f"kafka://{broker.bootstrap}", topics)
    yield made
    made.close()


def project(folder: Path, place: Place, *, spread: bool) -> Path:
    (folder / "workflows").mkdir(parents=True)
    (folder / "workflows" / "cheer.yaml").write_text(CHEER, encoding="utf-8")
    (folder / "renkei.yaml").write_text(
        f"project: cheer\nkafka: {{broker: '{place.address}', partitions: {PARTITIONS}, prefix: {place.prefix}, "
        f"spread: {str(spread).lower()}}}\nconnections:\n  zoho: {{kind: zoho, url: 'https://zoho.example'}}\n"
        "  facts: {kind: file}\n  chat: {kind: chat, url: 'https://chat.example'}\n",
        encoding="utf-8",
    )
    return folder


def put(place: Place, position: int, amount: int, *, spread: bool) -> None:
    event = ChangeEvent(
        tab="zoho:Deals", record_id="17", op="create" if position == 1 else "update",
        after={"id": "17", "Deal_Name": "取引", "Stage": "Open", "Amount": amount},
        committed_at=now(), seen_at=now(), source_position=position,
    )  # fmt: skip
    place.put("changes.zoho.Deals", "17", event, home("main", event.ref, PARTITIONS, spread))


@pytest.mark.parametrize("spread", [False, True], ids=["fused", "spread"])
def test_a_strangers_stage_enriches_a_tab_and_survives_a_kill(
    place: Place, site: Path, tmp_path: Path, *, spread: bool
) -> None:
    folder = project(tmp_path / "project", place, spread=spread)
    surroundings = {"PYTHONPATH": f"{site}:{HOUSE}"}
    made = place.start("topics", str(folder), **surroundings)
    assert made.wait(60) == 0
    marker = pack(Loaded(at=now(), tab="zoho:Deals", generation=0, upstream=("capture", 0)))
    for number in range(PARTITIONS) if spread else (home("main", "", PARTITIONS, spread=False),):
        place.put_raw("changes.zoho.Deals", "", marker, number=number)
    put(place, 1, 500, spread=spread)
    put(place, 2, 400, spread=spread)
    first = place.start("streams", "--project", str(folder), **surroundings)
    place.until(lambda: _counted(place, "flow.state") == 1, "the first reduction is counted")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert place.commands("chat") == []
    put(place, 2, 400, spread=spread)
    put(place, 3, 300, spread=spread)
    place.start("streams", "--project", str(folder), **surroundings)
    place.until(lambda: bool(place.commands("chat")), "the second reduction is told")
    [told] = place.commands("chat")
    assert told.fields == {"room": "sales", "text": "取引 was lowered 2 times"}


def _counted(place: Place, topic: str) -> int:
    """How many reductions the newest row of the stage tells of."""
    restored = Restored()
    restored.take((one.key or b"", one.value) for one in place.read(topic))
    rows = restored.of("reductions", "main").rows.get("17")
    return _seen(rows[""]).times if rows else -1


class Careless:
    """Says on a topic of its own that it saw something."""

    name: ClassVar[str] = "careless"
    reads: ClassVar[tuple[str, ...]] = ("changes.zoho.Deals",)
    writes: ClassVar[tuple[str, ...]] = ()

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        """One word."""
        return [Output("seen.deals", key, 1)]

    def changed(self) -> Iterator[Changed]:
        """Nothing is remembered."""
        return iter(())


class Careful(Careless):
    """The same, with the topic named, so that it is made."""

    writes: ClassVar[tuple[str, ...]] = ("seen.deals",)


def fold(stage: type[Careless]) -> dict[tuple[str, int], list[Outgoing]]:
    """What one change leads to where this stage is installed."""
    book = publish({"cheer.yaml": CHEER}, Project(actions=registry([Message])))
    topology = Topology({"main": Workspace(book, ["chat"], more_stages=[stage])}, 1, Nouns())
    host = PartitionHost(topology, 0, Restored())
    event = ChangeEvent(
        tab="zoho:Deals", record_id="17", op="create", after={"id": "17"}, committed_at=1, seen_at=1, source_position=1
    )
    value, headers = Nouns().encode(event, "changes.zoho.Deals")
    host.fold("changes.zoho.Deals", [Incoming(0, b"main\x1f17", value, headers, 1)], 1)
    return host.work().outputs


def test_a_topic_that_a_stage_names_is_written_to() -> None:
    [told] = fold(Careful)[("seen.deals", 0)]
    assert told.key == b"main\x1f17"


def test_a_topic_that_no_stage_names_is_refused_since_no_broker_has_it() -> None:
    with pytest.raises(UnknownTopicError, match=r"seen\.deals, which it does not name in `writes`"):
        fold(Careless)
