"""Turns the five logs of a university's travel expenses into a history of change events: JSON lines, in time order.

    python -m examples.bpi2020.convert SOURCE TARGET

Each event of a log is one change of its case's record, so there are as many changes as events: 261,026. A record is
created by the first event of its case. Events of one time keep the order of their log; renkei.yaml orders the logs.
What a case refers to and asks for stands at its creation; what the events tell is kept in ``status`` and ``payment``.
"""

import gzip
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn, TypeAlias
from xml.parsers import expat

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

Row: TypeAlias = dict[str, Any]
Told: TypeAlias = Callable[[int], object]
"""Hears of so many more bytes that were read."""

CHUNK = 1 << 16
NOTHING = "UNKNOWN"
"""What the logs write where there is no value."""
CASE = "(case)_"
SECOND = 1000

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True)
class Log:
    """One log: its file, the tab that its cases become, the word its own events begin with, and the case's fields."""

    file: str
    tab: str
    subject: str
    fields: Mapping[str, str]
    """Field names of the tab by attributes of the case; ``id`` is one of them."""

    @property
    def path(self) -> str:
        """The file of change events, in the target folder."""
        return f"{self.tab.partition(':')[2]}.jsonl"


_COST = {
    "Rfp_id": "id",
    "RfpNumber": "number",
    "RequestedAmount": "amount",
    "OrganizationalEntity": "organisation",
    "Project": "project",
    "Task": "task",
    "Activity": "activity",
}
_DECLARATION = {"id": "id", "DeclarationNumber": "number", "Amount": "amount", "BudgetNumber": "budget"}

LOGS = (
    Log(
        "PermitLog", "travel:Permits", "Permit",
        {
            "id": "id", "travel_permit_number": "number", "RequestedBudget": "requested_budget",
            "OrganizationalEntity": "organisation", "ProjectNumber": "project", "TaskNumber": "task",
            "ActivityNumber": "activity", "BudgetNumber": "budget",
        },
    ),
    Log("DomesticDeclarations", "finance:DomesticDeclarations", "Declaration", _DECLARATION),
    Log(
        "InternationalDeclarations", "finance:InternationalDeclarations", "Declaration",
        # Permit_id2 names one permit for all that have none of their own in the log; Permit_ID tells them apart.
        {**_DECLARATION, "Permit_ID": "permit", "Permit_id2": "booked_on"},
    ),
    Log("PrepaidTravelCost", "finance:PrepaidCosts", "Request For Payment", {**_COST, "Permit_id": "permit"}),
    Log("RequestForPayment", "finance:RequestsForPayment", "Request For Payment", _COST),
)  # fmt: skip

NUMBERS = frozenset({"amount", "requested_budget"})
PAYMENTS = {"Request Payment": "requested", "Payment Handled": "handled"}
TRIPS = {"Start trip": "started", "End trip": "ended"}


@dataclass
class _Reader:
    """Takes an XES document apart as it is read: the attributes of one event after another."""

    events: list[tuple[bool, dict[str, str]]] = field(default_factory=list)
    """Whether it is the first of its case, and its attributes."""
    _attributes: dict[str, str] | None = None
    _first: bool = True

    def start(self, name: str, attributes: list[str]) -> None:
        """An element begins; the attributes of one come as names and values in a row, here key and value."""
        if self._attributes is not None:
            self._attributes[attributes[1]] = attributes[3]
        elif name == "event":
            self._attributes = {}
        elif name == "trace":
            self._first = True

    def end(self, name: str) -> None:
        """An element ends."""
        if name == "event" and self._attributes is not None:
            self.events.append((self._first, self._attributes))
            self._attributes, self._first = None, False

    def taken(self) -> list[tuple[bool, dict[str, str]]]:
        """The events that are complete, once."""
        events, self.events = self.events, []
        return events


def read(path: Path, told: Told = lambda size: None) -> Iterator[tuple[bool, dict[str, str]]]:
    """The events of a packed XES file, one case after another: whether it is its case's first, and its attributes."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.ordered_attributes = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    with path.open("rb") as packed, gzip.open(packed) as stream:
        while chunk := stream.read(CHUNK):
            before = packed.tell()
            parser.Parse(chunk)
            yield from reader.taken()
            told(packed.tell() - before)
        parser.Parse(b"", True)


def changes(log: Log, path: Path, told: Told = lambda size: None) -> Iterator[tuple[int, Row]]:
    """The change that each event makes, with its time in milliseconds, one case after another."""
    for first, event in read(path, told):
        at = int(datetime.fromisoformat(event["time:timestamp"]).timestamp()) * SECOND
        case = {name: event.get(CASE + source, NOTHING) for source, name in log.fields.items()}
        after = {name: _value(name, raw) for name, raw in case.items() if raw != NOTHING} if first else {}
        change = {
            "tab": log.tab, "record_id": case["id"], "op": "create" if first else "update",
            "after": after | {"id": case["id"]} | what_it_tells(log.subject, event), "partial": not first,
        }  # fmt: skip
        yield at, change


def what_it_tells(subject: str, event: Mapping[str, str]) -> Row:
    """The fields that an event gives new values: itself always, the status only if it is about the record's own kind.

    The logs of permits, declarations and prepaid costs hold each other's events as well.
    """
    name = event["concept:name"]
    told = {"event": name, "event_id": event["id"], "role": event["org:role"]}
    if name.startswith(subject + " "):
        told["status"], _, told["status_by"] = name.removeprefix(subject + " ").partition(" by ")
    elif name in PAYMENTS and subject != "Permit":
        told["payment"] = PAYMENTS[name]
    elif name in TRIPS:
        told["trip"] = TRIPS[name]
    return told


def write(log: Log, source: Path, target: Path, until: int | None = None, told: Told = lambda size: None) -> int:
    """Write the changes of one log, all or those before ``until`` (milliseconds), in time order; how many."""
    found = sorted(changes(log, source / f"{log.file}.xes.gz", told), key=itemgetter(0))
    kept = [one for one in found if until is None or one[0] < until]
    with (target / log.path).open("wb") as stream:
        for number, (at, change) in enumerate(kept, 1):
            stream.write(_encode({**change, "committed_at": at, "seen_at": at, "source_position": number}) + b"\n")
    return len(kept)


def convert(source: Path, target: Path, until: datetime | None = None, *, quiet: bool = True) -> int:
    """Write the history of the logs in ``source``, whole or up to a time that is not part of it; how many changes."""
    target.mkdir(parents=True, exist_ok=True)
    end = int(until.timestamp()) * SECOND if until else None
    total = sum((source / f"{log.file}.xes.gz").stat().st_size for log in LOGS)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=Console(stderr=True),
        transient=True, disable=quiet,
    ) as progress:  # fmt: skip
        task = progress.add_task("reading the logs", total=total)
        return sum(write(log, source, target, end, lambda size: progress.advance(task, size)) for log in LOGS)


def _value(name: str, raw: str) -> str | Decimal:
    return Decimal(raw) if name in NUMBERS else raw


def _stop(problem: str) -> NoReturn:
    sys.exit(problem)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        _stop("Usage: python -m examples.bpi2020.convert SOURCE TARGET")
    try:
        count = convert(Path(sys.argv[1]), Path(sys.argv[2]), quiet=not sys.stderr.isatty())
        print(f"{count:,} events. Next: renkei run examples/bpi2020")
    except (OSError, KeyError, ValueError, InvalidOperation, expat.ExpatError) as error:
        _stop(f"Cannot read the logs: {error}. SOURCE is the folder that holds PermitLog.xes.gz.")
