"""Two years of travel expenses in five logs: what Renkei decides is what a walk through the logs says it should."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import NamedTuple

import pytest

from renkei.folder import Folder
from renkei.wiring import FILE, open_flow
from schemas.decisions import Decision
from schemas.values import id_of
from streams.orphans import orphans
from tests.cli.door import renkei
from tests.real_input.expenses import (
    ALL_EVENTS,
    INTERNATIONAL,
    MISSING,
    Expenses,
    Outcome,
    Spell,
    business_days_later,
    holidays,
)
from tests.real_input.projects import Log, run
from tests.real_input.travel import EXAMPLE, commands_of, run_embedded, travel

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

QUARTER = datetime(2018, 3, 1, tzinfo=UTC)
"""A good quarter of all events came before."""
QUARTERS_EVENTS = 71_206
LITTLE = datetime(2017, 4, 1, tzinfo=UTC)

TASKS: dict[str, Callable[[Expenses], list[Spell]]] = {
    "international": Expenses.unpaid_international,
    "domestic": Expenses.unpaid_domestic,
    "requests": Expenses.unpaid_requests,
}
"""The rules ``payment-not-requested`` of three workflows."""
MAILS: dict[str, Callable[[Expenses], list[Spell]]] = {
    "paid-though-permit-rejected": Expenses.paid_though_rejected,
    "paid-before-the-prepaid-costs": Expenses.paid_before_prepaid,
    "overspent": Expenses.overspent,
    "approved-before-the-permit": Expenses.approved_before_permit,
    "same-sum-prepaid": Expenses.same_sum_prepaid,
}
"""The rules that tell somebody at once."""


class Ran(NamedTuple):
    """A project that was run to rest, what it did, and the same logs as they are."""

    whole: bool
    folder: Folder
    counts: dict[str, int]
    log: Log
    told: Expenses
    tasks: dict[str, Outcome]
    """What should become of the tasks, by workflow."""
    mails: dict[str, list[Spell]]
    """What should be told, by rule."""


@pytest.fixture(scope="module", params=["quarter", pytest.param("whole", marks=pytest.mark.nightly)])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The example run to rest, over the history up to a time or over all of it."""
    until = QUARTER if request.param == "quarter" else None
    folder = travel(tmp_path_factory.mktemp(request.param) / "bpi2020", until)
    counts = run(folder)
    told = Expenses(until)
    tasks = {workflow: told.tasks(unpaid(told)) for workflow, unpaid in TASKS.items()}
    mails = {rule: spells(told) for rule, spells in MAILS.items()}
    return Ran(until is None, folder, counts, Log(folder), told, tasks, mails)


@pytest.fixture(scope="module")
def little(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The example with the history of the first months."""
    return travel(tmp_path_factory.mktemp("little") / "bpi2020", LITTLE)


def test_every_event_of_the_logs_is_one_change(ran: Ran) -> None:
    assert ran.counts["changes"] == ran.told.count() == (ALL_EVENTS if ran.whole else QUARTERS_EVENTS)
    assert ran.counts["parked"] == 0


@pytest.mark.parametrize("workflow", TASKS)
def test_a_task_is_opened_where_nobody_asks_for_the_payment_in_five_business_days(ran: Ran, workflow: str) -> None:
    expected = ran.tasks[workflow]
    tasks = [one for one in ran.log.commands if one.workflow == workflow and one.operation == "task"]
    assert sorted((id_of(one.anchor), _moment(one.planned_at)) for one in tasks) == sorted(expected.due)
    assert {(one.rule, one.owner) for one in tasks} == {("payment-not-requested", "team:Administration")}
    assert len(tasks) > 50


@pytest.mark.parametrize("workflow", TASKS)
def test_a_task_is_cancelled_where_the_payment_is_asked_for_in_time(ran: Ran, workflow: str) -> None:
    expected = ran.tasks[workflow]
    cancelled = _of(ran.log, workflow, "cancelled")
    assert sorted((id_of(one.anchor), _moment(one.at)) for one in cancelled) == sorted(expected.cancelled)
    assert len(cancelled) > 500


@pytest.mark.parametrize("workflow", TASKS)
def test_what_is_not_due_when_history_ends_is_still_pending(ran: Ran, workflow: str) -> None:
    expected = ran.tasks[workflow]
    planned, cancelled, done = (
        Counter(id_of(one.anchor) for one in _of(ran.log, workflow, kind)) for kind in ("planned", "cancelled", "done")
    )
    assert sorted((planned - cancelled - done).elements()) == sorted(expected.pending)
    assert planned.total() == len(expected.due) + len(expected.cancelled) + len(expected.pending)


def test_a_task_names_what_it_is_about(ran: Ran) -> None:
    cases = {case.id: case for case in ran.told.cases[INTERNATIONAL]}
    for one in ran.log.commands:
        if one.workflow == "international" and one.operation == "task":
            case = cases[id_of(one.anchor)]
            assert one.fields["subject"] == f"Request the payment of {case.named('DeclarationNumber') or case.id}"
            assert (one.fields["about"], one.fields["permit"]) == (one.anchor, case.named("Permit_ID"))


@pytest.mark.parametrize("rule", MAILS)
def test_somebody_is_told_when_it_becomes_true_whichever_log_tells_last(ran: Ran, rule: str) -> None:
    mails = [one for one in ran.log.commands if one.rule == rule]
    expected = sorted((spell.case, spell.begin) for spell in ran.mails[rule])
    assert sorted((id_of(one.anchor), _moment(one.planned_at)) for one in mails) == expected


def test_the_rules_have_something_to_tell(ran: Ran) -> None:
    rules = {(one.workflow, one.rule) for one in ran.log.commands}
    rare = {("international", "paid-before-the-prepaid-costs"), ("requests", "same-sum-prepaid")}
    assert len(rules) == (8 if ran.whole else 6)
    assert rules >= rare if ran.whole else rules.isdisjoint(rare)


def test_there_are_no_other_commands_and_none_twice(ran: Ran) -> None:
    tasks, mails = sum(len(one.due) for one in ran.tasks.values()), sum(map(len, ran.mails.values()))
    assert Counter(one.operation for one in ran.log.commands) == {"task": tasks, "notify": mails}
    assert len({one.id for one in ran.log.commands}) == tasks + mails


def test_references_that_lead_out_of_the_logs_show_as_orphans(ran: Ran) -> None:
    flow = open_flow(ran.folder, ran.folder.compile().book, ran.folder.state / FILE)
    found = orphans(flow)
    flow.store.close()
    assert {tab: sorted(map(id_of, refs)) for tab, refs in found.loose.items()} == {
        "finance:PrepaidCosts": ran.told.loose()
    }
    counts = {words: count for words, count in found.counts().items() if "without a journey" not in words}
    assert counts == ran.told.dangling()


def test_the_same_events_put_into_a_runtime_by_hand_give_the_same_commands(little: Folder) -> None:
    run(little)
    found = commands_of(little, run_embedded)
    assert found == {one.id for one in Log(little).commands}
    assert len(found) > 50


def test_the_workflows_fit_the_fields_and_picklists_of_the_data_and_their_stories_hold() -> None:
    assert "no problems" in renkei("check", EXAMPLE).out
    assert ", 0 failed." in renkei("test", EXAMPLE).out


def test_a_longer_history_begins_like_a_shorter_one(ran: Ran, little: Folder) -> None:
    begun = {one.name: one.read_bytes() for one in (little.path / "events").iterdir()}
    whole = {name: (ran.folder.path / "events" / name).read_bytes()[: len(content)] for name, content in begun.items()}
    assert begun == whole
    assert all(begun.values())


@pytest.mark.parametrize(
    ("begin", "due"),
    [
        ("2018-03-26T10:00:00+02:00", "2018-04-04T10:00:00+02:00"),  # Good Friday and Easter Monday lie between
        ("2018-03-23T18:00:00+01:00", "2018-04-04T09:00:00+02:00"),  # after hours, and over the change of the clocks
        ("2017-12-23T12:00:00+01:00", "2018-01-04T09:00:00+01:00"),  # a Saturday before Christmas
        ("2018-05-07T07:59:59+02:00", "2018-05-15T09:00:00+02:00"),  # before hours; Ascension Day
    ],
)
def test_the_calendar_of_these_tests_is_right(begin: str, due: str) -> None:
    assert business_days_later(datetime.fromisoformat(begin), 5) == datetime.fromisoformat(due)
    assert {date(2017, 4, 14), date(2018, 5, 21)} < holidays(2017) | holidays(2018)


def _of(log: Log, workflow: str, kind: str) -> list[Decision]:
    return [
        one for one in log.decisions
        if (one.workflow, one.rule, one.kind) == (workflow, "payment-not-requested", kind)
    ]  # fmt: skip


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
