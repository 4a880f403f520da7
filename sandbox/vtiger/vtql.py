"""VTQL: Vtiger's query language (fact sheet 2.3), with the oddities seen in recordings of 8.4.0."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from lark import UnexpectedCharacters, UnexpectedInput

from sandbox.conditions import (
    Comparison,
    Condition,
    Junction,
    Predicate,
    Query,
    columns_of,
    compile_condition,
    sort_rows,
)
from sandbox.query_parser import parse_query
from sandbox.vtiger.entity import Entity
from sandbox.vtiger.errors import RefusedError, bad_id, denied
from sandbox.vtiger.rights import Rights
from sandbox.vtiger.tables import Table
from sandbox.vtiger.values import record_number, utc
from schemas.metadata import Field
from schemas.values import Value

LARGEST_PAGE = 100
"""Larger limits are cut to this silently."""

Source: TypeAlias = Entity | Table
_FROM = re.compile(r"\bfrom\s+([^\s;]+)", re.IGNORECASE)
_ORDERING = ("<", "<=", ">", ">=")
_PADDED = " "
"""Ends the name of a column whose text is to be read for comparing its order."""
_WIDE = re.compile(r"\d+x\d+")


def run(sources: Mapping[str, Source], text: str, rights: Rights) -> list[dict[str, Any]]:
    """The matching records, at most 100.

    Raises:
        RefusedError: an unknown module or column, a syntax error, an id in a wrong form.
    """
    source = _source(sources, text)
    rights.enter(source.name)
    query = _parse(text)
    _check_columns(query, source)
    holds = _condition(query, source)
    if query.count:  # both recorded versions answer an empty list, whatever they count
        return []
    if query.limit is not None and query.limit < 0:  # a negative limit breaks the statement below
        return []
    if any(order.column not in source.fields for order in query.order):
        return []
    return [_render(source, image, query.columns) for image in _matching(query, source, holds, rights)]


def _source(sources: Mapping[str, Source], text: str) -> Source:
    named = _FROM.search(text)
    if named is None:
        raise denied("query")
    if named[1] not in sources:
        raise denied(f"name : {named[1]}")
    return sources[named[1]]


def _parse(text: str) -> Query:
    try:
        return parse_query("vtql", text, "basic")
    except UnexpectedCharacters:
        raise RefusedError("INTERNAL_SERVER_ERROR", "Unknown Error while processing request") from None
    except UnexpectedInput as error:
        message = f"Syntax Error on line {max(error.line, 1)}: unexpected token"
        raise RefusedError("QUERY_SYNTAX_ERROR", message) from None


def _check_columns(query: Query, source: Source) -> None:
    for name in query.columns:
        if name != "*" and name not in source.fields:
            raise RefusedError("ACCESS_DENIED", f"Permission to access '.{name}.' attribute denied.")
    for name in columns_of(query.where):
        if name not in source.fields:
            raise RefusedError("ACCESS_DENIED", f"Permission to access {name} attribute denied.")


def _condition(query: Query, source: Source) -> Predicate:
    where = None if query.where is None else _with_ids(query.where, source)
    return compile_condition(where, lambda name: _plain(source.fields[name.removesuffix(_PADDED)]))


def _matching(query: Query, source: Source, holds: Predicate, rights: Rights) -> list[Mapping[str, Value]]:
    images: list[Mapping[str, Value]] = [image for image in _seen(source, rights) if holds(partial(_read, image))]
    images = sort_rows(images, query.order, _read, lambda name: _plain(source.fields[name]).type)
    size = LARGEST_PAGE if query.limit is None else min(query.limit, LARGEST_PAGE)
    return images[query.offset : query.offset + size]


def _seen(source: Source, rights: Rights) -> Iterable[Mapping[str, Value]]:
    if isinstance(source, Entity):
        return (source.image(row) for row in source.rows() if rights.sees(row))
    return source.images()


def _plain(field: Field) -> Field:
    # Ids compare by their record number, as the database does below; text of any other kind as text.
    if field.type in ("id", "lookup", "user"):
        return Field(name=field.name, type="number")
    return field if field.type in ("number", "boolean", "datetime") else Field(name=field.name, type="text")


def _read(image: Mapping[str, Value], name: str) -> Value:
    if name.endswith(_PADDED):
        return f"{image.get(name.removesuffix(_PADDED)) or ''}\0"
    value = image.get(name)
    return record_number(value) if isinstance(value, str) and _WIDE.fullmatch(value) else value


def _with_ids(condition: Condition, source: Source) -> Condition:
    """The condition with record numbers for ids.

    Raises:
        RefusedError: INVALID_ID_ATTRIBUTE.
    """
    if isinstance(condition, Junction):
        return replace(condition, parts=tuple(_with_ids(part, source) for part in condition.parts))
    if isinstance(condition, Comparison) and source.fields[condition.column].type in ("id", "lookup", "user"):
        field = source.fields[condition.column]
        return replace(condition, literals=tuple(_id_literal(source, field, one) for one in condition.literals))
    if isinstance(condition, Comparison):
        literals = tuple(_bent(source, condition.column, one) for one in condition.literals)
        return _padded(source, replace(condition, literals=literals))
    return condition


def _padded(source: Source, test: Comparison) -> Comparison:
    """The order of texts: an empty one comes before all, and blanks at the end do not count."""
    if test.operator not in _ORDERING or _plain(source.fields[test.column]).type != "text":
        return test
    return replace(
        test, column=test.column + _PADDED, literals=tuple(f"{str(one).rstrip()}\0" for one in test.literals)
    )


def _id_literal(source: Source, field: Field, literal: Value) -> Value:
    text = str(literal)
    if text.isdigit():
        return -1  # accepted, and matches nothing
    if not _WIDE.fullmatch(text):
        raise bad_id()
    number, _, record = text.partition("x")
    return -1 if field.type == "id" and int(number) != source.number else int(record)


def _bent(source: Source, column: str, literal: Value) -> Value:
    """Numbers and times as the database reads them: what is none becomes zero."""
    kind = source.fields[column].type
    text = str(literal)
    if kind == "number" and not re.fullmatch(r"-?\d+(\.\d+)?", text):
        return 0
    if kind == "datetime":
        try:
            return utc(text, source.options if isinstance(source, Entity) else {})
        except ValueError:
            return "1970-01-01T00:00:00Z"
    return literal


def _render(source: Source, image: Mapping[str, Value], names: tuple[str, ...]) -> dict[str, Any]:
    wanted = tuple(source.fields) if names == ("*",) else names
    body = {name: source.render_column(name, image.get(name)) for name in wanted}
    return body if "id" in body else {**body, "id": str(image["id"])}
