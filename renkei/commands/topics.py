"""``renkei topics``: make the topics of a project on a broker."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.kafka_io import Admin, TopicSpec
from renkei.options import (
    BrokerOption,
    FolderArgument,
    JsonOption,
    broker_of,
    command_of,
    opened_folder,
    say_json,
    told,
)
from renkei.topology import prepare, refuse_former, topics_of
from schemas.values import DAY


def topics(
    folder: FolderArgument = Path(),
    broker: BrokerOption = "",
    partitions: Annotated[
        int | None, typer.Option("--partitions", min=1, max=1000, metavar="N", help="Instead of the file's.")
    ] = None,
    replication: Annotated[
        int | None,
        typer.Option("--replication", min=1, max=9, metavar="N", help="Copies of each, instead of the file's."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make the topics of a project; what is there already stays, and is set right."""
    with told(as_json):
        project = opened_folder(folder, kafka={"partitions": partitions, "replication": replication})
        edition = project.compile()
        edition.problems.refuse()
        specs = topics_of(project, edition.book)
        admin = Admin(broker_of(project, broker))
        try:
            refuse_former(admin, project.settings.kafka)
            done = prepare(admin, specs)
        finally:
            admin.close()
    following = command_of("run --broker", folder)
    if as_json:
        say_json({"topics": [_as_json(spec, done[spec.name]) for spec in specs], "next": following})
        return
    _print(specs, done)
    typer.echo(f"Next: {following}")


def _as_json(spec: TopicSpec, state: str) -> dict[str, object]:
    return {"name": spec.name, "partitions": spec.partitions, "settings": dict(spec.settings), "state": state}


def _print(specs: list[TopicSpec], done: dict[str, str]) -> None:
    table = Table("topic", "partitions", "keeps", "", box=None, header_style="bold", pad_edge=False)
    for spec in specs:
        table.add_row(spec.name, str(spec.partitions), _keeps(spec), done[spec.name])
    Console(width=None).print(table)


def _keeps(spec: TopicSpec) -> str:
    if spec.settings["cleanup.policy"] == "compact":
        return "the newest of each key"
    days = int(spec.settings["retention.ms"]) // DAY
    return f"{days} day{'s' if days != 1 else ''}"
