"""What a person types: every command of ``renkei``, each in a module of its own below ``commands/``."""

import sys
from collections.abc import Callable

import typer

from renkei.commands import (
    agents,
    broker,
    check,
    connect,
    connectors,
    demo,
    diagram,
    doctor,
    explain,
    init,
    lag,
    limits,
    migrate,
    parked,
    run,
    sandbox,
    schema,
    signal,
    status,
    streams,
    test,
    topics,
)
from renkei.options import EXPECTED

app = typer.Typer(
    name="renkei",
    help="Joins the change events of several CRMs into customer journeys and acts on what they say together.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    demo.demo,
    init.init,
    connect.connect,
    doctor.doctor,
    check.check,
    test.test,
    run.run,
    topics.topics,
    connectors.capture,
    streams.streams,
    connectors.connectors,
    agents.agents,
    migrate.migrate,
    status.status,
    lag.lag,
    limits.limits,
    explain.explain,
    diagram.diagram,
    parked.parked,
    parked.unknown,
    signal.signal,
    schema.schema,
    sandbox.sandbox,
    broker.broker,
)
for _command in _COMMANDS:
    app.command()(_command)


def main() -> None:
    """Run the command line; what a person can mend is told in words, without a traceback."""
    try:
        app()
    except EXPECTED as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(0)
