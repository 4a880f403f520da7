"""Zoho's reads: lists with pages and page tokens, single records, the list of deleted records."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sandbox.conditions import Order, sort_rows
from sandbox.store import Row
from sandbox.zoho.errors import RefusedError, missing_parameter
from sandbox.zoho.module import CONVERTED, LOCKED, TAG, Module
from schemas.metadata import FieldType
from schemas.values import Value

MOST_FIELDS = 50
MOST_PER_PAGE = 200
DISCRETE = 2_000
"""Records that ``page`` reaches; beyond it a page token is needed (fact sheet 2.2)."""

SORTABLE = ("id", "Created_Time", "Modified_Time")

Parameters = Mapping[str, str]


class Page(NamedTuple):
    """A page of records as Zoho describes it."""

    rows: Sequence[Row]
    paging: dict[str, Any]


class _Cursor(NamedTuple):
    bound_to: tuple[tuple[str, str], ...]
    offset: int


class PageTokens:
    """The page tokens given out; each is bound to the exact parameters of its list."""

    def __init__(self) -> None:
        self._cursors: dict[str, _Cursor] = {}

    def issue(self, parameters: Parameters, offset: int) -> str:
        """A token for the next page."""
        token = secrets.token_hex(24)
        self._cursors[token] = _Cursor(_bound(parameters), offset)
        return token

    def offset(self, token: str, parameters: Parameters) -> int:
        """Where the page of a token begins."""
        cursor = self._cursors.get(token)
        if cursor is None:
            raise RefusedError(400, "EXPIRED_VALUE", "The page_token is expired", {"param_name": "page_token"})
        if cursor.bound_to != _bound(parameters):
            raise RefusedError(
                400, "TOKEN_BOUND_DATA_MISMATCH", "token bound data mismatch", {"param_name": "page_token"}
            )
        return cursor.offset


def list_page(module: Module, parameters: Parameters, tokens: PageTokens, since: int | None) -> Page:
    """One page of a module's list; with ``since`` only what changed after it.

    Raises:
        RefusedError: a parameter is missing, unknown or out of bounds.
    """
    requested_fields(parameters)
    per_page = _number(parameters, "per_page", MOST_PER_PAGE, MOST_PER_PAGE)
    offset = _offset(parameters, per_page, tokens)
    order = _order(parameters)
    rows = sort_rows(_candidates(module, parameters, since), [order], _reader(module), lambda name: _type(module, name))
    chosen = rows[offset : offset + per_page]
    more = offset + per_page < len(rows)
    following = tokens.issue(parameters, offset + per_page) if more else None
    return Page(chosen, _paging(len(chosen), offset // per_page + 1, per_page, more, order, following))


def requested_fields(parameters: Parameters) -> tuple[str, ...]:
    """The field names that a list must be asked for, at most 50."""
    names = tuple(name.strip() for name in parameters.get("fields", "").split(",") if name.strip())
    if not names:
        raise missing_parameter("fields")
    if len(names) > MOST_FIELDS:
        raise RefusedError(400, "LIMIT_EXCEEDED", "the number of fields exceeds the limit", {"limit": MOST_FIELDS})
    return names


def render_row(module: Module, row: Row, names: Sequence[str] | None = None) -> dict[str, Any]:
    """A record with the named columns, or all of them; ``id`` is always there."""
    image = module.image(row)
    wanted = module.columns if names is None else [name for name in names if name in module.columns]
    body = {name: module.render(name, image.get(name)) for name in wanted}
    tags = {TAG: module.tags(row)} if names is None or TAG in names else {}
    locked = row.fields.get(LOCKED) is True
    return {
        **body, **tags, "id": row.id, "$approval_state": "approved", "$editable": not locked, "$locked_for_me": locked,
    }  # fmt: skip


def deleted_page(module: Module, parameters: Parameters, since: int | None) -> Page:
    """One page of the recycle bin, the newest first."""
    if parameters.get("type", "all") not in ("all", "recycle", "permanent"):
        raise RefusedError(400, "INVALID_DATA", "invalid data", {"param_name": "type"})
    per_page = _number(parameters, "per_page", MOST_PER_PAGE, MOST_PER_PAGE)
    page = _number(parameters, "page", 1, 1_000)
    bin_ = [row for row in _changed(module, since) if not row.live and parameters.get("type") != "permanent"]
    rows = bin_[::-1][(page - 1) * per_page : page * per_page]
    paging = {
        "per_page": per_page,
        "count": len(rows),
        "page": page,
        "more_records": page * per_page < len(bin_),
    }
    return Page(rows, paging)


def render_deleted(module: Module, row: Row) -> dict[str, Any]:
    """One line of the list of deleted records."""
    return {
        "id": row.id,
        "display_name": module.display_name(row),
        "type": "recycle",
        "deleted_by": module.user(row.modified_by),
        "created_by": module.user(row.created_by),
        "deleted_time": module.local_time(row.modified_at),
    }


def _candidates(module: Module, parameters: Parameters, since: int | None) -> list[Row]:
    wanted = parameters.get("converted", "false")
    return [
        row for row in _live(module, parameters, since) if wanted == "both" or _is_converted(row) == (wanted == "true")
    ]


def _live(module: Module, parameters: Parameters, since: int | None) -> list[Row]:
    if "ids" in parameters:
        found = (module.store.row(module.name, one.strip()) for one in parameters["ids"].split(",")[:100])
        return [row for row in found if row is not None]
    return [row for row in _changed(module, since) if row.live]


def _is_converted(row: Row) -> bool:
    return row.fields.get(CONVERTED) is True


def _changed(module: Module, since: int | None) -> list[Row]:
    if since is None:
        return module.store.all_rows(module.name)
    # Zoho compares whole seconds: the rest of the asked second does not count as newer.
    return module.store.changed_since(module.name, since // 1000 * 1000 + 999)


def _offset(parameters: Parameters, per_page: int, tokens: PageTokens) -> int:
    token = parameters.get("page_token")
    if token is not None:
        if "page" in parameters:
            raise RefusedError(400, "AMBIGUITY_DURING_PROCESSING", "ambiguity while processing", {"param_name": "page"})
        return tokens.offset(token, parameters)
    offset = (_number(parameters, "page", 1, 100_000) - 1) * per_page
    if offset >= DISCRETE:
        message = "You cannot use the page parameter beyond 2000 records; use page_token"
        raise RefusedError(400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", message, {"limit": DISCRETE})
    return offset


def _order(parameters: Parameters) -> Order:
    name = parameters.get("sort_by", "id")
    if name not in SORTABLE:
        raise RefusedError(400, "INVALID_DATA", "invalid data", {"param_name": "sort_by"})
    return Order(name, descending=parameters.get("sort_order", "desc") != "asc")


def _number(parameters: Parameters, name: str, default: int, most: int) -> int:
    text = parameters.get(name, str(default))
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise RefusedError(400, "INVALID_DATA", "invalid data", {"param_name": name, "expected_data_type": "integer"})
    return int(text)


def _reader(module: Module) -> Callable[[Row, str], Value]:
    return lambda row, name: module.image(row).get(name)


def _type(module: Module, name: str) -> FieldType:
    return module.columns[name].type


def _bound(parameters: Parameters) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in parameters.items() if key not in ("page", "page_token")))


def _paging(count: int, page: int, per_page: int, more: bool, order: Order, token: str | None) -> dict[str, Any]:
    return {
        "call": False,
        "per_page": per_page,
        "next_page_token": token,
        "count": count,
        "sort_by": order.column,
        "page": page,
        "previous_page_token": None,
        "sort_order": "desc" if order.descending else "asc",
        "email": False,
        "more_records": more,
    }
