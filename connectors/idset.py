"""Many record ids in little room: numbers that follow each other become one run (``10x117-346``)."""

import re
from collections.abc import Iterable, Iterator, Sequence

_NUMBERED = re.compile(r"(.*?\D)?([1-9]\d{0,17})")
_RUN = re.compile(r"(.*?)(\d+)-(\d+)")


def pack(ids: Iterable[str]) -> list[str]:
    """The ids as runs, each id once; what does not end in a plain number, or holds a dash, stands alone."""
    numbers: dict[str, list[int]] = {}
    alone: set[str] = set()
    for one in ids:
        found = None if "-" in one else _NUMBERED.fullmatch(one)
        if found is None:
            alone.add(one)
        else:
            numbers.setdefault(found[1] or "", []).append(int(found[2]))
    runs = [run for prefix, found in sorted(numbers.items()) for run in _runs(prefix, sorted(set(found)))]
    return [*runs, *(f"={one}" for one in sorted(alone))]


def unpack(packed: Sequence[str]) -> set[str]:
    """The ids that were packed."""
    return {one for part in packed for one in _ids(part)}


def _runs(prefix: str, numbers: list[int]) -> Iterator[str]:
    first = last = numbers[0]
    for number in [*numbers[1:], -1]:
        if number != last + 1:
            yield f"{prefix}{first}-{last}"
            first = number
        last = number


def _ids(part: str) -> Iterator[str]:
    run = _RUN.fullmatch(part)
    if part.startswith("=") or run is None:
        yield part.removeprefix("=")
        return
    yield from (f"{run[1]}{number}" for number in range(int(run[2]), int(run[3]) + 1))
