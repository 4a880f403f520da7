"""A project's state to look at, also while ``renkei run`` is at work on it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress

from renkei.folder import Folder
from renkei.wiring import FILE, stages_of
from rules.book import Book
from streams.embedded import Embedded
from streams.history import as_published, fold_until, reading
from streams.store import Store

STALE = "The workflows have changed since `renkei run` last read them: this is how the new ones see what is known."


class Look(NamedTuple):
    """The stages as they stand, the log beside them, and whether the workflows are newer than the state."""

    flow: Embedded
    log: Store
    stale: bool


@contextmanager
def looking(folder: Folder, book: Book, at: int | None = None) -> Iterator[Look]:
    """The state of a project at a time, or now; nothing in it changes.

    Raises:
        StoreError: there is no state yet, or it cannot be read.
    """
    log = reading(folder.state / FILE)
    try:
        limits, channels, more = folder.settings.limits.limits(), folder.channels(), stages_of(folder)
        if at is None:
            flow, stale = as_published(log, book, limits=limits, channels=channels, more_stages=more)
            yield Look(flow, log, stale)
        else:
            with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
                task = progress.add_task("folding the log again", total=None)
                flow = fold_until(
                    log, book, at, limits=limits, channels=channels, more_stages=more,
                    history=folder.settings.history,
                    tell=lambda done, total: progress.update(task, completed=done, total=total),
                )  # fmt: skip
            yield Look(flow, log, False)
    finally:
        log.close()
