"""One Zoho module: its columns, and its records as Zoho writes them."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

from sandbox.seed import BlueprintSeed
from sandbox.store import Row, Store
from sandbox.zoho.errors import RowRefusedError, invalid_row
from schemas.metadata import Field, Tab
from schemas.values import Value, format_instant, is_empty, parse_date, parse_instant

NAME_FIELDS = {
    "Accounts": "Account_Name", "Deals": "Deal_Name", "Campaigns": "Campaign_Name", "Contacts": "Email",
    "Leads": "Email", "Products": "Product_Name", "Vendors": "Vendor_Name", "Cases": "Subject",
}  # fmt: skip
"""The system duplicate field of each standard module; ``Name`` for custom modules (fact sheet 2.4)."""

SYSTEM = {
    field.name: field
    for field in (
        Field(name="id", type="id", label="Record Id", writable=False),
        Field(name="Owner", type="user", label="Owner"),
        Field(name="Created_Time", type="datetime", label="Created Time", writable=False),
        Field(name="Modified_Time", type="datetime", label="Modified Time", writable=False),
        Field(name="Created_By", type="user", label="Created By", writable=False),
        Field(name="Modified_By", type="user", label="Modified By", writable=False),
    )
}

TAG, LOCKED, CONVERTED = "Tag", "Locked__s", "Converted__s"
MAILS, LOCKS = "Emails", "Locking_Information__s"
_REASON = Field(name="Locked_Reason__s", type="text", label="Locked Reason")
HIDDEN: Mapping[str, Tab] = {MAILS: Tab(name=MAILS), LOCKS: Tab(name=LOCKS, fields={_REASON.name: _REASON})}
"""Where mails and locks are kept: no modules of Zoho's, but effects that a ledger shows."""

_OF_LEADS = (
    Field(name=CONVERTED, type="boolean", label="Is Converted", writable=False),
    Field(name="Converted_Account", type="lookup", refers_to=("Accounts",), writable=False),
    Field(name="Converted_Contact", type="lookup", refers_to=("Contacts",), writable=False),
    Field(name="Converted_Deal", type="lookup", refers_to=("Deals",), writable=False),
)

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_ID = re.compile(r"\d{15,20}")


def is_id(text: object) -> TypeGuard[str]:
    """Whether this can be a record id: 15 to 20 digits."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def as_id(raw: object) -> object:
    """An id in a body as text: the vendor's own SDK writes it as a number."""
    return str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw


def texts(row: Row, name: str) -> list[str]:
    """A field that holds several texts."""
    held = row.fields.get(name)
    return [str(one) for one in held] if isinstance(held, list) else []


class Module:
    """A tab in Zoho's dialect: which columns it has, how values come in and go out."""

    def __init__(self, store: Store, tab: Tab, zone: ZoneInfo, blueprint: BlueprintSeed | None = None) -> None:
        self.store = store
        self.tab = tab
        self.name = tab.name
        self.blueprint = blueprint
        leads = {field.name: field for field in _OF_LEADS} if tab.name == "Leads" else {}
        self.columns: Mapping[str, Field] = {**SYSTEM, **leads, **tab.fields}
        self.duplicate_field = NAME_FIELDS.get(tab.name, "Name")
        self.unique_fields = tuple(field.name for field in tab.fields.values() if field.unique)
        self._zone = zone

    def image(self, row: Row) -> dict[str, Value]:
        """All columns of a record in our values; times have Zoho's resolution of a second."""
        unconverted = {CONVERTED: False} if CONVERTED in self.columns else {}
        return {
            **unconverted,
            **row.fields,
            "id": row.id,
            "Owner": row.fields.get("Owner") or row.created_by,
            "Created_Time": format_instant(row.created_at // 1000 * 1000),
            "Modified_Time": format_instant(row.modified_at // 1000 * 1000),
            "Created_By": row.created_by,
            "Modified_By": row.modified_by,
        }

    def render(self, name: str, value: Value) -> Any:
        """A column's value as Zoho writes it."""
        field = self.columns[name]
        if is_empty(value):
            return None
        if field.type == "datetime":
            return self.local_time(parse_instant(str(value)))
        if field.type == "user":
            return self.user(str(value))
        if field.type == "lookup":
            return self._lookup(field, str(value))
        return value

    def local_time(self, at: int) -> str:
        """A moment with the offset of the user's zone and no fraction."""
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
        return moment.astimezone(self._zone).isoformat(timespec="seconds")

    def user(self, user_id: str) -> dict[str, str]:
        """A user as a value: id, name and mail address."""
        user = self.store.user(user_id)
        return {"name": user.name if user else "", "id": user_id, "email": user.email if user else ""}

    def display_name(self, row: Row) -> str:
        """What a lookup shows of a record."""
        if row.tab in ("Contacts", "Leads"):
            return " ".join(str(row.fields[key]) for key in ("First_Name", "Last_Name") if row.fields.get(key))
        name = row.fields.get(NAME_FIELDS.get(row.tab, "Name")) or row.fields.get("Subject")
        return str(name or "")

    def accept(self, name: str, raw: Any, path: str) -> Value:
        """What a client wrote as one of our values.

        Raises:
            RowRefusedError: wrong type, too long, not in the picklist, or a lookup to nobody.
        """
        field = self.columns[name]
        if raw is None:
            return None
        return _ACCEPT[field.type](self, field, raw, path)

    def tags(self, row: Row) -> list[dict[str, Any]]:
        """The tags of a record."""
        ids = {name: str(5725767000000009000 + sum(name.encode())) for name in texts(row, TAG)}
        return [{"name": name, "id": tag, "color_code": None} for name, tag in ids.items()]

    def _lookup(self, field: Field, record_id: str) -> dict[str, str]:
        row = self.related(field, record_id)
        return {"name": self.display_name(row) if row else "", "id": record_id}

    def related(self, field: Field, record_id: str) -> Row | None:
        """The live record that a lookup's value names."""
        rows = (self.store.row(tab, record_id) for tab in field.refers_to)
        return next((row for row in rows if row is not None), None)


def _text(module: Module, field: Field, raw: Any, path: str) -> Value:
    if not isinstance(raw, str):
        raise _wrong_type(field, path, "text")
    return _short_enough(field, raw, path)


def _picklist(module: Module, field: Field, raw: Any, path: str) -> Value:
    if not isinstance(raw, str) or (field.values and raw not in field.values):
        raise _wrong_type(field, path, "picklist")
    return raw


def _multipicklist(module: Module, field: Field, raw: Any, path: str) -> Value:
    if not isinstance(raw, list) or (field.values and any(item not in field.values for item in raw)):
        raise _wrong_type(field, path, "jsonarray")
    return [str(item) for item in raw]


def _number(module: Module, field: Field, raw: Any, path: str) -> Value:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        raise _wrong_type(field, path, "double")
    return raw  # type: ignore[return-value] # the decoder makes every fraction an Amount


def _boolean(module: Module, field: Field, raw: Any, path: str) -> Value:
    if not isinstance(raw, bool):
        raise _wrong_type(field, path, "boolean")
    return raw


def _date(module: Module, field: Field, raw: Any, path: str) -> Value:
    try:
        if not _DAY.fullmatch(raw):
            raise ValueError
        return parse_date(raw).isoformat()
    except (TypeError, ValueError):
        raise _wrong_type(field, path, "date") from None


def _datetime(module: Module, field: Field, raw: Any, path: str) -> Value:
    try:
        if not _INSTANT.fullmatch(raw):
            raise ValueError
        return format_instant(parse_instant(raw))
    except (TypeError, ValueError):
        raise _wrong_type(field, path, "datetime") from None


def _lookup(module: Module, field: Field, raw: Any, path: str) -> Value:
    record_id = as_id(raw.get("id") if isinstance(raw, dict) else raw)
    if not is_id(record_id):
        raise _wrong_type(field, path, "bigint")
    if module.related(field, record_id) is None:
        raise invalid_row(field.name, path, "the related id given seems to be invalid")
    return record_id


def _user(module: Module, field: Field, raw: Any, path: str) -> Value:
    user_id = raw.get("id") if isinstance(raw, dict) else raw
    user = module.store.user(str(user_id))
    if user is None or not user.active:
        raise invalid_row(field.name, path, "the id given seems to be invalid")
    return user.id


def _short_enough(field: Field, text: str, path: str) -> str:
    longest = field.max_length or (None if field.type == "unknown" else 255)
    if longest is not None and len(text) > longest:
        raise invalid_row(field.name, path, maximum_length=longest)
    return text


def _wrong_type(field: Field, path: str, expected: str) -> RowRefusedError:
    return invalid_row(field.name, path, expected_data_type=expected)


_ACCEPT: dict[str, Callable[[Module, Field, Any, str], Value]] = {
    "id": _text, "text": _text, "unknown": _text, "picklist": _picklist, "multipicklist": _multipicklist,
    "number": _number, "boolean": _boolean, "date": _date, "datetime": _datetime, "lookup": _lookup,
    "user": _user,
}  # fmt: skip
