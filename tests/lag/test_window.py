"""The window over a consumer: when it is named, what is measured, and what it forgets."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renkei.lag.burrow import BAD, Status
from renkei.lag.window import Window
from schemas.lag import NO_TIME, Observation
from tests.lag.acting import FRAME, START, STEP, Led

TWO_WINDOWS = 2 * FRAME.slots

lives = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60), st.booleans()), max_size=30)
"""What came before: per step how many records come in, how many are taken, and whether anything is committed."""


def lived(led: Led, life: list[tuple[int, int, bool]]) -> None:
    for inflow, taken, commits in life:
        led.topic.append(inflow)
        if commits:
            led.topic.commit(min(led.topic.committed + taken, len(led.topic.stamps)))
        led.look()


@given(lives, st.booleans(), st.integers(0, 5))
def test_a_consumer_that_stops_with_lag_is_named_within_two_windows(
    life: list[tuple[int, int, bool]], tells: bool, inflow: int
) -> None:
    led = Led(tells=tells)
    lived(led, life)
    led.topic.append(1)
    assert led.run(TWO_WINDOWS, inflow=inflow, take=0) == Status.STOP


@given(lives, st.integers(0, 5), st.integers(1, 9))
def test_a_consumer_that_stalls_is_named_within_two_windows(
    life: list[tuple[int, int, bool]], inflow: int, every: int
) -> None:
    led = Led()
    lived(led, life)
    led.topic.append(1)
    statuses = []
    for step in range(TWO_WINDOWS):
        led.topic.append(inflow)
        if step % every == 0:
            led.topic.commit(led.topic.committed)
        statuses.append(led.look().status)
    assert statuses[-1] == Status.STALL


@given(lives, st.integers(1, 40), st.integers(0, 5))
def test_a_rewound_consumer_is_named_until_it_has_regained(
    life: list[tuple[int, int, bool]], pace: int, inflow: int
) -> None:
    led = Led()
    lived(led, life)
    led.run(FRAME.slots, inflow=40)
    reached = led.topic.committed
    led.topic.commit(0)
    assert led.look().status == Status.REWIND
    while led.topic.committed + pace < reached:
        assert led.run(1, inflow=inflow, take=pace) == Status.REWIND
    assert led.run(1, inflow=inflow, take=pace) not in BAD


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 4)), min_size=1, max_size=60),
    st.booleans(),
    st.integers(1, 3 * STEP),
)
def test_a_consumer_that_keeps_up_is_never_bad(life: list[tuple[int, int]], tells: bool, between: int) -> None:
    """It has nothing left to do at every fifth look at least."""
    led = Led(tells=tells)
    for inflow, behind in life:
        led.topic.append(inflow)
        led.topic.commit(max(led.topic.committed, len(led.topic.stamps) - behind))
        assert led.look(after=between).status not in BAD
        led.topic.catch_up()
        assert led.look(after=between).status == Status.OK


@given(st.integers(1, 100), st.integers(1, 200))
def test_an_idle_consumer_is_fine_when_work_has_only_just_come(idle: int, count: int) -> None:
    led = Led()
    led.topic.append(5)
    led.topic.catch_up()
    led.run(idle, inflow=0, take=0)
    led.topic.append(count)
    assert led.look(after=100).status == Status.OK


def test_two_looks_from_a_shell_far_apart_tell_an_idle_consumer_from_a_stopped_one() -> None:
    led = Led()
    led.topic.append(5)
    led.topic.catch_up()
    led.look()
    led.topic.now += 6 * FRAME.span
    led.topic.append(1)
    assert led.look(after=1000).status == Status.OK  # it has waited for a second
    assert led.look(after=FRAME.span + 1).status == Status.STOP


def test_the_age_of_a_record_tells_a_stop_at_once_to_whoever_looks_seldom() -> None:
    led = Led()
    led.topic.append(5)
    led.topic.catch_up()
    led.look()
    led.topic.now += 3 * FRAME.span
    led.topic.append(1)
    assert led.look(after=3 * FRAME.span).status == Status.STOP


def test_the_time_of_a_commit_counts_not_that_of_the_look_after_it() -> None:
    led = Led()
    led.topic.append(20)
    led.look()
    led.topic.now += STEP // 2
    led.topic.commit(3)
    assert led.look(after=FRAME.span - STEP // 2).status == Status.OK
    assert led.look(after=STEP // 2 + 1).status == Status.STOP


def test_a_consumer_that_committed_once_an_hour_is_not_given_hours() -> None:
    led = Led()
    for _ in range(FRAME.slots + 2):
        led.topic.append(100)
        led.topic.commit(led.topic.committed + 50)
        led.look(after=60 * STEP)
    assert led.run(TWO_WINDOWS, take=0) == Status.STOP


def test_records_with_times_of_the_future_hide_no_stop() -> None:
    led = Led()
    led.topic.stamps = [START + 10_000 * STEP] * 5
    assert led.run(TWO_WINDOWS, take=0) == Status.STOP


def test_what_was_stopped_and_runs_again_is_fine_again() -> None:
    led = Led()
    led.run(FRAME.slots)
    assert led.run(TWO_WINDOWS, take=0) == Status.STOP
    assert led.run(1) == Status.OK


def test_a_slow_consumer_is_warned_of() -> None:
    led = Led()
    assert led.run(TWO_WINDOWS, inflow=10, take=9) == Status.WARN
    assert led.run(1, inflow=0, take=9) == Status.OK


def test_nothing_is_said_before_a_window_is_complete() -> None:
    led = Led()
    led.topic.append(1)
    rows = [led.look() for _ in range(FRAME.slots + 2)]
    assert [row.status for row in rows[: FRAME.slots]] == [Status.OK] * FRAME.slots
    assert [round(row.complete, 2) for row in rows[:3]] == [0, 0.1, 0.2]
    assert rows[-1].status == Status.STOP


def test_looks_that_are_close_together_fill_no_window() -> None:
    led = Led()
    led.topic.append(1)
    rows = [led.look(after=1000) for _ in range(1500)]
    named = next(place for place, row in enumerate(rows) if row.status == Status.STOP)
    assert FRAME.span / 1000 <= named <= 2 * FRAME.span / 1000
    window = led.watch._windows["g", "t", 0]
    assert FRAME.slots <= len(window.looks) <= FRAME.slots + 2


def test_a_moment_without_lag_is_not_lost_between_looks_that_become_one() -> None:
    """It is at the end in the middle of each minute; at the end of each minute its lag is larger than ever."""
    led = Led()
    for minute in range(2 * FRAME.slots):
        led.topic.append(5)
        led.topic.catch_up()
        led.look(after=STEP // 3)
        led.topic.append(100)
        led.topic.commit(led.topic.committed + 50 - minute)
        led.look(after=STEP // 3)
        assert led.look(after=STEP - 2 * (STEP // 3)).status == Status.OK


def test_lag_that_goes_without_a_commit_was_none() -> None:
    """Compaction may delete what waits."""
    window = Window()
    for step in range(TWO_WINDOWS):
        late = replace(
            LOOK, committed=5 + step, end=9 + 2 * step, at=START + step * STEP, committed_at=START + step * STEP
        )
        gone = replace(late, oldest_at=None, at=late.at + STEP // 2)
        window = window.seen(late, FRAME).seen(gone, FRAME)
        back = replace(late, at=late.at + STEP // 2 + 1)
        window = window.seen(back, FRAME)
        assert window.status(back, FRAME) == Status.OK


def test_the_brokers_clock_may_be_wrong() -> None:
    """A broker whose clock is an hour slow does not make a busy consumer look stopped."""
    led = Led()
    led.topic.append(10_000)
    for _ in range(TWO_WINDOWS):
        led.topic.append(10)
        led.topic.commit(led.topic.committed + 20)
        led.topic.committed_at -= 60 * STEP
        assert led.look().status not in BAD


def test_a_clock_that_is_set_back_begins_a_new_window_and_forgets_no_rewind() -> None:
    led = Led()
    led.run(FRAME.slots)
    led.topic.commit(1)
    led.look()
    row = led.look(after=-2 * STEP)
    assert (row.complete, row.status) == (0, Status.OK)
    assert led.run(FRAME.slots, take=1) == Status.REWIND


def test_a_topic_made_anew_leaves_nothing_to_regain() -> None:
    led = Led()
    led.run(FRAME.slots + 1)
    del led.topic.stamps[2:]
    led.topic.commit(0)
    assert led.look().status == Status.REWIND
    led.topic.commit(2)
    assert led.look().status == Status.OK
    assert led.watch._windows["g", "t", 0].regain is None


def test_rate_inflow_and_drain() -> None:
    led = Led()
    led.topic.append(600)
    led.look()
    led.run(5, inflow=60, take=120)
    row = led.look(after=0)
    assert (row.rate, row.inflow, row.lag) == (2.0, 1.0, 300)
    assert row.drain == 300


@pytest.mark.parametrize(("inflow", "take", "drain"), [(10, 10, None), (10, 0, None), (0, 600, 0.0)])
def test_drain_is_none_if_it_never_ends_and_zero_if_it_is_done(inflow: int, take: int, drain: float | None) -> None:
    led = Led()
    led.topic.append(600)
    led.look()
    led.run(3, inflow=inflow, take=take)
    assert led.look(after=0).drain == drain


def test_a_step_back_is_no_pace() -> None:
    led = Led()
    led.topic.append(100)
    led.topic.catch_up()
    led.look()
    led.topic.commit(0)
    led.look()
    led.topic.commit(60)
    assert led.look().rate == 0.5


def test_the_first_look_knows_no_pace() -> None:
    led = Led()
    led.topic.append(3)
    row = led.look()
    assert (row.rate, row.inflow, row.drain, row.age) == (None, None, None, 60.0)


LOOK = Observation("g", "t", 0, committed=5, end=9, oldest_at=START - 7000, committed_at=None, at=START)


@pytest.mark.parametrize(
    ("one", "lag", "age"),
    [
        (LOOK, 4, 7.0),
        (replace(LOOK, oldest_at=None), 0, None),  # nothing but markers of transactions
        (replace(LOOK, oldest_at=NO_TIME), 4, None),  # a record without a time
        (replace(LOOK, oldest_at=START + 1), 4, 0.0),  # a clock that is ahead
        (replace(LOOK, committed=9), 0, None),
        (replace(LOOK, committed=12), 0, None),  # beyond the end: the topic was cut
    ],
)
def test_lag_and_age_of_one_look(one: Observation, lag: int, age: float | None) -> None:
    assert (one.lag, one.age) == (lag, age)


def test_markers_alone_never_look_like_a_stop() -> None:
    window = Window()
    for step in range(TWO_WINDOWS):
        look = replace(LOOK, oldest_at=None, end=9 + step, at=START + step * STEP)
        window = window.seen(look, FRAME)
        assert window.status(look, FRAME) == Status.OK
    assert (window.inflow, window.drain(0)) == (0, 0)
