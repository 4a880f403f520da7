"""Looking after a project on Kafka with the commands of one machine: what they show, and what an operator decides."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.base import LoadProgress
from connectors.kafka_archive import Archive
from connectors.kafka_bench import AGAIN
from connectors.kafka_io import Admin, Outgoing, Producer
from connectors.kafka_ledger import Row, Rows
from connectors.ledger import Entry
from connectors.quota import Quota, Spent
from renkei.contracts import Contracts
from renkei.kafka_sink import SPENT_NOTE
from renkei.parts import loaded_marker, progress_note
from sandbox.broker.cluster import Cluster
from schemas import keys
from schemas.codec import pack, to_json
from schemas.commands import Applied, Command, Report, Uncertain
from schemas.decisions import Decision
from schemas.events import ChangeEvent
from schemas.values import DAY, id_of
from streams.wire import MARKER
from tests.cli.door import Answer, project, renkei
from tests.connectors.fakes import create
from tests.kafka.packed import Packed
from tests.kafka.project import FRAMING, NOUNS, Process, until
from tests.kafka.shop import Counter, Hand, now, read_all

pytestmark = pytest.mark.installation

RULES = """
rules:
  deal:
    - name: ask-for-demo
      trigger: {becomes: Stage is "Qualified"}
      actions:
        - {name: asked, create: demo, fields: {Status: Requested}}
        - {update: deal, fields: {Stage: Asked, Note: "demo {{ steps.asked.id }}"}}
    - name: remind
      trigger: created
      scheduled_actions: [{after: 3 days, recheck: false, actions: [{update: deal, fields: {Note: old}}]}]
    - name: thank
      trigger: {signal: form-answered}
      actions: [{update: deal, fields: {Note: thanks}}]
"""
PARTITIONS = 2


class Shop:
    """A project on a broker: its CRM and its worker are played, its streams are real."""

    def __init__(self, path: Path, address: str, prefix: str, *, spread: bool = False) -> None:
        self.path, self.address, self.prefix, self.spread = path, address, prefix, spread
        self.workspace = "main"
        self.settle_as("main")
        made = renkei("topics", path)
        assert made.code == 0, made.err
        self.admin, self.producer = Admin(address), Producer(address, transactional_id=f"{prefix}played")
        self.process: Process | None = None
        self._position = 0

    def settle_as(self, workspace: str) -> None:
        """Write the project's files."""
        self.workspace = workspace
        settings = (
            f"project: shop\nworkspace: {workspace}\n"
            f"kafka: {{broker: '{self.address}', prefix: {self.prefix}, partitions: {PARTITIONS},"
            f" spread: {str(self.spread).lower()}, session: 6 seconds}}\n"
            "connections:\n  zoho: {kind: zoho, url: 'https://crm.example.com', key_field: Renkei_Key}\n"
        )
        project(self.path, RULES, settings=settings)

    # -- the CRM ------------------------------------------------------------------

    def loaded(self) -> None:
        """The first load of every tab is complete."""
        for tab in ("zoho:Deals", "zoho:Accounts", "zoho:Demos"):
            key = keys.in_workspace(self.workspace, MARKER)
            self.write(*(
                Outgoing(f"changes.{tab.replace(':', '.')}", key, pack(loaded_marker(tab, now())), (), number)
                for number in range(PARTITIONS)
            ))  # fmt: skip

    def deal(self, record_id: str, workspace: str = "", **after: Any) -> None:
        """A deal is created."""
        self._position += 1
        event = ChangeEvent(
            tab="zoho:Deals", record_id=record_id, op="create", after={"id": record_id, **after}, committed_at=now(),
            seen_at=now(), source_position=self._position,
        )  # fmt: skip
        owner = workspace or self.workspace
        value, headers = FRAMING.encode(event)
        number = keys.home(owner, event.ref, PARTITIONS, self.spread)
        self.write(Outgoing("changes.zoho.Deals", keys.in_workspace(owner, record_id), value, headers, number))

    # -- the worker ------------------------------------------------------------------

    def commands(self) -> list[Command]:
        """All commands so far."""
        topic = "commands.zoho"
        return [NOUNS.decode(one.value or b"", one.headers, topic) for one in self.read(topic) if one.value]

    def command(self, deal: str, operation: str = "create") -> Command:
        """The only command of a kind for a deal, once it is there."""

        def found() -> list[Command]:
            return [one for one in self.commands() if (id_of(one.journey), one.operation) == (deal, operation)]

        until(lambda: bool(found()), f"the command for {deal}")
        (command,) = found()
        return command

    def lose(self, command: Command) -> None:
        """A worker sent a command, and nobody can tell whether it arrived."""
        (told,) = [one for one in self.read("commands.zoho") if command.id.encode() in (one.value or b"")]
        outcome = Uncertain(command_id=command.id, reason="no answer")
        entry = Entry(command=command, state="unknown", outcome=outcome, sent_at=now(), updated_at=now(), attempts=1)
        row = Rows(self.workspace).outgoing("ledger.zoho", told.partition.number, "live", Row(entry, told.offset))
        report = Report(at=now(), connection="zoho", journey=command.journey, fire=command.fire, outcome=outcome)
        value, headers = Contracts().encode(report)
        number = keys.home(self.workspace, command.journey, PARTITIONS, self.spread)
        key = keys.in_workspace(self.workspace, command.journey)
        self.write(row, Outgoing("outcomes", key, value, headers, number))

    # -- the broker ------------------------------------------------------------------

    def write(self, *messages: Outgoing) -> None:
        with self.producer.transaction() as transaction:
            for one in messages:
                transaction.send(one._replace(topic=self.prefix + one.topic))

    def read(self, topic: str) -> Any:
        return read_all(self.address, self.prefix + topic, self.admin)

    def start(self) -> None:
        self.process = Process(["streams", "--project", str(self.path)], {})

    def stop(self) -> None:
        if self.process is not None:
            self.process.close()

    def decided(self, rule: str, kind: str) -> list[Decision]:
        """What was decided so far."""
        found = [NOUNS.decode(one.value or b"", one.headers, "decisions") for one in self.read("decisions")]
        return [one for one in found if (one.rule, one.kind) == (rule, kind)]

    def until_failed(self, count: int) -> None:
        until(lambda: len(self.decided("ask-for-demo", "failed")) == count, "fires that need attention")

    def type(self, command: str, *words: object) -> Answer:
        return renkei(command, *words, "--broker", self.address)

    def close(self) -> None:
        self.stop()
        self.producer.close()
        self.admin.delete([name for name in self.admin.topics() if name.startswith(self.prefix)])
        self.admin.close()


@pytest.fixture
def shop(broker: Cluster, topics: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shop]:
    made = Shop(tmp_path, f"kafka://{broker.bootstrap}", topics, spread=getattr(request, "param", False))
    yield made
    made.close()


@pytest.mark.parametrize("shop", [False, True], ids=["fused", "spread"], indirect=True)
def test_everything_is_shown_as_on_one_machine(shop: Shop) -> None:
    shop.loaded()
    shop.deal("D1", Stage="Qualified")
    shop.deal("札幌", Stage="New", Account="nobody")
    shop.write(Outgoing("changes.zoho.Deals", keys.in_workspace("main", "D9"), b"junk", (), 1))
    shop.start()
    command = shop.command("D1")
    shop.lose(command)
    shop.until_failed(1)
    until(lambda: len(shop.read("parked")) == 1, "the note")
    _look_at_status(shop, command)
    _look_at_explain(shop, command)
    listed = shop.type("parked", shop.path)
    assert "changes.zoho.Deals/1/" in listed.out
    assert "renkei parked retry changes.zoho.Deals/1/" in listed.out
    unknown = shop.type("unknown", shop.path)
    assert f"{command.id}  create zoho.Demos, sent 2" in unknown.out
    assert f"unknown {shop.path} --broker {shop.address} done|retry|skip {command.id}" in unknown.out


def _look_at_status(shop: Shop, command: Command) -> None:
    seen = shop.type("status", shop.path, "--json").json
    assert (seen["records"], seen["journeys"], seen["timers"], seen["backlog"]) == (2, 2, 2, 0)
    assert (seen["fires"], seen["commands"], seen["unknown"], seen["parked"]) == ({"attention": 1}, {}, 1, 1)
    assert (seen["attention"][0]["fire"], seen["barriers"], seen["not_loaded"]) == (command.fire, [], [])
    assert [one["group"] for one in seen["consumers"]] == [f"{shop.prefix}renkei"]
    assert seen["orphans"]["counts"]["zoho.Deals whose Account names nobody in zoho.Accounts"] == 1
    shown = shop.type("status", shop.path).out
    assert "attention  w/ask-for-demo on zoho.Deals/D1" in shown
    assert f"consumer   {shop.prefix}renkei: OK" in shown
    assert f"1 messages: renkei parked {shop.path} --broker {shop.address}" in shown
    assert renkei("status", shop.path).out == shown.replace(f" --broker {shop.address}", "")


def _look_at_explain(shop: Shop, command: Command) -> None:
    fired = shop.type("explain", "D1", shop.path, "--rule", "ask-for-demo").out
    assert "w/ask-for-demo: FIRED" in fired
    assert f"fire {command.fire}: attention" in fired
    assert 'Stage is "Qualified"' in shop.type("explain", "札幌", shop.path).out
    told = shop.type("explain", command.id, shop.path)
    assert f"{command.id}: create zoho.Demos" in told.out
    assert "uncertain 2" in told.out
    assert "no record D7 is known" in shop.type("explain", "D7", shop.path).err
    refused = shop.type("explain", "D1", shop.path, "--at", "2026-01-01")
    assert (refused.code, "cannot be looked at on a broker" in refused.err) == (1, True)


def test_what_is_used_of_a_day_is_told_of_all_workers_and_the_capture(shop: Shop) -> None:
    settings = (shop.path / "renkei.yaml").read_text(encoding="utf-8")
    (shop.path / "renkei.yaml").write_text(settings.replace("kind: zoho,", "kind: zoho, limits: {per_day: 700},"))
    assert "used" not in shop.type("limits", shop.path, "--json").json["limits"][0], "nobody was at work yet"
    step = Quota(DAY).step(now())
    for number, lane in enumerate(("live", "bulk")):
        news = Spent({step: {"rule": 100, "bulk": number}})
        shop.write(Rows("main").outgoing_spent("ledger.zoho", number, lane, news))
    noted = pack(Spent({step: {"capture": 50}}))
    shop.write(Outgoing("positions.zoho", keys.in_workspace("main", SPENT_NOTE), noted, (), 0))
    line = shop.type("limits", shop.path, "--json").json["limits"][0]
    assert (line["used"], line["left"], line["of"]) == (251, 449, 700)
    assert line["by_rank"] == {"rule": 200, "bulk": 1, "capture": 50}
    answer = shop.type("limits", shop.path)
    assert (answer.code, "renkei_limit_*" in answer.out) == (0, True)
    assert "251" in answer.out


def test_before_the_streams_ever_ran_all_waits(shop: Shop) -> None:
    shop.loaded()
    shop.deal("D1", Stage="Qualified")
    command = Command(id="c" * 24, connection="zoho", tab="zoho:Deals", operation="update", journey="zoho:Deals/D1")
    value, headers = FRAMING.encode(command)
    shop.write(Outgoing("commands.zoho", keys.in_workspace("main", "x"), value, headers, 0))
    seen = shop.type("status", shop.path, "--json").json
    assert (seen["taken"], seen["backlog"], seen["commands"], seen["consumers"]) == (0, 4, {"zoho": 1}, [])
    assert (seen["stale"], len(seen["not_loaded"]), seen["loading"]) == (False, 3, [])
    progress = keys.in_workspace("main", progress_note("zoho:Demos"))
    for read in (200, 400):
        shop.write(Outgoing("positions.zoho", progress, to_json(LoadProgress(read, 1_000)), (), 0))
    assert "loading    zoho.Demos: 400 of 1,000 records read (40%)" in shop.type("status", shop.path).out
    assert "Nothing is parked." in shop.type("parked", shop.path).out
    assert "Every command has a known effect." in shop.type("unknown", shop.path).out


def test_a_parked_message_is_put_in_again_and_works_the_second_time(shop: Shop) -> None:
    shop.deal("D1", Stage="New", workspace="acme")
    shop.write(Outgoing("changes.zoho.Deals", keys.in_workspace("acme", "D9"), b"junk", (), 0))
    shop.start()
    until(lambda: len(shop.read("parked")) == 2, "the notes")
    first, junk = shop.type("parked", shop.path, "--json").json["parked"]
    assert first["why"] == "no project of workspace 'acme' is served here"
    shop.stop()
    shop.settle_as("acme")
    assert shop.type("parked", shop.path, "retry", "changes.zoho.Deals/0/99").code == 1
    answer = shop.type("parked", shop.path, "retry", first["place"])
    assert (answer.code, answer.out.startswith("1 put into the log again.")) == (0, True)
    assert [one["place"] for one in shop.type("parked", shop.path, "--json").json["parked"]] == [junk["place"]]
    shop.start()
    until(lambda: shop.type("status", shop.path, "--json").json["records"] == 1, "the record")
    assert shop.type("parked", shop.path, "retry", "all", "--json").json["retried"] == 1
    until(lambda: len(shop.read("parked")) == 5, "the one that can never be read is parked anew")
    (again,) = shop.type("parked", shop.path, "--json").json["parked"]
    assert again["place"] > junk["place"]


def test_an_operator_decides_and_the_fires_go_on(shop: Shop) -> None:
    """D-42, D-46, D-47: what is done again is a person's, and `done` says which record it made."""
    deals = {"D1": ("retry", "create"), "D2": ("skip", "update"), "D3": ("done", "update")}
    shop.loaded()
    for deal in deals:
        shop.deal(deal, Stage="Qualified")
    shop.start()
    lost = {deal: shop.command(deal) for deal in deals}
    for command in lost.values():
        shop.lose(command)
    shop.until_failed(3)
    assert [one["id"] for one in shop.type("unknown", shop.path, "--json").json["unknown"]] == [
        command.id for command in lost.values()
    ]
    for left, (deal, (word, _)) in enumerate(deals.items(), start=1):
        named = ["--record", "5725767000000100001"] if word == "done" else []
        answer = shop.type("unknown", shop.path, word, lost[deal].id, *named, "--json")
        assert (answer.code, len(answer.json["unknown"])) == (0, 3 - left)
    assert shop.type("unknown", shop.path, "--json").json["unknown"] == []
    until(lambda: len(shop.commands()) == 6, "what follows")
    following = {id_of(one.journey): one.operation for one in shop.commands() if one not in lost.values()}
    assert following == {deal: operation for deal, (_, operation) in deals.items()}
    notes = {deal: shop.command(deal, "update").fields["Note"].strip() for deal in ("D2", "D3")}
    assert notes == {"D2": "demo", "D3": "demo 5725767000000100001"}
    assert {one.rank for one in shop.commands() if one not in lost.values()} == {"interactive"}
    assert shop.type("unknown", shop.path, "retry", lost["D1"].id).code == 1
    _signal(shop)


def _signal(shop: Shop) -> None:
    answer = shop.type("signal", "zoho.Deals/D2", "form-answered", shop.path)
    assert "'form-answered' was told to zoho.Deals/D2." in answer.out
    until(lambda: len(shop.decided("thank", "fired")) == 1, "the rule that waits for the signal")
    assert shop.type("signal", "D7", "form-answered", shop.path).code == 1


def test_a_journey_that_has_not_heard_yet_is_not_decided_for(shop: Shop) -> None:
    shop.loaded()
    shop.deal("D1", Stage="Qualified")
    shop.start()
    command = shop.command("D1")
    shop.stop()
    shop.lose(command)
    answer = shop.type("unknown", shop.path, "skip", command.id)
    assert (answer.code, "has not heard yet" in answer.err) == (1, True)
    assert len(shop.type("unknown", shop.path, "--json").json["unknown"]) == 1


def test_a_command_that_no_fire_waits_for_is_sent_again_as_it_was(shop: Shop) -> None:
    command = Command(id="c" * 24, connection="zoho", tab="zoho:Deals", operation="update", journey="zoho:Deals/D1")
    value, headers = FRAMING.encode(command)
    shop.write(Outgoing("commands.zoho", keys.in_workspace("main", "x"), value, headers, 1))
    shop.lose(command)
    assert shop.type("unknown", shop.path, "retry", command.id).code == 0
    with Archive(shop.address, shop.prefix) as archive:
        sent = list(archive.all("commands.zoho"))
    assert [one.partition.number for one in sent] == [1, 1]
    assert [dict(one.headers).get(AGAIN) for one in sent] == [None, b"1"]
    assert [one.rank for one in shop.commands()] == [None, "interactive"]
    assert shop.type("unknown", shop.path, "--json").json["unknown"] == []
    assert shop.type("status", shop.path, "--json").json["commands"] == {"zoho": 2}


@pytest.mark.parametrize("restarted", [False, True])
def test_a_worker_does_again_what_an_operator_sends_again(broker: Cluster, topics: str, restarted: bool) -> None:
    """Whether its row is in memory as it was, or read anew as the operator wrote it."""
    counter = Counter(f"kafka://{broker.bootstrap}", topics)
    try:
        command = msgspec.structs.replace(create(1, journey="zoho:Deals/1", on_unknown="ask"), operation="mail")
        counter.crm.say("lost")
        counter.put(command)
        hand = counter.hand()
        hand.until(lambda: _is_settled(counter, hand, 1), "the report that nobody knows")
        if restarted:
            hand.desk.close()
            hand = counter.hand()
        value, headers = Packed().encode(command)
        with counter.producer.transaction() as transaction:
            key = keys.in_workspace("main", command.journey)
            again = (*headers, (AGAIN, b"1"))
            transaction.send(Outgoing(f"{topics}commands.toy", key, value, again, 0))
        hand.until(lambda: _is_settled(counter, hand, 2), "the second report")
        first, second = counter.outcomes()["c1"]
        assert (type(first), second) == (Uncertain, Applied(command_id="c1", record_id="r-c1"))
    finally:
        counter.close()


def _is_settled(counter: Counter, hand: Hand, effects: int) -> bool:
    """Also reported: between two generations of the group nothing waits in memory, and nothing is settled."""
    done = len(counter.crm.effects) == effects and not any(hand.desk.waiting().values())
    return done and len(counter.outcomes().get("c1", [])) == effects
