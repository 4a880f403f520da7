"""Which commands may wait: what the clock or a first load brings is bulk, what follows a change is live (D-101)."""

from collections.abc import Callable

import pytest

from rules.project import Project
from rules.publishing import publish
from schemas.commands import Applied, Command, Uncertain
from streams.testing import Driver

WORKFLOW = """
workflow: lanes
existing_records: {existing}
main_tab: deal
tabs:
  deal: {{module: zoho.Deals}}
  demo: {{module: zoho.Demos, related_to: deal, by: Deal}}
rules:
  deal:
    - name: r
      {rule}
"""
MAIL = "actions: [{notify: user a, text: x}]"
EACH = "actions: [{for_each: demo, do: [{update: demo, fields: {Status: Old}}]}]"
LATER = "scheduled_actions: [{after: 1 hour, actions: [{notify: user a, text: x}]}]"
DAILY = "trigger: {schedule: daily at 10:00}"


def opened(rule: str, existing: str = "baseline", *, loaded: bool = True, applies: bool = True) -> Driver:
    book = publish({"w.yaml": WORKFLOW.format(rule=rule.replace("\n", "\n      "), existing=existing)}, Project())
    return Driver(book, loaded=loaded, applies=applies)


def created(driver: Driver) -> None:
    driver.create("zoho:Deals", "D", Stage="Won", Closing="2026-01-06")
    for number in range(3):
        driver.create("zoho:Demos", f"M{number}", Deal="D", Status="Open")


def a_day_later(driver: Driver) -> None:
    created(driver)
    driver.advance("2 days")


def found(driver: Driver) -> None:
    driver.load("zoho:Deals", "D", Stage="Won")
    driver.loaded(*driver.book.read_fields)


def found_a_day_ago(driver: Driver) -> None:
    found(driver)
    driver.advance("1 day")


def edited_after_it_was_found(driver: Driver) -> None:
    driver.load("zoho:Deals", "D", Stage="Open")
    driver.loaded(*driver.book.read_fields)
    driver.update("zoho:Deals", "D", Stage="Won")


@pytest.mark.parametrize(
    ("rule", "happens", "lane", "rank", "count"),
    [
        (f"trigger: created\n{MAIL}", created, "live", "rule", 1),
        (f'trigger: {{becomes: Stage is "Won"}}\n{MAIL}', created, "live", "rule", 1),
        (f'trigger: {{becomes: Stage is "Won" and no demo}}\n{MAIL}', created, "live", "rule", 1),
        (f"trigger: created\n{LATER}", a_day_later, "live", "schedule", 1),
        ("trigger: created\nactions: [{wait: 1 hour}, {notify: user a, text: x}]", a_day_later, "live", "schedule", 1),
        (f"{DAILY}\n{MAIL}", a_day_later, "bulk", "schedule", 2),
        (f"{DAILY}\n{EACH}", a_day_later, "bulk", "schedule", 3),
        (f"{DAILY}\n{LATER}", a_day_later, "bulk", "schedule", 2),
        (f"{DAILY}\nactions: [{{wait: 1 hour}}, {{notify: user a, text: x}}]", a_day_later, "bulk", "schedule", 2),
        (f"trigger: {{date: Closing, at: '10:00'}}\n{MAIL}", a_day_later, "bulk", "schedule", 1),
        (f"trigger: {{becomes: Closing is yesterday}}\n{MAIL}", a_day_later, "bulk", "schedule", 1),
        (f'trigger: {{becomes: Stage is "Won"}}\n{MAIL}', found, "bulk", "bulk", 1),
        (f'trigger: {{becomes: Stage is "Won"}}\n{LATER}', found_a_day_ago, "bulk", "schedule", 1),
        (f'trigger: {{becomes: Stage is "Won"}}\n{MAIL}', edited_after_it_was_found, "live", "rule", 1),
    ],
)
def test_what_the_clock_or_a_first_load_brings_may_wait(
    rule: str, happens: Callable[[Driver], object], lane: str, rank: str, count: int
) -> None:
    is_load = happens not in (created, a_day_later)
    driver = opened(rule, "enrol" if is_load else "baseline", loaded=not is_load)
    happens(driver)
    assert [(one.lane, one.rank) for one in driver.commands()] == [(lane, rank)] * count


def test_a_record_that_is_read_again_is_read_in_the_lane_of_its_fire() -> None:
    driver = opened(f'{DAILY}\nfresh: 1 minute\ncriteria: Stage is "Won"\n{MAIL}')
    a_day_later(driver)
    assert {(one.operation, one.lane, one.rank) for one in driver.commands()} == {
        ("read", "bulk", "schedule"),
        ("notify", "bulk", "schedule"),
    }


def test_what_a_person_asks_for_goes_first() -> None:
    driver = opened(f"trigger: {{signal: urgent}}\n{MAIL}")
    created(driver)
    driver.signal("zoho:Deals/D", "urgent")
    assert [(one.lane, one.rank) for one in driver.commands()] == [("live", "interactive")]


def test_what_an_operator_sends_again_goes_first_whoever_planned_it() -> None:
    driver = opened(f"{DAILY}\n{MAIL}", applies=False)
    created(driver)
    driver.advance("2 hours")
    [planned] = driver.commands()
    driver.answer(planned, Uncertain(command_id=planned.id, reason="no answer"))
    driver.resume(planned.journey, planned.fire, "retry")
    assert [(one.lane, one.rank) for one in driver.commands()] == [("bulk", "schedule"), ("live", "interactive")]


TWO = """
workflow: two
main_tab: deal
tabs: {deal: {module: zoho.Deals}}
rules:
  deal:
    - {name: clock, trigger: {schedule: daily at 10:00}, actions: [{update: deal, fields: {Age: old}}]}
    - name: person
      trigger: {field_updated: Note}
      actions: [{update: deal, fields: {Seen: "{{ deal.Note }}"}}, {notify: user a, text: x}]
"""


def applied(driver: Driver, command: Command) -> None:
    driver.answer(command, Applied(command_id=command.id, record_id=command.record_id))


def lanes(driver: Driver) -> list[tuple[str, str, str]]:
    return [(one.rule, one.operation, one.lane) for one in driver.commands()]


def test_a_live_write_does_not_overtake_one_of_the_same_record_that_waits() -> None:
    driver = Driver(publish({"w.yaml": TWO}, Project()), applies=False)
    driver.create("zoho:Deals", "D", Note="")
    driver.advance("2 hours")
    driver.update("zoho:Deals", "D", Note="first")
    clock, first = driver.commands()
    applied(driver, clock)
    driver.update("zoho:Deals", "D", Note="second")
    assert lanes(driver) == [("clock", "update", "bulk"), ("person", "update", "bulk"), ("person", "update", "bulk")]
    applied(driver, first)
    applied(driver, driver.commands()[2])
    driver.update("zoho:Deals", "D", Note="third")
    assert lanes(driver)[3:] == [
        ("person", "notify", "live"),
        ("person", "notify", "live"),
        ("person", "update", "live"),
    ]


def test_nor_does_one_that_may_wait_overtake_a_live_one() -> None:
    driver = Driver(publish({"w.yaml": TWO}, Project()), applies=False)
    driver.create("zoho:Deals", "D", Note="")
    driver.update("zoho:Deals", "D", Note="first")
    driver.advance("2 hours")
    assert lanes(driver) == [("person", "update", "live"), ("clock", "update", "live")]
