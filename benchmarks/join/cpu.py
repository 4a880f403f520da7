"""CPU time of a child and all below it, as Linux counts it."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _UTIME, _CSTIME = 1, 11, 14
"""Fields of /proc/PID/stat behind the name, counted from 0: ppid, and utime stime cutime cstime."""


def cpu_seconds(pid: int) -> float:
    """User and system time so far of this child of ours and of its children, also those that have ended."""
    fields = {int(path.name): found for path in Path("/proc").glob("[0-9]*") if (found := _stat(path))}
    tree = {pid}
    while grown := {one for one, found in fields.items() if int(found[_PARENT]) in tree} - tree:
        tree |= grown
    return sum(sum(map(int, fields[one][_UTIME : _CSTIME + 1])) for one in tree & fields.keys()) / _TICKS


def _stat(folder: Path) -> list[str]:
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
