"""Reading Zoho records as they are now, with the fields that capture tells."""

from collections.abc import Sequence

from connectors.answers import parsed
from connectors.base import Request, Response
from connectors.fields import field_types
from connectors.reading import as_read, not_found
from connectors.zoho.capture import wanted_fields
from connectors.zoho.values import API, image
from schemas.commands import Command, Outcome
from schemas.metadata import ConnectionMetadata

MOST = 100
"""Ids of one request."""
_FIELDS = 50
"""Fields of one request that names several ids; one record alone comes with all its fields."""


def most(metadata: ConnectionMetadata, tab: str) -> int:
    """How many records of a module one request can read whole."""
    return MOST if 0 < len(wanted_fields(metadata, tab)) <= _FIELDS else 1


def request(commands: Sequence[Command], metadata: ConnectionMetadata) -> Request:
    """One call for all records."""
    tab = commands[0].tab.partition(":")[2]
    if most(metadata, tab) == 1:
        return Request(method="GET", path=f"{API}/{tab}/{commands[0].record_id}")
    ids = ",".join(command.record_id for command in commands)
    params = {"ids": ids, "fields": ",".join(wanted_fields(metadata, tab)), "per_page": str(MOST)}
    return Request(method="GET", path=f"{API}/{tab}", params=params)


def outcomes(commands: Sequence[Command], response: Response, metadata: ConnectionMetadata) -> list[Outcome] | None:
    """What was read; none where the answer is of another kind. 204 says that none of the records is there."""
    if response.status == 204:
        return [not_found(command) for command in commands]
    answer = parsed(response)
    rows = answer.get("data") if isinstance(answer, dict) and response.status == 200 else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
        return None
    tab = commands[0].tab.partition(":")[2]
    types, wanted = field_types(metadata, tab), {"id", *wanted_fields(metadata, tab)}
    kept = ({name: row[name] for name in row if name in wanted or not types} for row in rows)
    return as_read(commands, [image(row, types) for row in kept])
