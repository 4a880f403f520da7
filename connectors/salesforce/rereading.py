"""Reading what a change event does not tell: whole records of gap events, and fields that events never carry."""

from collections.abc import Sequence

from connectors.base import Request, Send
from connectors.fields import field_types
from connectors.salesforce.answering import rows, told
from connectors.salesforce.capture import SYSTEM_COLUMNS, columns
from connectors.salesforce.events import Change
from connectors.salesforce.values import API, image, literal
from schemas.metadata import ConnectionMetadata
from schemas.values import Image

MOST = 100
"""Ids of one query: an address has room for about 16 000 characters."""


class Reread:
    """Reads records of one object; ``fields`` are those that capture tells, none meaning all that are known."""

    def __init__(self, metadata: ConnectionMetadata, tab: str, send: Send, fields: Sequence[str]) -> None:
        self._tab, self._send = tab, send
        self._columns = columns(metadata, tab, fields)
        self._wanted = frozenset(self._columns.split(", ")) - {"Id", "IsDeleted"}
        self._types = field_types(metadata, tab)

    def is_whole(self, change: Change) -> bool:
        """Whether the record has to be read as a whole: the event does not tell its fields."""
        return change.kind in {"GAP_CREATE", "GAP_UPDATE", "GAP_UNDELETE", "UNDELETE"}

    def images(self, changes: Sequence[Change]) -> dict[str, Image]:
        """What has to be read for some changes, by record id, as it is now. Raises NotSent, NoAnswer, CaptureFailed."""
        needed = (record for change in changes if self._is_needed(change) for record in change.records)
        ids, found = list(dict.fromkeys(needed)), dict[str, Image]()
        for start in range(0, len(ids), MOST):
            found |= {str(one["id"]): one for one in self._read(ids[start : start + MOST])}
        return found

    def laid_out(self, change: Change, read: Image | None) -> Image:
        """The fields of an event that are wanted, with those that only reading tells; a new record has them all."""
        told = {name: value for name, value in change.fields.items() if name in self._wanted}
        if "LastModifiedDate" in change.fields:
            told["SystemModstamp"] = change.fields["LastModifiedDate"]
        blank = dict.fromkeys(self._wanted) if change.kind == "CREATE" else {}
        only_read = self._untold(change)
        return {**blank, **{name: value for name, value in (read or {}).items() if name in only_read}, **told}

    def _is_needed(self, change: Change) -> bool:
        return self.is_whole(change) or (change.kind in {"CREATE", "UPDATE"} and bool(self._untold(change)))

    def _untold(self, change: Change) -> frozenset[str]:
        """The wanted fields that this event does not tell, though they may have changed."""
        return (self._wanted - change.tells - set(SYSTEM_COLUMNS)) | (self._wanted & set(change.unclear))

    def _read(self, ids: Sequence[str]) -> list[Image]:
        named = ", ".join(literal(one) for one in ids)
        query = f"SELECT {self._columns} FROM {self._tab} WHERE Id IN ({named})"  # noqa: S608
        response = self._send(Request(method="GET", path=f"{API}/query", params={"q": query}))
        what = f"Salesforce object {self._tab}"
        return [image(row, self._types) for row in rows(told(response, what), "records", what)]
