"""The peers: how each is installed, and the command line that runs it."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
_INSTALL_SECONDS = 900


@dataclass(frozen=True)
class Peer:
    """A way to run the join. ``command`` installs what it needs, the first time, and gives the command line."""

    command: Callable[[], list[str]]
    settings: Mapping[str, str] = field(default_factory=dict)
    warm: int = 100_000
    updates: int = 200_000
    each_change: bool = True
    """Whether it must send a row for each change, and may not leave out those that are soon replaced."""


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "renkei" / "join"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def _environment(lock: str) -> Path:
    """The python of an environment made from a lock file, made anew when the lock has changed."""
    folder, wanted = _cache_folder() / lock.removesuffix(".lock"), HERE / lock
    made = folder / lock
    if not made.exists() or made.read_bytes() != wanted.read_bytes():
        print(f"installing {lock} ...", file=sys.stderr, flush=True)
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(wanted)], check=True, timeout=_INSTALL_SECONDS)
        shutil.copy(wanted, made)
    return folder / "bin" / "python"


@cache
def _streams() -> str:
    """The class path of the Kafka Streams peer, built by Maven; a second build takes two seconds."""
    maven = shutil.which("mvn")
    if maven is None:
        raise SystemExit("The Kafka Streams peer is built by Maven: install it (Debian: maven), or name other peers.")
    folder = _cache_folder() / "kafka_streams"
    words = [maven, "-q", "-B", "-f", str(HERE / "kafka_streams" / "pom.xml"), f"-Dbuild.folder={folder}", "package"]
    subprocess.run(words, check=True, timeout=_INSTALL_SECONDS, stdout=sys.stderr)
    return f"{folder / 'join.jar'}:{folder / 'lib' / '*'}"


def _faust() -> list[str]:
    words = ["-m", "benchmarks.join.faust_peer", "--loop", "uvloop", "worker", "--loglevel", "error", "--without-web"]
    return [str(_environment("faust.lock")), *words]


def _quix() -> list[str]:
    return [str(_environment("quix.lock")), "-m", "benchmarks.join.quix_peer"]


def _kafka_streams(*settings: str) -> Callable[[], list[str]]:
    java = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    return lambda: ["java", java, "-cp", _streams(), "renkei.join.Main", *settings]


def _ours() -> list[str]:
    return [sys.executable, "-m", "benchmarks.join.ours"]


_EXACTLY_ONCE, _AT_LEAST_ONCE = "processing.guarantee=exactly_once_v2", "processing.guarantee=at_least_once"
_UNCACHED, _OPTIMIZED = "statestore.cache.max.bytes=0", "topology.optimization=all"

PEERS: dict[str, Peer] = {
    "ours": Peer(_ours, {"JOIN_FORM": "spread"}),
    "ours_fused": Peer(_ours, {"JOIN_FORM": "fused"}),
    "faust": Peer(_faust, {"JOIN_STORE": "memory://"}, warm=5_000, updates=20_000),
    "faust_rocksdb": Peer(_faust, {"JOIN_STORE": "rocksdb://?driver=rocksdict"}, warm=5_000, updates=20_000),
    "quix": Peer(_quix, {"JOIN_GUARANTEE": "exactly-once"}, warm=10_000, updates=60_000),
    "quix_at_least_once": Peer(_quix, {"JOIN_GUARANTEE": "at-least-once"}, warm=10_000, updates=60_000),
    "kafka_streams": Peer(_kafka_streams(_EXACTLY_ONCE, _UNCACHED, _OPTIMIZED), each_change=False),
    "kafka_streams_at_least_once": Peer(_kafka_streams(_AT_LEAST_ONCE, _UNCACHED, _OPTIMIZED), each_change=False),
    "kafka_streams_caching": Peer(_kafka_streams(_EXACTLY_ONCE, _OPTIMIZED), each_change=False),
}

DEFAULT = ("ours", "faust", "quix", "kafka_streams", "kafka_streams_caching")
"""Those that run when none is named."""
