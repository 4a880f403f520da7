"""Each rule of the protocol taken away: a story that has it for its subject must then fail (protocol, section 8).

Random runs of a few hundred would let the rare ones be deleted unnoticed.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rules.book import Book
from rules.rounds import Limits
from rules.trees import join_values
from rules.view import View
from schemas import topics
from schemas.events import ChangeEvent
from schemas.messages import Fact, Row
from schemas.values import DAY, Image, Ref
from streams import wire
from streams.flow import Stages
from streams.hostile import Host, Hostile, Position
from streams.hostile_flows import HostileFlows
from streams.journeys import Journeys
from streams.journeystate import Journey, Seen, Settled, Want
from streams.keystate import Key, Left, Pass
from streams.records import Records, RecordState
from streams.relations import Relations
from streams.stage import Output, Place
from streams.store import Entry, Origin
from tests.protocol import test_commit as commit
from tests.protocol import test_deleting as deleting
from tests.protocol import test_joining as joining
from tests.protocol import test_moving as moving
from tests.protocol import test_paging as paging
from tests.protocol import test_storms as storms
from tests.protocol.storms import Parts, new_world

Story = Callable[[Parts], None]
Sent = list[tuple[Output, int, Origin]]


# -- records ------------------------------------------------------------------


class AnySourceOrder(Records):
    def _is_stale(self, event: ChangeEvent, state: RecordState) -> bool:
        return False


class OldKeyNotTold(Records):
    def _named(self, field: str, folds: bool, before: Image | None, after: Image | None) -> list[str]:
        return list(join_values(after, field, folds)) if after is not None else []


# -- relations ------------------------------------------------------------------


class NoLeftRows(Relations):
    def _left(self, key: str, fact: Fact) -> Left | None:
        return None


class NoBarrier(Relations):
    def _passes_of(self, tab: str) -> list[tuple[str, Ref]]:
        return []


class OvertakenBeginsAgain(Relations):
    def _overtake(self, running: Pass, fact: Fact) -> Pass:
        return Pass("", "", False, fact)


class OvertakenStopsAtTheEnd(Relations):
    def _overtake(self, running: Pass, fact: Fact) -> Pass:
        return Pass(running.cursor, "", False, fact)


class ManyGos(Relations):
    def _wants_go(self, state: Key) -> bool:
        return bool(state.passes or state.answers)


class NeverSwept(Relations):
    def _sweep(self, before: int) -> None:
        return


class OneMarkerIsEnough(Relations):
    def __init__(self, place: Place, stored: dict[str, dict[str, bytes]], *, page: int = 500) -> None:
        super().__init__(place._replace(records=1), stored, page=page)


class Deaf(Relations):
    """The partition does not hear of a message again that its key has applied already."""

    def note(self, key: str, message: Any) -> None:
        return


# -- journeys ------------------------------------------------------------------


class AnyVersion(Journey):
    def _is_newer(self, record: Fact | Row, old: Seen) -> bool:
        return True


class FloorsForEver(Journey):
    floor_ttl = 1000 * DAY


class ImagesAreBelieved(Journey):
    def trusted(self, ref: Ref, at: int) -> bool:
        return self.seen[ref].image is not None


class NothingIsNews(Journey):
    def _is_news(self, seen: Seen, want: Want) -> bool:
        return False


class EverythingIsNews(Journey):
    def _is_news(self, seen: Seen, want: Want) -> bool:
        return True


class HiddenUntilAnswered(Journey):
    def _on_credit(self, seen: Seen, want: Want, at: int) -> bool:
        return want.done and super()._on_credit(seen, want, at)


class AnySeekNumber(Journey):
    def is_current(self, key: str, seek: int) -> bool:
        return key in self.head.want


class NeverAskedAgain(Journey):
    def ask_again(self, now: int) -> list[tuple[str, int]]:
        for want in self.head.want.values():
            want.credit = None
        return super().ask_again(now)


class OnlyListedAreRechecked(Journey):
    def _forget_key(self, key: str) -> list[Ref]:
        listed = [ref for ref, seen in self.seen.items() if key in seen.listed]
        return [ref for ref in super()._forget_key(key) if ref in listed]


class ClosedKeysUnnoticed(Journey):
    def settle(self, touched: list[Ref], at: int) -> Settled:
        return super().settle(touched, at)._replace(closed=False)


class TimesForgotten(Journey):
    def _rebuild(self) -> None:
        self.head.since = []
        super()._rebuild()


class NobodyWaitsForAnswers(Journeys):
    def view(self, journey: Journey) -> View:
        return View(self._book, journey.join, self._known, frozenset())


class RecordsAloneMakeATabKnown(Journeys):
    def __init__(
        self, book: Book, place: Place, stored: dict[str, dict[str, bytes]], dues: Mapping[str, int] | None = None, *,
        limits: Limits | None = None, channels: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(book, place._replace(relations=0), stored, dues, limits=limits, channels=channels)


# -- the runtime ------------------------------------------------------------------


class EveryOriginIsNew(Hostile):
    def repeated(self, position: Position, entry: Entry) -> bool:
        return False


class AppliedTwice(Hostile):
    def _applied(self, host: Host, entry: Entry) -> bool:
        return False


class PositionFirst(Hostile):
    def _commit_in_order(self, host: Host, stage: Any, position: Position, outputs: Sent) -> None:
        host.position = position
        super()._commit_in_order(host, stage, position, outputs)


class OutputsLast(Hostile):
    def _commit_in_order(self, host: Host, stage: Any, position: Position, outputs: Sent) -> None:
        super()._commit_in_order(host, stage, position, [])
        self._send_or_die(outputs)


class OneOrderForAllTopics(HostileFlows):
    """What was read of one topic makes older messages of another one repetitions."""

    def take(self, host: Host, size: int) -> None:
        for stage in topics.STAGES:
            for upstream, origin in self.host(stage, host.number).position.seen.items():
                host.position.seen[upstream] = max(origin, host.position.seen.get(upstream, origin))
        super().take(host, size)


class FactsLeaveMarkersStay(HostileFlows):
    """A channel of which one half is quicker than the other."""

    def stays(self, number: int) -> Callable[[Output], bool]:
        usual = super().stays(number)
        return lambda output: type(output.message) is not Fact and usual(output)


class AllStay(HostileFlows):
    """Each partition a world of its own."""

    def stays(self, number: int) -> Callable[[Output], bool]:
        return lambda output: output.topic in wire.INNER


def of_records(stage: type[Records]) -> Parts:
    return Parts(Stages(records=stage))


def of_relations(stage: type[Relations]) -> Parts:
    return Parts(Stages(relations=stage))


def of_journeys(stage: type[Journeys]) -> Parts:
    return Parts(Stages(journeys=stage))


def of_journey(kind: type[Journey]) -> Parts:
    return of_journeys(type(f"With{kind.__name__}", (Journeys,), {"kind": kind}))


def of_runtime(runtime: type[Hostile]) -> Parts:
    return Parts(runtime=runtime)


def slow_new_key(parts: Parts) -> None:
    moving.test_moved_within_one_journey_is_never_missing(parts, ("records", "relations/2"))


def in_order(parts: Parts) -> None:
    commit.test_position_row_is_written_last(parts, "ordered")


def late_duplicate(parts: Parts) -> None:
    commit.test_late_duplicate_of_an_upstream_is_dropped(parts, "ordered")


def equality(parts: Parts) -> None:
    joining.test_equality_match_changes_on_either_side(parts, "sf:Leads/l")


def storm(parts: Parts) -> None:
    storms.check_storm(parts, new_world(0))


def calm(parts: Parts) -> None:
    """The seed is one in which a marker would come before what it marks."""
    storms.check_calm(parts, 13)


GUARDS: list[tuple[str, Parts, Story]] = [
    ("version compare", of_journey(AnyVersion), moving.test_image_older_than_the_one_shown_is_dropped),
    ("floors", Parts().forgetful(), moving.test_older_image_through_a_slow_key_is_dropped),
    (
        "floors outlive left rows",
        Parts().forgetful(),
        moving.test_floor_keeps_a_left_row_from_bringing_back_what_is_deleted,
    ),
    ("trust", of_journey(ImagesAreBelieved), moving.test_deleted_while_nobody_asked_does_not_come_back_from_memory),
    ("as-of", of_journey(NothingIsNews), slow_new_key),
    (
        "as-of bounds credit",
        of_journey(EverythingIsNews),
        moving.test_deleted_while_nobody_asked_does_not_come_back_from_memory,
    ),
    (
        "shown until answered",
        of_journey(HiddenUntilAnswered),
        moving.test_moved_below_a_record_that_has_not_answered_is_never_missing,
    ),
    (
        "waiting for the answer",
        of_journeys(NobodyWaitsForAnswers),
        joining.test_main_moves_to_another_account_is_unknown_not_empty,
    ),
    (
        "waiting for the last page",
        of_journeys(NobodyWaitsForAnswers),
        paging.test_no_related_record_is_unknown_until_the_last_page,
    ),
    ("telling the old key", of_records(OldKeyNotTold), equality),
    ("source order", of_records(AnySourceOrder), deleting.test_repeated_capture_out_of_order_is_dropped),
    ("seek number of answers", of_journey(AnySeekNumber), moving.test_answer_to_an_earlier_seek_is_dropped),
    ("seek number of facts", of_journey(AnySeekNumber), moving.test_fact_under_an_earlier_seek_is_dropped),
    ("left rows", of_relations(NoLeftRows), moving.test_old_key_asked_after_the_move_tells_where_it_went),
    ("sweep", of_relations(NeverSwept), deleting.test_empty_key_and_floors_vanish),
    ("end of floors", of_journey(FloorsForEver), deleting.test_empty_key_and_floors_vanish),
    ("barrier", of_relations(NoBarrier), paging.test_marker_waits_for_an_open_fan_out),
    ("markers of all records", of_relations(OneMarkerIsEnough), paging.test_marker_needs_every_upstream_partition),
    ("markers of relations", of_journeys(RecordsAloneMakeATabKnown), paging.test_marker_needs_every_upstream_partition),
    ("credit asked again", of_journey(NeverAskedAgain), moving.test_credit_too_long_is_asked_again),
    ("unseek rechecks credit", of_journey(OnlyListedAreRechecked), moving.test_unseek_rechecks_records_shown_on_credit),
    (
        "closed keys",
        of_journey(ClosedKeysUnnoticed),
        joining.test_node_that_ceases_to_want_an_unanswered_key_is_known_at_once,
    ),
    (
        "overtaken pass goes on",
        of_relations(OvertakenBeginsAgain),
        paging.test_overtaken_pass_runs_round_and_starves_nobody,
    ),
    (
        "overtaken pass goes round",
        of_relations(OvertakenStopsAtTheEnd),
        paging.test_overtaken_pass_runs_round_and_starves_nobody,
    ),
    ("one Go at a time", of_relations(ManyGos), paging.test_fan_out_pages_and_one_go_at_a_time),
    ("times of parents", of_journey(TimesForgotten), storms.test_time_at_which_a_parent_came_survives_a_restart),
    ("origin dedup", of_runtime(EveryOriginIsNew), late_duplicate),
    ("applied keys", of_runtime(AppliedTwice), commit.test_redelivery_skips_applied_keys),
    ("partition hears again", of_relations(Deaf), in_order),
    ("position last", of_runtime(PositionFirst), in_order),
    ("outputs first", of_runtime(OutputsLast), in_order),
    ("each topic its own order", of_runtime(OneOrderForAllTopics), storm),
    ("whole channels stay", of_runtime(FactsLeaveMarkersStay), calm),
    ("keys have homes", of_runtime(AllStay), storm),
]


@pytest.mark.parametrize(("broken", "story"), [guard[1:] for guard in GUARDS], ids=[guard[0] for guard in GUARDS])
def test_each_guard_is_needed(broken: Parts, story: Story) -> None:
    story(Parts())
    with pytest.raises(AssertionError):
        story(broken)
