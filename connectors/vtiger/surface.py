"""Vtiger's two surfaces: ``webservice.php`` of the open source edition, and the cloud's REST paths; same operations.

Option ``surface``: ``webservice`` or ``cloud``. Where it is not said, a connection with ``login: basic`` or whose url
holds ``/restapi`` speaks to the cloud.
"""

from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from connectors.answers import retry_after, text
from connectors.auth import FORM
from connectors.base import Pressure, Request, Response, Usage
from connectors.settings import ConnectionSettings, SettingsError
from schemas.codec import CodecError, from_json

WEBSERVICE = "/webservice.php"
RESTAPI = "/restapi/v1/vtiger/default"
DUPLICATE = "DUPLICATE"
"""The unique rule's refusal, whose code is the number 0."""

_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0


class Surface(NamedTuple):
    """How an operation becomes a request."""

    cloud: bool = False
    base: str = WEBSERVICE

    def get(self, operation: str, **params: str) -> Request:
        """A reading operation: its parameters go into the query."""
        if self.cloud:
            return Request(method="GET", path=f"{self.base}/{operation}", params=params)
        return Request(method="GET", path=self.base, params={"operation": operation, **params})

    def post(self, operation: str, **form: str) -> Request:
        """A writing operation: its parameters go into a form."""
        if self.cloud:
            path = f"{self.base}/{operation}"
            return Request(method="POST", path=path, body=urlencode(form).encode(), content_type=FORM)
        body = urlencode({"operation": operation, **form}).encode()
        return Request(method="POST", path=self.base, body=body, content_type=FORM)


def surface_of(settings: ConnectionSettings) -> Surface:
    """The surface of a connection. Raises SettingsError: option ``surface`` says something else."""
    named = settings.options.get("surface", "")
    if named not in {"", "webservice", "cloud"}:
        raise SettingsError(f"connection {settings.connection!r}: option surface takes webservice or cloud")
    rest = "/restapi" in settings.url
    if named == "cloud" or (not named and (rest or settings.login == "basic")):
        return Surface(True, "" if rest else RESTAPI)
    return Surface()


def envelope(response: Response) -> dict[str, Any] | None:
    """Vtiger's answer, which PHP may print notices before; none where there is none."""
    start = response.body.find(b"{")
    while start >= 0:
        try:
            answer = from_json(response.body[start:])
        except CodecError:
            answer = None
        if isinstance(answer, dict) and isinstance(answer.get("success"), bool):
            return answer
        start = response.body.find(b'{"success"', start + 1)  # a notice may hold a brace of its own
    return None


def error_code(answer: Mapping[str, Any]) -> str:
    """The code of a failure; the unique rule's numeric 0 becomes ``DUPLICATE``."""
    error = answer.get("error")
    if not isinstance(error, dict):
        return ""
    code = error.get("code")
    return DUPLICATE if code == 0 and not isinstance(code, bool) else text(code)


def usage(response: Response) -> Sequence[Usage]:
    """What the cloud's headers tell of the minute and of the day."""
    found = (
        _usage(response, "minute", "x-floodcontrol", "minutelimit"),
        _usage(response, "day", "x-ratelimit", "dailylimit"),
    )
    return [one for one in found if one is not None]


def pressure(response: Response) -> Pressure | None:
    """What a refusal of the whole connection says; 403 is a refusal of this call alone.

    A 429 that no header explains (a proxy's) waits as long as ``Retry-After`` says, and no longer.
    """
    if response.status == 503:
        return Pressure(kind="unwell")
    if response.status != 429:
        return None
    if _number(response, "x-ratelimit-remaining") == 0:
        return Pressure(kind="spent", after=_until(response, "x-ratelimit-reset", _DAY, _HOUR))
    if _number(response, "x-floodcontrol-reset") is None:
        return Pressure(kind="busy", after=retry_after(response))
    return Pressure(kind="busy", after=_until(response, "x-floodcontrol-reset", _MINUTE, _MINUTE))


def _usage(response: Response, quota: Any, prefix: str, most: str) -> Usage | None:
    left = _number(response, f"{prefix}-remaining")
    if left is None:
        return None
    reset = _number(response, f"{prefix}-reset")
    return Usage(
        quota=quota,
        left=left,
        most=_number(response, f"{prefix}-{most}"),
        resets_at=None if reset is None else reset * 1000,
    )


def _until(response: Response, header: str, most: float, unsaid: float) -> float:
    """Seconds from the answer's own date to a reset, within its period; ``unsaid`` where either is not told."""
    reset = _number(response, header)
    try:
        said = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except ValueError:
        return unsaid
    return unsaid if reset is None else min(max(reset - said, 1.0), most)


def _number(response: Response, header: str) -> int | None:
    value = response.headers.get(header, "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None
