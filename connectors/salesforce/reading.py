"""Reading Salesforce records as they are now, with the fields that capture tells."""

from collections.abc import Sequence

from connectors.answers import parsed
from connectors.base import Request, Response
from connectors.fields import field_types
from connectors.reading import as_read
from connectors.salesforce.capture import columns
from connectors.salesforce.values import API, image, literal
from schemas.commands import Command, Outcome
from schemas.metadata import ConnectionMetadata

MOST = 100
"""Ids of one query: an address has room for about 16 000 characters, columns included."""


def request(commands: Sequence[Command], metadata: ConnectionMetadata) -> Request:
    """One query for all records; deleted ones are not found."""
    tab = commands[0].tab.partition(":")[2]
    ids = ", ".join(literal(command.record_id) for command in commands)
    query = f"SELECT {columns(metadata, tab)} FROM {tab} WHERE Id IN ({ids})"  # noqa: S608
    return Request(method="GET", path=f"{API}/query", params={"q": query})


def outcomes(commands: Sequence[Command], response: Response, metadata: ConnectionMetadata) -> list[Outcome] | None:
    """What was read; none where the answer is of another kind, or not whole."""
    answer = parsed(response)
    whole = isinstance(answer, dict) and response.status == 200 and answer.get("done") is not False
    rows = answer.get("records") if whole else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("Id") for row in rows):
        return None
    types = field_types(metadata, commands[0].tab.partition(":")[2])
    return as_read(commands, [image(row, types) for row in rows], lambda record_id: record_id[:15])
