"""``renkei run`` as a process of its own: whoever waits for what it does learns at once that it has died, and why."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from sandbox.server import Sandbox

RENKEI = [sys.executable, "-c", "from renkei.cli import main; main()"]
PATIENCE = 60.0


class Running(NamedTuple):
    """The process, and what it has said so far."""

    process: "subprocess.Popen[bytes]"
    said: Callable[[], str]

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for a condition; a minute is longer than any of them takes. Fails at once if the process is dead."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            ended = self.process.poll()
            assert ended is None, f"it ended with {ended}, and not seen before: {what}. It said:\n{self.said()}"
            late = time.monotonic() > deadline
            assert not late, f"not seen within {PATIENCE:.0f} s: {what}. It said:\n{self.said()}"
            time.sleep(0.02)

    def hello(self) -> str:
        """Its first line."""
        self.until(lambda: "\n" in self.said(), "its first line")
        return self.said().partition("\n")[0]


@contextmanager
def running(folder: Path, sandbox: Sandbox) -> Iterator[Running]:
    """A project with practice credentials for Zoho; whatever still lives at the end is killed."""
    with TemporaryFile() as file, started(folder, sandbox, file, file) as process:
        yield Running(process, lambda: os.pread(file.fileno(), 1_000_000, 0).decode())


@contextmanager
def started(
    folder: Path, sandbox: Sandbox, out: IO[bytes] | int, err: IO[bytes] | int, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """The process alone, with its output where it is to go."""
    secrets = {f"RENKEI_ZOHO_{name.upper()}": value for name, value in sandbox.zoho.credentials.items()}
    with subprocess.Popen(
        [*RENKEI, "run", str(folder)], env={**os.environ, **secrets, **environment}, stdout=out, stderr=err
    ) as process:
        try:
            yield process
        finally:
            process.kill()
