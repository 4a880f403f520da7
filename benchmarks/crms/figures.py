"""The figures of the suite ``crms``; each checks first that nothing was lost, doubled or wrong."""

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.crms import ambiguous, calls, live, storm, sync
from benchmarks.crms.stand import KINDS, Kind
from benchmarks.figures import Figure, measured, say

UPDATES, RECORDS = 50_000, 10_000
MINUTES = 5.0
BACKLOG, SAMPLES = 100_000, 60
FEWEST: dict[Kind, int] = {"salesforce": 50, "zoho": 100, "vtiger": 10_000}
"""Calls for so many records at the vendors' most rows per call, whatever our connectors believe that to be."""
CREDITS = 1_000
"""What 10,000 updated records cost in Zoho: one for every ten rows."""
EDITS, PEOPLE = 10_000, 1_000


def figures(names: frozenset[str]) -> Iterator[Figure]:
    """All figures, or those named."""
    for name, figure in _FIGURES.items():
        if not names or any(one.startswith(name) or name.startswith(one) for one in names):
            yield from figure()


def _calls(name: str, kind: Kind) -> Iterator[Figure]:
    def run() -> float:
        found = calls.counted(kind, UPDATES, RECORDS)
        assert (found.wrong, found.writes, found.fewest) == (0, RECORDS, FEWEST[kind]), found
        assert kind != "zoho" or found.units <= 1.1 * CREDITS, found
        say(f"{kind}: {found}")
        return found.ratio

    yield measured(name, "calls over the fewest possible", "at most 1.10", run, runs=1)


def _storm() -> Iterator[Figure]:
    say(f"storm: {MINUTES:g} minutes of a moved clock, one of them with half of all calls refused")
    found = storm.weather("vtiger", MINUTES)
    assert (found.lost, found.twice) == (0, 0), found
    attempts, used = found.attempts_per_command, found.rate_used
    yield Figure("storm_attempts_per_command", attempts, "attempts", "at most 1.1", (attempts,))
    yield Figure("storm_rate_used", used, "of what the CRM would have taken in", "at least 0.95", (used,))


def _live() -> Iterator[Figure]:
    run = partial(live.ratio, "salesforce", BACKLOG, SAMPLES)
    yield measured("live_p99_ratio", "p99 beside a backlog of 100,000 over the quiet p99", "at most 2", run, runs=3)


def _ambiguous() -> Iterator[Figure]:
    twice = unknown = 0
    for kind in KINDS:
        for stalls in (False, True):
            keyed = ambiguous.broken_anywhere(kind, stalls=stalls)
            keyless = ambiguous.broken_anywhere(kind, keyed=False, stalls=stalls)
            say(f"{kind}, {'stalled' if stalls else 'reset'}: {keyed}, without a key {keyless}")
            assert keyed.lost == keyless.lost == 0
            twice += keyed.twice + keyless.twice
            unknown += keyed.unknown
    yield Figure("ambiguous_effects_twice", twice, "creates with more than one record", "0", (twice,))
    yield Figure("ambiguous_unknown", unknown, "creates with a key that a person must decide", "0", (unknown,))


def _sync() -> Iterator[Figure]:
    say(f"sync: {EDITS:,} edits of {PEOPLE:,} people who are in two CRMs")
    found = sync.synced(EDITS, PEOPLE, seed=1)
    say(f"sync: {found}")
    assert (found.trouble, found.doubled) == (0, 0), found
    yield Figure("sync_differences", found.differences, "fields that differ", "0", (found.differences,))
    yield Figure(
        "sync_max_hops", found.most_hops, "writes of ours that carry one edit", "at most 2", (found.most_hops,)
    )


_FIGURES: dict[str, Callable[[], Iterator[Figure]]] = {
    "calls_ratio_salesforce": partial(_calls, "calls_ratio_salesforce", "salesforce"),
    "calls_ratio_zoho": partial(_calls, "calls_ratio_zoho", "zoho"),
    "calls_ratio_vtiger": partial(_calls, "calls_ratio_vtiger", "vtiger"),
    "storm": _storm,
    "live_p99_ratio": _live,
    "ambiguous": _ambiguous,
    "sync": _sync,
}
