"""Burrow's rules, case by case: what its own evaluation cases show, with numbers of ours, and what is ours alone."""

from typing import NamedTuple

import pytest

from renkei.lag.burrow import BAD, SEVERITY, Commit, GroupStatus, Status, evaluate, evidence, of_group, to_regain

STOP, REWIND, STALL, WARN, OK = Status


class Case(NamedTuple):
    """Commits as (offset, second, lag), the ends of the log that were seen lately, and the lag of now."""

    commits: list[tuple[int, int, int]]
    ends: list[int]
    lag: int
    now: int
    status: Status


GROWING = [(10, 60, 3), (20, 120, 6), (30, 180, 9), (40, 240, 12)]
GROWING_FROM_ZERO = [(10, 60, 0), (20, 120, 6), (30, 180, 9), (40, 240, 12)]
IDLE = [(70, 60, 0), (71, 61, 0), (72, 62, 0), (73, 63, 0)]

CASES = {
    # The lag grows, but it was zero within the window: a burst, not a fault (Burrow 0).
    "zero lag somewhere is fine": Case(GROWING_FROM_ZERO, [52], 12, 300, OK),
    # As long silent as the commits are apart (180 s) is not yet longer (Burrow 1).
    "silence of just one window is fine": Case(GROWING_FROM_ZERO, [52], 12, 420, OK),
    # A second more: stopped, and that it had no lag once does not help (Burrow 2, its issue 290).
    "silence beyond a window is a stop, zero lag or not": Case(GROWING_FROM_ZERO, [52], 12, 421, STOP),
    # The same where there always was lag (Burrow 3).
    "silence beyond a window is a stop": Case(GROWING, [52], 12, 421, STOP),
    # It commits the same offset again and again, but the window still holds the time without lag (Burrow 4).
    "a stall is not told while zero lag is in the window": Case(
        [(10, 60, 0), (10, 120, 6), (10, 180, 9), (10, 240, 12)], [22], 12, 300, OK
    ),
    # One commit later it is told (Burrow 5).
    "the same offset with growing lag is a stall": Case(
        [(10, 60, 3), (10, 120, 6), (10, 180, 9), (10, 240, 12)], [22], 12, 300, STALL
    ),
    # Nothing new comes in, what is there is not taken: still a stall (Burrow 6).
    "the same offset with the same lag is a stall": Case(
        [(10, 60, 5), (10, 120, 5), (10, 180, 5), (10, 240, 5)], [15], 5, 300, STALL
    ),
    # It went back and is not where it was, though its lag falls again (Burrow 7 of the older rules).
    "a step back is a rewind": Case(
        [(10, 60, 3), (20, 120, 6), (30, 180, 9), (15, 240, 30), (25, 300, 22)], [47], 22, 310, REWIND
    ),
    # It has reached again what it had: the other rules decide (Burrow since it asks whether a rewind was recovered).
    "a regained rewind is forgotten": Case(
        [(10, 60, 3), (20, 120, 6), (30, 180, 9), (15, 240, 30), (30, 300, 20)], [50], 20, 310, OK
    ),
    # There was no lag before the step back; zero lag in the window does not excuse it (Burrow puts rewind before zero).
    "a rewind from zero lag is a rewind": Case(
        [(30, 60, 0), (40, 120, 0), (0, 180, 45), (9, 240, 40)], [49], 40, 250, REWIND
    ),
    # Rewound and then silent: the stop is told, it is worse.
    "a stop hides a rewind": Case([(30, 60, 2), (40, 120, 2), (0, 180, 45)], [49], 45, 301, STOP),
    # No lag now, whatever the commits say, even with silence (Burrow 8).
    "no lag now is fine": Case(GROWING, [40], 0, 1000, OK),
    # Always at the end, then work came and nothing was committed for long (Burrow 9, its issue 290).
    "an idle consumer that does not take new work has stopped": Case(IDLE, [160, 150, 130, 90], 87, 80, STOP),
    # The same, but lately the log ended where it had committed: the work has only just come (Burrow 10, issue 303).
    "work that has only just come is not a stop": Case(IDLE, [74, 73, 73, 73], 1, 80, OK),
    # Offsets move, lag never falls: too slow.
    "lag that never falls is a warning": Case(GROWING, [52], 12, 300, WARN),
    # Offsets move, lag stays: too slow to catch up.
    "lag that stays is a warning": Case([(10, 60, 5), (20, 120, 5), (30, 180, 5)], [35], 5, 190, WARN),
    # One step down is enough: it may catch up.
    "lag that falls once is fine": Case([(10, 60, 5), (20, 120, 9), (30, 180, 8)], [38], 8, 190, OK),
    # Nothing was ever committed: there is nothing to judge.
    "no commits": Case([], [38], 8, 190, OK),
    # One commit shows no pace; Burrow itself would call it a stall.
    "one commit of now": Case([(10, 60, 5)], [15], 5, 60, OK),
    # One commit allows no silence at all, as in Burrow.
    "one commit of before": Case([(10, 60, 5)], [15], 5, 61, STOP),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_verdict_is_burrows(case: Case) -> None:
    commits = [Commit(offset, second * 1000, lag, lag) for offset, second, lag in case.commits]
    assert evaluate(evidence(commits, case.ends, case.lag, case.now * 1000)) == case.status


def test_allowed_lag_counts_as_none() -> None:
    commits = [Commit(offset, second * 1000, lag, lag) for offset, second, lag in GROWING]
    case = evidence(commits, [52], 12, 300_000)
    assert [evaluate(case, allowed) for allowed in (0, 2, 3, 12)] == [WARN, WARN, OK, OK]


def test_an_end_within_the_allowed_lag_was_the_end() -> None:
    commits = [Commit(offset, second * 1000, lag, lag) for offset, second, lag in IDLE]
    case = evidence(commits, [160, 75], 87, 80_000)
    assert [evaluate(case, allowed) for allowed in (0, 1, 2)] == [STOP, STOP, OK]


@pytest.mark.parametrize(
    ("offsets", "regain"),
    [
        ([1, 2, 3], None),
        ([1, 3, 2], 3),
        ([1, 3, 2, 3], None),
        ([5, 1, 4, 2], 5),  # twice back: the highest counts
        ([5, 1, 6, 4], 6),
        ([], None),
    ],
)
def test_what_is_to_regain(offsets: list[int], regain: int | None) -> None:
    assert to_regain(offsets) == regain


def test_the_worst_comes_first() -> None:
    assert sorted(set(Status), key=SEVERITY.__getitem__) == [STOP, REWIND, STALL, WARN, OK]
    assert {status for status in Status if status in BAD} == {STOP, REWIND, STALL}


@pytest.mark.parametrize(
    ("statuses", "group"),
    [
        ([], GroupStatus.NOTFOUND),
        ([OK, OK], GroupStatus.OK),
        ([OK, WARN], GroupStatus.WARN),
        ([WARN, STALL, OK], GroupStatus.ERR),
        ([REWIND], GroupStatus.ERR),
        ([STOP, OK], GroupStatus.ERR),
    ],
)
def test_a_group_is_as_well_as_its_worst_partition(statuses: list[Status], group: GroupStatus) -> None:
    assert of_group(statuses) == group
