"""``renkei broker``: Apache Kafka on this machine, for first tries."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from renkei.options import JsonOption, say_json, told
from sandbox.broker.cluster import Cluster

Verb = Annotated[
    Literal["start", "stop", "status"],
    typer.Argument(metavar="VERB", help="start, stop or status.", show_default=False),
]
Brokers = Annotated[int, typer.Option(min=1, max=5, help="How many; three or more keep everything three times.")]
KafkaFolder = Annotated[Path, typer.Option(metavar="DIR", help="Where it keeps everything.")]
Port = Annotated[int | None, typer.Option(help="The first broker's. A free one unless named.", show_default=False)]


def broker(
    verb: Verb,
    brokers: Brokers = 1,
    folder: KafkaFolder = Path(".kafka"),
    port: Port = None,
    as_json: JsonOption = False,
) -> None:
    """Start Kafka on this machine, stop it, or tell how it is. Needs Java 17, and Maven for the first start."""
    with told(as_json):
        cluster = Cluster(folder, brokers, port=port, watched=0) if verb == "start" else Cluster.of(folder)
        if verb == "start":
            typer.echo(f"Starting Kafka in {folder} ...", err=True)
            cluster.start()
        elif verb == "stop":
            cluster.stop()
        _tell(cluster, as_json)


def _tell(cluster: Cluster, as_json: bool) -> None:
    states = {node.number: node.state for node in cluster.nodes}
    if as_json:
        say_json({"broker": cluster.url, "nodes": states})
        return
    for node in cluster.nodes:
        typer.echo(f"node {node.number}: {node.state}, 127.0.0.1:{node.port}, log {node.log}")
    typer.echo(f"Next: --broker {cluster.url}" if cluster.is_running else "Next: renkei broker start")
