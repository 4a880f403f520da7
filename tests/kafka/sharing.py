"""One cluster for several test workers: the first starts it, the last ends it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.broker.cluster import Cluster


@contextmanager
def shared(folder: Path, watched: int) -> Iterator[Cluster]:
    """The cluster of a folder while anybody uses it; it also ends when the program ``watched`` does."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _come(folder, watched)
    try:
        yield Cluster.of(folder)
    finally:
        _go(folder)


def _come(folder: Path, watched: int) -> None:
    """Count one user more, and start the cluster for the first."""
    with _users(folder) as users:
        users.append(users.pop() + 1)
        if users[0] == 1:
            Cluster(folder, watched=watched).start()


def _go(folder: Path) -> None:
    with _users(folder) as users:
        users.append(users.pop() - 1)
        if users[0] == 0:
            Cluster.of(folder).kill()


@contextmanager
def _users(folder: Path) -> Iterator[list[int]]:
    """How many use the cluster, alone with it; written back when nothing went wrong."""
    with folder.with_name(f"{folder.name}.users").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        users = [int(file.read() or 0)]
        yield users
        file.truncate(0)
        file.write(str(users[0]))
        file.flush()
