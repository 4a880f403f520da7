"""One Salesforce object: its fields, and its records as Salesforce writes them."""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from sandbox.salesforce.errors import RefusedError, no_column
from sandbox.salesforce.ids import PREFIXES, full_id
from sandbox.store import Row, Store
from schemas.metadata import Field, Tab
from schemas.values import Amount, Value, format_instant, is_empty, parse_date, parse_instant

SYSTEM = {
    field.name: field
    for field in (
        Field(name="Id", type="id", label="Record ID", writable=False),
        Field(name="IsDeleted", type="boolean", label="Deleted", writable=False),
        Field(name="OwnerId", type="user", label="Owner ID", refers_to=("User", "Group")),
        Field(name="CreatedDate", type="datetime", label="Created Date", writable=False),
        Field(name="CreatedById", type="user", label="Created By ID", refers_to=("User",), writable=False),
        Field(name="LastModifiedDate", type="datetime", label="Last Modified Date", writable=False),
        Field(
            name="LastModifiedById",
            type="user",
            label="Last Modified By ID",
            refers_to=("User",),
            writable=False,
        ),
        Field(name="SystemModstamp", type="datetime", label="System Modstamp", writable=False),
    )
}

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class SObject:
    """A tab in Salesforce's dialect: which fields it has, how values come in and go out."""

    def __init__(self, store: Store, tab: Tab, prefix: str) -> None:
        self.store = store
        self.tab = tab
        self.name = tab.name
        self.prefix = prefix
        self.fields: Mapping[str, Field] = {**SYSTEM, **tab.fields}
        self.purged: set[str] = set()
        """Ids of records that left the recycle bin: only the log of deletions knows of them."""
        self.unique_fields = tuple(field.name for field in tab.fields.values() if field.unique)

    def image(self, row: Row) -> dict[str, Value]:
        """All fields of a record in our values; instants have whole seconds."""
        modified = format_instant(row.modified_at // 1000 * 1000)
        return {
            **row.fields,
            "Id": row.id,
            "IsDeleted": not row.live,
            "OwnerId": row.fields.get("OwnerId") or row.created_by,
            "CreatedDate": format_instant(row.created_at // 1000 * 1000),
            "CreatedById": row.created_by,
            "LastModifiedDate": modified,
            "LastModifiedById": row.modified_by,
            "SystemModstamp": modified,
        }

    def images(self) -> Iterable[dict[str, Value]]:
        """Every record, those in the recycle bin too."""
        return (self.image(row) for row in self.store.all_rows(self.name) if row.id not in self.purged)

    def field(self, name: str) -> Field:
        """A field by its name in any case.

        Raises:
            RefusedError: INVALID_FIELD.
        """
        found = self.fields.get(name) or next((f for f in self.fields.values() if f.name.lower() == name.lower()), None)
        if found is None:
            raise no_column(name, self.name)
        return found

    def render(self, name: str, value: Value) -> Any:
        """A field's value as Salesforce writes it."""
        field = self.field(name)
        if field.type == "boolean":
            return bool(value)
        if is_empty(value):
            return None
        if field.type == "datetime":
            return local_form(str(value))
        if isinstance(value, list):
            return ";".join(str(item) for item in value)
        return value

    def accept(self, name: str, raw: Any) -> tuple[str, Value]:
        """What a client wrote as a field's proper name and one of our values.

        Raises:
            RefusedError: unknown or read-only field, wrong type, too long, not in the picklist, ….
        """
        field = self.field(name)
        if not field.writable:
            message = f"Unable to create/update fields: {field.name}."
            raise RefusedError(400, "INVALID_FIELD_FOR_INSERT_UPDATE", message, (field.name,))
        if raw is None or raw == "":
            return field.name, None
        return field.name, _ACCEPT[field.type](self, field, raw)

    def links_to(self, field: Field, record_id: str) -> bool:
        """Whether a lookup's value names a user, a team or a live record of a tab that it may name."""
        if field.type == "user":
            return self.store.user(record_id) is not None or record_id in {t.id for t in self.store.metadata.teams}
        return any(self.store.row(tab, record_id) is not None for tab in field.refers_to)


def local_form(instant: str) -> str:
    """An instant as Salesforce writes it: milliseconds and ``+0000``."""
    return instant.replace("Z", ".000+0000")


def prefixes(tabs: Iterable[str]) -> dict[str, str]:
    """The key prefix of every object; custom ones are numbered from ``a00``."""
    custom = (name for name in tabs if name not in PREFIXES)
    return {**PREFIXES, **{name: f"a{number:02}" for number, name in enumerate(custom)}}


def _text(sobject: SObject, field: Field, raw: Any) -> Value:
    if not isinstance(raw, str):
        raise _wrong_type(field, raw, "string")
    longest = field.max_length or (None if field.type == "unknown" else 255)
    if longest is not None and len(raw) > longest:
        message = f"{field.label or field.name}: data value too large (max length={longest})"
        raise RefusedError(400, "STRING_TOO_LONG", message, (field.name,))
    return raw.rstrip()


def _picklist(sobject: SObject, field: Field, raw: Any) -> Value:
    if not isinstance(raw, str):
        raise _wrong_type(field, raw, "string")
    _refuse_unlisted(field, [raw])
    return raw


def _multipicklist(sobject: SObject, field: Field, raw: Any) -> Value:
    if not isinstance(raw, str):
        raise _wrong_type(field, raw, "string")
    values = [item for item in raw.split(";") if item]
    _refuse_unlisted(field, values)
    return list(values)


def _number(sobject: SObject, field: Field, raw: Any) -> Value:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        raise _wrong_type(field, raw, "double")
    return raw if isinstance(raw, int) else Amount(raw)


def _boolean(sobject: SObject, field: Field, raw: Any) -> Value:
    if not isinstance(raw, bool):
        raise _wrong_type(field, raw, "boolean")
    return raw


def _date(sobject: SObject, field: Field, raw: Any) -> Value:
    try:
        if not _DAY.match(raw):
            raise ValueError
        return parse_date(raw).isoformat()
    except (TypeError, ValueError):
        raise _wrong_type(field, raw, "date") from None


def _datetime(sobject: SObject, field: Field, raw: Any) -> Value:
    try:
        if not _INSTANT.fullmatch(raw):
            raise ValueError
        return format_instant(parse_instant(raw) // 1000 * 1000)
    except (TypeError, ValueError):
        raise _wrong_type(field, raw, "datetime") from None


def _reference(sobject: SObject, field: Field, raw: Any) -> Value:
    record_id = full_id(raw)
    if record_id is None:
        raise RefusedError(
            400, "MALFORMED_ID", f"{field.label or field.name}: id value of incorrect type", (field.name,)
        )
    if not sobject.links_to(field, record_id):
        raise RefusedError(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", (field.name,))
    user = sobject.store.user(record_id)
    if user is not None and not user.active:
        message = "operation performed with inactive user [" + record_id + "] as owner"
        raise RefusedError(400, "INACTIVE_OWNER_OR_USER", message, (field.name,))
    return record_id


def _refuse_unlisted(field: Field, values: Iterable[str]) -> None:
    if field.restricted and field.values and any(value not in field.values for value in values):
        message = f"{field.label or field.name}: bad value for restricted picklist field"
        raise RefusedError(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, (field.name,))


def _wrong_type(field: Field, raw: Any, expected: str) -> RefusedError:
    return RefusedError(400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of {expected} for {field.name}")


_ACCEPT: dict[str, Callable[[SObject, Field, Any], Value]] = {
    "id": _text, "text": _text, "unknown": _text, "picklist": _picklist, "multipicklist": _multipicklist,
    "number": _number, "boolean": _boolean, "date": _date, "datetime": _datetime, "lookup": _reference,
    "user": _reference,
}  # fmt: skip
