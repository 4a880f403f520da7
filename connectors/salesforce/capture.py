"""Watching a Salesforce object: SOQL by SystemModstamp and id, deleted rows included."""

from collections.abc import Sequence
from typing import Any

from connectors.base import Capture, Request, Send
from connectors.capture import Gone, Mark, Page, PollingCapture, Row, readable
from connectors.fields import field_types, milliseconds
from connectors.salesforce.values import API, image, literal
from connectors.settings import ConnectionSettings
from schemas.metadata import ConnectionMetadata
from schemas.values import MINUTE, format_instant

SYSTEM_COLUMNS = ("Id", "CreatedDate", "SystemModstamp", "LastModifiedById", "IsDeleted")
_PAGE = 2000


def capture(
    settings: ConnectionSettings, metadata: ConnectionMetadata, tab: str, send: Send, fields: Sequence[str]
) -> Capture:
    """Watches an object; no fields means all that are known."""
    return PollingCapture(f"{settings.connection}:{tab}", SalesforceReader(metadata, tab, send, fields))


class SalesforceReader:
    """Reads one object in order of SystemModstamp; long transactions commit late, so the overlap is minutes."""

    overlap = 5 * MINUTE
    sweep_every = 0

    def __init__(self, metadata: ConnectionMetadata, tab: str, send: Send, fields: Sequence[str]) -> None:
        self._tab = tab
        self._send = send
        self._types = field_types(metadata, tab)
        self._columns = columns(metadata, tab, fields)

    def rows(self, after: Mark, loading: bool) -> Page:
        """One page of up to 2000 rows; ``queryAll`` shows the recycle bin, which a first load leaves out."""
        query = (
            f"SELECT {self._columns} FROM {self._tab} WHERE {_after(after)}"  # noqa: S608
            f" ORDER BY SystemModstamp, Id LIMIT {_PAGE}"
        )
        path = f"{API}/query" if loading else f"{API}/queryAll"
        response = self._send(Request(method="GET", path=path, params={"q": query}))
        answer = readable(response, f"Salesforce object {self._tab}")
        rows = [self._row(row) for row in answer.get("records") or []]
        return Page(rows, bool(rows) and (len(rows) >= _PAGE or answer.get("done") is False))

    def gone(self, since: int, now: int) -> Sequence[Gone]:
        """Nothing: deleted rows come with the others."""
        return ()

    def ids(self) -> set[str]:
        """Not needed: Salesforce tells deletions."""
        return set()

    def _row(self, row: dict[str, Any]) -> Row:
        modified = milliseconds(row.get("SystemModstamp")) or 0
        created = milliseconds(row.get("CreatedDate")) or 0
        actor = row.get("LastModifiedById") or ""
        return Row(row["Id"], image(row, self._types), modified, created, actor, row.get("IsDeleted") is True)


def columns(metadata: ConnectionMetadata, tab: str, fields: Sequence[str] = ()) -> str:
    """What a query selects: these fields or all that are known, and what every record has."""
    wanted = [name for name in fields or field_types(metadata, tab) if name not in {*SYSTEM_COLUMNS, "id"}]
    return ", ".join(dict.fromkeys([*SYSTEM_COLUMNS, *wanted]))


def _after(mark: Mark) -> str:
    time = format_instant(mark.time)
    if not mark.id:
        return f"SystemModstamp >= {time}"
    return f"(SystemModstamp > {time} OR (SystemModstamp = {time} AND Id > {literal(mark.id)}))"
