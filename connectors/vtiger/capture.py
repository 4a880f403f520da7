"""Watching a Vtiger module: VTQL by modified time and id; deletions by comparing ids, or by ``sync`` where it works.

``sync`` fails on every call in installations of 8.3 and 8.4 as they come, so comparing ids is the
default; the
connection's option ``deletions: sync`` chooses the other.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from connectors.base import Capture, Request, Response, Send
from connectors.capture import CaptureFailed, Gone, Mark, Page, PollingCapture, Row
from connectors.fields import field_types, milliseconds
from connectors.settings import ConnectionSettings
from connectors.vtiger.values import PATH, envelope, error_code, image, literal, local_time
from schemas.metadata import ConnectionMetadata
from schemas.values import MINUTE

_PAGE = 100


def capture(
    settings: ConnectionSettings, metadata: ConnectionMetadata, tab: str, send: Send, fields: Sequence[str]
) -> Capture:
    """Watches a module; no fields means all."""
    return PollingCapture(f"{settings.connection}:{tab}", VtigerReader(settings, metadata, tab, send, fields))


class VtigerReader:
    """Reads one module in order of modifiedtime, whose resolution is one second and whose zone is the server's."""

    overlap = MINUTE

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
        self._zone = ZoneInfo(settings.zone)
        self._types = field_types(metadata, tab)
        self._fields = {"id", "createdtime", "modifiedtime", *fields} if fields else None
        self.sweep_every = 0 if settings.options.get("deletions") == "sync" else 5 * MINUTE

    def rows(self, after: Mark, loading: bool) -> Page:
        """One page of 100 rows, the most that Vtiger gives."""
        query = (
            f"SELECT * FROM {self._tab} WHERE {self._after(after)}"  # noqa: S608
            f" ORDER BY modifiedtime, id LIMIT 0, {_PAGE};"
        )
        rows = self._query(query)
        return Page([self._row(row) for row in rows], len(rows) >= _PAGE)

    def gone(self, since: int, now: int) -> Iterator[Gone]:
        """What ``sync`` tells; it gives no times, so a deletion counts as of its page's newest change."""
        time, more = max(1, since // 1000 - 1), True
        while more:
            params = {
                "operation": "sync", "modifiedTime": str(time), "elementType": self._tab,
                "syncType": "application",
            }  # fmt: skip
            result = self._result(self._send(Request(method="GET", path=PATH, params=params)))
            newest = int(result.get("lastModifiedTime") or time)
            for record_id in result.get("deleted") or []:
                yield Gone(record_id, min(now, max(newest * 1000, since)))
            more = result.get("more") is True and newest > time
            time = newest

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

    def _after(self, mark: Mark) -> str:
        time = literal(local_time(mark.time, self._zone))
        if not mark.id:
            return f"modifiedtime >= {time}"
        # VTQL has no brackets; AND binds first.
        return f"modifiedtime > {time} OR modifiedtime = {time} AND id > {literal(mark.id)}"

    def _query(self, query: str) -> list[dict[str, Any]]:
        response = self._send(Request(method="GET", path=PATH, params={"operation": "query", "query": query}))
        result = self._result(response)
        return result if isinstance(result, list) else []

    def _result(self, response: Response) -> Any:
        answer = envelope(response)
        if answer and answer["success"]:
            return answer.get("result")
        reason = error_code(answer) if answer else ""
        raise CaptureFailed(f"reading Vtiger module {self._tab}: status {response.status} {reason}".rstrip())

    def _row(self, row: dict[str, Any]) -> Row:
        modified = milliseconds(row.get("modifiedtime"), self._zone) or 0
        created = milliseconds(row.get("createdtime"), self._zone) or 0
        kept = {name: raw for name, raw in row.items() if self._fields is None or name in self._fields}
        return Row(row["id"], image(kept, self._types, self._zone), modified, created, row.get("modifiedby") or "")
