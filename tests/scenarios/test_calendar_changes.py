"""What becomes of pending timers when a workflow is published anew with another calendar (D-56)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from rules.book import Book
from rules.calendar_config import CalendarConfig, calendar_of
from rules.project import Project
from rules.publishing import publish
from rules.state import Timer
from schemas import topics
from schemas.codec import pack
from schemas.values import format_instant
from streams.embedded import Embedded
from streams.journeystate import RULES, Journey
from streams.store import Store
from streams.testing import CHANNELS, Driver

DEAL = "zoho:Deals"
REASON = "the calendar changed"
OFFICE: Mapping[str, Any] = {"timezone": "UTC", "hours": {"mon-fri": "09:00-18:00"}}
TOKYO = {**OFFICE, "timezone": "Asia/Tokyo"}
ANGELES = {**OFFICE, "timezone": "America/Los_Angeles"}
HEAD = """\
workflow: sales
main_tab: deal
calendar: office
tabs:
  deal: {module: zoho.Deals}
rules:
  deal:
"""


def closed(*days: str) -> dict[str, Any]:
    """The office with holidays; it opens on weekdays, and the story begins on Monday 2026-01-05 at 09:00 UTC."""
    return {**OFFICE, "holidays": list(days)}


def later(entry: str, *, rule: str = "late") -> str:
    """A rule that does something later than it fires."""
    actions = f"[{{{entry}, actions: [{{notify: user a, text: x}}]}}]"
    return f"    - {{name: {rule}, trigger: {{becomes: 'Stage is \"Won\"'}}, scheduled_actions: {actions}}}\n"


def at(trigger: str, *, name: str = "late") -> str:
    """A rule that a time wakes."""
    return f"    - {{name: {name}, trigger: {{{trigger}}}, actions: [{{notify: user a, text: x}}]}}\n"


def book(rules: str, calendar: Mapping[str, Any], *, name: str = "office") -> Book:
    office = calendar_of(CalendarConfig.model_validate(calendar), name)
    head = HEAD.replace("calendar: office", f"calendar: {name}")
    return publish({"sales.yaml": head + rules}, Project(calendars={name: office}))


class Telling(NamedTuple):
    """A world whose state is in a file, and what the person who publishes has heard."""

    world: Driver
    said: list[str]
    file: Path

    def publish(self, rules: str, calendar: Mapping[str, Any], **more: Any) -> None:
        """The process ends, and begins again with these workflows."""
        store(self.world).close()
        self.world.book = book(rules, calendar, **more)
        self.world.runtime = Embedded(Store(self.file), self.world.book, channels=CHANNELS, say=self.said.append)
        self.world.settle()

    def dues(self, *kinds: str) -> list[str]:
        """When timers are due."""
        timers = [one for one in timers_of(self.world) if one.due is not None and (not kinds or one.kind in kinds)]
        return sorted(format_instant(one.due or 0) for one in timers)

    def moved(self) -> list[str]:
        """Which rules' timers were planned again, with the reasons."""
        return [f"{one.rule}: {one.reason}" for one in self.world.decisions("replanned")]

    def runs(self) -> list[str]:
        """When somebody was notified."""
        return [format_instant(one.planned_at) for one in self.world.commands()]


def begun(folder: Path, rules: str, calendar: Mapping[str, Any], **fields: Any) -> Telling:
    """A world with one won deal."""
    file, said = folder / "state.db", list[str]()
    first = book(rules, calendar)
    world = Driver(first, Embedded(Store(file), first, channels=CHANNELS, say=said.append))
    if fields:
        world.create(DEAL, "D1", **fields)
    return Telling(world, said, file)


def store(world: Driver) -> Store:
    assert isinstance(world.runtime, Embedded)
    return world.runtime.store


def timers_of(world: Driver) -> list[Timer]:
    states: list[Journey] = [state for _, state in world.runtime.states("journeys")]
    return [timer for state in states for timer in state.rules.timers.values()]


def test_a_business_deadline_moves_when_a_holiday_is_added(tmp_path: Path) -> None:
    """It runs at its new time, once, and whoever publishes hears how many timers moved."""
    rules = later("after: 3 business days")
    told = begun(tmp_path, rules, closed(), Stage="Won")
    told.world.create(DEAL, "D2", Stage="Won")
    assert told.dues() == ["2026-01-08T09:00:00Z"] * 2
    told.publish(rules, closed("2026-01-07"))
    assert told.said == ["2 timers moved: the calendar of sales changed"]
    assert told.dues() == ["2026-01-09T09:00:00Z"] * 2
    assert told.moved() == [f"late: {REASON}"] * 2
    told.world.advance("14 days")
    assert told.runs() == ["2026-01-09T09:00:00Z"] * 2


def test_a_calendar_that_changes_back_moves_timers_back(tmp_path: Path) -> None:
    rules = later("after: 3 business days")
    told = begun(tmp_path, rules, closed(), Stage="Won")
    for days in (["2026-01-07"], [], ["2026-01-07", "2026-01-08"]):
        told.publish(rules, closed(*days))
    assert told.said == ["1 timer moved: the calendar of sales changed"] * 3
    assert told.dues() == ["2026-01-12T09:00:00Z"]


WAITING = """\
    - name: late
      trigger: {becomes: 'Stage is "Won"'}
      actions: [{wait: 2 business days}, {notify: user a, text: x}]
"""
MOVING: dict[str, tuple[str, Mapping[str, Any], Mapping[str, Any], str, str]] = {
    "business hours": (
        later("after: 12 business hours"), closed(), closed("2026-01-06"),
        "2026-01-06T12:00:00Z", "2026-01-07T12:00:00Z",
    ),
    "calendar days at a clock time": (
        later('after: 2 days, at: "08:00"'), OFFICE, TOKYO, "2026-01-07T08:00:00Z", "2026-01-06T23:00:00Z",
    ),
    "a clock time alone": (later('at: "22:00"'), OFFICE, TOKYO, "2026-01-05T22:00:00Z", "2026-01-05T13:00:00Z"),
    "business days before a date": (
        later("on: {field: Day, before: 2 business days}"), closed(), closed("2026-01-19"),
        "2026-01-16T00:00:00Z", "2026-01-15T00:00:00Z",
    ),
    "a date trigger": (
        at('date: Day, before: 1 day, at: "09:00"'), OFFICE, TOKYO, "2026-01-19T09:00:00Z", "2026-01-19T00:00:00Z",
    ),
    "a date trigger that comes again": (
        at('date: Born, repeat: yearly, at: "09:00"'), OFFICE, ANGELES, "2026-01-12T09:00:00Z", "2026-01-12T17:00:00Z",
    ),
    "a schedule": (at('schedule: daily at 08:00'), OFFICE, TOKYO, "2026-01-06T08:00:00Z", "2026-01-05T23:00:00Z"),
    "a wait": (WAITING, closed(), closed("2026-01-06"), "2026-01-07T09:00:00Z", "2026-01-08T09:00:00Z"),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVING)
def test_whatever_hangs_on_the_calendar_moves_with_it(tmp_path: Path, name: str) -> None:
    rules, former, newer, before, after = MOVING[name]
    told = begun(tmp_path, rules, former, Stage="Won", Day="2026-01-20", Born="1990-01-12")
    assert told.dues() == [before]
    told.publish(rules, newer)
    assert told.dues() == [after]
    assert (told.moved(), told.said) == ([f"late: {REASON}"], ["1 timer moved: the calendar of sales changed"])
    told.world.move_to(after)
    assert told.runs() == [after]
    told.world.advance("20 hours")
    assert told.runs() == [after]


ELAPSED = {
    "elapsed time": later("after: 30 hours"),
    "a wait that is no business time": WAITING.replace("2 business days", "30 hours"),
}


@pytest.mark.parametrize("name", ELAPSED)
def test_elapsed_time_is_the_same_by_every_calendar(tmp_path: Path, name: str) -> None:
    told = begun(tmp_path, ELAPSED[name], OFFICE, Stage="Won")
    told.publish(ELAPSED[name], TOKYO)
    assert (told.dues(), told.moved(), told.said) == (["2026-01-06T15:00:00Z"], [], [])


EVERYTHING = (
    later("after: 3 business days", rule="a")
    + later("on: {field: Day, after: 1 business day}", rule="b")
    + at('date: Day, at: "09:00"', name="c")
    + at("schedule: daily at 08:00", name="d")
    + WAITING.replace("late", "e")
)
SAME: dict[str, tuple[str, Mapping[str, Any], str]] = {
    "other workflows": (EVERYTHING + at("becomes: 'Stage is \"Lost\"'", name="new"), closed("2026-01-13"), "office"),
    "another name": (EVERYTHING, closed("2026-01-13"), "bureau"),
    "a holiday beyond all timers": (EVERYTHING, closed("2026-01-13", "2026-12-24"), "office"),
}


@pytest.mark.parametrize("name", SAME)
def test_a_calendar_that_counts_the_same_moves_and_decides_nothing(tmp_path: Path, name: str) -> None:
    told = begun(tmp_path, EVERYTHING, closed("2026-01-13"), Stage="Won", Day="2026-01-20")
    before, decided = told.dues(), len(told.world.decisions())
    rules, calendar, called = SAME[name]
    told.publish(rules, calendar, name=called)
    assert (told.dues(), told.said) == (before, [])
    assert len(told.world.decisions()) == decided


def test_a_plan_that_was_edited_is_not_the_calendars_doing(tmp_path: Path) -> None:
    """Pending timers keep their times when the workflow's own text changes (D-81)."""
    told = begun(tmp_path, later("after: 3 business days"), OFFICE, Stage="Won")
    told.publish(later("after: 4 business days"), OFFICE)
    assert (told.dues(), told.said) == (["2026-01-08T09:00:00Z"], [])


HALF_WEEK = closed("2026-01-06", "2026-01-07", "2026-01-08")
PAST = {
    "within grace it runs now": ("2026-01-12T20:00:00Z", ["2026-01-12T20:00:00Z"], []),
    "beyond grace it is discarded": (
        "2026-01-13T20:00:00Z", [], ["its time 2026-01-12T09:00:00Z has passed"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        (rules, name)
        for rules in (later("after: 5 business days"), later("on: {field: Day, after: 5 business days}"))
        for name in PAST
    ],
)
def test_a_deadline_that_moves_into_the_past(tmp_path: Path, rules: str, name: str) -> None:
    """D-53, D-54: the same grace as for a moved date; what is skipped is told."""
    now, runs, discarded = PAST[name]
    told = begun(tmp_path, rules, HALF_WEEK, Stage="Won", Day="2026-01-05T09:00:00Z")
    assert told.dues() == ["2026-01-15T09:00:00Z"]
    told.world.move_to(now)
    told.world.create(DEAL, "D2", Stage="Open")
    told.publish(rules, closed())
    assert told.said == ["1 timer moved: the calendar of sales changed"]
    assert [one.reason for one in told.world.decisions("discarded")] == discarded
    told.world.advance("20 days")
    assert told.runs() == runs
    told.publish(rules, closed("2026-03-02"))
    told.world.advance("20 days")
    assert told.runs() == runs


def test_a_date_trigger_that_moves_into_the_past(tmp_path: Path) -> None:
    """It was due on the 15th, and is found to have been due on the 12th."""
    rules = at("date: Day, after: 5 business days")
    for name, (now, runs, discarded) in PAST.items():
        (tmp_path / name).mkdir()
        told = begun(tmp_path / name, rules, HALF_WEEK, Day="2026-01-05T09:00:00Z")
        assert told.dues() == ["2026-01-15T09:00:00Z"]
        told.world.move_to(now)
        told.world.create(DEAL, "D2", Stage="Open")
        told.publish(rules, closed())
        assert [one.reason for one in told.world.decisions("discarded")] == discarded
        assert told.said == ["1 timer moved: the calendar of sales changed"]
        told.world.advance("20 days")
        assert told.runs() == runs


ONCE = {
    "a scheduled action": later("after: 1 day"),
    "by a date field": later('on: {field: Day, after: 0 days}, at: "09:00"'),
    "one that runs again if its date moves": later(
        'on: {field: Day, after: 0 days}, at: "09:00", again_if_moved: true'
    ),
    "a date trigger": at('date: Day, at: "09:00"'),
    "one that comes again each year": at('date: Day, repeat: yearly, at: "09:00"'),
}


@pytest.mark.parametrize("name", ONCE)
def test_what_has_run_does_not_run_again_by_another_calendar(tmp_path: Path, name: str) -> None:
    """09:00 in Tokyo has been; by the new calendar the same day's 09:00 is yet to come, and is not waited for."""
    told = begun(tmp_path, ONCE[name], TOKYO, Stage="Won", Day="2026-01-06")
    told.world.move_to("2026-01-06T10:00:00Z")
    ran = told.runs()
    assert len(ran) == 1
    told.publish(ONCE[name], ANGELES)
    told.world.advance("10 hours")
    told.publish(ONCE[name] + at("becomes: 'Stage is \"Lost\"'", name="new"), ANGELES)
    told.world.advance("100 days")
    assert told.runs() == ran
    assert told.dues() == (["2027-01-06T17:00:00Z"] if "yearly" in ONCE[name] else [])


def test_an_action_that_ran_runs_again_once_its_date_moves(tmp_path: Path) -> None:
    """D-53 counts from the date, not from the calendar."""
    rules = ONCE["one that runs again if its date moves"]
    told = begun(tmp_path, rules, TOKYO, Stage="Won", Day="2026-01-06")
    told.world.move_to("2026-01-06T10:00:00Z")
    told.publish(rules, ANGELES)
    told.world.update(DEAL, "D1", Day="2026-01-08")
    told.world.advance("10 days")
    assert told.runs() == ["2026-01-06T00:00:00Z", "2026-01-08T17:00:00Z"]


def test_an_action_whose_time_had_passed_stays_skipped_until_its_date_moves(tmp_path: Path) -> None:
    """It was told as discarded; by the new calendar its time would still come (D-53)."""
    rules = later("on: {field: Day, after: 5 business days}")
    told = begun(tmp_path, rules, closed(), Stage="Won", Day="2025-12-25")
    assert [one.kind for one in told.world.decisions()][-1] == "discarded"
    told.publish(rules, closed("2025-12-29", "2025-12-30", "2025-12-31", "2026-01-01", "2026-01-02"))
    told.world.advance("10 days")
    assert (told.runs(), told.said) == ([], [])
    told.world.update(DEAL, "D1", Day="2026-01-15")
    assert told.dues() == ["2026-01-22T00:00:00Z"]


def test_a_schedule_runs_at_the_next_time_of_the_new_calendar(tmp_path: Path) -> None:
    """Its epochs are instants: the one that ran is past, and the next on the new clock is another one (D-58)."""
    rules = at("schedule: every weekday at 09:00")
    told = begun(tmp_path, rules, closed(), Stage="Won")
    told.world.move_to("2026-01-06T10:00:00Z")
    told.publish(rules, ANGELES)
    told.world.move_to("2026-01-07T18:00:00Z")
    assert told.runs() == ["2026-01-06T09:00:00Z", "2026-01-06T17:00:00Z", "2026-01-07T17:00:00Z"]


def test_a_rule_published_with_the_calendar_is_planned_by_it(tmp_path: Path) -> None:
    """D-82: what is new is planned for the records that are known, and moves nothing."""
    told = begun(tmp_path, later("after: 30 hours"), OFFICE, Stage="Open", Day="2026-01-20")
    told.publish(at('date: Day, at: "09:00"', name="c") + at("schedule: daily at 08:00", name="d"), TOKYO)
    assert told.dues() == ["2026-01-05T23:00:00Z", "2026-01-20T00:00:00Z"]
    assert (told.moved(), told.said) == ([], [])


def test_a_relative_date_wakes_by_the_new_calendar(tmp_path: Path) -> None:
    """D-59: the day begins earlier in Tokyo."""
    rules = at("becomes: Day is today")
    told = begun(tmp_path, rules, OFFICE, Stage="Won", Day="2026-01-07")
    assert told.dues("wake") == ["2026-01-07T00:00:00Z"]
    told.publish(rules, TOKYO)
    assert told.dues("wake") == ["2026-01-06T15:00:00Z"]
    told.world.advance("10 days")
    assert (told.runs(), told.said) == (["2026-01-06T15:00:00Z"], [])


def test_the_zone_of_the_workflow_is_part_of_its_calendar(tmp_path: Path) -> None:
    rules = later('at: "22:00"')
    told = begun(tmp_path, rules, OFFICE, Stage="Won")
    store(told.world).close()
    there = HEAD.replace("main_tab: deal", "main_tab: deal\ntimezone: Asia/Tokyo")
    office = calendar_of(CalendarConfig.model_validate(OFFICE), "office")
    changed = publish({"sales.yaml": there + rules}, Project(calendars={"office": office}))
    told.world.runtime = Embedded(Store(told.file), changed, channels=CHANNELS, say=told.said.append)
    assert (told.dues(), len(told.said)) == (["2026-01-05T13:00:00Z"], 1)


def test_a_timer_of_an_older_version_stays_where_it_is(tmp_path: Path) -> None:
    """Its row does not say when it was planned."""
    rules = later("after: 3 business days")
    told = begun(tmp_path, rules, closed(), Stage="Won")
    _make_old(store(told.world))
    told.publish(rules, closed("2026-01-07"))
    assert (told.dues(), told.said) == (["2026-01-08T09:00:00Z"], [])
    told.world.advance("5 days")
    assert told.runs() == ["2026-01-08T09:00:00Z"]


def _make_old(state: Store) -> None:
    """Write the rows of journeys as they were before timers had a base and a lane."""
    query = "SELECT key, content FROM state WHERE stage = 'journeys' AND part = ?"
    for key, content in state.database.execute(query, (RULES,)).fetchall():
        truths, waiting, timers, *rest = msgspec.msgpack.decode(content[1:])
        assert {len(timer) for timer in timers.values()} == {len(Timer.__struct_fields__)}
        older = [truths, waiting, {name: timer[:-2] for name, timer in timers.items()}, *rest]
        state.database.execute("UPDATE state SET content = ? WHERE key = ? AND part = ?", (pack(older), key, RULES))
    state.database.commit()


def test_the_same_history_and_publishing_twice_gives_the_same_decisions(tmp_path: Path) -> None:
    """A decision is a pure fold, also that of a new calendar."""
    outputs: list[list[bytes]] = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        told = begun(tmp_path / name, EVERYTHING, closed(), Stage="Won", Day="2026-01-20")
        told.publish(EVERYTHING, closed("2026-01-06", "2026-01-19"))
        told.world.advance("30 days")
        outputs.append([entry.value for entry in store(told.world).read(topics.DECISIONS)])
        assert len(told.said) == 1
    assert outputs[0] == outputs[1]
