"""Reading a Vtiger record as it is now; a query, like capture, so that both tell the same fields."""

import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from connectors.base import Request, Response
from connectors.fields import field_types
from connectors.reading import as_read
from connectors.vtiger.surface import Surface, envelope
from connectors.vtiger.values import image, literal
from schemas.commands import Command, Outcome
from schemas.metadata import ConnectionMetadata

_ID = re.compile(r"\d{1,9}x\d{1,19}")


def is_id(text: object) -> bool:
    """Whether this can be a record id."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def lookup(surface: Surface, tab: str, name: str, value: str) -> Request:
    """A query for the records that hold a value; one more than there should be. Deleted ones are never returned."""
    return surface.get("query", query=f"SELECT * FROM {tab} WHERE {name} = {literal(value)} LIMIT 2;")  # noqa: S608


def request(surface: Surface, command: Command) -> Request:
    """One call for one record."""
    return lookup(surface, command.tab.partition(":")[2], "id", command.record_id)


def rows_of(response: Response) -> list[dict[str, Any]] | None:
    """The rows of a query's answer, at most one; none where it does not say what is there."""
    answer = envelope(response)
    rows = answer.get("result") if answer and answer["success"] and response.status == 200 else None
    if not isinstance(rows, list) or len(rows) > 1:
        return None
    return rows if all(isinstance(row, dict) and is_id(row.get("id")) for row in rows) else None


def outcome(command: Command, answer: Mapping[str, Any], metadata: ConnectionMetadata, zone: tzinfo) -> Outcome | None:
    """What was read; none where a successful answer has another form."""
    rows = answer.get("result")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
        return None
    types = field_types(metadata, command.tab.partition(":")[2])
    [found] = as_read([command], [image(row, types, zone) for row in rows])
    return found
