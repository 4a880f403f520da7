"""Watching a Vtiger module: by ``sync`` where it works, else by VTQL over modified time and id.

``sync`` fails on every call in installations of 8.3 and 8.4 as they come, and for everybody but administrators, so it
is tried when watching begins and given up for good when it fails. Both ways need a sweep of ids now and then: the
deals of a deleted account vanish without a trace. Options: ``changes`` (``sync`` or ``query``, else what works),
``sweep_minutes`` (5 with queries, 60 with sync, a day in the cloud, whose calls are counted), ``overlap_seconds`` (60
with queries, 2 with sync).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

from connectors.answers import text, whole
from connectors.base import Capture, Send
from connectors.capture import CaptureFailed, Gone, Mark, Page, PollingCapture, Row
from connectors.fields import field_types, milliseconds
from connectors.settings import ConnectionSettings, SettingsError
from connectors.vtiger.surface import envelope, error_code, surface_of
from connectors.vtiger.values import image, literal, local_time
from schemas.metadata import ConnectionMetadata
from schemas.values import HOUR, MINUTE, SECOND

_PAGE = 100
_DAY = 24 * 60
_LOOK_BACK = 3 * HOUR


def capture(
    settings: ConnectionSettings, metadata: ConnectionMetadata, tab: str, send: Send, fields: Sequence[str]
) -> Capture:
    """Watches a module; no fields means all."""
    return PollingCapture(f"{settings.connection}:{tab}", VtigerReader(settings, metadata, tab, send, fields))


class VtigerReader:
    """Reads one module in order of modifiedtime, whose resolution is one second and whose zone is the server's."""

    def __init__(
        self,
        settings: ConnectionSettings,
        metadata: ConnectionMetadata,
        tab: str,
        send: Send,
        fields: Sequence[str],
    ) -> None:
        self._tab = tab
        self._send = send
        self._surface = surface_of(settings)
        self._zone = ZoneInfo(settings.zone)
        self._types = field_types(metadata, tab)
        self._fields = {"id", "createdtime", "modifiedtime", *fields} if fields else None
        self._options = settings.options
        self._syncs = _wished(settings)
        """Whether changes are read by ``sync``; none before it was tried."""

    @property
    def overlap(self) -> int:
        """Rows of the second of ``lastModifiedTime`` may still come; a slow save shows itself late in a query."""
        return self._number("overlap_seconds", 2 if self._syncs else 60) * SECOND

    @property
    def sweep_every(self) -> int:
        """Queries tell no deletions, ``sync`` not all of them."""
        minutes = _DAY if self._surface.cloud else 60 if self._syncs else 5
        return self._number("sweep_minutes", minutes) * MINUTE

    def repeated(self, now: int) -> int:
        """How much local time came twice within the last hours: the server's clocks were put back."""
        later, earlier = (self._offset(at) for at in (now, now - _LOOK_BACK))
        return max(0, (earlier - later) // timedelta(milliseconds=1))

    def rows(self, after: Mark, loading: bool) -> Page:
        """One page in order of modified time; the first load is read by queries, whose pages are never larger."""
        if not loading and self._syncs is not False:
            page = self._synced(after)
            if page is not None:
                return page
        return self._queried(after)

    def count(self) -> int | None:
        """``SELECT COUNT(*)``, to which the recorded versions 8.3 and 8.4 answer an empty list: then nobody knows."""
        response = self._send(self._surface.get("query", query=f"SELECT COUNT(*) FROM {self._tab};"))  # noqa: S608
        answer = envelope(response)
        rows = answer.get("result") if answer and answer["success"] else None
        row = rows[0] if isinstance(rows, list) and rows else None
        return whole(row.get("count")) if isinstance(row, dict) else None

    def gone(self, since: int, now: int) -> Sequence[Gone]:
        """Nothing: deletions come with the rows of ``sync``, or by sweeps."""
        return ()

    def ids(self) -> set[str]:
        """The ids of all records that are there."""
        found: set[str] = set()
        after = ""
        while True:
            where = f" WHERE id > {literal(after)}" if after else ""
            rows = self._query(f"SELECT id FROM {self._tab}{where} ORDER BY id LIMIT 0, {_PAGE};")  # noqa: S608
            found.update(row["id"] for row in rows)
            if len(rows) < _PAGE:
                return found
            after = rows[-1]["id"]

    def _queried(self, after: Mark) -> Page:
        query = (
            f"SELECT * FROM {self._tab} WHERE {self._after(after)}"  # noqa: S608
            f" ORDER BY modifiedtime, id LIMIT 0, {_PAGE};"
        )
        rows = self._query(query)
        return Page([self._row(row) for row in rows], len(rows) >= _PAGE)

    def _synced(self, after: Mark) -> Page | None:
        """A page of ``sync``: all rows of its seconds, deleted and converted ones without a time; none if it fails."""
        since = max(1, after.time // SECOND - (0 if after.id else 1))  # it tells what is later than a second
        params = {"modifiedTime": str(since), "elementType": self._tab, "syncType": "application"}
        answer = envelope(self._send(self._surface.get("sync", **params)))
        result = _page_in(answer) if answer and answer["success"] else None
        self._syncs = result is not None
        if result is None:
            return None
        bound = int(result["lastModifiedTime"]) * SECOND
        rows = [self._row(row) for row in result["updated"]]
        rows += [Row(record_id, {}, bound, bound, "", gone=True) for record_id in result["deleted"]]
        rows.sort(key=lambda row: (row.modified, row.id))
        return Page(rows, result["more"] is True and bound > since * SECOND and bool(rows))

    def _after(self, mark: Mark) -> str:
        time = literal(local_time(mark.time, self._zone))
        if not mark.id:
            return f"modifiedtime >= {time}"
        # VTQL has no brackets; AND binds first.
        return f"modifiedtime > {time} OR modifiedtime = {time} AND id > {literal(mark.id)}"

    def _query(self, query: str) -> list[dict[str, Any]]:
        response = self._send(self._surface.get("query", query=query))
        answer = envelope(response)
        result = answer.get("result") if answer and answer["success"] else None
        if _are_rows(result):
            return list(result)
        reason = error_code(answer) if answer else ""
        raise CaptureFailed(f"reading Vtiger module {self._tab}: status {response.status} {reason}".rstrip())

    def _row(self, row: dict[str, Any]) -> Row:
        modified = milliseconds(row.get("modifiedtime"), self._zone) or 0
        created = milliseconds(row.get("createdtime"), self._zone) or 0
        kept = {name: raw for name, raw in row.items() if self._fields is None or name in self._fields}
        return Row(row["id"], image(kept, self._types, self._zone), modified, created, text(row.get("modifiedby")))

    def _offset(self, at: int) -> timedelta:
        return datetime.fromtimestamp(at // SECOND, UTC).astimezone(self._zone).utcoffset() or timedelta()

    def _number(self, option: str, default: int) -> int:
        told = self._options.get(option, "")
        return int(told) if told.isdecimal() else default


def _wished(settings: ConnectionSettings) -> bool | None:
    named = settings.options.get("changes", "")
    if named not in {"", "sync", "query"}:
        raise SettingsError(f"connection {settings.connection!r}: option changes takes sync or query")
    return False if named == "query" else None


def _page_in(answer: dict[str, Any]) -> dict[str, Any] | None:
    """The result of ``sync``; none where it has another form."""
    result = answer.get("result")
    if not isinstance(result, dict) or not str(result.get("lastModifiedTime", "")).isdecimal() or "more" not in result:
        return None
    gone = result.get("deleted")
    ids = isinstance(gone, list) and all(isinstance(record_id, str) for record_id in gone)
    return result if ids and _are_rows(result.get("updated")) else None


def _are_rows(rows: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(rows, list) and all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows)
