"""A figure: its name, the median of several runs, its unit and its target."""

import gc
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

RUNS = 5


@dataclass(frozen=True)
class Figure:
    """One measured number. ``target`` says what is wanted, in words."""

    name: str
    value: float
    unit: str
    target: str
    runs: tuple[float, ...]

    def line(self) -> str:
        """The figure as one JSON line."""
        rounded = [_rounded(run) for run in self.runs]
        return json.dumps({
            "name": self.name, "value": _rounded(self.value), "unit": self.unit, "target": self.target, "runs": rounded,
        })  # fmt: skip


def measured(name: str, unit: str, target: str, run: Callable[[], float], runs: int = RUNS) -> Figure:
    """The median of several runs, with a word of progress for whoever waits."""
    values: list[float] = []
    for number in range(runs):
        say(f"{name}: run {number + 1} of {runs}")
        gc.collect()
        values.append(run())
    return Figure(name, statistics.median(values), unit, target, tuple(values))


def say(text: str) -> None:
    """A word of progress, beside the figures."""
    print(text, file=sys.stderr, flush=True)


def _rounded(value: float) -> float:
    return round(value) if value >= 100 else round(value, 3)
