"""One Vtiger module: its columns, and its records as strings."""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from sandbox.store import Row, Store
from sandbox.vtiger.errors import RefusedError, bad_id
from schemas.metadata import Field, Tab
from schemas.values import Amount, Value, format_instant, is_empty, parse_date

MODULE_IDS = {
    "Campaigns": 1, "Vendors": 2, "Faq": 3, "Quotes": 4, "PurchaseOrder": 5, "SalesOrder": 6, "Invoice": 7,
    "PriceBooks": 8, "Calendar": 9, "Leads": 10, "Accounts": 11, "Contacts": 12, "Potentials": 13,
    "Products": 14, "Documents": 15, "Emails": 16, "HelpDesk": 17, "Events": 18, "Users": 19, "Groups": 20,
    "Currency": 21, "DocumentFolders": 22, "Project": 29, "ModComments": 30,
}  # fmt: skip
"""The numbers before the ``x`` of a record id in a default installation; custom modules start at 40."""

LABEL_FIELDS = {
    "Leads": ("firstname", "lastname"), "Contacts": ("firstname", "lastname"), "Accounts": ("accountname",),
    "Potentials": ("potentialname",), "Project": ("projectname",), "Campaigns": ("campaignname",),
    "Calendar": ("subject",),
}  # fmt: skip

SYSTEM = {
    field.name: field
    for field in (
        Field(name="assigned_user_id", type="user", label="Assigned To", mandatory=True),
        Field(name="createdtime", type="datetime", label="Created Time", writable=False),
        Field(name="modifiedtime", type="datetime", label="Modified Time", writable=False),
        Field(name="modifiedby", type="lookup", label="Last Modified By", refers_to=("Users",), writable=False),
        Field(name="source", type="text", label="Source", writable=False),
        Field(name="starred", type="boolean", label="starred"),
        Field(name="tags", type="text", label="tags"),
        Field(name="id", type="id", label="id", writable=False),
    )
}

SEPARATOR = " |##| "

_WIDE = re.compile(r"\d+x\d+")
_LEADING_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_CENT = Decimal("0.01")


class Entity:
    """A tab in Vtiger's dialect: which columns it has, how values come in and go out."""

    def __init__(self, store: Store, tab: Tab, number: int, numbers: Mapping[str, int]) -> None:
        self.store = store
        self.tab = tab
        self.name = tab.name
        self.number = number
        self.fields: Mapping[str, Field] = {
            **tab.fields,
            **{k: f for k, f in SYSTEM.items() if k not in tab.fields},
        }
        self.label_fields = LABEL_FIELDS.get(tab.name, tuple(name for name in tab.fields if name.endswith("name"))[:1])
        self._numbers = numbers

    def image(self, row: Row) -> dict[str, Value]:
        """All columns of a record in our values; times have whole seconds."""
        return {
            "source": "WEBSERVICE" if row.by_api else "CRM",
            **row.fields,
            "createdtime": format_instant(row.created_at // 1000 * 1000),
            "modifiedtime": format_instant(row.modified_at // 1000 * 1000),
            "modifiedby": row.modified_by,
            "id": row.id,
        }

    def images(self) -> Iterable[dict[str, Value]]:
        """Every live record, in the order of creation."""
        rows = sorted(self.store.rows(self.name), key=lambda row: record_number(row.id))
        return (self.image(row) for row in rows)

    def render(self, row: Row) -> dict[str, Any]:
        """A record as every operation but query gives it: all columns and the label."""
        image = self.image(row)
        body = {name: self.render_value(name, image.get(name)) for name in self.fields}
        return {**body, "label": self.label(row)}

    def render_value(self, name: str, value: Value) -> str | None:
        """A column's value as Vtiger writes it: a string, or null for a lookup to nobody."""
        field = self.fields[name]
        if is_empty(value):
            return _EMPTY.get(field.type, "")
        if field.type == "boolean":
            return "1" if value else "0"
        if field.type == "datetime":
            return str(value)[:19].replace("T", " ")
        if isinstance(value, list):
            return SEPARATOR.join(str(item) for item in value)
        return str(value)

    def label(self, row: Row) -> str:
        """What a lookup shows of a record."""
        return " ".join(str(row.fields[name]) for name in self.label_fields if row.fields.get(name))

    def accept(self, name: str, raw: Any) -> Value:
        """What a client wrote as one of our values; Vtiger bends most wrong values instead of refusing them.

        Raises:
            RefusedError: an id in a wrong form or of a wrong module.
        """
        field = self.fields[name]
        if raw is None or raw == "":
            return None
        return _ACCEPT[field.type](self, field, raw)

    def reference(self, field: Field, text: str) -> Value:
        """A lookup's value; one to a missing record is silently dropped."""
        number, record = split_id(text)
        targets = {self._numbers.get(tab): tab for tab in field.refers_to}
        if number not in targets:
            raise RefusedError("REFERENCE_INVALID", f"Invalid reference specified for {field.name}")
        wide, tab = f"{number}x{record}", targets[number]
        known = self.store.user(wide) if tab == "Users" else self.store.row(str(tab), wide)
        return wide if known is not None else None


def split_id(text: str) -> tuple[int, int]:
    """The module's and the record's number of an id.

    Raises:
        RefusedError: not of the form ``NxM``.
    """
    if not _WIDE.fullmatch(text):
        raise bad_id()
    number, _, record = text.partition("x")
    return int(number), int(record)


def record_number(record_id: str) -> int:
    """The number behind the ``x``."""
    return int(record_id.rpartition("x")[2])


def _text(entity: Entity, field: Field, raw: Any) -> Value:
    return str(raw)


def _number(entity: Entity, field: Field, raw: Any) -> Value:
    """The number that the text begins with, in cents: ``"1,5"`` is 1, ``"abc"`` is 0."""
    found = _LEADING_NUMBER.match(str(raw))
    try:
        return Amount(Decimal(found[0] if found else "0").quantize(_CENT, ROUND_HALF_UP))
    except InvalidOperation:
        return Amount("99999999.99")


def _boolean(entity: Entity, field: Field, raw: Any) -> Value:
    return raw is True or raw == 1 or raw in ("1", "on")


def _date(entity: Entity, field: Field, raw: Any) -> Value:
    try:
        return parse_date(str(raw)).isoformat()
    except ValueError:
        return None


def _datetime(entity: Entity, field: Field, raw: Any) -> Value:
    return str(raw).replace(" ", "T")[:19] + "Z"


def _multipicklist(entity: Entity, field: Field, raw: Any) -> Value:
    items = raw if isinstance(raw, list) else str(raw).split(SEPARATOR)
    return [str(item) for item in items]


def _reference(entity: Entity, field: Field, raw: Any) -> Value:
    return entity.reference(field, str(raw))


def _owner(entity: Entity, field: Field, raw: Any) -> Value:
    text = str(raw)
    return f"19x{text}" if text.isdigit() else "{}x{}".format(*split_id(text))


_EMPTY: dict[str, str | None] = {"lookup": None, "number": "0.00", "boolean": "0"}

_ACCEPT: dict[str, Callable[[Entity, Field, Any], Value]] = {
    "id": _text, "text": _text, "unknown": _text, "picklist": _text, "multipicklist": _multipicklist,
    "number": _number, "boolean": _boolean, "date": _date, "datetime": _datetime, "lookup": _reference,
    "user": _owner,
}  # fmt: skip
