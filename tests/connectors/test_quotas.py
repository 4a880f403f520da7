"""A vendor's quota, its refusals, and the retry budget: what is spent, who is slowed, and when it ends (D-101)."""

from random import Random

import pytest

from connectors.base import Limits, Pressure, Usage
from connectors.limits import RANKS, Limiter, Rank
from connectors.pace import Concurrency
from connectors.quota import Quota
from connectors.retries import RESERVE, RetryBudget
from connectors.view import view
from schemas.values import DAY, HOUR, MINUTE, SECOND
from tests.connectors.fakes import NOW, slot


def limiter(**limits: int) -> Limiter:
    return Limiter(Limits(**limits), Random(3))


def sent(one: Limiter, now: int, rank: Rank = "rule", price: int = 1) -> int:
    """Milliseconds that a request has to wait; it is over at once where it need not."""
    with slot(one, now, rank, price) as wait:
        return wait


def test_what_is_spent_comes_back_a_day_later_and_a_step_at_a_time() -> None:
    quota = Quota(DAY, 100)
    quota.spend(60, "rule", NOW)
    quota.spend(40, "bulk", NOW + HOUR)
    assert (quota.left(NOW + HOUR), quota.by_rank(NOW + HOUR)) == (0, {"rule": 60, "bulk": 40})
    assert quota.left(NOW + DAY + DAY // 96) == 60
    assert quota.left(NOW + DAY + 2 * HOUR) == 100


def test_what_the_crm_tells_wins_over_our_own_count_and_ours_goes_on_from_there() -> None:
    quota = Quota(DAY)
    quota.spend(5, "rule", NOW)
    assert (quota.left(NOW), quota.used(NOW)) == (None, 5)
    quota.hear(Usage(quota="day", left=900, most=1_000), NOW)
    quota.spend(10, "rule", NOW + SECOND)
    assert (quota.left(NOW + SECOND), quota.used(NOW + SECOND)) == (890, 110), "others used 95"
    assert quota.left(NOW + DAY + SECOND) == 1_000, "what was told yesterday counts no more"


def test_the_forecast_is_that_of_the_last_hour() -> None:
    one = limiter(per_day=1_000)
    assert view(one.state(NOW), NOW).ends_at is None
    for moment in range(60):
        one.spend(NOW + moment * MINUTE, "rule", 10)
    at = NOW + HOUR
    ends_at = view(one.state(at), at).ends_at
    assert ends_at is not None
    assert 0.5 * HOUR < ends_at - at < 1.5 * HOUR, "400 are left, 600 an hour are used"
    assert view(one.state(at), at + 3 * HOUR).ends_at is None, "nobody calls any more"


def test_nobody_calls_while_a_quota_is_known_to_be_empty() -> None:
    one = limiter()
    one.hear([Usage(quota="day", left=0, most=1_000, resets_at=NOW + 7 * HOUR)], NOW)
    assert all(sent(one, NOW + MINUTE, rank) == 7 * HOUR - MINUTE for rank in RANKS)
    assert sent(one, NOW + 7 * HOUR) == 0


def test_a_quota_that_does_not_say_when_it_is_full_again_is_asked_every_quarter_of_an_hour() -> None:
    one = limiter()
    until = one.press(Pressure(kind="spent"), NOW)
    assert NOW < until <= NOW + DAY // 96
    assert (sent(one, until - 1), sent(one, until)) == (1, 0)


def test_a_call_waits_that_costs_more_than_is_left() -> None:
    one = limiter(per_day=100)
    one.spend(NOW, "rule", 95)
    assert sent(one, NOW, price=10) > 0
    other = limiter(per_day=100)
    other.spend(NOW, "rule", 95)
    assert sent(other, NOW, price=5) == 0


def test_at_four_fifths_those_who_may_wait_are_slowed_and_nobody_is_stopped() -> None:
    """G30"""
    one = limiter(per_day=1_000)
    assert one.warning(NOW) == ""
    one.spend(NOW, "rule", 799)
    assert [sent(one, NOW, rank) for rank in RANKS] == [0, 0, 0, 0, 0], "the calls by which it comes to 80 %"
    assert one.warning(NOW) == "196 of 1000 calls of the day are left"
    assert one.warning(NOW) == "", "once"
    waits = {rank: sent(one, NOW, rank) for rank in RANKS}
    assert (waits["interactive"], waits["rule"]) == (0, 0)
    assert 2 * DAY / 200 * 0.9 < waits["schedule"] < 2 * DAY / 190
    assert waits["bulk"] > 1.9 * waits["schedule"]
    assert sent(one, NOW + waits["bulk"], "bulk") == 0


def test_a_quota_of_unknown_size_is_nearly_used_by_what_is_told_of_it() -> None:
    """Zoho tells only what is left, and only from half of the day's credits on (fact sheet 4)."""
    one = limiter()
    one.hear([Usage(quota="day", left=2_000, from_half=True)], NOW)
    seen = view(one.state(NOW), NOW)
    assert (seen.left, seen.of, seen.at_least) == (2_000, None, 4_000)
    assert (one.warning(NOW), sent(one, NOW, "bulk"), sent(one, NOW, "bulk")) == ("", 0, 0)
    one.hear([Usage(quota="day", left=790, from_half=True)], NOW)
    assert one.warning(NOW) == "790 of at least 4000 calls of the day are left"
    assert sent(one, NOW, "bulk") == 0
    assert sent(one, NOW, "bulk") > MINUTE, "the backlog is slowed"
    assert sent(one, NOW, "rule") == 0, "rules go on"


def test_a_slowed_backlog_never_uses_up_what_is_left() -> None:
    one = limiter(per_day=1_000)
    one.spend(NOW, "rule", 850)
    at, calls = NOW, 0
    while at < NOW + DAY - HOUR:
        wait = sent(one, at, "bulk")
        calls += wait == 0
        at += max(wait, 1)
    assert 20 < calls < 75, "a quarter of 150 and less"


def test_a_restart_goes_on_counting() -> None:
    one = limiter(per_day=1_000)
    one.spend(NOW, "bulk", 700)
    other = limiter(per_day=1_000)
    other.restore(one.saved(NOW))
    other.restore(b"of another release")
    assert view(other.state(NOW), NOW).left == 300
    smaller = limiter(per_day=800)
    smaller.restore(one.saved(NOW))
    assert view(smaller.state(NOW), NOW).left == 100, "the project file was changed in between"


def test_refusals_in_a_row_make_rests_longer_and_one_acceptance_makes_them_short_again() -> None:
    def longest(refusals: int) -> int:
        rests = []
        for seed in range(30):
            one, at = Limiter(Limits(), Random(seed)), NOW
            for _ in range(refusals):
                rest = one.press(Pressure(kind="busy"), at) - at
                at += rest
            rests.append(rest)
        return max(rests)

    assert longest(1) <= 400 < longest(6) <= 2 * SECOND
    assert 30 * SECOND < longest(25) <= MINUTE
    one = limiter()
    for at in range(NOW, NOW + 20):
        one.press(Pressure(kind="busy"), at)
    one.accepted()
    assert one.press(Pressure(kind="busy"), NOW + HOUR) <= NOW + HOUR + 400


def test_the_crms_own_word_on_when_to_come_back_counts() -> None:
    one = limiter()
    assert one.press(Pressure(kind="busy", after=42.0), NOW) == NOW + 42_000
    assert sent(one, NOW + 41_000) == 1_000


def test_a_minute_that_the_crm_counts_is_kept_too() -> None:
    one = limiter(per_minute=600)
    one.hear([Usage(quota="minute", left=1, most=60, resets_at=NOW + 30_000)], NOW)
    assert (sent(one, NOW), sent(one, NOW) > 500) == (0, True)
    one.hear([Usage(quota="minute", left=0, most=60, resets_at=NOW + 30_000)], NOW)
    assert sent(one, NOW) == 30_000


def test_concurrency_falls_by_half_on_refusal_and_rises_by_one_a_round() -> None:
    one = Concurrency(8)
    one.busy = 8
    one.refused()
    one.refused()
    assert one.size == 4, "what was refused together is one refusal"
    for _ in range(40):
        one.answered(0.1)
    assert 7 < one.size <= 8


def test_concurrency_falls_when_answers_take_longer_and_never_below_one() -> None:
    one = Concurrency(4)
    one.busy = 1
    for _ in range(5):
        one.answered(0.1)
    for _ in range(100):
        one.answered(1.0, rows=200)
    assert one.size == 4, "many rows take their time: they are compared with their like"
    for _ in range(100):
        one.answered(2.0)
    assert 1.0 <= one.size < 1.5


def test_who_may_wait_leaves_a_place_to_who_may_not() -> None:
    one = limiter(at_once=2)
    with slot(one, NOW, "bulk") as first, slot(one, NOW, "bulk") as second, slot(one, NOW, "rule") as third:
        assert (first, second > 0, third) == (0, True, 0)


def test_a_backlog_and_the_capture_come_back_from_a_storm_though_nobody_else_works() -> None:
    one, now = limiter(at_once=4), NOW
    for _ in range(6):
        assert one.enter(now, "bulk") == 0
        one.leave(0.1)
        one.press(Pressure(kind="busy"), now)
        now += MINUTE
    assert one.state(now).concurrency == 1
    assert (one.wait(now, "capture"), one.wait(now, "bulk")) == (0, 0)
    for moment in range(9):
        assert one.enter(now + moment * SECOND, "bulk") == 0
        one.leave(0.1)
    assert one.state(now).concurrency > 1, "and there is room again for what must not wait"


@pytest.mark.parametrize("firsts", [0, 1_000, 5_000])
def test_repetitions_stay_a_tenth_of_the_first_attempts(firsts: int) -> None:
    budget = RetryBudget()
    budget.earn(firsts)
    repeated = 0
    while budget.wait(1, NOW) == 0:
        repeated += 1
    assert repeated <= RESERVE + firsts / 10 + 1
    assert budget.wait(100, NOW + MINUTE) == 0, "one request a minute probes, whatever it carries"
    assert budget.wait(1, NOW + MINUTE) == MINUTE
