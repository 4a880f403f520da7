"""``renkei streams``: join and decide, on Kafka."""

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from renkei.attending import PartitionHealth, attended
from renkei.folder import Folder
from renkei.killing import killing
from renkei.lag.opening import measuring
from renkei.metrics import Meter
from renkei.observing import MetricsHost, MetricsPort, observed
from renkei.options import BrokerOption, ProjectOption, StateOption, broker_of, opened_folder, told
from renkei.runner import wall_clock
from renkei.streaming import Measured, cluster_of, topology_of
from renkei.topology import require_topics
from renkei.web import Health
from rules.book import Book


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
        require_topics(project, edition.book, broker_of(project, broker))
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
    for topic in topology.inputs():
        meter.reads(topic)
    served = Streams(topology, cluster, Measured(meter, health), wall_clock, killing())
    partitions = PartitionHealth(health)
    measured = measuring(folder, f"kafka://{cluster.servers}", meter.registry) if lag else nullcontext()
    with measured:
        await attended(served, health, lambda: partitions.tell(served.statuses()))
