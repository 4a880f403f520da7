"""A small world for criteria: one deal with an account and contracts, seen through a scope filled by hand."""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from rules.calendars import Calendar
from rules.criteria import (
    UNKNOWN,
    AliasContext,
    Context,
    Criteria,
    Mark,
    RelatedRow,
    Rows,
    Scope,
    Unknown,
    Verdict,
    compile_criteria,
    compile_expression,
)
from schemas.metadata import ConnectionMetadata, Field, FieldType, Tab, Team, User
from schemas.values import Amount, Image, Ref, Value, parse_instant

TOKYO = Calendar.always(ZoneInfo("Asia/Tokyo"))
BERLIN_OFFICE = Calendar(
    "office", ZoneInfo("Europe/Berlin"), fiscal_start_month=4, hours=(((9 * 60, 18 * 60),),) * 5 + ((), ())
)

NOON = parse_instant("2026-03-11T03:00:00Z")
"""Wednesday 11 March 2026, 12:00 in Tokyo."""

ALIASES = {
    "deal": AliasContext(),
    "account": AliasContext(),
    "contract": AliasContext(to_one=False, single=frozenset({"deal", "account"})),
    "line": AliasContext(to_one=False, single=frozenset({"contract", "deal", "account"})),
}
LOOSE = Context("deal", ALIASES, TOKYO)
"""Nothing is known of the tabs."""


def tab(name: str, values: Mapping[str, tuple[str, ...]] | None = None, **fields: FieldType) -> Tab:
    choices = values or {}
    known = {key: Field(name=key, type=kind, values=choices.get(key, ())) for key, kind in fields.items()}
    return Tab(name=name, fields=known)


DEALS = tab(
    "Deals",
    {"Stage": ("Open", "Closed Won", "Closed Lost"), "Tags": ("red", "green", "blue")},
    Stage="picklist", Amount="number", Deal_Name="text", Close_Date="date", Created_Time="datetime",
    Paid="boolean", Tags="multipicklist", Owner="user", Account_Name="lookup", Score="number",
)  # fmt: skip
ACCOUNTS = tab("Accounts", Type="text", Region="text", Owner="user", Employees="number")
CONTRACTS = tab("Contract", Status="text", StartDate="date", Value="number", Framework__c="boolean")

STRICT = Context(
    "deal",
    {
        "deal": AliasContext(DEALS),
        "account": AliasContext(ACCOUNTS),
        "contract": AliasContext(CONTRACTS, to_one=False, single=frozenset({"deal", "account"})),
    },
    TOKYO,
)
"""The same tabs with their metadata."""


@dataclass
class World:
    """A scope over plain values; rows of a tab are complete unless they are named in ``partial``."""

    records: Mapping[str, Image | Unknown | None] = field(default_factory=dict)
    related: Mapping[str, Sequence[Image]] = field(default_factory=dict)
    partial: frozenset[str] = frozenset()
    steps: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    users: ConnectionMetadata | None = None
    anchor: Ref = "zoho:Deals/D1"
    now: int = NOON
    before: Image | None = None
    changed: frozenset[str] = frozenset()
    created: bool = False
    marks: MutableMapping[str, Mark] = field(default_factory=dict)

    def __getitem__(self, alias: str) -> Image | Unknown | None:
        return self.records[alias]

    def rows(self, alias: str) -> Rows:
        images = self.related.get(alias, ())
        numbered = [RelatedRow(f"x:{alias}/{number}", image) for number, image in enumerate(images)]
        return Rows(numbered, alias not in self.partial)

    def at(self, alias: str, row: RelatedRow) -> Scope:
        return replace(self, records={**self.records, alias: row.image}, related=row.image.get("below", self.related))

    def metadata(self, alias: str) -> ConnectionMetadata | None:
        return self.users

    def value_of_step(self, name: str, field: str) -> "Value | Unknown":
        return self.steps.get(name, {}).get(field, UNKNOWN)


def deal(**fields: Any) -> World:
    """A world with this deal and an account that has an id only."""
    return World({"deal": {"id": "D1", **fields}, "account": {"id": "A1"}})


def contracts(*rows: Image, complete: bool = True) -> World:
    """A world with these contracts of one deal."""
    partial: frozenset[str] = frozenset() if complete else frozenset({"contract"})
    return replace(deal(), related={"contract": rows}, partial=partial)


def edited(old: Image, new: Image, changed: Iterable[str] | None = None) -> World:
    """A deal just after an edit."""
    names = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return replace(deal(**new), before={"id": "D1", **old}, changed=frozenset(changed or names))


def verdict(text: str, world: Scope, context: Context = LOOSE) -> Verdict:
    return compile_criteria(text, context).verdict(world)


def value(text: str, world: Scope, context: Context = LOOSE) -> Any:
    return compile_expression(text, context).value(world)


def criteria(text: str, context: Context = LOOSE) -> Criteria:
    return compile_criteria(text, context)


def at(text: str) -> int:
    """Milliseconds of a UTC time."""
    return parse_instant(text)


USERS = ConnectionMetadata(
    connection="zoho",
    users=(
        User(id="1", name="Ann", email="ann@example.com", roles=("Sales",), manager="2"),
        User(id="2", name="Bob", email="bob@example.com", roles=("Sales Director",), manager="3"),
        User(id="3", name="Cyd", email="cyd@example.com", active=False),
    ),
    teams=(Team(id="t1", name="Presales", members=("1", "3")),),
)

__all__ = [
    "ALIASES", "BERLIN_OFFICE", "LOOSE", "NOON", "STRICT", "TOKYO", "USERS", "Amount", "World", "at", "contracts",
    "criteria", "deal", "edited", "tab", "value", "verdict",
]  # fmt: skip
