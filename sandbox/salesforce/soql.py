"""SOQL: the subset that the emulator answers, with cursors for further pages (fact sheet 2.2)."""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from lark import UnexpectedInput

from sandbox.conditions import BadLiteralError, Query, columns_of, compile_condition, sort_rows
from sandbox.query_parser import parse_query
from sandbox.salesforce.errors import RefusedError
from schemas.metadata import Field
from schemas.values import Value

MOST_OFFSET = 2_000
SMALLEST_PAGE, LARGEST_PAGE = 200, 2_000

Image = Mapping[str, Value]


class Table(Protocol):
    """What SOQL can read: an object, or users and groups."""

    name: str
    fields: Mapping[str, Field]

    def images(self) -> Iterable[Image]:
        """Every record, those in the recycle bin too."""
        ...

    def field(self, name: str) -> Field:
        """A field by its name in any case."""
        ...

    def render(self, name: str, value: Value) -> Any:
        """A field's value as Salesforce writes it."""
        ...


class Answer(NamedTuple):
    """One page of a query's answer."""

    total: int
    records: list[dict[str, Any]]
    following: str
    """The locator of the next page; empty on the last."""


class Cursors:
    """The rest of answers that did not fit a page."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, list[dict[str, Any]], int]] = {}

    def first(self, records: list[dict[str, Any]], page: int) -> Answer:
        """The first page; the others wait under a locator."""
        cursor = "01g" + secrets.token_hex(8)
        self._open[cursor] = (len(records), records, page)
        return self._page(cursor, 0)

    def further(self, locator: str) -> Answer:
        """The page of a locator. Raises RefusedError: INVALID_QUERY_LOCATOR."""
        cursor, _, start = locator.partition("-")
        if cursor not in self._open or not start.isdigit():
            raise RefusedError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(cursor, int(start))

    def _page(self, cursor: str, start: int) -> Answer:
        total, records, page = self._open[cursor]
        end = start + page
        if end >= total:
            self._open.pop(cursor)
            return Answer(total, records[start:], "")
        return Answer(total, records[start:end], f"{cursor}-{end}")


def page_size(header: str) -> int:
    """The page that ``Sforce-Query-Options: batchSize=n`` asks for, within its bounds."""
    found = re.search(r"batchSize=(\d+)", header)
    return min(max(int(found[1]), SMALLEST_PAGE), LARGEST_PAGE) if found else LARGEST_PAGE


def run(tables: Mapping[str, Table], text: str, version: str, with_deleted: bool) -> tuple[int, list[dict[str, Any]]]:
    """The number of matching records, and the records (none for ``COUNT()``).

    Raises:
        RefusedError: MALFORMED_QUERY, INVALID_TYPE or INVALID_FIELD.
    """
    query = _parse(text)
    table = _table(tables, query.tab)
    reader = _Reader(tables, table)
    for name in (*query.columns, *columns_of(query.where), *(order.column for order in query.order)):
        reader.field(name)
    images = _matching(query, reader, with_deleted)
    if query.count:
        return len(images), []
    return len(images), [reader.render(image, query.columns, version) for image in images]


def _parse(text: str) -> Query:
    try:
        query = parse_query("soql", text)
    except UnexpectedInput as error:
        raise RefusedError(
            400, "MALFORMED_QUERY", f"unexpected token at line {error.line}, column {error.column}"
        ) from None
    if query.offset > MOST_OFFSET:
        raise RefusedError(400, "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000")
    return query


def _table(tables: Mapping[str, Table], name: str) -> Table:
    table = tables.get(name) or next((one for one in tables.values() if one.name.lower() == name.lower()), None)
    if table is None:
        raise RefusedError(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
    return table


def _matching(query: Query, reader: "_Reader", with_deleted: bool) -> list[Image]:
    try:
        holds = compile_condition(query.where, reader.field)
    except BadLiteralError as error:
        message = f"value of filter criterion for field '{error.column}' is of a wrong type"
        raise RefusedError(400, "INVALID_FIELD", message) from None
    images = [
        image
        for image in reader.table.images()
        if (with_deleted or not image.get("IsDeleted")) and holds(reader.look(image))
    ]
    images.sort(key=lambda image: str(image["Id"]))
    images = sort_rows(
        images, query.order, lambda image, name: reader.look(image)(name), lambda n: reader.field(n).type
    )
    end = None if query.limit is None else query.offset + query.limit
    return images[query.offset : end]


class _Reader:
    """Reads columns of one object, also through a relationship (``Account.Name``)."""

    def __init__(self, tables: Mapping[str, Table], table: Table) -> None:
        self.table = table
        self._tables = tables
        self._related: dict[str, dict[str, Image]] = {}

    def field(self, name: str) -> Field:
        """The field of a column. Raises RefusedError: INVALID_FIELD."""
        head, _, tail = name.partition(".")
        if not tail:
            return self.table.field(name)
        return self._other(head).field(tail)

    def look(self, image: Image) -> Callable[[str], Value]:
        """Reads columns of one record."""

        def look(name: str) -> Value:
            head, _, tail = name.partition(".")
            if not tail:
                return image.get(self.table.field(name).name)
            other = self._record(head, image)
            return None if other is None else other.get(self._other(head).field(tail).name)

        return look

    def render(self, image: Image, names: tuple[str, ...], version: str) -> dict[str, Any]:
        """A record with the selected columns."""
        body: dict[str, Any] = {"attributes": _attributes(self.table.name, image, version)}
        for name in names:
            head, _, tail = name.partition(".")
            if not tail:
                field = self.table.field(name).name
                body[field] = self.table.render(field, image.get(field))
                continue
            other = self._record(head, image)
            body.setdefault(head, None)
            if other is not None:
                body[head] = (body[head] or {}) | self._rendered(head, tail, other, version)
        return body

    def _rendered(self, head: str, tail: str, image: Image, version: str) -> dict[str, Any]:
        table = self._other(head)
        field = table.field(tail).name
        return {
            "attributes": _attributes(table.name, image, version),
            field: table.render(field, image.get(field)),
        }

    def _reference(self, head: str) -> Field:
        name = head.removesuffix("__r") + "__c" if head.endswith("__r") else head + "Id"
        field = self.table.field(name)
        if not field.refers_to:
            raise RefusedError(400, "INVALID_FIELD", f"Didn't understand relationship '{head}' in field path.")
        return field

    def _other(self, head: str) -> Table:
        return _table(self._tables, self._reference(head).refers_to[0])

    def _record(self, head: str, image: Image) -> Image | None:
        if head not in self._related:
            self._related[head] = {str(one["Id"]): one for one in self._other(head).images()}
        return self._related[head].get(str(image.get(self._reference(head).name)))


def _attributes(name: str, image: Image, version: str) -> dict[str, str]:
    return {"type": name, "url": f"/services/data/{version}/sobjects/{name}/{image['Id']}"}
