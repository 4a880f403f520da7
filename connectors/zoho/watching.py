"""Zoho's notifications: one channel for all tabs of a connection, renewed long before it ends (fact sheet 3.1)."""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.answers import parsed, text
from connectors.base import NoAnswer, NotSent, Request, Response, Send
from connectors.capture import CaptureFailed
from connectors.fields import milliseconds
from connectors.notices import Heard, Kept, derived
from connectors.zoho.values import API
from connectors.zoho.verbs import details, json_request
from schemas.codec import CodecError, from_json
from schemas.values import DAY, HOUR, MINUTE, format_instant

_WATCH = f"{API}/actions/watch"
LIFE = 6 * DAY
"""How long a channel is asked for: Zoho grants seven days, and one hour to whoever asks for more."""
VERIFY_EVERY = HOUR
_GONE = "NOT_SUBSCRIBED"


class ZohoNotices:
    """The channel of one connection. Its number, token and path follow from the client's secret: nothing is stored."""

    def __init__(self, connection: str, secret: str, url: str, send: Send, tabs: Sequence[str]) -> None:
        self.path = f"/notices/{derived(secret, connection, 'path')}"
        self._token = derived(secret, connection, "token")
        self._channel = str(int(derived(secret, connection, "channel")[:15], 16) + 1)
        self._url, self._send, self._tabs = url + self.path, send, sorted(tabs)
        self._ends_at = self._renew_at = self._verify_at = 0

    def keep(self, now: int) -> Kept:
        """Subscribes where there is no channel, renews one at half of its life, and looks hourly that it is there."""
        missed = False
        if not self._ends_at:
            self._adopt(self._known(), now)
        elif now >= self._renew_at:
            missed = self._renew(now)
        elif now >= self._verify_at and self._known() is None:
            self._subscribe(now)
            missed = True
        self._verify_at = now + VERIFY_EVERY
        return Kept(min(self._verify_at, self._renew_at), missed)

    def hear(self, body: bytes) -> Heard | None:
        """A callback with our token, on our channel, about a tab that we watch."""
        try:
            told = from_json(body)
        except CodecError:
            return None
        if not isinstance(told, dict) or not self._is_ours(told):
            return None
        tab, at = told.get("module"), told.get("server_time")
        if tab not in self._tabs or isinstance(at, bool) or not isinstance(at, int):
            return None
        return Heard(str(tab), at, repr((tab, told.get("operation"), told.get("ids"), at)))

    def close(self) -> None:
        """Ends the channel; where that fails it ends by itself."""
        try:
            self._send(Request(method="DELETE", path=_WATCH, params={"channel_ids": self._channel}))
        except (NotSent, NoAnswer):
            return

    def _is_ours(self, told: Mapping[str, Any]) -> bool:
        token = text(told.get("token")).encode("utf-8", "surrogatepass")
        return hmac.compare_digest(token, self._token.encode()) and told.get("channel_id") == self._channel

    def _adopt(self, known: int | None, now: int) -> None:
        """A channel that is there from an earlier run is renewed at once, so that its address and tabs are ours."""
        if known is None or not known > now:
            self._subscribe(now)
        else:
            self._replace(now)

    def _known(self) -> int | None:
        """When our channel ends by Zoho's own word; none where it knows no such channel."""
        response = self._send(Request(method="GET", path=_WATCH, params={"channel_id": self._channel}))
        rows = _rows(response)
        if response.status == 204 or (rows and all(row.get("code") == _GONE for row in rows)):
            return None
        ends = [milliseconds(row.get("channel_expiry")) for row in rows if row.get("channel_id") == self._channel]
        if response.status != 200 or not rows:
            raise _refused("looking for the channel", response)
        return min((end for end in ends if end is not None), default=None)

    def _subscribe(self, now: int) -> None:
        self._took(json_request("POST", _WATCH, {"watch": [self._wish(now)]}), now)

    def _replace(self, now: int) -> None:
        if not self._took(json_request("PUT", _WATCH, {"watch": [self._wish(now)]}), now, may_be_gone=True):
            self._subscribe(now)

    def _renew(self, now: int) -> bool:
        """Whether the channel had gone, so that changes may have been missed."""
        wish = {"channel_id": self._channel, "channel_expiry": _moment(now + LIFE)}
        if self._took(json_request("PATCH", _WATCH, {"watch": [wish]}), now, may_be_gone=True):
            return False
        self._subscribe(now)
        return True

    def _took(self, request: Request, now: int, *, may_be_gone: bool = False) -> bool:
        """Whether Zoho took it; false where the channel is gone. Raises CaptureFailed for any other answer."""
        response = self._send(request)
        rows = _rows(response)
        if may_be_gone and rows and rows[0].get("code") == _GONE:
            return False
        if not rows or any(row.get("code") != "SUCCESS" for row in rows):
            raise _refused("watching", response)
        self._ends_at = _ends(rows) or now + HOUR
        self._renew_at = now + max(MINUTE, (self._ends_at - now) // 2)
        return True

    def _wish(self, now: int) -> dict[str, object]:
        return {
            "channel_id": self._channel, "events": [f"{tab}.all" for tab in self._tabs], "notify_url": self._url,
            "token": self._token, "channel_expiry": _moment(now + LIFE), "return_affected_field_values": False,
            "notify_on_related_action": False,
        }  # fmt: skip


def _rows(response: Response) -> list[dict[str, Any]]:
    answer = parsed(response)
    rows = answer.get("watch") if isinstance(answer, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _ends(rows: list[dict[str, Any]]) -> int | None:
    """The earliest end that the answer grants: Zoho gives less than was asked where that is too much."""
    told = [details(row).get("events") for row in rows]
    events = [event for one in told if isinstance(one, list) for event in one if isinstance(event, dict)]
    ends = [milliseconds(event.get("channel_expiry")) for event in events]
    return min((end for end in ends if end is not None), default=None)


def _refused(doing: str, response: Response) -> CaptureFailed:
    rows, answer = _rows(response), parsed(response)
    code = text(rows[0].get("code")) if rows else text(answer.get("code")) if isinstance(answer, dict) else ""
    hint = ": grant the scope ZohoCRM.notifications.ALL" if code == "OAUTH_SCOPE_MISMATCH" else ""
    return CaptureFailed(f"{doing}: Zoho answered {response.status} {code[:40]}{hint}".rstrip())


def _moment(at: int) -> str:
    return format_instant(at // 1000 * 1000).replace("Z", "+00:00")
