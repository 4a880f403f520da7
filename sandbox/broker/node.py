"""One node of the practice cluster: a Java program, known by its pid file, stopped, killed and frozen at will."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from sandbox.broker.errors import AlreadyRunningError, BrokerError
from sandbox.broker.wire import members
from sandbox.ports import is_free

_PROC = Path("/proc/self")
START_SECONDS, STOP_SECONDS = 120.0, 20.0

# The pid is in the file before the shell ends. The second part ends the node when whoever wanted it has died.
_LAUNCH = """
out=$1 pid=$2 watched=$3; shift 3
"$@" </dev/null >>"$out" 2>&1 &
node=$!
echo "$node" >"$pid"
[ "$watched" = 0 ] && exit 0
( while kill -0 "$node" && kill -0 "$watched"; do sleep 1; done; kill -9 "$node" ) >/dev/null 2>&1 &
"""


class Node:
    """A broker and controller in one; all that is known of it is in its folder, so any program may look after it."""

    def __init__(self, number: int, folder: Path, port: int, watched: int) -> None:
        self.number = number
        self.folder = folder
        self.port = port
        """Where clients reach it directly, whatever it advertises."""
        self._watched = watched

    @property
    def config(self) -> Path:
        """Its server properties; the path also marks its command line as ours."""
        return self.folder / "server.properties"

    @property
    def log(self) -> Path:
        """What it has to say."""
        return self.folder / "node.log"

    @property
    def command(self) -> list[str]:
        """The Java command line that starts it, as the cluster wrote it down."""
        words: list[str] = json.loads((self.folder / "command.json").read_text(encoding="utf-8"))
        return words

    def write_command(self, words: Sequence[str]) -> None:
        """Keep the Java command line for this start and later ones."""
        (self.folder / "command.json").write_text(json.dumps(words), encoding="utf-8")

    @property
    def pid(self) -> int | None:
        """The program that runs it; None when it does not run."""
        try:
            pid = int((self.folder / "pid").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        words = _command_line(pid)
        # A program that is ending has lost its words before it has closed its ports.
        return pid if str(self.config) in words or (not words and _states(pid) - _OVER) else None

    @property
    def known(self) -> frozenset[int]:
        """The nodes that it knows to be up; none while it does not answer."""
        return members(self.port)

    @property
    def state(self) -> str:
        """How it is, in words: ``answers``, ``does not answer``, ``does not run``."""
        return "answers" if self.known else "does not run" if self.pid is None else "does not answer"

    def start(self) -> None:
        """Start it at its old address and wait until it takes part. Raises BrokerError with what its log says."""
        self.launch()
        self.wait_until(lambda: self.number in self.known)

    def launch(self) -> None:
        """Start it without waiting. Raises AlreadyRunningError, or BrokerError when its port is taken."""
        if (pid := self.pid) is not None:
            raise AlreadyRunningError(f"node {self.number} runs in {self.folder} already (pid {pid}); stop it first")
        if not is_free(self.port):
            raise BrokerError(f"port {self.port} is taken by another program; stop it, or name another port")
        (self.folder / "tmp").mkdir(exist_ok=True)
        words = [shutil.which("sh") or "/bin/sh", "-c", _LAUNCH, "launch", str(self.folder / "out.log")]
        words += [str(self.folder / "pid"), str(self._watched), *self.command]
        subprocess.run(  # noqa: S603 - our own command line
            words, check=True, timeout=30, start_new_session=True, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def wait_until(self, condition: Callable[[], bool], limit: float = START_SECONDS) -> None:
        """Wait for a condition while the node runs. Raises BrokerError when it ends, or after ``limit`` seconds."""
        deadline = time.monotonic() + limit
        while not condition():
            if self.pid is None:
                raise BrokerError(f"node {self.number} ended. {self._last_words()}")
            if time.monotonic() > deadline:
                raise BrokerError(f"node {self.number} was not ready within {limit:g} s. {self._last_words()}")
            time.sleep(0.05)

    def stop(self, limit: float = STOP_SECONDS) -> None:
        """End it in order, by force after ``limit`` seconds; nothing to do when it does not run."""
        self.ask_to_stop()
        if not self.ends_within(limit):
            self.kill()

    def ask_to_stop(self) -> None:
        """Tell it to end in order, without waiting; a frozen one goes on for that."""
        self._send(signal.SIGTERM)
        self.resume()

    def kill(self) -> None:
        """End it at once, as a power cut does (SIGKILL)."""
        self._send(signal.SIGKILL)
        if not self.ends_within(STOP_SECONDS):
            raise BrokerError(f"node {self.number} (pid {self.pid}) does not end; look at the machine")

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing is answered (SIGSTOP)."""
        self._send(signal.SIGSTOP)
        while (pid := self.pid) is not None and _states(pid) - {"T"}:
            time.sleep(0.005)

    def resume(self) -> None:
        """Let a frozen node go on (SIGCONT)."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def ends_within(self, limit: float) -> bool:
        """Wait for its end; whether it came within ``limit`` seconds."""
        deadline = time.monotonic() + limit
        while self.pid is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _last_words(self) -> str:
        files = [path for path in (self.log, self.folder / "out.log") if path.exists()]
        lines = [line for path in files for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
        said = next((line for line in lines if "ERROR" in line or "FATAL" in line or "Exception" in line), "nothing")
        return f"Its log says: {said[:300]} (see {self.log})"


_OVER = {"Z", "X"}


def _command_line(pid: int) -> str:
    """What a program was started with; nothing when it ends or has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    return "" if _PROC.exists() else _asked_ps("command=", pid)


def _states(pid: int) -> set[str]:
    """The states of a program's threads by their letters (proc(5)); none when it has ended."""
    if not _PROC.exists():
        return set(_asked_ps("state=", pid)[:1])
    found: set[str] = set()
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found.add((thread / "stat").read_text(errors="replace").rpartition(") ")[2][:1])
    return found


def _asked_ps(column: str, pid: int) -> str:
    """What ``ps`` tells where there is no /proc."""
    words = [shutil.which("ps") or "/bin/ps", "-ww", "-o", column, "-p", str(pid)]
    return subprocess.run(words, capture_output=True, text=True, timeout=10, check=False).stdout.strip()  # noqa: S603
