"""Zoho's credits: what a request costs, what is left, and when there is no room (fact sheet 4)."""

import re
from collections.abc import Sequence

from connectors.answers import parsed, retry_after, text
from connectors.base import Pressure, Request, Response, Usage
from schemas.codec import CodecError, from_json

_ABOUT_NONE = 10
"""So few credits left are none: a write of 100 rows costs as many."""
_UNTIL_SOME_ARE_BACK = 900.0
"""Seconds: credits come back one by one, each a day after it was spent."""
_LIMIT = re.compile(r"\blimit\s+(?:\d+\s*,\s*)?(\d+)", re.IGNORECASE)
_WITH_ROWS = frozenset({"POST", "PUT"})


def price(request: Request) -> int:
    """The credits of one call: 1, for a write 1 per 10 rows, 5 to convert a lead, 1 to 3 for COQL."""
    if request.path.endswith("/actions/convert"):
        return 5
    if request.path.endswith("/coql"):
        found = _LIMIT.search((request.body or b"").decode("utf-8", "replace"))
        rows = int(found[1]) if found else 200
        return 1 if rows <= 200 else 2 if rows <= 1000 else 3
    return -(-_rows(request) // 10) or 1


def usage(response: Response) -> Sequence[Usage]:
    """``X-API-CREDITS-REMAINING``, which Zoho tells once half of the day's credits are spent."""
    left = response.headers.get("x-api-credits-remaining", "")
    told = left.isascii() and left.isdigit()
    return (Usage(quota="day", left=int(left), from_half=True),) if told else ()


def pressure(response: Response) -> Pressure | None:
    """429 says *spent* where about nothing is left, else *busy*; 5xx says *unwell*."""
    if response.status >= 500:
        return Pressure(kind="unwell", after=retry_after(response))
    if response.status != 429:
        return None
    if _is_spent(response):
        return Pressure(kind="spent", after=retry_after(response, _UNTIL_SOME_ARE_BACK))
    return Pressure(kind="busy", after=retry_after(response))


def _is_spent(response: Response) -> bool:
    if any(one.left <= _ABOUT_NONE for one in usage(response)):
        return True
    answer = parsed(response)
    return isinstance(answer, dict) and text(answer.get("code")) == "DAILY_LIMIT_EXCEEDED"


def _rows(request: Request) -> int:
    if request.method not in _WITH_ROWS or "/actions/" in request.path:
        return 1
    try:
        body = from_json(request.body or b"{}")
    except CodecError:
        return 1
    rows = body.get("data") if isinstance(body, dict) else None
    return len(rows) if isinstance(rows, list) else 1
