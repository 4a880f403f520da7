"""What a person types: every command of ``renkei``, each in a module of its own below ``commands/``."""

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from renkei.options import EXPECTED

_NAMES = (
    "demo", "init", "connect", "doctor", "check", "test", "run", "topics", "capture", "streams", "connectors", "agents",
    "migrate", "status", "lag", "limits", "explain", "diagram", "parked", "unknown", "signal", "schema", "sandbox",
    "broker",
)  # fmt: skip
"""All commands in the order of the help; each is the function of its name in the module of its name."""
_ELSEWHERE = {"capture": "connectors", "unknown": "parked"}
"""Those that are in another one's module."""


class Commands(TyperGroup):
    """The commands, each imported when it is typed: nobody waits for what another one needs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All of them, in the order of the help."""
        return list(_NAMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, if there is one."""
        if cmd_name in _NAMES and cmd_name not in self.commands:
            self.commands[cmd_name] = _command(cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was typed; a misspelled one is answered with the nearest of all."""
        if args[0] not in _NAMES:
            self.commands = commands()
        return super().resolve_command(ctx, args)


def commands() -> dict[str, Any]:
    """All commands by name, with their arguments and options."""
    return {name: _command(name) for name in _NAMES}


def _command(name: str) -> Any:
    alone = typer.Typer(add_completion=False)
    module = import_module(f"renkei.commands.{_ELSEWHERE.get(name, name)}")
    alone.command(name)(getattr(module, name))
    return typer.main.get_command(alone)


app = typer.Typer(
    name="renkei",
    cls=Commands,
    help="Joins the change events of several CRMs into customer journeys and acts on what they say together.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _top() -> None:
    """Nothing is done before a command."""


def main() -> None:
    """Run the command line; what a person can mend is told in words, without a traceback."""
    try:
        app()
    except EXPECTED as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(0)
