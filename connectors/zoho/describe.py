"""What Zoho says of its modules, fields, users and groups."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.base import Request, Send
from connectors.capture import CaptureFailed, readable
from connectors.zoho.values import API
from schemas.metadata import ConnectionMetadata, Field, FieldType, Tab, Team, User

_TYPES: Mapping[str, FieldType] = {
    "text": "text", "textarea": "text", "email": "text", "phone": "text", "website": "text",
    "autonumber": "text",
    "picklist": "picklist", "multiselectpicklist": "multipicklist", "date": "date", "datetime": "datetime",
    "integer": "number", "currency": "number", "percent": "number", "bigint": "number", "double": "number",
    "boolean": "boolean", "lookup": "lookup", "userlookup": "user", "ownerlookup": "user",
}  # fmt: skip
_COMPUTED = frozenset({"formula", "rollup_summary", "autonumber"})
_RESULTS: Mapping[str, FieldType] = {"double": "number", "integer": "number", "long": "number", "boolean": "boolean"}
_NOT_SIMPLE = frozenset({"jsonarray", "jsonobject"})
_REFERENCES = frozenset({"lookup", "userlookup", "ownerlookup"})


def describe(connection: str, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
    """The metadata of these modules. Raises NotSent, NoAnswer or CaptureFailed."""
    try:
        return _described(connection, send, tabs)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Nothing is half described: what has another shape than the vendor's is not understood at all.
        kind = type(error).__name__
        raise CaptureFailed(f"Zoho's description of its modules has an unexpected shape ({kind})") from None


def _described(connection: str, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
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
    kind = _kind(row)
    length = row.get("length")
    return Field(
        name=row["api_name"], type=kind, label=row.get("field_label") or "",
        values=_values(row) if kind in {"picklist", "multipicklist"} else (),
        refers_to=_modules(row) if kind == "lookup" else (),
        mandatory=row.get("system_mandatory") is True, writable=_is_writable(row), unique=bool(row.get("unique")),
        max_length=length if isinstance(length, int) and kind == "text" else None,
    )  # fmt: skip


def _kind(row: Mapping[str, Any]) -> FieldType:
    """What is computed has the type of its result; lists of texts (tags) and of objects have none of ours."""
    kind, json_type = row.get("data_type", ""), row.get("json_type")
    if kind in _COMPUTED:
        return _RESULTS.get(str(json_type), "text")
    if json_type in _NOT_SIMPLE and kind not in _REFERENCES:
        return "multipicklist" if kind == "multiselectpicklist" else "unknown"
    return _TYPES.get(kind, "unknown")


def _values(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The values in use, as records hold them."""
    used = (one for one in row.get("pick_list_values") or [] if one.get("type", "used") != "unused")
    values = (one.get("actual_value") or one.get("display_value") for one in used)
    return tuple(dict.fromkeys(value for value in values if value and value != "-None-"))


def _modules(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The modules that a lookup may name: one, or several (``What_Id``)."""
    one = (row.get("lookup") or {}).get("module") or {}
    several = (row.get("multi_module_lookup") or {}).get("modules") or []
    names = (module.get("api_name") for module in [*several, one] if isinstance(module, dict))
    return tuple(dict.fromkeys(name for name in names if name))


def _is_writable(row: Mapping[str, Any]) -> bool:
    allowed = row.get("operation_type") or {}
    by_api = [allowed[name] for name in ("api_create", "api_update") if name in allowed]
    return row.get("read_only") is not True and row.get("data_type") not in _COMPUTED and (not by_api or any(by_api))


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
        rows = answer.get(name) or []
        yield from rows
        more = bool(rows and (answer.get("info") or {}).get("more_records"))
        page += 1


def _list(send: Send, path: str, name: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _ask(send, path, params).get(name) or []
    return found


def _ask(send: Send, path: str, params: Mapping[str, str]) -> dict[str, Any]:
    response = send(Request(method="GET", path=API + path, params=dict(params)))
    answer = readable(response, f"Zoho's {path}", (200, 204))
    return answer if isinstance(answer, dict) else {}
