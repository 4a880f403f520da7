"""Turns the seller's CSV files into a history of change events: JSON lines, one file per connection, in time order.

    python -m examples.crm_sales.convert SOURCE TARGET

Accounts, products and agents were there when the history begins, so they are a first load on the day before the first
deal. So are prospects: nothing tells when they came. A deal is created on its engage date and updated when it closes.
The dirt of the data stays as it is: names that match nothing show as orphans, not as errors.
"""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import msgspec

Row: TypeAlias = dict[str, Any]
Event: TypeAlias = tuple[datetime, dict[str, Any]]
"""When it happened, and the line without its time."""


def _whole(cell: str) -> int:
    return int(cell)


def _moment(cell: str) -> datetime:
    return datetime.strptime(cell, "%m/%d/%Y").replace(tzinfo=UTC)


def _day(cell: str) -> str:
    return _moment(cell).date().isoformat()


TYPES: Mapping[str, Callable[[str], Any]] = {
    "close_date": _day,
    "close_value": _whole,
    "employees": _whole,
    "engage_date": _day,
    "revenue": Decimal,
    "sales_price": _whole,
    "year_established": _whole,
}
"""Columns that are not text."""

CLOSING = ("deal_stage", "close_date", "close_value")
_encode = msgspec.json.Encoder(decimal_format="number").encode


def read(path: Path) -> Iterator[Row]:
    """The rows of a CSV file, typed; empty cells are left out. Ends the program on a cell that has no such type."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), 2):
            try:
                yield {name: TYPES.get(name, str)(cell) for name, cell in row.items() if cell}
            except (ValueError, ArithmeticError):
                _stop(f"{path.name}, line {number}: a date is not m/d/Y, or a number is none. Mend the line.")


def deal_events(row: Row, begin: datetime) -> Iterator[Event]:
    """What happened to one deal, in order."""
    name = row["opportunity_id"]
    if "engage_date" not in row:
        yield begin, line("sales:Opportunities", name, "create", row, load=True)
        return
    engaged = {key: value for key, value in row.items() if key not in CLOSING} | {"deal_stage": "Engaging"}
    yield _midnight(row["engage_date"]), line("sales:Opportunities", name, "create", engaged)
    if "close_date" in row:
        yield _midnight(row["close_date"]), line("sales:Opportunities", name, "update", row)


def found(tab: str, rows: Iterable[Row], key: str, begin: datetime) -> Iterator[Event]:
    """Records that were there when the history begins; their names are their ids."""
    return ((begin, line(tab, row[key], "create", row, load=True)) for row in rows)


def line(tab: str, record_id: str, op: str, after: Row, **more: bool) -> dict[str, Any]:
    """A change event without its time."""
    return {"tab": tab, "record_id": record_id, "op": op, "after": {**after, "id": record_id}, **more}


def write(path: Path, events: Iterable[Event]) -> int:
    """Write the events in order of their times, those of one time as they come; how many they are."""
    lines = [_encode({**told, "committed_at": at}) for at, told in sorted(events, key=itemgetter(0))]
    path.write_bytes(b"".join(one + b"\n" for one in lines))
    return len(lines)


def convert(source: Path, target: Path, most: int | None = None) -> int:
    """Write the history of the CSV files in ``source``, of all deals or the first ``most``; the number of events."""
    target.mkdir(parents=True, exist_ok=True)
    deals = list(read(source / "sales_pipeline.csv"))[:most]
    begin = min(_midnight(row["engage_date"]) for row in deals if "engage_date" in row) - timedelta(days=1)
    people = found("people:Agents", read(source / "sales_teams.csv"), "sales_agent", begin)
    sales = [
        *found("sales:Accounts", read(source / "accounts.csv"), "account", begin),
        *found("sales:Products", read(source / "products.csv"), "product", begin),
        *(event for row in deals for event in deal_events(row, begin)),
    ]
    written = {"people": people, "sales": sales, "delivery": ()}
    return sum(write(target / f"{name}.jsonl", events) for name, events in written.items())


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def _stop(problem: str) -> NoReturn:
    sys.exit(problem)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        _stop("Usage: python -m examples.crm_sales.convert SOURCE TARGET")
    try:
        print(f"{convert(Path(sys.argv[1]), Path(sys.argv[2])):,} events. Next: renkei run examples/crm_sales")
    except (OSError, KeyError) as error:
        _stop(f"Cannot read the CSV files: {error}. SOURCE is the folder that holds sales_pipeline.csv.")
