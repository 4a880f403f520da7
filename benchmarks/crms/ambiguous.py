"""A connection that breaks, or stalls, at each byte of a create and its answer: what is there afterwards."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.crms.stand import Kind, Stand
from sandbox.network import Line, Network, Proxy
from sandbox.server import Sandbox
from schemas.commands import Applied, Command

TIMEOUT = 0.15
"""Seconds that the worker waits for an answer: a stalled one costs that much."""

SITES = 12
"""Practice CRMs at once, each with a share of the offsets."""


class Found(NamedTuple):
    """What came of creates whose connections broke, as the CRM's own ledger has it."""

    tried: int
    twice: int
    """Creates with more than one record."""
    lost: int
    """Creates that were reported as applied, and have no record; or that were never reported."""
    unknown: int
    """Creates that are shown to a person, who decides."""


def broken_anywhere(kind: Kind, *, keyed: bool = True, stalls: bool = False) -> Found:
    """Each byte offset of the request and of the answer; in several practice CRMs at once, since most is waiting."""
    with ThreadPoolExecutor(SITES) as sites:
        parts = sites.map(
            lambda first: broken(kind, keyed=keyed, stalls=stalls, every=SITES, first=first), range(SITES)
        )
        return Found(*map(sum, zip(*parts, strict=True)))


def broken(kind: Kind, *, keyed: bool = True, stalls: bool = False, every: int = 1, first: int = 0) -> Found:
    """Every ``every``-th byte offset of the request, then of the answer; a create of its own for each."""
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox, Network() as network:
        sandbox.clock.set(sandbox.clock.now())
        door = network.proxy(sandbox.crm(kind).url.removeprefix("http://"))
        stand = Stand(sandbox, kind, Path(folder), through=f"http://{door.address}", timeout=TIMEOUT if stalls else 10)
        stand.crm.quota.limit = 10**9
        names: list[str] = []
        for number, line in enumerate(_lines(stand, door, stalls, first, every)):
            names.append(f"c{number}")
            _break_once(stand, door, line, _create(stand, names[-1], keyed))
        try:
            return _found(stand, names)
        finally:
            stand.close()


def _lines(stand: Stand, door: Proxy, stalls: bool, first: int, every: int) -> Iterator[Line]:
    """The broken lines: a sound create tells how many bytes there are each way."""
    for name in ("login", "measure"):
        before = door.counted
        stand.put([stand.create(name, f"試し {name}")])
        stand.work()
    after = door.counted
    yield from (Line(limit_up=at, stalls=stalls) for at in range(first + 1, after.up - before.up, every))
    yield from (Line(limit_down=at, stalls=stalls) for at in range(first, after.down - before.down, every))


def _create(stand: Stand, name: str, keyed: bool) -> Command:
    command = stand.create(name, f"試し {name}")
    return command if keyed else msgspec.structs.replace(command, key=None)


def _break_once(stand: Stand, door: Proxy, line: Line, command: Command) -> None:
    """One create over a line that breaks; then the line is sound again, and the worker goes on."""
    stand.put([command])
    worker, close = stand.worker()
    door.set(line)
    worker.turn(stand.clock.now())
    door.heal()
    close()
    stand.work()


def _found(stand: Stand, names: list[str]) -> Found:
    field = stand.words.field
    records = Counter(str(one.fields.get(field)) for one in stand.effects() if one.operation == "insert")
    outcomes = stand.outcomes()
    unknown = {entry.command.id for entry in stand.unknown()}
    made = {name: records[f"試し {name}"] for name in names}
    lost = [name for name in names if name not in unknown and not _is_there(outcomes.get(name), made[name])]
    return Found(len(names), sum(count > 1 for count in made.values()), len(lost), len(unknown))


def _is_there(outcome: object, records: int) -> bool:
    return isinstance(outcome, Applied) and records > 0
