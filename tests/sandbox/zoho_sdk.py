"""The vendor's own SDK, pointed at the emulator; its answers as plain tuples.

The SDK itself is not changed: it gets a base URL, a place for its token and a folder for its field files.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.crm.api import HeaderMap, ParameterMap
from zohocrmsdk.src.com.zoho.crm.api.dc import DataCenter
from zohocrmsdk.src.com.zoho.crm.api.initializer import Initializer
from zohocrmsdk.src.com.zoho.crm.api.record.body_wrapper import BodyWrapper
from zohocrmsdk.src.com.zoho.crm.api.record.record import Record
from zohocrmsdk.src.com.zoho.crm.api.util import Choice

from sandbox.server import Crm


class Told(NamedTuple):
    """One row of an answer."""

    code: str
    message: str
    details: Mapping[str, Any]


def initialize(crm: Crm, folder: Path) -> None:
    """Point the SDK of this thread at a practice CRM."""
    own = crm.credentials
    environment = DataCenter.Environment(crm.url, f"{crm.url}/oauth/v2/token", crm.url)
    token = OAuthToken(
        client_id=own["client_id"],
        client_secret=own["client_secret"],
        refresh_token=own["refresh_token"],
        find_user=False,
    )
    store = FileStore(str(folder / "tokens.txt"))
    Initializer.initialize(environment, token, store=store, resource_path=str(folder))


def record(**fields: Any) -> Record:
    """A record to be written."""
    made = Record()
    for name, value in fields.items():
        made.add_key_value(name, value)
    return made


def records(*rows: Record, **more: Any) -> BodyWrapper:
    """The body of a write."""
    body = BodyWrapper()
    body.set_data(list(rows))
    for name, value in more.items():
        getattr(body, f"set_{name}")(value)
    return body


def parameters(*pairs: tuple[Any, Any]) -> ParameterMap:
    """Parameters of a request."""
    made = ParameterMap()
    for parameter, value in pairs:
        made.add(parameter, value)
    return made


def headers(*pairs: tuple[Any, Any]) -> HeaderMap:
    """Headers of a request."""
    made = HeaderMap()
    for header, value in pairs:
        made.add(header, value)
    return made


def told(response: Any, rows: str = "data") -> tuple[int, list[Told]]:
    """The status and the rows of an answer; a bare error is one row."""
    answer = response.get_object()
    found = getattr(answer, f"get_{rows}", None)
    return response.get_status_code(), [_told(row) for row in (found() if found else [answer])]


def read(response: Any) -> tuple[int, list[dict[str, Any]]]:
    """The status and the records of an answer; none where it is empty."""
    answer = response.get_object()
    rows: Iterable[Record] = answer.get_data() if answer is not None else []
    return response.get_status_code(), [dict(row.get_key_values()) for row in rows]


def plain(value: Any) -> Any:
    """A choice's value, else the value itself."""
    return value.get_value() if isinstance(value, Choice) else value


def _told(row: Any) -> Told:
    return Told(plain(row.get_code()), plain(row.get_message()), row.get_details() or {})
