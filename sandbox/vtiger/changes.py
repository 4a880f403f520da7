"""Vtiger's change feed: ``sync``, by seconds."""

from typing import Any

from sandbox.store import Row
from sandbox.vtiger.entity import CONVERTED
from sandbox.vtiger.errors import BrokenDownError, RefusedError, denied
from sandbox.vtiger.records import Records

PAGE = 100


def sync(records: Records, modified_time: str, element_type: str, sync_type: str) -> dict[str, Any]:
    """Records changed after a second, up to the second of the hundredth, and ids of deleted and converted ones."""
    if sync_type == "application" and not records.rights.admin:
        raise RefusedError("ACCESS_DENIED", "Only admin users can perform application sync")
    since = _seconds(modified_time)
    if not element_type:
        raise BrokenDownError
    if element_type in records.tables:
        return {"updated": [], "deleted": [], "lastModifiedTime": modified_time, "more": False}
    if element_type not in records.entities:
        raise denied()
    page, bound, more = _page(records, element_type, since, sync_type)
    entity = records.entities[element_type]
    return {
        "updated": [entity.render_row(row) for row in page if not _left(row)],
        "deleted": [row.id for row in page if _left(row)],
        "more": more,
        "lastModifiedTime": bound,
    }


def _page(records: Records, tab: str, since: int, sync_type: str) -> tuple[list[Row], int, bool]:
    changed = records.store.changed_since(tab, since * 1000 + 999)
    changed = [row for row in changed if _asked(records, row, sync_type)]
    bound = changed[min(len(changed), PAGE) - 1].modified_at // 1000 if changed else since
    page = [row for row in changed if row.modified_at // 1000 <= bound]
    return page, bound, len(page) < len(changed)


def _asked(records: Records, row: Row, sync_type: str) -> bool:
    if sync_type == "application":
        return True
    return records.rights.owns(row) if sync_type == "userandgroup" else _mine(records, row)


def _mine(records: Records, row: Row) -> bool:
    return row.fields.get("assigned_user_id") == records.rights.user.id


def _left(row: Row) -> bool:
    return not row.live or bool(row.fields.get(CONVERTED))


def _seconds(text: str) -> int:
    """The asked second; zero, nothing and what is no number break Vtiger down."""
    try:
        seconds = int(float(text))
    except ValueError:
        raise BrokenDownError from None
    if not seconds:
        raise BrokenDownError
    return seconds
