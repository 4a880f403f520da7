"""COQL: the subset of Zoho's query language that the emulator answers (fact sheet 2.6)."""

from collections.abc import Callable, Mapping
from typing import Any

from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from sandbox.conditions import (
    BadLiteralError,
    Comparison,
    Condition,
    Junction,
    Query,
    columns_of,
    compile_condition,
    sort_rows,
)
from sandbox.query_parser import parse_query
from sandbox.store import Row
from sandbox.zoho.errors import RefusedError, invalid_module
from sandbox.zoho.module import Module
from schemas.metadata import Field
from schemas.values import Value

MOST_COLUMNS = 50
MOST_CRITERIA = 25
MOST_ROWS = 2_000
MOST_OFFSET = 100_000

_ORDERED = ("<", "<=", ">", ">=", "between")
_RANGED = ("number", "date", "datetime", "id")


def run(modules: Mapping[str, Module], text: str) -> tuple[list[dict[str, Any]], bool]:
    """The answer's rows, and whether there are more.

    Raises:
        RefusedError: syntax, an unknown module or column, an operator that the column has not, a limit.
    """
    query = _parse(text)
    module = modules.get(query.tab)
    if module is None:
        raise invalid_module()
    _check(query, module)
    rows = _matching(query, module)
    limit = 200 if query.limit is None else query.limit
    chosen = rows[query.offset : query.offset + limit]
    return [_render(module, row, query.columns) for row in chosen], query.offset + limit < len(rows)


def credits_of(text: str) -> int:
    """What a query costs by its limit: 1 to 200 rows 1 credit, to 1000 2, to 2000 3."""
    limit = _parse(text).limit or 200
    return 1 if limit <= 200 else 2 if limit <= 1000 else 3


def _parse(text: str) -> Query:
    try:
        return parse_query("coql", text)
    except UnexpectedInput as error:
        near = (
            text[error.pos_in_stream or 0 :][:20] if isinstance(error, UnexpectedCharacters | UnexpectedToken) else ""
        )
        details = {"near": near, "line": max(error.line, 1), "column": max(error.column, 1)}
        raise RefusedError(400, "SYNTAX_ERROR", "error occurred while parsing the query", details) from None


def _check(query: Query, module: Module) -> None:
    if query.where is None:
        raise RefusedError(400, "SYNTAX_ERROR", "missing clause", {"clause": "where"})
    if len(query.columns) > MOST_COLUMNS or len(list(columns_of(query.where))) > MOST_CRITERIA:
        raise RefusedError(400, "LIMIT_EXCEEDED", "the limit of the query is exceeded", {})
    if (query.limit or 0) > MOST_ROWS or query.offset > MOST_OFFSET:
        raise RefusedError(400, "LIMIT_EXCEEDED", "the limit of the query is exceeded", {"limit": MOST_ROWS})
    for name in (*query.columns, *columns_of(query.where), *(order.column for order in query.order)):
        _field(module, name)
    _check_operators(query.where, module)


def _check_operators(condition: Condition, module: Module) -> None:
    if isinstance(condition, Junction):
        for part in condition.parts:
            _check_operators(part, module)
    if not isinstance(condition, Comparison):
        return
    kind = _field(module, condition.column).type
    if condition.operator in _ORDERED and kind not in _RANGED:
        raise RefusedError(400, "INVALID_QUERY", "the operator is not supported", {"operator": condition.operator})


def _field(module: Module, name: str) -> Field:
    head, _, tail = name.partition(".")
    field = module.columns.get(head)
    if field is None or (tail and field.type not in ("lookup", "user")):
        raise RefusedError(400, "INVALID_QUERY", "invalid query formed", {"column_name": name})
    return Field(name=name, type="id" if tail == "id" else "text") if tail else field


def _matching(query: Query, module: Module) -> list[Row]:
    try:
        holds = compile_condition(query.where, lambda name: _field(module, name))
    except BadLiteralError as error:
        raise RefusedError(400, "INVALID_QUERY", "invalid query formed", {"column_name": error.column}) from None
    rows = [row for row in module.store.rows(module.name) if holds(_look(module, row))]
    order = query.order or ()
    read = {id(row): _look(module, row) for row in rows} if order else {}
    rows.sort(key=lambda row: row.id)
    return sort_rows(rows, order, lambda row, name: read[id(row)](name), lambda name: _field(module, name).type)


def _look(module: Module, row: Row) -> Callable[[str], Value]:
    image = module.image(row)

    def look(name: str) -> Value:
        head, _, tail = name.partition(".")
        return _dotted(module, head, tail, image.get(head)) if tail else image.get(head)

    return look


def _dotted(module: Module, head: str, tail: str, value: Value) -> Value:
    """A column of the record or user that a lookup names."""
    field = module.columns[head]
    if value is None or tail == "id":
        return value
    if field.type == "user":
        user = module.user(str(value))
        return user.get(tail, "")
    other = module.related(field, str(value))
    return None if other is None else other.fields.get(tail)


def _render(module: Module, row: Row, names: tuple[str, ...]) -> dict[str, Any]:
    look = _look(module, row)
    body = {name: _render_column(module, name, look(name)) for name in names}
    return {**body, "id": row.id}


def _render_column(module: Module, name: str, value: Value) -> Any:
    """Lookups and owners come back as their id only, unless the dotted name is selected."""
    if "." in name or value is None:
        return value
    if module.columns[name].type in ("lookup", "user"):
        return {"id": value}
    return module.render(name, value)
