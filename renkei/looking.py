"""A project's state to look at, also while it is at work: on this machine, or on a broker."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress

from renkei.folder import Folder
from renkei.mirror import Mirror, mirrored
from renkei.wiring import FILE, stages_of
from rules.book import Book
from rules.errors import refuse
from schemas.values import Ref
from streams.embedded import FINGERPRINT, Embedded
from streams.history import as_published, fold_until, reading
from streams.store import Store

STALE = "The workflows have changed since `renkei run` last read them: this is how the new ones see what is known."


def _all_there(_: object) -> None:
    """The log of one machine holds everything already."""


class Look(NamedTuple):
    """The stages as they stand, the log beside them, and whether the workflows are newer than the state."""

    flow: Embedded
    log: Store
    stale: bool
    mirror: Mirror | None = None
    """Where all that was read from, if that is a broker."""
    recall: Callable[[Iterable[Ref]], None] = _all_there
    """Makes sure that the log holds what was decided about these journeys."""
    find: Callable[[str], None] = _all_there
    """Makes sure that the log holds the commands of this id, or of this fire, and what came of them."""


@contextmanager
def looking(folder: Folder, book: Book, at: int | None = None, broker: str = "") -> Iterator[Look]:
    """The state of a project at a time, or now; nothing in it changes. With ``broker`` it is read from there.

    Raises:
        StoreError: there is no state yet, or it cannot be read.
        KafkaTrouble: the broker did not answer, or refuses.
        WorkflowError: a time was named, and the state is on a broker.
    """
    if broker:
        with looking_there(folder, book, at, broker) as look:
            yield look
        return
    log = reading(folder.state / FILE)
    try:
        limits, channels, more = folder.settings.limits.limits(), folder.channels(), stages_of(folder)
        if at is None:
            flow, stale = as_published(log, book, limits=limits, channels=channels, more_stages=more)
            yield Look(flow, log, stale)
        else:
            with _progress() as progress:
                task = progress.add_task("folding the log again", total=None)
                flow = fold_until(
                    log, book, at, limits=limits, channels=channels, more_stages=more,
                    history=folder.settings.history,
                    tell=lambda done, total: progress.update(task, completed=done, total=total),
                )  # fmt: skip
            yield Look(flow, log, False)
    finally:
        log.close()


@contextmanager
def looking_there(folder: Folder, book: Book, at: int | None, broker: str) -> Iterator[Look]:
    """The state of a project on a broker."""
    if at is not None:
        hint = "Leave --at out; what was decided is told with its times."
        refuse("another time than now cannot be looked at on a broker: its topics do not keep all changes", hint)
    limits, channels, more = folder.settings.limits.limits(), folder.channels(), stages_of(folder)
    with _progress() as progress:
        task = progress.add_task("reading the state", total=None)
        with mirrored(folder, broker, lambda done: progress.update(task, completed=done)) as mirror:
            store = mirror.store
            progress.stop()
            if store.note(FINGERPRINT) is None:  # nothing was taken yet, so nothing is out of date
                store.set_note(FINGERPRINT, book.fingerprint.encode())
            flow, stale = as_published(store, book, limits=limits, channels=channels, more_stages=more)
            yield Look(flow, store, stale, mirror, mirror.recall, mirror.find)


def _progress() -> Progress:
    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
