"""The watch over all consumers: what it remembers from run to run, its order, and its groups."""

from pathlib import Path

from renkei.lag.burrow import GroupStatus, Status
from renkei.lag.watch import FILE, History, LagWatch, by_group
from schemas.lag import Observation
from tests.lag.acting import FRAME, START, STEP, Led


def test_a_window_outlives_the_program(tmp_path: Path) -> None:
    led = Led(history=History(tmp_path / "new" / FILE))
    led.run(FRAME.slots)
    led.topic.append(1)
    for _ in range(FRAME.slots + 2):
        led.watch = LagWatch(led.topic, FRAME, history=History(tmp_path / "new" / FILE))  # as a new run would
        row = led.look()
    assert (row.status, row.complete) == (Status.STOP, 1)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [FILE]


def test_a_rewind_outlives_the_program(tmp_path: Path) -> None:
    led = Led(history=History(tmp_path / FILE))
    led.run(FRAME.slots + 1)
    led.topic.commit(3)
    led.look()
    led.watch = LagWatch(led.topic, FRAME, history=History(tmp_path / FILE))
    assert led.run(1, take=1) == Status.REWIND


def test_a_damaged_file_costs_one_window_and_no_more(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('[["g", "t"', encoding="utf-8")
    led = Led(history=History(tmp_path / FILE))
    assert led.look().complete == 0
    assert led.look().complete > 0


class Shown:
    """An observer that shows what it is given."""

    def __init__(self, *looks: Observation) -> None:
        self.looks = list(looks)

    def observe(self) -> list[Observation]:
        """What it was given."""
        return self.looks


def look(group: str, partition: int, lag: int, waits: int = 0, at: int = START) -> Observation:
    return Observation(group, "t", partition, 100, 100 + lag, at - waits if lag else None, None, at)


def test_the_worst_comes_first_then_what_has_waited_longest() -> None:
    watch = LagWatch(Shown(look("a", 0, 0), look("a", 1, 5, 1000), look("b", 0, 1, 9000), look("b", 1, 3, 1000)), FRAME)
    assert [(row.group, row.partition) for row in watch.look()] == [("b", 0), ("a", 1), ("b", 1), ("a", 0)]


def test_a_group_in_one_line() -> None:
    shown = Shown(look("a", 0, 4), look("a", 1, 7), look("b", 0, 0))
    watch = LagWatch(shown, FRAME)
    watch.look()
    later = START + FRAME.span + STEP
    shown.looks = [look("a", 0, 4, 2 * FRAME.span, later), look("a", 1, 7, at=later), look("a", 2, 1, at=later)]
    (one,) = by_group(watch.look())
    assert (one.group, one.status, one.totallag, one.maxlag.partition) == ("a", GroupStatus.ERR, 12, 1)
    assert one.complete == 2 / 3


def test_what_has_not_been_seen_for_a_day_is_forgotten(tmp_path: Path) -> None:
    history = History(tmp_path / FILE)
    shown = Shown(look("a", 0, 4), look("b", 0, 4))
    watch = LagWatch(shown, FRAME, history=history)
    watch.look()
    shown.looks = [look("b", 0, 4, at=START + 25 * 60 * STEP)]
    watch.look()
    assert list(history.load()) == [("b", "t", 0)]


def test_nobody_to_watch() -> None:
    assert LagWatch(Shown()).look() == ()
    assert list(by_group(())) == []
