"""Runs peers one after another on one broker, checks their output, and measures a slice of their work."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.join.cpu import cpu_seconds
from benchmarks.join.log import Output, Writer, topics
from benchmarks.join.peers import ROOT, Peer
from benchmarks.join.task import Join, Marks, World, differences

SLICE_SECONDS = 300
"""A peer that needs longer for a slice is ended."""
_QUIET_SECONDS = 2.0
_TOLERANCE = 0.05
"""Deals and accounts are two topics, so their order, and with it the number of rows, is not quite given."""


class PeerError(Exception):
    """A peer ended, hung, or put out something wrong."""


@dataclass(frozen=True)
class Measured:
    """A slice as a peer did it: changes of input, rows of output, CPU time of all its processes, and time."""

    changes: int
    rows: int
    cpu: float
    wall: float

    @property
    def per_cpu_second(self) -> float:
        """Changes per second of CPU time."""
        return self.changes / self.cpu

    @property
    def per_second(self) -> float:
        """Changes per second of time."""
        return self.changes / self.wall


def run(bootstrap: str, prefix: str, peer: Peer, moves: float = 0.0) -> Measured:
    """One run of a peer on fresh topics of this prefix. Raises PeerError."""
    return asyncio.run(_Run(bootstrap, prefix, peer, moves).measured())


class _Run:
    """Load and warm up, stop the peer while the measured slice is written, let it go on, and compare."""

    def __init__(self, bootstrap: str, prefix: str, peer: Peer, moves: float) -> None:
        self._bootstrap, self._prefix, self._peer = bootstrap, prefix, peer
        self._world, self._marks, self._join = World(moves=moves), Marks(), Join()

    async def measured(self) -> Measured:
        async with topics(self._bootstrap, self._prefix, self._marks) as (writer, output):
            load = [*self._world.load(), *self._world.updates(self._peer.warm), *self._marks.of(1)]
            self._join.take(load)
            await writer.write(load)
            with _started(self._peer, self._bootstrap, self._prefix) as child:
                await _until_done(output, 1, child)
                await _quiet(output)
                measured = await self._slice(writer, output, child)
                late = await _quiet(output)
            self._check(measured, output, late)
            return measured

    async def _slice(self, writer: Writer, output: Output, child: "subprocess.Popen[bytes]") -> Measured:
        changes = [*self._world.updates(self._peer.updates), *self._marks.of(2)]
        before, emitted = output.rows, self._join.emitted
        self._join.take(changes)
        self._emitted = self._join.emitted - emitted
        with _stopped(child):
            await writer.write(changes)
            cpu = cpu_seconds(child.pid)
        started = time.monotonic()
        await _until_done(output, 2, child)
        wall = time.monotonic() - started
        return Measured(len(changes), output.rows - before, cpu_seconds(child.pid) - cpu, wall)

    def _check(self, measured: Measured, output: Output, late: int) -> None:
        """The view must be right; the number of rows too, when each change counts."""
        wrong, rows = differences(self._join.view, output.view()), measured.rows + late
        say(f"  {rows} rows, {late} of them after the last mark; each change on its own gives {self._emitted}")
        if rows > self._emitted * (1 + _TOLERANCE) or (
            self._peer.each_change and rows < self._emitted * (1 - _TOLERANCE)
        ):
            wrong.append(f"{rows} rows instead of about {self._emitted}")
        if wrong:
            raise PeerError("; ".join(wrong))


@contextmanager
def _started(peer: Peer, bootstrap: str, prefix: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The peer in a session of its own, ended with all below it."""
    command = peer.command()
    with tempfile.TemporaryDirectory(prefix="join-") as state:
        child = subprocess.Popen(
            command, cwd=state, start_new_session=True, stdin=subprocess.DEVNULL, stdout=sys.stderr,
            env=_environment(bootstrap, prefix, Path(state)) | dict(peer.settings),
        )  # fmt: skip
        try:
            yield child
        finally:
            _end(child)


def _environment(bootstrap: str, prefix: str, state: Path) -> dict[str, str]:
    ours = {"JOIN_BOOTSTRAP": bootstrap, "JOIN_TOPICS": prefix, "JOIN_STATE": str(state / "state")}
    return dict(os.environ) | ours | {"PYTHONPATH": str(ROOT)}


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Politely, and then not."""
    for how in (signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            os.killpg(child.pid, how)
            _waited(child, 10 if how is signal.SIGTERM else 0.1)
    child.wait()


def _waited(child: "subprocess.Popen[bytes]", seconds: float) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return


@contextmanager
def _stopped(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """The peer stands still, so that it takes no part while its input is written."""
    os.killpg(child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(child.pid, signal.SIGCONT)


async def _until_done(output: Output, number: int, child: "subprocess.Popen[bytes]") -> None:
    limit = time.monotonic() + SLICE_SECONDS
    while not output.done(number):
        await output.read()
        if child.poll() is not None:
            raise PeerError(f"it ended with code {child.returncode} in slice {number}")
        if time.monotonic() > limit:
            raise PeerError(f"it did not finish slice {number} in {SLICE_SECONDS} s")


async def _quiet(output: Output) -> int:
    """Read on until nothing comes for a moment; how many rows came."""
    rows, last = 0, time.monotonic()
    while time.monotonic() - last < _QUIET_SECONDS:
        came = await output.read()
        if came:
            rows, last = rows + came, time.monotonic()
    return rows


def say(text: str) -> None:
    """A word of progress."""
    print(text, file=sys.stderr, flush=True)
