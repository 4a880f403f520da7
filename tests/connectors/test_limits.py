"""A connection's limit, shared: between workers of several processes, and between what waits and what may not."""

from connectors.base import Limits
from connectors.limits import Limiter
from tests.connectors.fakes import NOW, slot


def sent(limiter: Limiter, now: int) -> bool:
    with slot(limiter, now) as wait:
        return wait == 0


def in_a_minute(limiter: Limiter) -> int:
    """Requests that may leave in the minute after the first burst."""
    while sent(limiter, NOW):
        pass
    return sum(sent(limiter, NOW + moment) for moment in range(0, 60_000, 20))


def test_a_worker_with_a_part_of_the_partitions_uses_that_part_of_the_limit() -> None:
    whole, half = Limiter(Limits(per_minute=120)), Limiter(Limits(per_minute=120))
    half.share(0.5)
    assert in_a_minute(whole) in {119, 120}
    assert in_a_minute(half) in {59, 60}


def test_a_quarter_of_a_burst_is_kept_back_for_what_must_not_wait() -> None:
    limiter = Limiter(Limits(per_minute=120))
    while limiter.spare(NOW):  # as the bulk lane does
        assert sent(limiter, NOW)
    left = 0
    while sent(limiter, NOW):
        left += 1
    assert left >= 5
    assert not limiter.spare(NOW)
    assert limiter.spare(NOW + 60_000)


def test_without_a_limit_nothing_is_kept_back() -> None:
    limiter = Limiter(Limits())
    assert all(limiter.spare(NOW) and sent(limiter, NOW) for _ in range(1_000))
