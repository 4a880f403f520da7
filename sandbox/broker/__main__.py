"""``python -m sandbox.broker start|stop|status``: Kafka for a person's own tries; ``make kafka`` calls it."""

import argparse
import sys
from pathlib import Path

from sandbox.broker.cluster import Cluster
from sandbox.broker.errors import BrokerError


def start(folder: Path, brokers: int, port: int | None) -> None:
    """Start a cluster that stays when this program ends, and print its address."""
    print(f"Starting Kafka in {folder} ...", file=sys.stderr)
    cluster = Cluster(folder, brokers, port=port, watched=0)
    cluster.start()
    _tell(cluster)


def stop(folder: Path) -> None:
    """End the cluster of a folder; what it holds stays there."""
    cluster = Cluster.of(folder)
    ran = cluster.is_running
    cluster.stop()
    print("stopped" if ran else "it did not run")


def status(folder: Path) -> int:
    """Print what runs in a folder; 0 when all of it answers, else 1."""
    cluster = Cluster.of(folder)
    for node in cluster.nodes:
        print(f"node {node.number}: {node.state}, pid {node.pid or '-'}, 127.0.0.1:{node.port}, log {node.log}")
    answers = all(node.known for node in cluster.nodes)
    if answers:
        _tell(cluster)
    return 0 if answers else 1


def _tell(cluster: Cluster) -> None:
    print(cluster.url)
    print(cluster.bootstrap)


def main(words: list[str] | None = None) -> int:
    """What was asked; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.broker", description="Apache Kafka on this machine.")
    parser.add_argument("verb", choices=("start", "stop", "status"))
    parser.add_argument("--brokers", type=int, default=1, help="one to five; 1 unless named")
    parser.add_argument("--folder", type=Path, default=Path(".kafka"), help="where it keeps everything; .kafka")
    parser.add_argument("--port", type=int, help="the first broker's port; a free one unless named")
    asked = parser.parse_args(words)
    try:
        match asked.verb:
            case "start":
                start(asked.folder, asked.brokers, asked.port)
            case "stop":
                stop(asked.folder)
            case _:
                return status(asked.folder)
    except BrokerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
