"""The jars of Apache Kafka: fetched once by Maven, compared with a list of checksums, kept in the user's cache."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sandbox.broker.errors import BrokerError, BrokerUnavailableError

_HERE = Path(__file__).parent
VERSION = "4.1.1"
CHECKSUMS = _HERE / "checksums.txt"
"""``sha256  name`` per jar, as sha256sum writes it."""

_FETCH_SECONDS = 600
_JAVA = "Kafka needs Java 17 or newer: install it (Debian: openjdk-17-jre-headless) or set JAVA_HOME."
_MAVEN = "Kafka is fetched by Maven: install it (Debian: maven), once; later starts need Java only."


def cache_folder() -> Path:
    """Where the jars of this version are kept, outside of the repository."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "renkei" / f"kafka-{VERSION}"


class Java(NamedTuple):
    """A Java to run Kafka with."""

    path: str
    build: str
    """What tells it from others: a few characters of a file name."""


@cache
def java() -> Java:
    """The ``java`` to use: of JAVA_HOME, else of PATH. Raises BrokerUnavailableError: none, or one before 17."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        raise BrokerUnavailableError(f"there is no java. {_JAVA}")
    asked = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    told = asked.stderr + asked.stdout
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < 17:
        raise BrokerUnavailableError(f"{found} is not Java 17 or newer. {_JAVA}")
    return Java(found, hashlib.sha256(told.encode()).hexdigest()[:12])


def jars(folder: Path | None = None) -> Path:
    """The folder of checked jars, fetched if need be; others who want them at the same time wait.

    Raises BrokerUnavailableError when they cannot be fetched, BrokerError when one differs from the list.
    """
    wanted = folder or cache_folder()
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with alone(wanted.with_name(f"{wanted.name}.lock")):
        if not wanted.exists():
            _fetch(wanted)
        check(wanted)
    return wanted


def check(folder: Path) -> None:
    """Compare the jars of a folder with the list. Raises BrokerError with the name of one that differs."""
    listed = {name: digest for digest, name in map(str.split, CHECKSUMS.read_text(encoding="ascii").splitlines())}
    present = {path.name for path in folder.glob("*.jar")}
    for name in sorted(present ^ set(listed)):
        raise BrokerError(f"{name} is {_whereabouts(name, present)} of {CHECKSUMS.name}. {_again(folder)}")
    for name, expected in listed.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
            raise BrokerError(f"the checksum of {name} is not that of {CHECKSUMS.name}. {_again(folder)}")


def _whereabouts(name: str, present: set[str]) -> str:
    return "here, but not a jar" if name in present else "not here, but a jar"


def _again(folder: Path) -> str:
    return f"Remove {folder} and start again; if it comes again, do not use what was fetched."


def _fetch(wanted: Path) -> None:
    """Let Maven bring the jars, beside their place; they come into it whole and checked, or not at all."""
    with tempfile.TemporaryDirectory(prefix=f"{wanted.name}.", dir=wanted.parent) as beside:
        arrived = Path(beside) / "jars"
        _run_maven(arrived)
        check(arrived)
        arrived.rename(wanted)


def _run_maven(target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailableError(f"there is no mvn. {_MAVEN}")
    words = [maven, "-q", "-B", "-f", str(_HERE / "pom.xml"), "dependency:copy-dependencies"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            [*words, f"-DoutputDirectory={target}"], capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise BrokerUnavailableError(f"Maven brought no Kafka in {_FETCH_SECONDS} s. Look at its settings.") from None
    if done.returncode:
        why = next((line for line in done.stdout.splitlines() if line.startswith("[ERROR]")), "it says nothing")
        raise BrokerUnavailableError(f"Maven could not fetch Kafka: {why}. Look at the network and Maven's settings.")


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock file; whoever else wants it waits, in this program or another."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
