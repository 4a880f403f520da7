"""Watching a Zoho module: COQL by modified time and id, and the list of deleted records."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from connectors.answers import text, whole
from connectors.base import Capture, Request, Send
from connectors.capture import CaptureFailed, Gone, Mark, Page, PollingCapture, Row, readable
from connectors.fields import field_types, milliseconds
from connectors.settings import ConnectionSettings
from connectors.zoho.values import API, JSON, image, literal
from schemas.codec import to_json
from schemas.metadata import ConnectionMetadata
from schemas.values import MINUTE, format_instant

_SYSTEM = ("id", "Created_Time", "Modified_Time", "Modified_By")
_COLUMNS = 46
"""COQL selects at most 50 columns; the rest is fetched by id."""
_PAGE = 200


def capture(
    settings: ConnectionSettings, metadata: ConnectionMetadata, tab: str, send: Send, fields: Sequence[str]
) -> Capture:
    """Watches a module; no fields means all that COQL can select."""
    return PollingCapture(f"{settings.connection}:{tab}", ZohoReader(metadata, tab, send, fields))


class ZohoReader:
    """Reads one module in order of Modified_Time, whose resolution is one second."""

    overlap = MINUTE
    sweep_every = 0

    def __init__(self, metadata: ConnectionMetadata, tab: str, send: Send, fields: Sequence[str]) -> None:
        self._tab = tab
        self._send = send
        self._types = field_types(metadata, tab)
        wanted = fields or wanted_fields(metadata, tab)
        self._fields = [name for name in dict.fromkeys(wanted) if name not in _SYSTEM]

    def rows(self, after: Mark, loading: bool) -> Page:
        """One page of 200 rows."""
        columns = ", ".join([*_SYSTEM, *self._fields[:_COLUMNS]])
        query = (
            f"select {columns} from {self._tab} where {_after(after)}"  # noqa: S608
            f" order by Modified_Time asc, id asc limit 0, {_PAGE}"
        )
        body = to_json({"select_query": query})
        answer = self._ask(Request(method="POST", path=f"{API}/coql", body=body, content_type=JSON), (200, 204))
        rows = self._rows(answer)
        self._complete(rows)
        page = Page([self._row(row) for row in rows], bool(rows) and _has_more(answer))
        if page.more and Mark(page.rows[-1].modified, page.rows[-1].id) <= after:
            raise CaptureFailed(f"reading Zoho module {self._tab}: a page that does not lead on")
        return page

    def count(self) -> int | None:
        """What the module's own count says (``GET /{module}/actions/count``)."""
        told = self._ask(Request(method="GET", path=f"{API}/{self._tab}/actions/count"), (200,)).get("count")
        return whole(told)

    def gone(self, since: int, now: int) -> Iterator[Gone]:
        """The recycle bin and what was deleted for good, newer than ``since``."""
        page, more = 1, True
        headers = {"If-Modified-Since": _moment(since)}
        while more:
            params = {"type": "all", "page": str(page), "per_page": str(_PAGE)}
            request = Request(method="GET", path=f"{API}/{self._tab}/deleted", params=params, headers=headers)
            answer = self._ask(request, (200, 204, 304))
            rows = self._rows(answer)
            for row in rows:
                yield Gone(row["id"], milliseconds(row.get("deleted_time")) or now, _by(row, "deleted_by"))
            more = bool(rows) and _has_more(answer)
            page += 1

    def ids(self) -> set[str]:
        """Not needed: Zoho tells deletions."""
        return set()

    def _complete(self, rows: list[dict[str, Any]]) -> None:
        rest = self._fields[_COLUMNS:]
        for first in range(0, len(rest), 50):
            for batch in (rows[start : start + 100] for start in range(0, len(rows), 100)):
                self._add(batch, rest[first : first + 50])

    def _add(self, rows: list[dict[str, Any]], fields: Iterable[str]) -> None:
        params = {"ids": ",".join(row["id"] for row in rows), "fields": ",".join(fields), "per_page": "100"}
        answer = self._ask(Request(method="GET", path=f"{API}/{self._tab}", params=params), (200, 204))
        more = {row["id"]: row for row in self._rows(answer)}
        for row in rows:
            row.update({name: value for name, value in more.get(row["id"], {}).items() if name not in _SYSTEM})

    def _row(self, row: dict[str, Any]) -> Row:
        modified, created = milliseconds(row.get("Modified_Time")), milliseconds(row.get("Created_Time"))
        if modified is None:
            raise CaptureFailed(f"reading Zoho module {self._tab}: a record without its modified time")
        return Row(row["id"], image(row, self._types), modified, created or 0, _by(row, "Modified_By"))

    def _rows(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """The records of an answer, each with an id. Raises CaptureFailed on any other shape."""
        rows = answer.get("data") or []
        if isinstance(rows, list) and all(isinstance(row, dict) and text(row.get("id")) for row in rows):
            return rows
        raise CaptureFailed(f"reading Zoho module {self._tab}: the answer holds no records")

    def _ask(self, request: Request, statuses: tuple[int, ...]) -> dict[str, Any]:
        answer = readable(self._send(request), f"Zoho module {self._tab}", statuses)
        return answer if isinstance(answer, dict) else {}


def wanted_fields(metadata: ConnectionMetadata, tab: str) -> list[str]:
    """The fields that a module is read with where nobody names others: all that COQL can select; none if unknown."""
    known = [name for name, kind in field_types(metadata, tab).items() if kind != "unknown"]
    return list(dict.fromkeys([*_SYSTEM[1:], *(name for name in known if name != "id")])) if known else []


def _by(row: Mapping[str, Any], name: str) -> str:
    user = row.get(name)
    return text(user.get("id")) if isinstance(user, dict) else ""


def _has_more(answer: Mapping[str, Any]) -> bool:
    paging = answer.get("info")
    return isinstance(paging, dict) and paging.get("more_records") is True


def _after(mark: Mark) -> str:
    time = literal(_moment(mark.time))
    if not mark.id:
        return f"Modified_Time >= {time}"
    return f"(Modified_Time > {time} or (Modified_Time = {time} and id > {literal(mark.id)}))"


def _moment(at: int) -> str:
    return format_instant(at // 1000 * 1000).replace("Z", "+00:00")
