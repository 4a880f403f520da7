"""Two years of a real seller's deals: what Renkei decides is what SQL over the same rows says it should."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from renkei.folder import Folder
from renkei.wiring import FILE, open_flow
from rules.book import Book
from schemas.events import ChangeEvent
from schemas.values import DAY, format_instant, id_of, parse_instant
from streams import wire
from streams.hostile import Torment
from streams.orphans import orphans
from streams.store import Entry
from streams.testing import Driver, Runtime, embedded, hostile
from tests.real_input import seller as sql
from tests.real_input.projects import Log, run, seller
from tests.real_input.seller import MISSING, Seller

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

FEW, SOME = 300, 1_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The example with all deals, run to rest."""
    folder = seller(tmp_path_factory.mktemp("whole") / "crm_sales")
    assert run(folder)["changes"] == 15_638
    return folder


@pytest.fixture(scope="module")
def log(whole: Folder) -> Log:
    """What was decided about all deals."""
    return Log(whole)


@pytest.fixture(scope="module")
def told() -> Seller:
    """The same rows in SQL."""
    return Seller()


def test_the_workflows_fit_the_fields_and_picklists_of_the_data(whole: Folder) -> None:
    assert not whole.compile().problems.found


def test_large_won_deals_of_the_sector_and_office_start_an_onboarding(log: Log, told: Seller) -> None:
    expected = told.ask(sql.ONBOARDED)
    creates = [one for one in log.commands if one.operation == "create"]
    assert sorted(id_of(one.anchor) for one in creates) == [row[0] for row in expected]
    planned = [
        (id_of(one.anchor), one.fields["deal"], one.fields["name"], one.fields["value"], _day(one.planned_at))
        for one in creates
    ]
    assert sorted(planned) == [(row[0], row[0], row[2], row[3], row[4]) for row in expected]


def test_the_manager_of_the_agent_is_told_of_each_onboarding(log: Log, told: Seller) -> None:
    mails = [one for one in log.commands if one.rule == "start-onboarding" and one.operation == "notify"]
    assert sorted((id_of(one.anchor), *one.fields["to"]) for one in mails) == [
        (row[0], f"user:{row[1]}") for row in told.ask(sql.ONBOARDED)
    ]


def test_a_mail_is_filled_from_four_tabs_and_an_earlier_step(log: Log, told: Seller) -> None:
    projects = {id_of(one.anchor): f"rehearsed-{one.id}" for one in log.commands if one.operation == "create"}
    mails = [one for one in log.commands if one.rule == "start-onboarding" and one.operation == "notify"]
    bodies = {id_of(one.anchor): str(one.fields["body"]).splitlines() for one in mails}
    for deal, agent, day, value, price, account, employees in told.ask(sql.MAILED):
        listed = f"List price: {price:,.2f} USD." if price else "The product is not in the price list."
        assert bodies[deal] == [
            f"{agent} (Central) won deal {deal} on {day}",
            f"for {value:,.2f} USD. {listed}",
            f"{account} has {employees} employees; the onboarding is {projects[deal]}.",
        ]


def test_reminders_come_where_a_deal_is_open_for_ninety_days(log: Log, told: Seller) -> None:
    mails = [one for one in log.commands if one.rule == "still-open"]
    found = sorted(
        (id_of(one.anchor), one.fields["to"][0].removeprefix("user:"), _day(one.planned_at)) for one in mails
    )
    assert found == told.ask(sql.REMINDED)


def test_reminders_are_cancelled_where_a_deal_closes_in_time(log: Log, told: Seller) -> None:
    by_kind: dict[str, list[str]] = {}
    for one in log.decisions:
        if one.rule == "still-open":
            by_kind.setdefault(one.kind, []).append(id_of(one.anchor))
    assert sorted(by_kind["cancelled"]) == told.names(sql.CLOSED_IN_TIME)
    pending = Counter(by_kind["planned"]) - Counter(by_kind["cancelled"]) - Counter(by_kind["done"])
    assert sorted(pending.elements()) == told.names(sql.STILL_PENDING)


def test_an_account_becomes_a_key_account_on_the_day_that_its_sum_is_reached(log: Log, told: Seller) -> None:
    mails = [one for one in log.commands if one.rule == "becomes-key-account"]
    assert sorted((id_of(one.anchor), _day(one.planned_at)) for one in mails) == told.ask(sql.KEY_ACCOUNTS)


def test_there_are_no_other_commands_and_none_twice(log: Log, told: Seller) -> None:
    onboarded = len(told.ask(sql.ONBOARDED))
    mails = onboarded + len(told.ask(sql.REMINDED)) + len(told.ask(sql.KEY_ACCOUNTS))
    assert Counter(one.operation for one in log.commands) == {"create": onboarded, "notify": mails}
    assert len({one.id for one in log.commands}) == onboarded + mails
    assert not log.parked


def test_dirt_shows_as_orphans(whole: Folder, told: Seller) -> None:
    book = whole.compile().book
    flow = open_flow(whole, book, whole.state / FILE)
    found = orphans(flow)
    flow.store.close()
    assert sorted(ref for refs in found.loose.values() for ref in refs) == told.names(sql.LOOSE)
    assert sorted((id_of(one.record), one.field, one.why) for one in found.dangling) == told.ask(sql.DANGLING)


def test_running_again_finds_nothing_new(whole: Folder, log: Log) -> None:
    run(whole)
    again = Log(whole)
    assert again.bytes_of("") == log.bytes_of("")


def test_the_same_history_gives_the_same_bytes(tmp_path: Path) -> None:
    logs = []
    for name in ("once", "twice"):
        folder = seller(tmp_path / name, SOME)
        run(folder)
        logs.append(Log(folder).bytes_of(""))
    assert logs[0] == logs[1]
    assert any(topic == "decisions" for topic, *_ in logs[0])


# -- the same deals where everything goes wrong ------------------------------------------


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The example with the first deals, run to rest."""
    folder = seller(tmp_path_factory.mktemp("few") / "crm_sales", FEW)
    run(folder)
    return folder


@pytest.mark.parametrize(
    "runtime",
    [
        embedded,
        partial(hostile, torment=Torment(seed=1)),
        # It may die at each of the many keys of a step.
        partial(hostile, torment=Torment(seed=2, crash=0.03, commit="ordered")),
    ],
    ids=["embedded", "hostile", "ordered"],
)
def test_crashes_and_repetitions_change_no_command(few: Folder, runtime: Callable[[Book], Runtime]) -> None:
    book = few.compile().book
    driver = Driver(book, runtime(book), loaded=False)
    loads, changes = _history(few)
    driver.now = loads[0].seen_at
    driver.say(*loads)
    driver.loaded(*driver.book.read_fields)
    for event in changes:
        # Day after day, so that nothing is late; what is due at the very instant of an event runs after it.
        for day in range(driver.now + 1, event.seen_at, DAY):
            driver.move_to(day)
        driver.now = event.seen_at - 1
        driver.say(event)
    expected = [one.id for one in Log(few).commands]
    assert sorted(one.id for one in driver.commands()) == sorted(expected)
    assert {one.rule for one in driver.commands()} >= {"start-onboarding", "still-open"}


def _history(folder: Folder) -> tuple[list[ChangeEvent], list[ChangeEvent]]:
    """The events of a project's log: first loads, and all others in order."""
    entries = [one for topic, found in Log(folder).entries.items() if topic.startswith("changes.") for one in found]
    events = list(_events(sorted(entries, key=lambda one: one.seq)))
    return [one for one in events if one.load], [one for one in events if not one.load]


def _events(entries: list[Entry]) -> Iterator[ChangeEvent]:
    for entry in entries:
        if entry.key != wire.MARKER:
            yield wire.read_entry(entry)


def _day(at: int) -> str:
    assert at % DAY == 0
    assert parse_instant(format_instant(at)) == at
    return format_instant(at)[:10]
