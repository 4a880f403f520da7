"""Running parts until somebody asks to stop, for every command that does."""

import signal
from collections.abc import Callable, Mapping

import typer

from renkei.bars import LoadBars, bars
from renkei.observing import Observed
from renkei.parts import Part
from renkei.runner import Runner, wall_clock


def serve(opening: Mapping[str, Callable[[], Part]], hello: str, ready: str = "", seen: Observed | None = None) -> None:
    """Run parts until SIGINT or SIGTERM; then end within ten seconds.

    ``ready`` is printed once every part has begun its work. Problems are told once each as they come.
    """
    runner = Runner(opening, wall_clock)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: runner.ask_to_stop())
    typer.echo(hello)
    runner.start()
    told: dict[str, str] = {}
    loads = LoadBars(bars())
    try:
        while not runner.wait(0.2):
            if seen is not None:
                seen.look(runner)
            if ready and runner.is_ready:
                typer.echo(ready)
                ready = ""
            loads.show(runner.parts.copy().values())
            told = _told(dict(runner.problems), told)
    finally:
        loads.close()
    runner.stop()
    if runner.failure is not None:
        raise runner.failure


def _told(problems: dict[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Tell the problems that are new."""
    for name, problem in sorted(problems.items()):
        if before.get(name) != problem:
            typer.echo(f"{name}: {problem}", err=True)
    return problems
