"""When a tab is read: by its interval, after a failure, and at once on a hint, but never in a frenzy."""

from connectors.base import Polled
from renkei.timetable import HINT_GAP, RETRY_AFTER, Timetable, Wake
from schemas.events import ChangeEvent
from schemas.values import HOUR, SECOND

NOW = 1_800_000_000_000
DEALS, DEMOS = "zoho:Deals", "zoho:Demos"
NOTHING = Polled(events=[], position=b"")
EVENT = ChangeEvent(tab=DEALS, record_id="1", op="update", committed_at=NOW, seen_at=NOW, source_position=1)
SOMETHING = Polled(events=[EVENT], position=b"")


class Told:
    """Hints that a story tells."""

    def __init__(self) -> None:
        self.next: set[str] | None = set()
        self.problem = ""

    def open(self, wake: Wake) -> None:
        """Nobody is woken here."""

    def heard(self, now: int) -> tuple[set[str] | None, int | None]:
        heard, self.next = self.next, set()
        return heard, NOW + HOUR

    def close(self) -> None:
        """Nothing to end."""


def rested() -> tuple[Timetable, Told]:
    """Both tabs were just read, and are due again in an hour."""
    told = Told()
    table = Timetable([DEALS, DEMOS], HOUR, told)
    assert table.is_due(DEALS, NOW)
    for name in (DEALS, DEMOS):
        table.polled(name, SOMETHING, NOW)
    return table, told


def test_a_hint_makes_its_tab_due_and_no_other() -> None:
    table, told = rested()
    told.next = {DEALS}
    table.listen(NOW + HINT_GAP)
    assert table.is_due(DEALS, NOW + HINT_GAP)
    assert not table.is_due(DEMOS, NOW + HINT_GAP)


def test_after_a_gap_all_tabs_are_due() -> None:
    table, told = rested()
    told.next = None
    table.listen(NOW + HINT_GAP)
    assert table.is_due(DEALS, NOW + HINT_GAP)
    assert table.is_due(DEMOS, NOW + HINT_GAP)


def test_a_storm_of_hints_reads_a_tab_once_a_second() -> None:
    table, told = rested()
    reads = 0
    for at in range(NOW, NOW + 10 * SECOND, 10):
        told.next = {DEALS}
        table.listen(at)
        if table.is_due(DEALS, at):
            table.polled(DEALS, SOMETHING, at)
            reads += 1
    assert reads == 9


def test_what_a_hint_told_of_and_is_not_there_yet_is_looked_for_again_soon() -> None:
    table, told = rested()
    told.next = {DEALS}
    table.listen(NOW + HINT_GAP)
    table.polled(DEALS, NOTHING, NOW + HINT_GAP)
    assert table.next_at == NOW + HINT_GAP + RETRY_AFTER
    table.polled(DEALS, NOTHING, NOW + HINT_GAP + RETRY_AFTER)
    assert not table.is_due(DEALS, NOW + HINT_GAP + 2 * RETRY_AFTER)


def test_what_is_wrong_with_hints_is_told_and_polling_goes_on() -> None:
    table, told = rested()
    told.problem = "notices: the address is taken"
    assert table.listen(NOW) == "notices: the address is taken"
    assert table.is_due(DEALS, NOW + HOUR)
