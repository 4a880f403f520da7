"""What the rules about travel expenses mean, worked out from the logs as they are: nothing of Renkei takes part.

The cases are walked event by event, each rule's condition is written down once more in plain Python, and business days
are counted by a calendar of its own.
"""

import gzip
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, cached_property
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.real_input.seller import SHARED

SOURCE = SHARED / "data" / "bpi2020"
MISSING = "" if (SOURCE / "PermitLog.xes.gz").is_file() else f"no real input in {SOURCE}: name it by RENKEI_SHARED"
FILES = ("PermitLog", "DomesticDeclarations", "InternationalDeclarations", "PrepaidTravelCost", "RequestForPayment")
"""In the order in which events of one time count."""
PERMITS, DOMESTIC, INTERNATIONAL, PREPAID, REQUESTS = FILES
SUBJECTS = dict.fromkeys(FILES, "Declaration ") | {
    PERMITS: "Permit ", PREPAID: "Request For Payment ", REQUESTS: "Request For Payment ",
}  # fmt: skip
ALL_EVENTS = 261_026


class Event(NamedTuple):
    """One event of a case; sorted they are in the order in which they happened."""

    at: datetime
    file: int
    position: int
    name: str


@dataclass
class Case:
    """One case of a log with its attributes and events."""

    file: str
    attributes: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The name by which other logs refer to it."""
        return self.attributes["Rfp_id" if self.file in (PREPAID, REQUESTS) else "id"]

    def named(self, attribute: str) -> str:
        """An attribute; empty where the log says that it is unknown."""
        value = self.attributes[attribute]
        return "" if value == "UNKNOWN" else value


class Told:
    """What the events of one case have told so far."""

    def __init__(self, case: Case) -> None:
        self.case, self.begun, self.status, self.asked, self.paid = case, False, "", False, False

    def hear(self, name: str) -> None:
        """One more event."""
        self.begun = True
        if name.startswith(SUBJECTS[self.case.file]):
            self.status = name.removeprefix(SUBJECTS[self.case.file])
        if self.case.file != PERMITS:
            self.asked |= name in ("Request Payment", "Payment Handled")
            self.paid |= name == "Payment Handled"

    @property
    def final(self) -> bool:
        """Whether the last word was said, and was yes."""
        return self.status.startswith("FINAL_APPROVED by ")

    @property
    def agreed(self) -> bool:
        """Whether the supervisor agrees."""
        return self.final or self.status == "APPROVED by SUPERVISOR"


class Spell(NamedTuple):
    """A time in which a condition held, of one case; without an end it holds still."""

    case: str
    begin: datetime
    end: datetime | None


class Outcome(NamedTuple):
    """What became of the tasks that were planned: cases and times."""

    due: list[tuple[str, datetime]]
    cancelled: list[tuple[str, datetime]]
    pending: list[str]


class Expenses:
    """The five logs, whole or up to a time that is not part of them."""

    def __init__(self, until: datetime | None = None) -> None:
        self.cases = {file: list(_until(_read(file), until)) for file in FILES}
        self.last = max(event.at for cases in self.cases.values() for case in cases for event in case.events)

    def count(self) -> int:
        """How many events there are."""
        return sum(len(case.events) for cases in self.cases.values() for case in cases)

    # -- what refers to what --------------------------------------------------------------

    @cached_property
    def permits(self) -> dict[str, Case]:
        """Permits by id."""
        return {case.id: case for case in self.cases[PERMITS]}

    @cached_property
    def declared(self) -> dict[str, list[Case]]:
        """International declarations by the permit that they name as their own."""
        return _grouped(self.cases[INTERNATIONAL], "Permit_ID")

    @cached_property
    def prepaid(self) -> dict[str, list[Case]]:
        """Prepaid costs by permit."""
        return _grouped(self.cases[PREPAID], "Permit_id")

    @cached_property
    def prepaid_tasks(self) -> dict[str, list[Case]]:
        """Prepaid costs by task."""
        return _grouped(self.cases[PREPAID], "Task")

    def permit_of(self, declaration: Case) -> list[Case]:
        """The permit of an international declaration, or none."""
        return [self.permits[name]] if (name := declaration.named("Permit_ID")) in self.permits else []

    # -- the rules --------------------------------------------------------------

    def unpaid_international(self) -> list[Spell]:
        """Declarations that the supervisor and the permit allow to be paid, and nobody has asked for the payment."""
        return [
            spell
            for case in self.cases[INTERNATIONAL]
            for spell in _spells(
                [case, *self.permit_of(case)],
                lambda own, *permit: own.agreed and not own.asked and any(one.final for one in permit),
            )
        ]

    def unpaid_domestic(self) -> list[Spell]:
        """Declarations that are approved, and nobody has asked for the payment."""
        found = (_spells([case], lambda own: own.final and not own.asked) for case in self.cases[DOMESTIC])
        return [spell for spells in found for spell in spells]

    def unpaid_requests(self) -> list[Spell]:
        """Requests that the supervisor agrees to, and nobody has asked for the payment."""
        found = (_spells([case], lambda own: own.agreed and not own.asked) for case in self.cases[REQUESTS])
        return [spell for spells in found for spell in spells]

    def paid_though_rejected(self) -> list[Spell]:
        """Declarations that are paid while their permit is rejected."""
        return [
            spell
            for case in self.cases[INTERNATIONAL]
            for spell in _spells(
                [case, *self.permit_of(case)],
                lambda own, *permit: own.paid and any(one.status.startswith("REJECTED by ") for one in permit),
            )
        ]

    def paid_before_prepaid(self) -> list[Spell]:
        """Declarations of permitted trips that are paid while prepaid costs of the trip wait to be asked for."""
        return [
            spell
            for case in self.cases[INTERNATIONAL]
            for permit in self.permit_of(case)
            for spell in _spells(
                [case, permit, *self.prepaid.get(permit.id, [])],
                lambda own, permit, *costs: own.paid and permit.final and any(c.final and not c.asked for c in costs),
            )
        ]

    def overspent(self) -> list[Spell]:
        """Permits for which more is paid, by declarations and in advance, than was asked for."""

        def holds(permit: Told, *others: Told) -> bool:
            paid = sum((_amount(one.case) for one in others if one.paid), Decimal())
            return permit.begun and paid > Decimal(permit.case.attributes["RequestedBudget"])

        return [
            spell
            for case in self.cases[PERMITS]
            for spell in _spells([case, *self.declared.get(case.id, []), *self.prepaid.get(case.id, [])], holds)
        ]

    def approved_before_permit(self) -> list[Spell]:
        """Prepaid costs that are approved while their permit is there and is not.

        Costs that are older than their permit are not new to it: what is true of them when it comes is no news (D-22a).
        """
        return [
            spell
            for case in self.cases[PREPAID]
            if (permit := self.permits.get(case.named("Permit_id")))
            for spell in _spells([case, permit], lambda own, permit: own.final and permit.begun and not permit.final)
            if not (case.events[0].at < permit.events[0].at == spell.begin)
        ]

    def same_sum_prepaid(self) -> list[Spell]:
        """Approved requests whose sum was approved as prepaid costs of the same task as well."""
        return [
            spell
            for case in self.cases[REQUESTS]
            if (costs := self.prepaid_tasks.get(case.named("Task")))
            for spell in _spells(
                [case, *(one for one in costs if _amount(one) == _amount(case))],
                lambda own, *twins: own.final and any(one.final for one in twins),
            )
        ]

    def tasks(self, spells: Iterable[Spell]) -> Outcome:
        """What becomes of a task that is due five business days after each spell began, unless the spell ends first.

        What ends at the very instant at which it is due is not opened; what was due when history ends is still pending.
        """
        outcome = Outcome([], [], [])
        for case, begin, end in spells:
            due = business_days_later(begin, 5)
            if end is not None and end <= due:
                outcome.cancelled.append((case, end))
            elif due < self.last:
                outcome.due.append((case, due))
            else:
                outcome.pending.append(case)
        return outcome

    # -- what hangs on nothing --------------------------------------------------------------

    def loose(self) -> list[str]:
        """Prepaid costs of no known permit whose task no request for payment names."""
        tasks = {case.named("Task") for case in self.cases[REQUESTS]} - {""}
        return sorted(
            case.id
            for case in self.cases[PREPAID]
            if case.named("Permit_id") not in self.permits and case.named("Task") not in tasks
            and not self.declared.get(case.named("Permit_id"))
        )  # fmt: skip

    def dangling(self) -> dict[str, int]:
        """Main records whose field is empty, or is found in no record of another log; how many, in words."""
        declarations, requests = self.cases[INTERNATIONAL], self.cases[REQUESTS]
        declared, tasks = [case.named("Permit_ID") for case in declarations], [case.named("Task") for case in requests]
        found = {
            "finance.InternationalDeclarations whose permit names nobody in travel.Permits": sum(
                name not in self.permits for name in declared
            ),
            "finance.InternationalDeclarations whose permit names nobody in finance.PrepaidCosts": sum(
                name not in self.prepaid for name in declared
            ),
            "finance.RequestsForPayment whose task is empty": tasks.count(""),
            "finance.RequestsForPayment whose task names nobody in finance.PrepaidCosts": sum(
                name not in self.prepaid_tasks for name in tasks if name
            ),
        }
        return {words: count for words, count in found.items() if count}


def _spells(cases: list[Case], holds: Callable[..., bool]) -> Iterator[Spell]:
    """The times in which a condition over some cases holds; they are the first one's."""
    told = [Told(case) for case in cases]
    moments = sorted((event, number) for number, case in enumerate(cases) for event in case.events)
    begin: datetime | None = None
    for event, number in moments:
        told[number].hear(event.name)
        now = holds(*told)
        if now and begin is None:
            begin = event.at
        elif not now and begin is not None:
            yield Spell(cases[0].id, begin, event.at)
            begin = None
    if begin is not None:
        yield Spell(cases[0].id, begin, None)


def _amount(case: Case) -> Decimal:
    return Decimal(case.attributes["RequestedAmount" if case.file in (PREPAID, REQUESTS) else "Amount"])


def _grouped(cases: Iterable[Case], attribute: str) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if name := case.named(attribute):
            found[name].append(case)
    return dict(found)


# -- reading the logs --------------------------------------------------------------


@cache
def _read(file: str) -> tuple[Case, ...]:
    """The cases of a log. Its elements stand in lines of their own, so that no XML parser is needed."""
    cases: list[Case] = []
    event: dict[str, str] | None = None
    position = 0
    with gzip.open(Path(SOURCE / f"{file}.xes.gz"), "rt", encoding="utf-8") as lines:
        for line in lines:
            parts = line.split('"')
            if event is not None and len(parts) == 5:
                event[parts[1]] = parts[3]
            elif "<trace>" in line:
                cases.append(Case(file))
            elif "<event>" in line:
                event = {}
            elif "</event>" in line and event is not None:
                _keep(cases[-1], event, position)
                position, event = position + 1, None
    return tuple(cases)


def _keep(case: Case, event: dict[str, str], position: int) -> None:
    at = datetime.fromisoformat(event["time:timestamp"]).astimezone(UTC)
    case.attributes = case.attributes or {
        key.removeprefix("(case)_"): value for key, value in event.items() if key.startswith("(case)_")
    }
    case.events.append(Event(at, FILES.index(case.file), position, event["concept:name"]))


def _until(cases: Iterable[Case], until: datetime | None) -> Iterator[Case]:
    for case in cases:
        kept = [event for event in case.events if until is None or event.at < until]
        if kept:
            yield Case(case.file, case.attributes, sorted(kept, key=attrgetter("at", "position")))


# -- business days --------------------------------------------------------------

OFFICE = ZoneInfo("Europe/Amsterdam")
OPENS, CLOSES = time(9), time(17)


def business_days_later(at: datetime, count: int) -> datetime:
    """The same time of day so many business days on; counted from the next opening if the office is closed."""
    local = at.astimezone(OFFICE)
    day, clock = local.date(), local.time()
    if not is_business_day(day) or clock >= CLOSES:
        day, clock = _next_business_day(day), OPENS
    clock = max(clock, OPENS)
    for _ in range(count):
        day = _next_business_day(day)
    return datetime.combine(day, clock, OFFICE).astimezone(UTC)


def _next_business_day(day: date) -> date:
    day += timedelta(days=1)
    while not is_business_day(day):
        day += timedelta(days=1)
    return day


@cache
def is_business_day(day: date) -> bool:
    """Whether people work on that day in the Netherlands."""
    return day.weekday() < 5 and day not in holidays(day.year)


@cache
def holidays(year: int) -> frozenset[date]:
    """The holidays of the Netherlands that can be working days: Good Friday is one of them, Liberation Day is not."""
    easter = _easter(year)
    king = date(year, 4, 27)
    return frozenset({
        date(year, 1, 1), easter - timedelta(days=2), easter + timedelta(days=1), easter + timedelta(days=39),
        easter + timedelta(days=50), king if king.weekday() != 6 else date(year, 4, 26),
        date(year, 12, 25), date(year, 12, 26),
    })  # fmt: skip


def _easter(year: int) -> date:
    """Easter Sunday: the Sunday after the first full moon of spring, by the church's tables for 1900 to 2099."""
    moon = (19 * (year % 19) + 24) % 30
    sunday = (2 * (year % 4) + 4 * (year % 7) + 6 * moon + 5) % 7
    return date(year, 3, 22) + timedelta(days=moon + sunday)
