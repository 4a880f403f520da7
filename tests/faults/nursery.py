"""Starts commands of the front door as processes of their own, from one that has imported all modules already.

Run as a program, it reads one JSON line per process to start, ``{"words": [...], "environment": {...}, "log": "..."}``,
and answers its pid; a start from nothing costs two seconds of a core, and hundreds are wanted. Each child has a session
of its own, writes to its log, and its exit code (a signal is negative) goes to ``<log>.exit``. When whoever started
this ends, all children are killed.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

_PR_SET_PDEATHSIG = 1


class Process:
    """A command of the front door at work; it belongs to a ``Nursery``."""

    def __init__(self, name: str, pid: int, log: Path) -> None:
        self.name, self.pid, self.log = name, pid, log
        self._exit = log.with_suffix(".exit")

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self._exit.exists()

    @property
    def is_stopped(self) -> bool:
        """Whether it is suspended."""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][:1] == "T"
        return False

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing if it has ended, so that no other process is hit."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def ended(self, seconds: float = 60) -> int:
        """Wait for its end: the exit code; negative, the signal."""
        deadline = time.monotonic() + seconds
        while self.is_alive:
            assert time.monotonic() < deadline, f"{self.name} did not end within {seconds:.0f} s: {self.tail()}"
            time.sleep(0.02)
        return int(self._exit.read_text(encoding="ascii"))

    def kill(self) -> None:
        """End it as a power cut does, and wait for that."""
        self.send(signal.SIGKILL)
        self.ended()

    def said(self) -> str:
        """What it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines: int = 25) -> str:
        """The last of what it printed."""
        return "\n".join([f"--- {self.name} (pid {self.pid})", *self.said().splitlines()[-lines:]])


class Nursery:
    """The parent of processes; use it as a context manager."""

    def __enter__(self) -> Self:
        """Start, with all modules imported."""
        self._inner = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *ended: object) -> None:
        """Kill all that is left."""
        assert self._inner.stdin is not None
        self._inner.stdin.close()
        self._inner.wait(20)
        assert self._inner.stdout is not None
        self._inner.stdout.close()

    def start(
        self, name: str, words: Sequence[str], environment: Mapping[str, str], log: Path, file_size: int = 0
    ) -> Process:
        """A command at work. ``file_size``: the bytes that a file of its may have at most."""
        assert self._inner.stdin is not None
        assert self._inner.stdout is not None
        asked = {"words": [*words], "environment": dict(environment), "log": str(log), "file_size": file_size}
        log.touch()
        self._inner.stdin.write(json.dumps(asked) + "\n")
        self._inner.stdin.flush()
        return Process(name, int(self._inner.stdout.readline()), log)


# -- the program --------------------------------------------------------------


def _serve() -> None:
    """Start what is asked for until nobody asks any more."""
    import streams.faust_runtime  # noqa: F401, PLC0415 - imported here, once for all children
    from renkei.cli import main  # noqa: PLC0415

    logs: dict[int, str] = {}

    def reap(*_: object) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                _note(logs.pop(ended[0], ""), os.waitstatus_to_exitcode(ended[1]))

    signal.signal(signal.SIGCHLD, reap)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # it ends when nobody asks any more, and then it kills all children
    for line in sys.stdin:
        asked = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            _become(asked, main)
        logs[pid] = asked["log"]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        print(pid, flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in logs:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _note(log: str, code: int) -> None:
    if log:
        path = Path(log).with_suffix(".exit")
        path.with_suffix(".coming").write_text(str(code), encoding="ascii")
        path.with_suffix(".coming").replace(path)


def _become(asked: dict[str, Any], main: Any) -> None:
    """What the child does: the command, and no more."""
    os.setsid()
    with suppress(AttributeError):  # Linux has it: no child outlives its parent, however that ends
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    if asked["file_size"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["file_size"], resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    os.environ.update(asked["environment"])
    sys.argv = ["renkei", *asked["words"]]
    code = 1
    try:
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        import traceback  # noqa: PLC0415 - what an interpreter does at the end

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
