"""Watching a Salesforce object: SOQL by SystemModstamp and id, deleted rows included."""

from collections.abc import Sequence
from typing import Any

from connectors.answers import text, whole
from connectors.base import Capture, Request, Send
from connectors.capture import CaptureFailed, Gone, Mark, Page, PollingCapture, Row
from connectors.fields import field_types, milliseconds
from connectors.salesforce.answering import rows, told
from connectors.salesforce.values import API, image, literal
from connectors.settings import ConnectionSettings
from schemas.metadata import ConnectionMetadata
from schemas.values import DAY, HOUR, MINUTE, SECOND, format_instant

SYSTEM_COLUMNS = ("Id", "CreatedDate", "SystemModstamp", "LastModifiedById", "IsDeleted")
_PAGE = 2000
_ASK_LOG_EVERY = 4 * MINUTE
"""Less than the overlap, so that no deletion falls between two looks."""
_LOG_KEPT = 15 * DAY - HOUR


def capture(
    settings: ConnectionSettings, metadata: ConnectionMetadata, tab: str, send: Send, fields: Sequence[str]
) -> Capture:
    """Watches an object; no fields means all that are known."""
    reader = SalesforceReader(metadata, tab, send, fields)
    reader.asks_log = settings.options.get("deletions", "log") == "log"
    return PollingCapture(f"{settings.connection}:{tab}", reader)


class SalesforceReader:
    """Reads one object in order of SystemModstamp; long transactions commit late, so the overlap is minutes."""

    overlap = 5 * MINUTE
    sweep_every = 0
    asks_log = True
    """Whether the log of deletions is asked too: it knows of what left the recycle bin before we looked."""

    def __init__(self, metadata: ConnectionMetadata, tab: str, send: Send, fields: Sequence[str]) -> None:
        self._tab = tab
        self._send = send
        self._types = field_types(metadata, tab)
        self._columns = columns(metadata, tab, fields)
        self._asked_at = 0

    def rows(self, after: Mark, loading: bool) -> Page:
        """One page of up to 2000 rows; ``queryAll`` shows the recycle bin, which a first load leaves out."""
        query = (
            f"SELECT {self._columns} FROM {self._tab} WHERE {_after(after)}"  # noqa: S608
            f" ORDER BY SystemModstamp, Id LIMIT {_PAGE}"
        )
        path = f"{API}/query" if loading else f"{API}/queryAll"
        what = f"Salesforce object {self._tab}"
        answer = told(self._send(Request(method="GET", path=path, params={"q": query})), what)
        page = Page([self._row(row) for row in rows(answer, "records", what)], answer.get("done") is False)
        page = page._replace(more=bool(page.rows) and (page.more or len(page.rows) >= _PAGE))
        if page.more and Mark(page.rows[-1].modified, page.rows[-1].id) <= after:
            raise CaptureFailed(f"reading {what}: a page that does not lead on")
        return page

    def count(self) -> int | None:
        """``SELECT COUNT()``, which leaves the recycle bin out, as a first load does."""
        query = f"SELECT COUNT() FROM {self._tab}"  # noqa: S608
        request = Request(method="GET", path=f"{API}/query", params={"q": query})
        return whole(told(self._send(request), f"the count of {self._tab}").get("totalSize"))

    def gone(self, since: int, now: int) -> Sequence[Gone]:
        """What the log of deletions tells, asked every four minutes: other deleted rows come with the living.

        A log that cannot be asked (an object that is not replicated) tells nothing.
        """
        if not self.asks_log or now - self._asked_at < _ASK_LOG_EVERY:
            return ()
        window = {"start": _whole(max(since, now - _LOG_KEPT)), "end": _whole(now + MINUTE)}
        response = self._send(Request(method="GET", path=f"{API}/sobjects/{self._tab}/deleted/", params=window))
        if response.status in {400, 404}:
            return ()
        what = f"deletions of Salesforce object {self._tab}"
        deleted = rows(told(response, what), "deletedRecords", what, ("id",))
        self._asked_at = now
        return [Gone(row["id"], milliseconds(row.get("deletedDate")) or now) for row in deleted]

    def ids(self) -> set[str]:
        """Not needed: Salesforce tells deletions."""
        return set()

    def _row(self, row: dict[str, Any]) -> Row:
        modified, created = milliseconds(row.get("SystemModstamp")), milliseconds(row.get("CreatedDate")) or 0
        if modified is None:
            raise CaptureFailed(f"reading Salesforce object {self._tab}: a record without its SystemModstamp")
        actor = text(row.get("LastModifiedById"))
        return Row(row["Id"], image(row, self._types), modified, created, actor, row.get("IsDeleted") is True)


def columns(metadata: ConnectionMetadata, tab: str, fields: Sequence[str] = ()) -> str:
    """What a query selects: these fields or all that are known, and what every record has."""
    wanted = [name for name in fields or field_types(metadata, tab) if name not in {*SYSTEM_COLUMNS, "id"}]
    return ", ".join(dict.fromkeys([*SYSTEM_COLUMNS, *wanted]))


def _whole(at: int) -> str:
    return format_instant(at // SECOND * SECOND)


def _after(mark: Mark) -> str:
    time = format_instant(mark.time)
    if not mark.id:
        return f"SystemModstamp >= {time}"
    return f"(SystemModstamp > {time} OR (SystemModstamp = {time} AND Id > {literal(mark.id)}))"
