"""``/actions/watch``: subscriptions to changes, with an expiry (fact sheet 3.1)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Response

from sandbox.zoho.bell import LOOPBACK, Bell, Channel
from sandbox.zoho.desk import Desk, done
from sandbox.zoho.errors import RowRefusedError, missing_parameter
from sandbox.zoho.writing import Result
from schemas.values import DAY, HOUR, format_instant, parse_instant

LONGEST = 7 * DAY
MOST_TOKEN = 50
_SUBSCRIBED = "Successfully subscribed for actions-watch of the given module"
_UPDATED = "Successfully updated the subscribe details"
_ENDED = "Successfully un-subscribed from actions-watch"


class Watching:
    """The channels of the notification API."""

    def __init__(self, desk: Desk, bell: Bell) -> None:
        self._desk, self._bell = desk, bell

    def routes(self) -> Iterable[tuple[str, str, Any]]:
        """Method, path and endpoint."""
        return (
            ("POST", "/actions/watch", self.subscribe),
            ("PUT", "/actions/watch", self.replace_all),
            ("PATCH", "/actions/watch", self.renew),
            ("GET", "/actions/watch", self.watched),
            ("DELETE", "/actions/watch", self.end),
        )

    async def subscribe(self, request: Request) -> Response:
        """``POST /actions/watch``; a channel that exists is replaced."""
        return await self._each(request, self._subscribe, 201)

    async def replace_all(self, request: Request) -> Response:
        """``PUT /actions/watch``."""
        return await self._each(request, self._replace, 200)

    async def renew(self, request: Request) -> Response:
        """``PATCH /actions/watch``: only what is given changes."""
        return await self._each(request, self._patch, 200)

    async def watched(self, request: Request) -> Response:
        """``GET /actions/watch``."""
        self._ask("READ")
        wanted, module = (request.query_params.get(name, "") for name in ("channel_id", "module"))
        rows = [
            entry
            for channel in self._bell.live().values()
            if wanted in ("", channel.id)
            for entry in self._details(channel)
            if module in ("", entry["resource_name"])
        ]
        return self._desk.listed("watch", rows, {"per_page": 200, "count": len(rows), "page": 1, "more_records": False})

    async def end(self, request: Request) -> Response:
        """``DELETE /actions/watch?channel_ids=``."""
        self._ask("DELETE")
        if "channel_ids" not in request.query_params:
            raise missing_parameter("channel_ids")
        results = [self._end(one) for one in request.query_params["channel_ids"].split(",")]
        return self._answered(results, 200)

    async def _each(self, request: Request, act: Any, success: int) -> Response:
        self._ask("CREATE")
        body = await self._desk.body(request)
        results = [_refusable(act, row, index) for index, row in enumerate(self._desk.rows(body, "watch"))]
        return self._answered(results, success)

    def _subscribe(self, row: Mapping[str, Any], path: str) -> Result:
        channel = self._channel(row, path)
        self._bell.live()[channel.id] = channel
        return done(_SUBSCRIBED, events=self._details(channel))

    def _replace(self, row: Mapping[str, Any], path: str) -> Result:
        self._known(row)
        channel = self._channel(row, path)
        self._bell.live()[channel.id] = channel
        return done(_UPDATED, events=self._details(channel))

    def _patch(self, row: Mapping[str, Any], path: str) -> Result:
        channel = self._known(row)
        changed = replace(
            channel,
            expiry=self._expiry(row["channel_expiry"], path) if "channel_expiry" in row else channel.expiry,
            events=tuple(row.get("events") or channel.events),
            token=_token(row, path) if "token" in row else channel.token,
        )
        self._bell.live()[channel.id] = changed
        return done(_UPDATED, events=self._details(changed))

    def _end(self, channel_id: str) -> Result:
        channel = self._bell.live().pop(channel_id, None)
        if channel is None:
            return _not_subscribed(channel_id).result
        first = channel.events[0].partition(".")[0]
        return done(_ENDED, resource_uri=_uri(first), resource_id=_module_id(first), resource_name=first,
                    channel_id=channel_id)  # fmt: skip

    def _known(self, row: Mapping[str, Any]) -> Channel:
        channel = self._bell.live().get(str(row.get("channel_id")))
        if channel is None:
            raise _not_subscribed(str(row.get("channel_id")))
        return channel

    def _channel(self, row: Mapping[str, Any], path: str) -> Channel:
        for name in ("channel_id", "events", "notify_url"):
            if not row.get(name):
                details = {"api_name": name, "json_path": f"{path}.{name}"}
                raise RowRefusedError("MANDATORY_NOT_FOUND", "required field not found", details)
        return Channel(
            _number(row["channel_id"], path), self._events(row["events"], path), _loopback(row["notify_url"], path),
            self._expiry(row.get("channel_expiry"), path), _token(row, path),
            row.get("return_affected_field_values") is True,
        )  # fmt: skip

    def _events(self, events: Any, path: str) -> tuple[str, ...]:
        for event in events if isinstance(events, list) else [None]:
            module, _, word = str(event).partition(".")
            if module not in self._desk.modules or word not in ("create", "edit", "delete", "all"):
                raise _invalid("events", path)
        return tuple(events)

    def _expiry(self, text: Any, path: str) -> int:
        """When a channel ends: an hour from now where nothing is asked, or too much (fact sheet 3.1)."""
        now = self._desk.store.clock.now()
        try:
            wished = now + HOUR if text is None else parse_instant(text)
        except (TypeError, ValueError):
            raise _invalid("channel_expiry", path) from None
        return wished if now < wished <= now + LONGEST else now + HOUR

    def _details(self, channel: Channel) -> list[dict[str, Any]]:
        names = dict.fromkeys(event.partition(".")[0] for event in channel.events)
        expiry = format_instant(channel.expiry // 1000 * 1000).replace("Z", "+00:00")
        return [
            {
                "channel_expiry": expiry, "resource_uri": _uri(name), "resource_id": _module_id(name),
                "resource_name": name, "channel_id": channel.id, "notify_url": channel.notify_url,
                "events": [event for event in channel.events if event.startswith(f"{name}.")],
            }
            for name in names
        ]  # fmt: skip

    def _answered(self, results: list[Result], success: int) -> Response:
        refused = sum(result["status"] == "error" for result in results)
        status = success if not refused else 207 if refused < len(results) else 400
        return self._desk.reply(status, {"watch": results})

    def _ask(self, what: str) -> None:
        self._desk.allow(f"ZohoCRM.notifications.{what}")
        self._desk.charge(1)


def _refusable(act: Any, row: Any, index: int) -> Result:
    try:
        if not isinstance(row, Mapping):
            raise _invalid("watch", f"$.watch[{index}]")
        result: Result = act(row, f"$.watch[{index}]")
        return result
    except RowRefusedError as refused:
        return refused.result


def _token(row: Mapping[str, Any], path: str) -> str:
    token = str(row.get("token") or "")
    if len(token) > MOST_TOKEN:
        raise _invalid("token", path, maximum_length=MOST_TOKEN)
    return token


def _loopback(url: Any, path: str) -> str:
    """The practice range calls nobody outside this machine."""
    parts = urlsplit(str(url))
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:
        raise _invalid("notify_url", path)
    return str(url)


def _number(channel_id: Any, path: str) -> str:
    if not str(channel_id).isdigit() or int(channel_id) >= 2**63:
        raise _invalid("channel_id", path)
    return str(channel_id)


def _invalid(name: str, path: str, **details: Any) -> RowRefusedError:
    return RowRefusedError("INVALID_DATA", "invalid data", {**details, "api_name": name, "json_path": f"{path}.{name}"})


def _not_subscribed(channel_id: str) -> RowRefusedError:
    return RowRefusedError("NOT_SUBSCRIBED", "not subscribed", {"channel_id": channel_id})


def _uri(module: str) -> str:
    return f"https://www.zohoapis.com/crm/v8/{module}"


def _module_id(module: str) -> str:
    return str(5725767000000002000 + sum(module.encode()))
