"""``renkei migrate``: a project half-way through its journeys goes on on Kafka, and does nothing twice."""

import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from connectors.kafka_io import Delivered
from connectors.ledger import Entry, Ledger
from renkei.folder import read_folder
from renkei.logged import LoggedCommands
from renkei.streaming import Nouns
from renkei.wiring import FILE, open_flow
from sandbox.broker.cluster import Cluster
from schemas import topics as names
from schemas.commands import Applied, Command, Report
from schemas.events import ChangeEvent, Operation
from schemas.keys import home, parted
from schemas.messages import OutcomeOf
from schemas.values import HOUR, MINUTE
from streams import wire
from streams.changelog import Layout, Restored
from streams.embedded import Embedded
from streams.store import Store
from tests.cli.door import Answer, renkei
from tests.kafka.played import Place, outcome
from tests.kafka.shop import now

pytestmark = pytest.mark.installation

PARTITIONS = 3
HOME = home("main", "", PARTITIONS, spread=False)
WORKFLOW = """
workflow: demos
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
  demo: {module: zoho.Demos, related_to: deal, by: Deal}
rules:
  deal:
    - name: ask
      trigger: {becomes: Stage is "Qualified"}
      actions:
        - create: demo
          fields: {Name: "Demo of {{ deal.Deal_Name }}", Status: Requested}
        - notify: dana@example.com
          subject: "Demo wanted: {{ deal.Deal_Name }}"
          text: Please call.
      scheduled_actions:
        - after: 1 hour
          actions:
            - notify: eve@example.com
              subject: "Chase {{ deal.Deal_Name }}"
              text: Please call again.
"""


def project(folder: Path, kafka: str) -> Path:
    (folder / "workflows").mkdir(parents=True)
    (folder / "workflows" / "demos.yaml").write_text(WORKFLOW, encoding="utf-8")
    (folder / "renkei.yaml").write_text(
        f"project: moving\nkafka: {{partitions: {PARTITIONS}, {kafka}}}\nconnections:\n"
        "  zoho: {kind: zoho, url: 'https://zoho.example'}\n"
        "  mail: {kind: email, url: 'smtp://mail.example', sender: renkei@example.com}\n",
        encoding="utf-8",
    )
    return folder


class Life:
    """A project on this machine; what happens in its CRM is told to it, and its commands are applied by hand."""

    def __init__(self, folder: Path, begun: int) -> None:
        self.begun = begun
        self.folder = read_folder(folder)
        self.folder.state.mkdir(exist_ok=True)
        self.file = self.folder.state / FILE
        self.flow: Embedded = open_flow(self.folder, self.folder.compile().book, self.file)

    def apply(self, connection: str, *applied: str) -> None:
        """The worker has applied these commands, noted and reported it."""
        store = self.flow.store
        source = LoggedCommands(store, connection, lambda: self.begun + MINUTE)
        settled = [(one, outcome(one)) for one in source.take(100) if one.id in applied]
        with closing(sqlite3.connect(self.file)) as database:
            entries = [Entry(command=one, state="done", outcome=told) for one, told in settled]
            Ledger(database, connection).write(entries, now())
        source.settle(settled)
        self.flow.run()

    def commands(self) -> list[Command]:
        found = [*self._read("commands.zoho"), *self._read("commands.mail")]
        assert len({one.id for one in found}) == len(found)
        return found

    def _read(self, topic: str) -> Iterator[Command]:
        return (wire.read_entry(entry) for entry in self.flow.store.read(topic))

    def tell(self, *events: ChangeEvent) -> None:
        self.flow.append(events)
        self.flow.run()

    def close(self) -> None:
        self.flow.store.close()


def change(begun: int, record_id: str, position: int, op: Operation, stage: str) -> ChangeEvent:
    at, image = begun + position * MINUTE, {"id": record_id, "Deal_Name": f"取引 {record_id}", "Stage": stage}
    return ChangeEvent(
        tab="zoho:Deals", record_id=record_id, op=op, after=image,
        committed_at=at, seen_at=at, source_position=position,
    )  # fmt: skip


def demo(begun: int, number: int) -> ChangeEvent:
    """A demo of nobody: by these the log here is longer than the topic of deals there."""
    return ChangeEvent(
        tab="zoho:Demos", record_id=f"x{number}", op="create", after={"id": f"x{number}"},
        committed_at=begun, seen_at=begun, source_position=1,
    )  # fmt: skip


def first_half(life: Life) -> None:
    """1 waits for its demo, which was sent and not answered; 3 has its demo, its mail waits; both wait for the hour."""
    life.flow.mark_loaded(["zoho:Deals", "zoho:Demos"], life.begun)
    life.tell(*(demo(life.begun, number) for number in range(30)))
    life.tell(*(change(life.begun, one, 1, "create", "Open") for one in "123"))
    life.tell(change(life.begun, "1", 2, "update", "Qualified"), change(life.begun, "3", 3, "update", "Qualified"))
    [third] = [one for one in life.commands() if one.journey == "zoho:Deals/3"]
    life.apply("zoho", third.id)


def second_half(begun: int) -> list[ChangeEvent]:
    """2 is qualified too; 1 and 3 are told once more, as a capture does after a crash."""
    return [
        change(begun, "1", 2, "update", "Qualified"), change(begun, "3", 3, "update", "Qualified"),
        change(begun, "2", 4, "update", "Qualified"),
    ]  # fmt: skip


def whole(folder: Path, begun: int) -> set[str]:
    """The ids of all commands of the story, run on this machine to its end."""
    life = Life(folder, begun)
    first_half(life)
    life.tell(*second_half(begun))
    told: set[str] = set()
    while fresh := [one for one in life.commands() if one.id not in told]:
        for command in fresh:
            told.add(command.id)
            life.flow.tell(
                command.journey,
                OutcomeOf(at=begun + 5 * MINUTE, chain=command.chain, fire=command.fire, outcome=outcome(command)),
            )
        life.flow.run(now())
    found = {one.id for one in life.commands()}
    life.close()
    return found


@pytest.fixture
def place(broker: Cluster, topics: str) -> Iterator[Place]:
    made = Place(f"kafka://{broker.bootstrap}", topics)
    yield made
    made.close()


@pytest.fixture
def half(tmp_path: Path, place: Place) -> Path:
    """A project half-way, with topics made where it is to go."""
    folder = project(tmp_path / "half", f"broker: '{place.address}', prefix: {place.prefix}")
    life = Life(folder, now() - 3 * HOUR)
    first_half(life)
    [first] = [one for one in life.commands() if one.journey == "zoho:Deals/1"]
    with closing(sqlite3.connect(life.file)) as database:
        sent = Entry(command=first, state="sent", attempts=1, next_at=now(), sent_at=now())
        Ledger(database, "zoho").write([sent], now())
    life.flow.store.set_note("position.capture.zoho:Deals", b"cursor 17")
    life.flow.store.set_note("loaded.tab.zoho:Deals", b"1")
    life.close()
    made = renkei("topics", folder)
    assert made.code == 0, made.err
    return folder


def begun_of(folder: Path) -> int:
    with closing(Store(folder / ".renkei" / FILE)) as store:
        return store.read("changes.zoho.Deals", 0, 1)[0].at


def test_a_project_half_way_goes_on_and_fires_nothing_twice(half: Path, place: Place, tmp_path: Path) -> None:
    begun = begun_of(half)
    expected = whole(project(tmp_path / "whole", "prefix: none."), begun)
    before = {one.id: one for one in commands_of(half)}
    moved = renkei("migrate", half, "--json")
    assert moved.code == 0, moved.out + moved.err
    waiting = Counter(one.id for one in place.commands())
    assert waiting.total() == 2, "the demo of 1 and the mail of 3"
    place.start("streams", "--project", str(half))
    for event in second_half(begun):
        place.put("changes.zoho.Deals", event.record_id, event)

    def at_rest() -> bool:
        place.answer()
        return expected <= {*before, *(one.id for one in place.commands())}

    place.until(at_rest, "all that the story calls for")
    place.put("changes.zoho.Deals", "2", change(begun, "2", 5, "update", "Qualified"))
    place.put("changes.zoho.Deals", "4", change(begun, "4", 1, "create", "Open"))
    fence = change(begun, "4", 6, "update", "Qualified")
    place.put("changes.zoho.Deals", "4", fence)  # once its command is here, all that came before it was taken
    place.until(lambda: any(one.journey == "zoho:Deals/4" for one in place.commands()), "the fence")
    told = Counter(one.id for one in place.commands() if one.journey != "zoho:Deals/4")
    assert set(told.values()) == {1}, "no command stands there twice"
    assert {*told, *before} == expected, "and none that the story does not call for"
    assert {*told} & {*before} == {*waiting}, "what was done before is not asked for again"


def commands_of(folder: Path) -> list[Command]:
    life = Life(folder, 0)
    found = life.commands()
    life.close()
    return found


def test_ledger_history_and_positions_go_along(half: Path, place: Place) -> None:
    commands = {one.id: one for one in commands_of(half)}
    moved = renkei("migrate", half, "--json")
    assert moved.code == 0, moved.out + moved.err
    counts = moved.json["moved"]
    done, sent = (next(one.id for one in commands.values() if one.journey == f"zoho:Deals/{n}") for n in "31")
    rows = place.rows("zoho")
    assert {name: state for name, (state, _) in rows.items()} == {done: "done", sent: "sent"}
    where = {one.id: told.partition.number for one, told in zip(place.commands(), _raw(place), strict=True)}
    assert rows[sent][1] == where[sent], "a row is where its command is"
    told = [Nouns().decode(one.value or b"", one.headers, "changes.zoho.Deals") for one in _changes(place)]
    assert [(one.record_id, one.source_position) for one in told] == [
        ("1", 1), ("2", 1), ("3", 1), ("1", 2), ("3", 3),
    ]  # fmt: skip
    assert {one.at for one in _changes(place)} == {one.seen_at for one in told}
    positions = {parted(one.key or b"")[1]: one.value for one in place.read("positions.zoho")}
    assert positions == {"position.capture.zoho:Deals": b"cursor 17", "loaded.tab.zoho:Deals": b"1"}
    assert counts["commands"] == 2
    assert counts["changes"] == 37, "with a marker for each tab"
    assert len(place.read("decisions")) == counts["decisions"] > 0


def test_the_flow_takes_up_behind_its_history_and_in_a_new_era(half: Path, place: Place) -> None:
    assert renkei("migrate", half).code == 0
    restored = Restored()
    restored.take((one.key or b"", one.value) for one in place.read("flow.state"))
    assert restored.layout == Layout(PARTITIONS, spread=False, era=1)
    last = place.read("changes.zoho.Deals")[-1]
    assert last.partition.number == HOME
    assert restored.positions.next["changes.zoho.Deals"] > last.offset
    with closing(Store(half / ".renkei" / FILE)) as store:
        kept = {(stage, key): parts for stage, keys in store.stored().rows.items() for key, parts in keys.items()}
    moved = {(stage, key): parts for (stage, _), of in restored.stages.items() for key, parts in of.rows.items()}
    assert moved == kept


def _raw(place: Place) -> Sequence[Delivered]:
    return [one for topic in ("commands.zoho", "commands.mail") for one in place.read(topic)]


def _changes(place: Place) -> list[Delivered]:
    return [one for one in place.read("changes.zoho.Deals") if parted(one.key or b"")[1]]


def test_what_has_moved_no_longer_runs_here(half: Path, place: Place) -> None:
    assert renkei("migrate", half).code == 0
    for words in (("run", half, "--offline", "--once"), ("signal", "1", "opened", half)):
        refused = renkei(*words)
        assert refused.code == 1
        assert f"has moved to {place.address} under the prefix {place.prefix}" in refused.err
    again = renkei("migrate", half)
    assert again.code == 1
    assert "has moved" in again.err


def test_topics_that_hold_anything_are_refused(half: Path, place: Place) -> None:
    place.put(
        names.OUTCOMES, "j", Report(at=1, connection="zoho", journey="j", fire="f", outcome=Applied(command_id="c"))
    )
    refused = renkei("migrate", half)
    assert refused.code == 1
    assert f"{place.prefix}outcomes holds messages already; nothing was moved" in refused.err
    assert place.read("flow.state") == []
    assert commands_of(half), "it still runs here"
    ran = renkei("status", half)
    assert ran.code == 0


@pytest.mark.parametrize(("point", "finds"), [("marked", 0), ("copied", 1), ("placed", 1)])
def test_a_move_that_was_killed_goes_on(half: Path, place: Place, point: str, finds: int) -> None:
    begun = place.start("migrate", str(half), RENKEI_KILL_AT=point)
    assert begun.wait(60) == -signal.SIGKILL
    refused = renkei("run", half, "--offline", "--once")
    assert refused.code == 1
    assert "Type `renkei migrate` again" in refused.err
    assert bool(place.read("flow.state")) == bool(finds)
    went_on = renkei("migrate", half)
    assert went_on.code == 0, went_on.err
    keys = Counter(one.key for one in place.read("flow.state") if b"position" in (one.key or b""))
    assert set(keys.values()) == {1}
    assert len(_changes(place)) == 5
    assert len(place.commands()) == 2
    assert "has moved" in renkei("run", half, "--offline", "--once").err


def test_a_spread_project_is_not_moved(tmp_path: Path) -> None:
    refused = renkei("migrate", project(tmp_path / "spread", "broker: 'kafka://127.0.0.1:1', spread: true"))
    assert refused.code == 1
    assert "spread: false" in refused.err


def test_without_a_state_there_is_nothing_to_move(tmp_path: Path) -> None:
    answer: Answer = renkei("migrate", project(tmp_path / "new", "broker: 'kafka://127.0.0.1:1'"))
    assert answer.code == 1
    assert "there is nothing to move" in answer.err
