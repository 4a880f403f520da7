"""What Zoho says of its modules, fields, users and groups."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.base import Request, Send
from connectors.capture import readable
from connectors.zoho.values import API
from schemas.metadata import ConnectionMetadata, Field, FieldType, Tab, Team, User

_TYPES: Mapping[str, FieldType] = {
    "text": "text", "textarea": "text", "email": "text", "phone": "text", "website": "text",
    "autonumber": "text",
    "picklist": "picklist", "multiselectpicklist": "multipicklist", "date": "date", "datetime": "datetime",
    "integer": "number", "currency": "number", "percent": "number", "bigint": "number", "double": "number",
    "boolean": "boolean", "lookup": "lookup", "userlookup": "user", "ownerlookup": "user",
}  # fmt: skip


def describe(connection: str, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
    """The metadata of these modules. Raises NotSent, NoAnswer or CaptureFailed."""
    labels = {row["api_name"]: row for row in _list(send, "/settings/modules", "modules", {})}
    return ConnectionMetadata(
        connection=connection,
        tabs={tab: _tab(tab, labels.get(tab, {}), send) for tab in tabs},
        users=tuple(_user(row) for row in _pages(send, "/users", "users", {"type": "AllUsers"})),
        teams=tuple(_team(row, send) for row in _pages(send, "/settings/user_groups", "user_groups", {})),
    )


def _tab(name: str, module: Mapping[str, Any], send: Send) -> Tab:
    fields = [_field(row) for row in _list(send, "/settings/fields", "fields", {"module": name})]
    label = module.get("plural_label") or name
    named = {field.name: field for field in fields}
    return Tab(name=name, label=label, fields={**named, "id": Field(name="id", type="id", writable=False)})


def _field(row: Mapping[str, Any]) -> Field:
    lookup = (row.get("lookup") or {}).get("module") or {}
    kind = _TYPES.get(row.get("data_type", ""), "unknown")
    values = (value.get("actual_value") or value.get("display_value") for value in row.get("pick_list_values") or [])
    length = row.get("length")
    return Field(
        name=row["api_name"], type=kind, label=row.get("field_label") or "",
        values=tuple(value for value in values if value and value != "-None-"),
        refers_to=(lookup["api_name"],) if kind == "lookup" and lookup.get("api_name") else (),
        mandatory=row.get("system_mandatory") is True, writable=row.get("read_only") is not True,
        unique=bool(row.get("unique")), max_length=length if isinstance(length,
        int) and kind == "text" else None,
    )  # fmt: skip


def _user(row: Mapping[str, Any]) -> User:
    role = (row.get("role") or {}).get("name")
    return User(
        id=row["id"], name=row.get("full_name") or "", email=row.get("email") or "",
        active=row.get("status") == "active", manager=(row.get("Reporting_To") or {}).get("id") or "",
        roles=(role,) if role else (),
    )  # fmt: skip


def _team(row: Mapping[str, Any], send: Send) -> Team:
    sources = row.get("sources")
    if sources is None:
        whole = _list(send, f"/settings/user_groups/{row['id']}", "user_groups", {})
        sources = whole[0].get("sources") if whole else None
    people = [source.get("source") or source for source in sources or [] if source.get("type", "users") == "users"]
    return Team(id=row["id"], name=row.get("name") or "", members=tuple(who["id"] for who in people if who.get("id")))


def _pages(send: Send, path: str, name: str, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    page, more = 1, True
    while more:
        answer = _ask(send, path, {**params, "page": str(page), "per_page": "200"})
        yield from answer.get(name) or []
        more = bool((answer.get("info") or {}).get("more_records"))
        page += 1


def _list(send: Send, path: str, name: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _ask(send, path, params).get(name) or []
    return found


def _ask(send: Send, path: str, params: Mapping[str, str]) -> dict[str, Any]:
    response = send(Request(method="GET", path=API + path, params=dict(params)))
    answer = readable(response, f"Zoho's {path}", (200, 204))
    return answer if isinstance(answer, dict) else {}
