"""The join in Renkei: the three stages as they run on Kafka, spread, with rows going out instead of commands.

A workflow over two tabs is published with the four comparisons as its criteria, and hosted as ``renkei run`` hosts it.
What is not the product's: how the topics of others are read and written (JSON, their keys), and that a journey whose
criteria hold says its row, where the product plans a fire.
"""

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.join.log import OUTPUT
from benchmarks.join.partitions import partition_of
from benchmarks.join.profiling import profiled
from benchmarks.join.task import ACCOUNTS, DEALS, PARTITIONS, World
from renkei.streaming import Nouns
from rules.book import Book
from rules.project import Project
from rules.publishing import publish
from rules.rounds import Change
from schemas import topics
from schemas.codec import from_json, to_json
from schemas.events import Chain, ChangeEvent
from schemas.messages import Fact
from schemas.values import Ref
from streams.faust_runtime import Streams
from streams.flow import Stages
from streams.journeys import Journeys
from streams.journeystate import Amended, Journey
from streams.partition_log import Cluster
from streams.stage import Output
from streams.topology import Incoming, Topology, Workspace

WORKSPACE = "join"
CONNECTION = "crm"
WORKFLOW = """
workflow: join
main_tab: deal
tabs:
  deal:    {module: crm.deals}
  account: {module: crm.accounts, lookup: deal.Account}
rules:
  deal:
    - name: joined
      trigger: criteria_met
      criteria: >-
        deal.Stage is "Closed Won" and deal.Amount >= 10000
        and account.Type is "Customer" and account.Region is not "AMER"
      actions:
        - update: deal
          fields: {Next_Step: "Say so"}
"""


def book() -> Book:
    """The published workflow. The row that goes out has every field, so that every field is read."""
    published = publish({"join.yaml": WORKFLOW}, Project())
    rows = {change.topic: change.row for change in World(deals=1, accounts=1).load()}
    return replace(published, read_fields={f"{CONNECTION}:{tab}": frozenset(row) for tab, row in rows.items()})


class JoinedRows(Journeys):
    """Journeys that say their row whenever it is new and the criteria hold, and once that they ceased to hold."""

    def _amended(self, key: Ref, journey: Journey, fact: Fact, amended: Amended) -> list[Output]:
        if fact.key:
            journey.list_at(fact.key, fact.ref, True)
        return self._row(key, journey) if amended.fields else []

    def _decide(
        self, key: Ref, journey: Journey, changes: list[Change], chain: Chain | None, *, completed: bool
    ) -> list[Output]:
        return self._row(key, journey)

    def _row(self, key: Ref, journey: Journey) -> list[Output]:
        """What is unknown changes nothing: an account that has not answered yet (D-04)."""
        round_ = self.round_of(key, journey)
        (rule,) = round_.rules
        verdict = round_.verdict(rule, key, None) if key in journey.join.shown else False
        if verdict is None:
            return []
        truth = round_.truth(rule, key)
        if truth.value is not verdict:
            journey.rules_changed = True
        elif not verdict:
            return []
        was, truth.value = truth.value, verdict
        if verdict:
            scope = round_.scope(rule, key)
            return [Output(OUTPUT, key, {"deal": scope["deal"], "account": scope["account"]})]
        return [Output(OUTPUT, key, None)] if was else []


class JsonTopic:
    """A topic of JSON objects, each under the id of its record: every record is that record's newest state."""

    def __init__(self, tab: str) -> None:
        self._tab = tab

    def read(self, record: Incoming) -> tuple[str, str, Any]:
        """A change event. Its position is its offset, its time the record's."""
        key, value = (record.key or b"").decode(), record.value or b"null"
        event = ChangeEvent(
            tab=self._tab, record_id=key, op="update", after=from_json(value), committed_at=record.at,
            seen_at=record.at, source_position=record.offset,
        )  # fmt: skip
        return WORKSPACE, key, event

    def write(self, key: str, message: Any) -> tuple[bytes, bytes | None, int]:
        """A row, or a tombstone, where the Java client's partitioner puts it."""
        record_id, place = _placed(key)
        return record_id, None if message is None else to_json(message), place

    def home(self, ref: Ref) -> int:
        """Where the Java client's partitioner puts a record."""
        return _placed(ref)[1]


@lru_cache(100_000)
def _placed(key: Ref) -> tuple[bytes, int]:
    record_id = key.partition("/")[2].encode()
    return record_id, partition_of(record_id, PARTITIONS)


class JoinCluster(Cluster):
    """The broker with the names that the benchmark has: a tab's topic is called as the tab."""

    def topic(self, name: str) -> str:
        """The name on the broker."""
        return super().topic(name.removeprefix(_TABS))

    def name(self, topic: str) -> str:
        """Our name."""
        name = super().name(topic)
        return _TABS + name if name in (ACCOUNTS, DEALS) else name


_TABS = topics.changes(f"{CONNECTION}:")


class Quiet:
    """A meter that refuses what must not happen."""

    def events(self, partition: int, count: int, seconds: float) -> None:
        """Not counted here."""

    def parked(self, topic: str, count: int) -> None:
        """Nothing is to be parked."""
        raise RuntimeError(f"{count} records of {topic} were parked")

    def restored(self, partition: int, done: int, total: int) -> None:
        """Nothing is restored."""

    def stalled(self, topic: str, partition: int, is_stalled: bool) -> None:
        """The benchmark has a time limit of its own."""

    def told(self, partition: int, sentence: str) -> None:
        """Nothing is published here."""


def topology(spread: bool) -> Topology:
    """The workflow in one workspace over all partitions."""
    foreign = {_TABS + tab: JsonTopic(f"{CONNECTION}:{tab}") for tab in (ACCOUNTS, DEALS)}
    return Topology(
        {WORKSPACE: Workspace(book())}, PARTITIONS, Nouns(), spread=spread, stages=Stages(journeys=JoinedRows),
        foreign={**foreign, OUTPUT: JsonTopic("")},
    )  # fmt: skip


async def main() -> None:
    """Serve until SIGTERM."""
    settings = os.environ
    prefix = f"{settings['JOIN_TOPICS']}."
    spread = settings["JOIN_FORM"] == "spread"
    if not spread and PARTITIONS > 1:
        sys.exit("A fused workspace is one partition: set JOIN_PARTITIONS=1, for all peers.")
    cluster = JoinCluster(settings["JOIN_BOOTSTRAP"], f"{prefix}ours", prefix, Path(settings["JOIN_STATE"]))
    await _make_topics(cluster)
    served = Streams(topology(spread), cluster, Quiet(), lambda: time.time_ns() // 1_000_000)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, served.stop)
    await served.run()


async def _make_topics(cluster: Cluster) -> None:
    """The topics between the partitions and of their state, as other peers make theirs."""
    inner = [topics.RELATIONS, topics.JOURNEYS, topics.OUTCOMES, topics.PARKED]
    compact = {"cleanup.policy": "compact"}
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.servers)
    await admin.start()
    try:
        await admin.create_topics(
            [NewTopic(cluster.topic(name), PARTITIONS, 1) for name in inner]
            + [NewTopic(cluster.topic(topics.state(topics.FLOW)), PARTITIONS, 1, topic_configs=compact)]
        )
    finally:
        await admin.close()


if __name__ == "__main__":
    with profiled():
        asyncio.run(main())
