"""Keys on a broker: the workspace is the first part of every key, and decides or helps to decide its partition."""

from zlib import crc32

SEPARATOR = "\x1f"
MAIN = "main"
"""The workspace of a project that names none."""


def in_workspace(workspace: str, key: str) -> bytes:
    """A key as it stands on a topic: ``in_workspace("acme", "17") == b"acme\\x1f17"``."""
    return f"{workspace}{SEPARATOR}{key}".encode()


def parted(key: bytes) -> tuple[str, str]:
    """The workspace and the key inside it. Raises ValueError on a key that names no workspace, or is not UTF-8."""
    workspace, separator, rest = key.decode().partition(SEPARATOR)
    if not separator or not workspace:
        raise ValueError("the key does not begin with a workspace")
    return workspace, rest


def home_of(key: bytes, count: int) -> int:
    """The partition among ``count`` of a workspace, or of a key as it stands on a topic: ``in_workspace(w, k)``."""
    return crc32(key) % count


def home(workspace: str, key: str, count: int, spread: bool) -> int:
    """The partition of a message: its workspace's, so that one task has all of it, or its own where that is spread.

    ``key`` is the record of a change event, the relation key, or the journey.
    """
    return home_of(in_workspace(workspace, key) if spread else workspace.encode(), count)
