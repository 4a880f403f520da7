"""A whole installation in one process, by a moved clock: captures, stages and workers over a state file, real HTTP."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from renkei.folder import Folder
from renkei.parts import CapturePart, FlowPart, Part, WorkerPart
from renkei.practice import on_the_range
from renkei.runner import settle
from renkei.wiring import asked_of, discover, locked, parts
from sandbox.server import Sandbox
from schemas.values import MINUTE

MOST_RESTS = 1_000
Changed = dict[str, dict[str, Any]]
"""Per connection what is set otherwise than in the project."""


class Whole:
    """A project at work in the sandbox. Its parts take turns by chance, so that anything may come in between."""

    def __init__(self, project: Path, sandbox: Sandbox, state: Path, chance: Random, changed: Changed) -> None:
        self._sandbox, self._chance = sandbox, chance
        self._opened = ExitStack()
        folder = _with(on_the_range(project, sandbox, state), changed)
        self.folder = discover(folder, asked_of(folder, folder.compile().book))
        self.parts: list[Part] = []

    def __enter__(self) -> Self:
        """Open all parts, and load what there is."""
        edition = self.folder.compile()
        edition.problems.refuse()
        file = self._opened.enter_context(locked(self.folder.state))
        for make in parts(self.folder, edition.book, file, self._sandbox.clock.now).values():
            self.parts.append(make())
            self._opened.callback(self.parts[-1].close)
        for part in self.parts:
            if isinstance(part, CapturePart):
                part.wake_by(lambda: None)
        self.rest()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything."""
        self._opened.close()

    @property
    def flow(self) -> FlowPart:
        """The stages."""
        return next(part for part in self.parts if isinstance(part, FlowPart))

    def turn(self, times: int) -> None:
        """So many turns, of parts drawn by chance."""
        for part in self._chance.choices(self.parts, k=times):
            part.turn(self._sandbox.clock.now())

    def rest(self) -> None:
        """Turn the parts until nothing is left to do; the clock moves to where workers wait, and a little on."""
        for _ in range(MOST_RESTS):
            before = self._done()
            problems = settle(self.parts, self._sandbox.clock.now)
            waits = [at for part in self.parts if (at := self._waits(part)) is not None]
            if not waits and not problems and self._done() == before:
                return
            self._sandbox.clock.set(max(self._sandbox.clock.now() + MINUTE, *waits, 0))
        raise RuntimeError(f"the installation does not come to rest: {problems}")

    def _waits(self, part: Part) -> int | None:
        return part.turn(self._sandbox.clock.now()).next_at if isinstance(part, WorkerPart) else None

    def _done(self) -> list[int]:
        """What was captured and applied so far."""
        captured = [part.captured for part in self.parts if isinstance(part, CapturePart)]
        return captured + [part.applied + part.rejected for part in self.parts if isinstance(part, WorkerPart)]


def _with(folder: Folder, changed: Changed) -> Folder:
    known = folder.settings.connections
    connections = {name: part.model_copy(update=changed.get(name, {})) for name, part in known.items()}
    return replace(folder, settings=folder.settings.model_copy(update={"connections": connections}))
