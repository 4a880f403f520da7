"""``python -m benchmarks kafka``: the figures of the join, peers and ours on one broker in one run."""

import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.join.peers import DEFAULT, PEERS
from benchmarks.join.runner import Measured, PeerError, run, say
from sandbox.broker.cluster import Cluster

RUNS = int(os.environ.get("JOIN_RUNS", "3"))
OURS = "ours"
RATIOS = {
    "join_ratio_faust": ("faust", "at least 10"),
    "join_ratio_quix": ("quix", "over 1"),
    "join_ratio_kafka_streams": ("kafka_streams", "at least 1"),
}
"""Ours to theirs, in changes per CPU-second: the figure, the peer, and what is wanted."""


def figures(names: frozenset[str]) -> Iterator[Figure]:
    """The usual peers, or those named (see ``peers.PEERS``), and how ours compares with those that ran."""
    # Ended from outside, this program still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before all was measured"))
    chosen = [name for name in PEERS if name in names] or list(DEFAULT)
    with tempfile.TemporaryDirectory(prefix="join-broker-") as folder, Cluster(Path(folder)) as broker:
        yield from compared(broker.bootstrap, chosen, RUNS)


def compared(bootstrap: str, names: list[str], runs: int) -> Iterator[Figure]:
    """All peers in turn, run by run, so that a slow moment of the machine does not hit one of them only."""
    results: dict[str, list[Measured]] = {}
    for number in range(runs):
        for name in names:
            say(f"join: {name}, run {number + 1} of {runs}")
            results.setdefault(name, []).extend(_measured(bootstrap, name))
    for name, measured in results.items():
        if measured:
            yield from _of_peer(name, measured)
    yield from _ratios(results)


def _measured(bootstrap: str, name: str) -> Iterator[Measured]:
    """The run, or nothing, and why."""
    try:
        measured = run(bootstrap, f"join.{time.time_ns()}", PEERS[name])
    except PeerError as error:
        say(f"  does not count: {error}")
        return
    say(f"  {measured.per_cpu_second:,.0f} per CPU-second, {measured.per_second:,.0f} per second")
    yield measured


def _of_peer(name: str, measured: list[Measured]) -> Iterator[Figure]:
    for what, unit, values in (
        ("per_cpu_s", "changes per CPU-second", [one.per_cpu_second for one in measured]),
        ("per_s", "changes/s", [one.per_second for one in measured]),
    ):
        yield Figure(f"join_{name}_{what}", statistics.median(values), unit, "stated", tuple(values))


def _ratios(results: dict[str, list[Measured]]) -> Iterator[Figure]:
    """Run by run, where both counted; the median of these."""
    for figure, (peer, target) in RATIOS.items():
        pairs = zip(results.get(OURS, []), results.get(peer, []), strict=False)
        values = [ours.per_cpu_second / theirs.per_cpu_second for ours, theirs in pairs]
        if values:
            yield Figure(figure, statistics.median(values), "x per CPU-second", target, tuple(values))
