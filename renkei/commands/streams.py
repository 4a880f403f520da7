"""``renkei streams``: join and decide, on Kafka."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.kafka_io import Admin
from renkei.folder import Folder
from renkei.killing import killing
from renkei.lag.opening import measuring
from renkei.metrics import Meter
from renkei.observing import MetricsHost, MetricsPort, observed
from renkei.options import BrokerOption, ProjectOption, StateOption, broker_of, opened_folder, told
from renkei.runner import wall_clock
from renkei.streaming import Measured, cluster_of, topology_of
from renkei.topology import require, topics_of
from renkei.web import Health
from rules.book import Book

if TYPE_CHECKING:
    from streams.faust_runtime import Streams


def streams(
    folder: ProjectOption = Path(),
    broker: BrokerOption = "",
    state: StateOption = None,
    metrics_port: MetricsPort = 0,
    metrics_host: MetricsHost = "127.0.0.1",
    lag: Annotated[bool, typer.Option("--lag", help="Measure the lag of all consumers of the project too.")] = False,
) -> None:
    """Join the change events of a project on Kafka, and decide; any number of these may run."""
    with told():
        project = opened_folder(folder, state)
        edition = project.compile()
        edition.problems.refuse()
        require_topics(project, edition.book, broker)
        with observed(metrics_host, metrics_port) as seen:
            typer.echo(f"{project.settings.project}: streams; see {seen.address}/readyz. Stop with Ctrl-C.")
            asyncio.run(serve(project, edition.book, broker, seen.meter, seen.health, lag=lag))


async def serve(folder: Folder, book: Book, broker: str, meter: Meter, health: Health, *, lag: bool = False) -> None:
    """Serve until asked to stop by a signal.

    Raises:
        Exception: why a partition cannot go on.
    """
    from streams.faust_runtime import Streams  # noqa: PLC0415 - the broker's libraries, for those who have a broker

    cluster = cluster_of(folder, broker)
    topology = topology_of(folder, book)
    for topic in {one for read in topology.hosts().values() for one in read}:
        meter.reads(topic)
    served = Streams(topology, cluster, Measured(meter, health), wall_clock, killing())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, served.stop)
    telling = asyncio.create_task(_tell(served, health))
    try:
        if lag:
            with measuring(folder, f"kafka://{cluster.servers}", meter.registry):
                await served.run()
        else:
            await served.run()
    finally:
        telling.cancel()


def require_topics(folder: Folder, book: Book, broker: str) -> None:
    """Make sure that the topics of a project are there. Raises WorkflowError where one is missing."""
    admin = Admin(broker_of(folder, broker))
    try:
        require(admin, topics_of(folder, book))
    finally:
        admin.close()


async def _tell(served: "Streams", health: Health) -> None:
    """Keep the health true: alive while the loop turns, ready when all partitions are open."""
    named: set[str] = set()
    while True:
        health.turn()
        if served.is_assigned:
            health.ready("start")
        now = {f"{one.host}/{one.partition}": one for one in served.statuses()}
        for name, one in now.items():
            if one.state == "open":
                health.ready(name)
            else:
                health.waits(name, one.problem or one.state)
        for name in named - set(now):
            health.ready(name)
        named = set(now)
        await asyncio.sleep(0.5)
