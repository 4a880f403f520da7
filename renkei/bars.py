"""Bars on a terminal: how far the first loads of tabs are, beside what else goes on."""

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from renkei.parts import CapturePart, Part


class Counted(ProgressColumn):
    """``1,200 of 5,000 records``; without the whole where nobody knows it. The task's field ``what`` names them."""

    def render(self, task: Task) -> Text:
        """The count of one task."""
        whole = "" if task.total is None else f" of {int(task.total):,}"
        return Text(f"{int(task.completed):,}{whole} {task.fields.get('what', '')}")


def bars(*, quiet: bool = False) -> Progress:
    """Bars on the standard error, gone when they end; none where nobody looks."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), Counted(),
        console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty(),
    )  # fmt: skip


class LoadBars:
    """A bar per tab while its first load goes on (D-04); a terminal is left alone where there is none."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, parts: Iterable[Part]) -> None:
        """Read off the captures how far they are; what is loaded has no bar any more."""
        found = {
            name: how for part in parts if isinstance(part, CapturePart) for name, how in part.loading.copy().items()
        }
        for name in self._tasks.keys() - found.keys():
            self._progress.remove_task(self._tasks.pop(name))
        for name, how in found.items():
            if name not in self._tasks:
                words = f"loading {name.replace(':', '.', 1)}"
                self._tasks[name] = self._progress.add_task(words, total=None, what="records")
            self._progress.update(self._tasks[name], completed=how.read, total=how.of)
        if self._progress.tasks:
            self._progress.start()
        else:
            self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()
