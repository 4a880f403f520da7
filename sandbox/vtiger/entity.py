"""One Vtiger module: its columns, and its records as strings."""

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.store import Row, Store
from sandbox.vtiger.errors import RefusedError
from sandbox.vtiger.native import kinds_of
from sandbox.vtiger.values import ACCEPT, PLACES, SEPARATOR, local_time, record_number, split_id
from schemas.metadata import Field, Tab
from schemas.values import Value, format_instant, is_empty, to_number

MODULE_IDS = {
    "Campaigns": 1, "Vendors": 2, "Faq": 3, "Quotes": 4, "PurchaseOrder": 5, "SalesOrder": 6, "Invoice": 7,
    "PriceBooks": 8, "Calendar": 9, "Leads": 10, "Accounts": 11, "Contacts": 12, "Potentials": 13,
    "Products": 14, "Documents": 15, "Emails": 16, "HelpDesk": 17, "Events": 18, "Users": 19, "Groups": 20,
    "Currency": 21, "DocumentFolders": 22, "ServiceContracts": 25, "Project": 29, "ModComments": 30,
}  # fmt: skip
"""The numbers before the ``x`` of a record id in a default installation; custom modules start at 40."""

LABEL_FIELDS = {
    "Leads": ("firstname", "lastname"), "Contacts": ("firstname", "lastname"), "Accounts": ("accountname",),
    "Potentials": ("potentialname",), "Project": ("projectname",), "Campaigns": ("campaignname",),
    "Calendar": ("subject",), "Events": ("subject",), "ModComments": ("commentcontent",),
    "HelpDesk": ("ticket_title",), "Documents": ("notes_title",),
}  # fmt: skip

NUMBERED = {
    "Leads": ("lead_no", "LEA"), "Accounts": ("account_no", "ACC"), "Contacts": ("contact_no", "CON"),
    "Potentials": ("potential_no", "POT"), "HelpDesk": ("ticket_no", "TT"), "Products": ("product_no", "PRO"),
    "Campaigns": ("campaign_no", "CAM"), "Documents": ("note_no", "DOC"),
}  # fmt: skip
"""The field of a module's own numbers, and what they begin with."""

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

UNDESCRIBED: Mapping[str, Mapping[str, str | int | None]] = {
    "HelpDesk": {"update_log": None},
    "Products": {"currency_id": "21x1", "currency1": 0},
}
"""What records of a module hold, although ``describe`` does not tell it; ``currency1`` is the price as a number."""

MORE_IN_ROWS: Mapping[str, Mapping[str, str | None]] = {
    "HelpDesk": {"update_log": None},
    "Documents": {"imageattachmentids": ""},
}
"""The same in lists of records."""

NULL_IN_ROWS: Mapping[str, frozenset[str]] = {
    "Events": frozenset({"contact_id", "parent_id", "reminder_time", "starred"}),
    "Documents": frozenset({"filedownloadcount"}),
}
"""Columns that are null in rows where they were never set; dates and times are so in every module."""


class Entity:
    """A tab in Vtiger's dialect: which columns it has, how values come in and go out."""

    entity = True

    def __init__(
        self,
        store: Store,
        tab: Tab,
        numbers: Mapping[str, int],
        options: Mapping[str, str],
        described: Mapping[str, Any] | None = None,
    ) -> None:
        self.store = store
        self.tab = tab
        self.name = tab.name
        self.number = numbers[tab.name]
        self.options = options
        self.described = described
        # A module that was described to the letter has what it has; a tab of a story gets what every module has.
        system = {} if described is not None else {k: f for k, f in SYSTEM.items() if k not in tab.fields}
        self.fields: Mapping[str, Field] = {**tab.fields, **system}
        self.kinds = {**kinds_of(tab, described), **kinds_of(Tab(name="", fields=system), None)}
        self.label_fields = LABEL_FIELDS.get(tab.name, tuple(name for name in tab.fields if name.endswith("name"))[:1])
        self._numbers = numbers
        self._nobody = "" if tab.name in ("Calendar", "Events") else None

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
        return (self.image(row) for row in self.rows())

    def rows(self) -> list[Row]:
        """Every live record that queries tell (a converted lead is not), in the order of creation."""
        rows = (row for row in self.store.rows(self.name) if not row.fields.get(CONVERTED))
        return sorted(rows, key=lambda row: record_number(row.id))

    def render(self, row: Row) -> dict[str, Any]:
        """A record as every operation but query gives it: all columns and the label."""
        image = self.image(row)
        body = {name: self.render_value(name, image.get(name)) for name in self.fields}
        more = UNDESCRIBED.get(self.name, {}) if self.described is not None else {}
        price = {"currency1": image.get("unit_price") or 0} if "currency1" in more else {}
        return {**body, **more, **price, "label": self.label(row)}

    def render_row(self, row: Row) -> dict[str, Any]:
        """A record as lists of records give it: as the database has it, without a label."""
        image = self.image(row)
        more = MORE_IN_ROWS.get(self.name, {}) if self.described is not None else {}
        return {**{name: self.render_column(name, image.get(name)) for name in self.fields}, **more}

    def render_column(self, name: str, value: Value) -> str | None:
        """A column's value in a list of records, where a date that was never set is null."""
        null = self.kinds[name] in ("date", "time") or name in NULL_IN_ROWS.get(self.name, ())
        return None if null and is_empty(value) else self.render_value(name, value)

    def render_value(self, name: str, value: Value) -> str | None:
        """A column's value as Vtiger writes it: a string, or null for a lookup to nobody."""
        field = self.fields[name]
        if field.type == "number":
            return _decimal(value, self.kinds[name])
        if is_empty(value) and value != " ":
            return self._empty(field)
        if field.type == "boolean":
            return "1" if value else "0"
        if field.type == "datetime":
            return local_time(str(value), self.options)
        if isinstance(value, list):
            return SEPARATOR.join(str(item) for item in value)
        return str(value)

    def numbered(self) -> dict[str, Value]:
        """The module's own number for its next record, where it has such a field."""
        name, prefix = NUMBERED.get(self.name, ("", ""))
        return {name: f"{prefix}{len(self.store.all_rows(self.name)) + 1}"} if name in self.fields else {}

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
        if field.type == "lookup":
            return self.reference(field, str(raw))
        return ACCEPT[field.type](field, raw, self.options)

    def reference(self, field: Field, text: str) -> Value:
        """A lookup's value; one to a missing record is silently dropped."""
        number, record = split_id(text)
        targets = {self._numbers.get(tab): tab for tab in field.refers_to}
        if number not in targets:
            raise RefusedError("REFERENCE_INVALID", f"Invalid reference specified for {field.name}")
        wide, tab = f"{number}x{record}", targets[number]
        known = self.store.user(wide) if tab == "Users" else self.store.row(str(tab), wide)
        return wide if known is not None else None

    def _empty(self, field: Field) -> str | None:
        return self._nobody if field.type == "lookup" else "0" if field.type == "boolean" else ""


CONVERTED = "~converted"
"""The field that marks a converted lead; no column shows it."""


def _decimal(value: Value, kind: str) -> str:
    number = to_number(value) or 0
    return f"{number:.{PLACES.get(kind, 2)}f}"
