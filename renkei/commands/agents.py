"""``renkei agents``: run the plain Faust agents of installed packages."""

import asyncio
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from renkei.agents import GROUP, agents_of, installed_agents
from renkei.attending import attended
from renkei.observing import MetricsHost, MetricsPort, observed
from renkei.options import BrokerOption, ProjectOption, broker_of, opened_folder, told
from renkei.topology import require_topics
from renkei.web import Health
from rules.errors import refuse

if TYPE_CHECKING:
    from streams.faust_agents import Agents


def agents(
    folder: ProjectOption = Path(),
    broker: BrokerOption = "",
    metrics_port: MetricsPort = 0,
    metrics_host: MetricsHost = "127.0.0.1",
) -> None:
    """Run the plain Faust agents of installed packages, in a group of their own; any number of these may run."""
    with told():
        project = opened_folder(folder)
        edition = project.compile()
        edition.problems.refuse()
        registers = installed_agents()
        if not registers:
            refuse("no installed package has agents", f"Install one that names them under `{GROUP}`.")
        require_topics(project, edition.book, broker_of(project, broker))
        with observed(metrics_host, metrics_port) as seen:
            made = agents_of(project, broker, registers, seen.meter)
            names = ", ".join(registers)
            typer.echo(f"{project.settings.project}: agents {names}; see {seen.address}/readyz. Stop with Ctrl-C.")
            _run(made, seen.health)


def _run(made: "Agents", health: Health) -> None:
    from streams.faust_agents import AgentFailedError  # noqa: PLC0415 - the broker's libraries

    try:
        asyncio.run(attended(made, health))
    except AgentFailedError as error:
        where = "".join(traceback.format_tb(error.__cause__.__traceback__)) if error.__cause__ else ""
        typer.echo(f"{where}{error}", err=True)  # where, and never what: an exception's text may hold a customer's data
        raise typer.Exit(1) from error.__cause__
