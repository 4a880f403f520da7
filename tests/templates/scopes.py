"""A scope that stories fill by hand, and the deal that they tell of."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from rules.criteria.scope import UNKNOWN, Mark, RelatedRow, Rows, Scope, Unknown
from schemas.metadata import ConnectionMetadata
from schemas.values import Amount, Image, Ref, Value

NOON = 1_795_262_400_000
"""2026-11-21 12:00 UTC."""


@dataclass
class HandMade:
    """A scope over plain values; what is not given is absent, or unknown where it says so."""

    records: Mapping[str, Image | Unknown | None] = field(default_factory=dict)
    related: Mapping[str, Rows] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    anchor: Ref = "zoho:Deals/D1"
    now: int = NOON
    before: Image | None = None
    changed: frozenset[str] = frozenset()
    created: bool = False
    marks: MutableMapping[str, Mark] = field(default_factory=dict)

    def __getitem__(self, alias: str) -> Image | Unknown | None:
        return self.records[alias]

    def rows(self, alias: str) -> Rows:
        return self.related.get(alias, Rows((), complete=True))

    def at(self, alias: str, row: RelatedRow) -> Scope:
        return HandMade({**self.records, alias: row.image}, self.related, self.steps)

    def metadata(self, alias: str) -> ConnectionMetadata | None:
        return None

    def value_of_step(self, name: str, field: str) -> Value | Unknown:
        return self.steps[name].get(field) if name in self.steps else UNKNOWN


def row(tab: str, record_id: str, **fields: Any) -> RelatedRow:
    """A related record."""
    return RelatedRow(f"{tab}/{record_id}", {"id": record_id, **fields})


DEAL: Image = {
    "id": "D1",
    "Deal_Name": "Maki & Söhne <GmbH>",
    "Amount": Amount("1234567.5"),
    "Stage": "Closed Won",
    "Closing_Date": "2026-12-31",
    "Created_Time": "2026-11-20T23:30:00Z",
    "Tags": ["new", "big"],
    "Won": True,
    "Description": None,
    "Note": "  ",
    "Product Line": "Robots",
}
ACCOUNT: Image = {"id": "A1", "Account_Name": "Maki", "Region": "EMEA"}
CONTRACTS = Rows(
    (
        row("salesforce:Contract", "C1", Number="0001", Status="Activated", Value=Amount("10.10")),
        row("salesforce:Contract", "C2", Number="0002", Status="Draft", Value=None),
    ),
    complete=True,
)


def the_deal() -> HandMade:
    """A deal with its account, two contracts, and a demo that an earlier step made."""
    return HandMade(
        records={"deal": DEAL, "account": ACCOUNT, "contact": None},
        related={"contract": CONTRACTS},
        steps={"demo": {"id": "M7", "url": "https://crm.example/M7"}},
    )
