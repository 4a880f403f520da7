"""The streams on a broker where something goes wrong: nothing is lost, nothing happens twice, and it says so."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import OffsetOutOfRangeError

from rules.project import Project
from rules.publishing import publish
from sandbox.broker.cluster import Cluster
from schemas import topics as names
from schemas.events import ChangeEvent
from schemas.keys import in_workspace
from schemas.values import DAY
from streams import partition_log, runner
from streams.faust_runtime import Streams
from streams.merging import Batch
from streams.partitions import Partitions
from streams.runner import RetentionError
from streams.stage import Changed, Output, Source
from streams.testing import CHANNELS, START, Driver, embedded
from streams.topology import Incoming, Workspace
from tests.kafka.on_kafka import Service
from tests.kafka.shop import until

DEALS = names.changes("zoho:Deals")
BOOK = publish({"sales.yaml": """
workflow: sales
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
rules:
  deal:
    - name: won
      trigger: {becomes: Stage is "Won"}
      actions: [{notify: user ann, text: "{{ deal.id }}"}]
      scheduled_actions: [{after: 2 days, actions: [{notify: user ann, text: Still}]}]
"""}, Project())  # fmt: skip
NAMES = ("acme", "main", "客户")


class Picky:
    """A stranger's stage that cannot take one record."""

    name: ClassVar[str] = "picky"
    reads: ClassVar[tuple[str, ...]] = ("changes.*",)

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        if key == "bad":
            raise ValueError("cannot take it")
        return []

    def changed(self) -> Iterator[Changed]:
        return iter(())


def workspaces(*only: str, **more: Any) -> Mapping[str, Workspace]:
    return {name: Workspace(BOOK, ("zoho", "mail"), None, CHANNELS, **more) for name in only or NAMES}


Serving = Callable[..., Service]


@pytest.fixture
def serving(broker: Cluster, topics: str) -> Iterator[Serving]:
    """Starts a service of the test's own; it ends with the test."""
    begun: list[Service] = []

    def begin(found: Mapping[str, Workspace], **topology: Any) -> Service:
        begun.append(Service(broker.bootstrap, topics, found, **topology))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def driver(service: Service, name: str = "main") -> Driver:
    return Driver(BOOK, service.runtime(name))


def play(crm: Driver, *deals: str) -> None:
    """Deals are won, one event each, all at once."""
    crm.say(*won(crm, *deals))


def won(crm: Driver, *deals: str) -> list[ChangeEvent]:
    return [crm.event("zoho:Deals", deal, "create", {"id": deal, "Stage": "Won"}) for deal in deals]


def ids(crm: Driver) -> list[str]:
    return sorted(one.id for one in crm.commands())


def alone(*told: tuple[str, ...]) -> list[str]:
    """The command ids of the same on the embedded runtime."""
    crm = Driver(BOOK, embedded(BOOK))
    for deals in told:
        play(crm, *deals)
    return ids(crm)


def test_a_record_that_a_stage_cannot_take_is_parked_and_the_others_go_on(serving: Serving) -> None:
    crm = driver(serving(workspaces("main", more_stages=[Picky])))
    first = [f"D{number}" for number in range(20)]
    play(crm, *first, "bad", "E1", "E2")
    assert crm.runtime.parked() == ["ValueError: cannot take it"]
    play(crm, "E3")
    taken = {one.fields["body"] for one in crm.commands() if one.operation == "notify"}
    assert taken == {*first, "E1", "E2", "E3"}
    assert len(crm.commands()) == 23


def test_what_a_broker_refuses_is_not_committed_around(serving: Serving) -> None:
    """A topic takes no batch for a while: state and positions wait with it, and then everything comes once."""
    service = serving(workspaces("main"))
    crm = driver(service)
    topic = f"{service.cluster.prefix}{names.DECISIONS}"
    service.admin.alter(topic, {"max.message.bytes": "10"})
    crm.runtime.append(won(crm, "D1"))
    service.call(said(service.programs[0], "could not commit: MessageSizeTooLarge"))
    assert ids(crm) == []
    service.admin.alter(topic, {"max.message.bytes": "1000000"})
    crm.settle()
    assert ids(crm) == alone(("D1",))


async def said(program: Streams, problem: str) -> None:
    """Until a runner names this problem."""
    while not any(problem in one.problem for one in program.statuses()):
        await asyncio.sleep(0.01)


def test_partitions_move_between_programs_and_nothing_happens_twice(serving: Serving) -> None:
    service = serving(workspaces())
    crms = {name: driver(service, name) for name in NAMES}
    told = [("D1", "D2"), ("D3",), ("D4", "D5"), ("D6",)]
    for turn, deals in enumerate(told):
        for crm in crms.values():
            play(crm, *deals)
        if turn == 0:
            service.begin()
        elif turn == 1:
            service.end()
    assert {name: ids(crm) for name, crm in crms.items()} == dict.fromkeys(NAMES, alone(*told))


def test_programs_that_come_and_go_under_load_do_nothing_twice(serving: Serving) -> None:
    """Nothing waits for rest before the partitions move."""
    service = serving(workspaces())
    crms = {name: driver(service, name) for name in NAMES}
    deals = [f"D{number}" for number in range(60)]
    for first in range(0, 60, 20):
        for crm in crms.values():
            crm.runtime.append(won(crm, *deals[first : first + 20]))
        if len(service.programs) == 1:
            service.begin()
        else:
            service.end()
    for crm in crms.values():
        crm.settle()
    assert {name: ids(crm) for name, crm in crms.items()} == dict.fromkeys(NAMES, alone(tuple(deals)))


def test_what_retention_deleted_unread_is_told_and_not_skipped(serving: Serving) -> None:
    service = serving(workspaces("main"))
    crm = driver(service)
    play(crm, "D1")
    service.end()
    crm.runtime.append(won(crm, "D2"))
    service.call(forget(service, DEALS))
    with pytest.raises(RetentionError, match="retention has deleted 1 messages unread"):
        service.begin()


async def forget(service: Service, topic: str) -> None:
    """The broker deletes all records of a topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=service.cluster.servers)
    await admin.start()
    ends = await service.ends([(topic, number) for number in range(service.topology.partitions)])
    await admin.delete_records({service.tp(*one): RecordsToDelete(end) for one, end in ends.items() if end})
    await admin.close()


def test_a_partition_that_stands_still_is_named_and_read_anew(serving: Serving) -> None:
    service = serving(workspaces("main"), partitions=1)
    crm = driver(service)
    deals: list[str] = []
    while not service.meter.stalls:
        deals.append(f"D{len(deals)}")
        service.call(stand_still(service))
        crm.runtime.append(won(crm, deals[-1]))
        service.call(named(service))
        assert len(deals) < 20, "a fetch that was under way may take a record or two along"
    assert service.meter.stalls == {(DEALS, 0)}
    crm.settle()
    assert ids(crm) == alone(tuple(deals))


async def stand_still(service: Service) -> None:
    """The consumer hands over nothing more of a partition."""
    service.programs[0].partitions.gate.shut([(DEALS, 0)])


async def named(service: Service) -> None:
    """Until the watchdog names the partition, or nothing of it is left to take."""
    (program,), (end,) = service.programs, (await service.ends([(DEALS, 0)])).values()
    while not await program.partitions.watch(stall=0.01) and program.statuses()[0].next[DEALS] < end:
        await asyncio.sleep(0.02)


def test_a_batch_that_was_skipped_is_noticed_and_read_again(serving: Serving) -> None:
    service = serving(workspaces("main"), partitions=1)
    crm = driver(service)
    program = service.programs[0]
    service.call(skip_ahead(program, service))
    play(crm, "D1")
    assert program.partitions.gaps > 0
    assert ids(crm) == alone(("D1",))


def test_a_batch_that_was_read_and_is_not_with_its_runner_yet_counts_as_behind(serving: Serving) -> None:
    """It is on its way from the reading thread: others of its time, or later ones, wait for it."""
    service = serving(workspaces("main"), partitions=1)
    play(driver(service), "D1", "D2")
    gate, end = service.programs[0].partitions.gate, ends(service)[DEALS]
    until(lambda: not gate.behind({(DEALS, 0): end}), "all is read")
    assert gate.behind({(DEALS, 0): end - 1})


async def skip_ahead(program: Streams, service: Service) -> None:
    """The consumer hands over something that does not follow."""
    start = (await service.ends([(DEALS, 0)]))[(DEALS, 0)] + 5
    ahead = Incoming(start, in_workspace("main", "9"), b"", (), START)
    program.partitions.take(Batch(DEALS, 0, start, start + 1, [ahead]))


def test_ends_of_transactions_are_nothing_that_waits(serving: Serving) -> None:
    """Ticks are written in transactions, and other programs' transactions may be given up: neither is a stall."""
    service = serving(workspaces("main"), partitions=1)
    crm = driver(service)
    play(crm, "D1")
    crm.move_to(START + 3 * DAY)
    service.call(give_up(service))
    crm.settle()
    stalled = [service.call(service.programs[0].partitions.watch(stall=0)) for _ in range(3)]
    assert stalled == [[], [], []]
    until(lambda: told(service) == ends(service), "the group hears of all offsets")


def ends(service: Service) -> dict[str, int]:
    """Where the topics that are read end, by name."""
    found = service.call(service.ends([(one, 0) for one in (DEALS, names.JOURNEYS, names.OUTCOMES)]))
    return {topic: end for (topic, _), end in found.items() if end}


def told(service: Service) -> dict[str, int]:
    """The offsets of which the group has heard, by topic."""
    committed = service.admin.committed(service.cluster.group)
    return {service.cluster.name(one.topic): offset for one, offset in committed.items() if offset}


def test_a_program_that_ends_leaves_the_group_told(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group hears of offsets now and then; of the last ones before the partitions are let go."""
    monkeypatch.setattr(partition_log, "TELL_EVERY", 3600.0)
    service = serving(workspaces("main"), partitions=1)
    play(driver(service), "D1")
    assert told(service) == {}
    service.end()
    assert told(service) == ends(service)


def test_a_turn_that_has_lasted_ends_with_its_slice(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebalance waits for the transaction in flight; a backlog would be taken as one otherwise."""
    service = serving(workspaces("main"), partitions=1)
    crm, deals = driver(service), [f"D{number}" for number in range(100)]
    service.end()
    crm.runtime.append(won(crm, *deals))
    monkeypatch.setattr(runner, "SLICE", 5)
    monkeypatch.setattr(runner, "LONGEST_TURN", 0.0)
    service.meter.largest = 0
    service.begin()
    crm.settle()
    assert ids(crm) == alone(tuple(deals))
    assert 0 < service.meter.largest <= 5


def test_what_one_program_could_not_tell_the_next_one_tells(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that was killed lets go of nothing; its positions are in the state, and nothing new has to come."""
    monkeypatch.setattr(partition_log, "TELL_EVERY", 3600.0)
    monkeypatch.setattr(Partitions, "revoke", no_farewell)
    service = serving(workspaces("main"), partitions=1)
    play(driver(service), "D1")
    service.end()
    assert told(service) == {}
    monkeypatch.setattr(partition_log, "TELL_EVERY", 0.05)
    service.begin()
    until(lambda: told(service) == ends(service), "the group hears of all offsets")


async def no_farewell(self: Partitions) -> None:
    """The end of a program that was killed."""


async def give_up(service: Service) -> None:
    """A transaction of another program that ends in nothing."""
    producer = AIOKafkaProducer(
        bootstrap_servers=service.cluster.servers, transactional_id=f"{service.cluster.prefix}other"
    )
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(service.cluster.topic(DEALS), value=b"x", key=b"x", partition=0)
    await producer.abort_transaction()
    await producer.stop()


def test_a_consumer_that_cannot_go_on_ends_the_program(serving: Serving) -> None:
    """A program whose reading thread died would look well and do nothing."""
    service = serving(workspaces("main"), partitions=1)
    (program,) = service.programs
    service.call(lead_astray(program))
    with pytest.raises(OffsetOutOfRangeError):
        service.end()


async def lead_astray(program: Streams) -> None:
    """Read where there is nothing, as where retention has deleted all, until the program notices."""
    await program.partitions.gate.seek({(DEALS, 0): 1_000_000})
    while program.statuses():
        await asyncio.sleep(0.01)
