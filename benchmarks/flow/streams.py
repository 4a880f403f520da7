"""One streams process as it is measured: ``python -m benchmarks.flow.streams ORDER``, the order as JSON."""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

from benchmarks import workload
from renkei.streaming import Nouns
from streams.faust_runtime import Streams
from streams.partition_log import Cluster
from streams.topology import Topology, Workspace


class Quiet:
    """A meter that only tells progress of a restore."""

    def events(self, partition: int, count: int, seconds: float) -> None:
        """Not counted here: the broker tells."""

    def parked(self, topic: str, count: int) -> None:
        """Nothing is to be parked."""
        sys.exit(f"{count} records of {topic} were parked")

    def restored(self, partition: int, done: int, total: int) -> None:
        """Say how far it is."""
        print(json.dumps({"restored": [partition, done, total]}), flush=True)

    def stalled(self, topic: str, partition: int, is_stalled: bool) -> None:
        """A stall would show in the figures."""

    def told(self, partition: int, sentence: str) -> None:
        """Nothing is published here."""


def topology(workspaces: int, partitions: int, spread: bool) -> Topology:
    """The workload of the core, in so many workspaces."""
    book = workload.book()
    names = [f"w{number}" for number in range(workspaces)]
    return Topology({name: Workspace(book, ("zoho",)) for name in names}, partitions, Nouns(), spread=spread)


async def main(order: dict[str, object]) -> None:
    """Serve until SIGTERM; say when all partitions are open."""
    folder = order["folder"]
    cluster = Cluster(
        str(order["servers"]), f"{order['prefix']}renkei", str(order["prefix"]), Path(str(folder)) if folder else None
    )
    hosted = topology(int(str(order["workspaces"])), int(str(order["partitions"])), bool(order["spread"]))
    started = time.monotonic()
    served = Streams(hosted, cluster, Quiet(), lambda: time.time_ns() // 1_000_000)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, served.stop)
    serving = asyncio.create_task(served.run())
    while not served.is_ready and not serving.done():
        await asyncio.sleep(0.02)
    print(json.dumps({"ready": time.monotonic() - started}), flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
