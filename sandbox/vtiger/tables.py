"""Vtiger's modules that hold no customer's records: users, groups, currencies, taxes; queried, not written."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sandbox.store import Store
from sandbox.vtiger.native import field_of, kinds_of
from sandbox.vtiger.sessions import user_name
from schemas.metadata import ConnectionMetadata, Field, Tab
from schemas.values import Value

NUMBERS = {
    "Users": 19, "Groups": 20, "Currency": 21, "DocumentFolders": 22, "CompanyDetails": 23, "LineItem": 33,
    "Tax": 34, "ProductTaxes": 35,
}  # fmt: skip
"""The numbers before the ``x`` of their ids in a default installation."""

_USERS = ("user_name", "is_admin", "first_name", "last_name", "roleid", "email1", "status", "reports_to_id")
_GROUPS = ("groupname", "description")


class Table:
    """A read-only module; of the fields that it describes, those hold something that the seed knows."""

    def __init__(
        self, tab: Tab, read: Callable[[], Iterable[dict[str, Value]]], described: Mapping[str, Any] | None = None
    ) -> None:
        self.name = tab.name
        self.number = NUMBERS[tab.name]
        self.entity = tab.name == "Users"
        self.described = described
        # Passwords and keys are described and never told.
        told = {name: field for name, field in tab.fields.items() if name not in _SECRET}
        self.fields: Mapping[str, Field] = {**told, "id": told.get("id") or _field("id")}
        self.kinds = kinds_of(tab, described)
        self._read = read

    def images(self) -> Iterable[dict[str, Value]]:
        """Every record."""
        return self._read()

    def render_value(self, name: str, value: Value) -> str | None:
        """A value as it is."""
        if value is None:
            return None if name in _NEVER_SET else ""
        return str(value)

    def render_column(self, name: str, value: Value) -> str | None:
        """The same in a list."""
        return self.render_value(name, value)


def tables(store: Store, natives: Mapping[str, Mapping[str, Any]], admin: str) -> dict[str, Table]:
    """Users and Groups over the users and teams of a connection, and the other tables that the seed describes."""
    made = {
        "Users": _table("Users", _USERS, lambda: _users(store.metadata, admin), natives.get("Users")),
        "Groups": _table("Groups", _GROUPS, lambda: _groups(store.metadata), natives.get("Groups")),
    }
    others = (name for name in store.metadata.tabs if name in NUMBERS and name not in made)
    return {**made, **{name: _stored(store, name, natives.get(name)) for name in others}}


def _stored(store: Store, name: str, described: Mapping[str, Any] | None) -> Table:
    return Table(
        store.metadata.tabs[name], lambda: [{**row.fields, "id": row.id} for row in store.rows(name)], described
    )


def _table(
    name: str,
    columns: Iterable[str],
    read: Callable[[], Iterable[dict[str, Value]]],
    described: Mapping[str, Any] | None,
) -> Table:
    fields = [field_of(row) for row in described["fields"]] if described else [_field(one) for one in columns]
    return Table(Tab(name=name, fields={field.name: field for field in fields}), read, described)


def _field(name: str) -> Field:
    return Field(name=name, type="id" if name == "id" else "text", label=name, writable=name != "id")


def _users(metadata: ConnectionMetadata, admin: str) -> Iterable[dict[str, Value]]:
    for user in metadata.users:
        yield {
            "id": user.id, "user_name": user_name(user), "is_admin": "on" if user.id == admin else "off",
            "first_name": "", "last_name": user.name, "email1": user.email,
            "roleid": user.roles[0] if user.roles else "",
            "status": "Active" if user.active else "Inactive", "reports_to_id": user.manager,
        }  # fmt: skip


def _groups(metadata: ConnectionMetadata) -> Iterable[dict[str, Value]]:
    for team in sorted(metadata.teams, key=lambda one: one.name):
        yield {"id": team.id, "groupname": team.name, "description": ""}


_NEVER_SET = frozenset({"phone_crm_extension", "rowheight", "hidecompletedevents"})
_SECRET = frozenset({"accesskey", "user_password", "confirm_password"})
