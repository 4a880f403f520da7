"""Looking connections over: is each reached, let in, allowed what it needs, in time, in step; and if not, what next."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from connectors.base import AuthenticationFailed, NoAnswer, NotSent, Request, Response, Send, Usage
from connectors.capture import CaptureFailed
from connectors.credentials import CredentialError
from connectors.dialling import Dialled, dial
from connectors.registry import HasOwnNetwork, Line, UnknownConnector, kind_of, line
from connectors.settings import ConnectionSettings, SettingsError
from renkei.checking import tabs_written
from renkei.drift import asked_operations, drifts, written_tabs
from renkei.folder import Folder
from renkei.parts import position_note
from renkei.settings import ConnectionPart
from renkei.wiring import FILE, NO_CAPTURE, NO_METADATA, tabs_of
from rules.durations import Duration
from schemas.metadata import ConnectionMetadata
from schemas.values import DAY
from streams.history import reading
from streams.store import StoreError

Grade = Literal["ok", "warning", "broken"]
SKEW_TOLD, SKEW_BROKEN = 30.0, 240.0
"""Seconds by which clocks may differ: assertions live three minutes, signatures five."""
LOW = 5
"""A quota of which less than one part in this many is left is told."""
CERTIFICATE = 14 * DAY
"""Milliseconds before its end that a certificate is told."""
STILL = 10
"""A tab that was not asked for this many intervals stands still."""


_UNTRUSTED = (
    "Its certificate is not trusted here: have it renewed, correct `url:`, or name your authority's `ca_file:`."
)


class Finding(NamedTuple):
    """What one look found: which connection, what was looked at, how it is, in words, and what to do next."""

    connection: str
    check: str
    grade: Grade
    words: str
    next: str = ""


class Heard(NamedTuple):
    """An answer, and our clock when it came, in seconds."""

    response: Response
    at: float


def examined(folder: Folder, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Every finding, connection by connection; a connection that is not reached is not asked further."""
    for name, part in folder.settings.connections.items():
        if part.kind != "file":
            yield from _connection(folder, name, part, clock)


def _connection(folder: Folder, name: str, part: ConnectionPart, clock: Callable[[], float]) -> Iterator[Finding]:
    try:
        settings = kind_of(part.kind).completed(part.settings(name))
        credentials = folder.credentials(name)
    except (UnknownConnector, SettingsError) as error:
        yield Finding(name, "settings", "broken", str(error), "Correct renkei.yaml.")
        return
    except CredentialError as error:
        yield Finding(name, "credentials", "broken", str(error), _connect(part, name))
        return
    if settings.url:
        found = dial(settings.url, settings.allow_private)
        yield from _address(name, settings, found, clock())
        if found.problem:
            return
    heard: list[Heard] = []
    known = folder.metadata.get(name) or ConnectionMetadata(connection=name)
    there = line(settings, credentials, known, lambda plain: _listening(plain, heard, clock), folder.shelf(name))
    if part.kind not in NO_METADATA and not isinstance(there.connector, HasOwnNetwork):
        yield from _login(folder, name, part, there)
        yield from _watchable(folder, name, there)
        yield from _clock(name, heard)
        yield from _quotas(name, there, heard)
    if part.kind not in NO_CAPTURE:
        yield from _captures(folder, name, part, clock())


def _listening(send: Send, heard: list[Heard], clock: Callable[[], float]) -> Send:
    def listening(request: Request) -> Response:
        response = send(request)
        heard.append(Heard(response, clock()))
        return response

    return listening


# -- the way there ------------------------------------------------------------------


def _address(name: str, settings: ConnectionSettings, found: Dialled, now: float) -> Iterator[Finding]:
    host = urlsplit(settings.url).hostname
    if found.problem:
        yield Finding(name, found.check, "broken", f"{host}: {found.problem}", found.next)
        return
    yield Finding(name, "address", "ok", f"{host} answers")
    if found.ends_at is None:
        return
    left = found.ends_at - int(now * 1000)
    if left < CERTIFICATE:
        words = f"the certificate of {host} ends in {max(0, left // DAY)} days"
        yield Finding(name, "tls", "warning", words, "Have it renewed by whoever runs that server.")


def _login(folder: Folder, name: str, part: ConnectionPart, there: Line) -> Iterator[Finding]:
    told = there.told(tabs_written(folder).get(name, []))
    yield from _permissions(folder, name, told.missing)
    if told.metadata is not None and told.unasked is not None:
        words = f"what the login may not do could not be asked: {told.unasked}"
        yield Finding(name, "permissions", "warning", words, "Look again: renkei doctor")
    if told.metadata is not None:
        yield Finding(name, "login", "ok", "the login works")
        yield from _drift(folder, name, told.metadata)
        return
    words = str(told.trouble)
    if isinstance(told.trouble, AuthenticationFailed):
        yield Finding(name, "login", "broken", words, _connect(part, name))
    elif isinstance(told.trouble, CaptureFailed):
        hint = f"Check the tabs of {name} in the workflow files, and what its login may see."
        yield Finding(name, "metadata", "broken", words, hint)
    elif "SSL" in words:
        yield Finding(name, "tls", "broken", words, _UNTRUSTED)
    else:
        yield Finding(name, "login", "broken", words, "Check its url, and the network between; then look again.")


def _permissions(folder: Folder, name: str, missing: Sequence[str]) -> Iterator[Finding]:
    """What is missing is broken, unless no rule needs it: then it is as it should be."""
    edition, own = folder.compile(), f"{name}:"
    needs = _Needs(
        frozenset(tabs_written(folder).get(name, [])),
        frozenset(tab.removeprefix(own) for tab in written_tabs(edition, folder.project) if tab.startswith(own)),
        frozenset((what, tab.removeprefix(own)) for what, tab in asked_operations(edition) if tab.startswith(own)),
        any(b"in role" in content for content in folder.files.values()),
    )
    for sentence in missing:
        if needs.are_about(sentence):
            yield Finding(name, "permissions", "broken", sentence, "Grant it in the CRM, then: renkei doctor")
        else:
            yield Finding(name, "permissions", "ok", f"{sentence}, and no rule needs it")


class _Needs(NamedTuple):
    """What the rules need of one connection: tabs, which of them are written, other operations, and users' roles."""

    tabs: frozenset[str]
    written: frozenset[str]
    asked: frozenset[tuple[str, str]]
    roles: bool

    def are_about(self, sentence: str) -> bool:
        """Whether some rule needs the permission that a sentence says is missing."""
        words = set(re.findall(r"\w+", sentence))
        if "send_mail" in words:
            return any(operation == "mail" for operation, _ in self.asked)
        if "UserRole" in words:
            return self.roles
        named = words & self.tabs
        if named and re.search(r"\bdelete\b", sentence, re.IGNORECASE):
            return any(operation == "delete" and tab in named for operation, tab in self.asked)
        if named and re.search(r"\b(create|update|edit|write|change)\b", sentence, re.IGNORECASE):
            return bool(named & self.written)
        return True


def _watchable(folder: Folder, name: str, there: Line) -> Iterator[Finding]:
    """The tabs that cannot be watched as the settings say; a login that does not work was told before."""
    tabs = tabs_of(folder.compile().book).get(name, [])
    with suppress(NotSent, NoAnswer, CaptureFailed):
        for sentence in there.connector.unwatchable(there.asking, tabs):
            yield Finding(name, "capture", "broken", sentence, "Then look again: renkei doctor")


def _connect(part: ConnectionPart, name: str) -> str:
    if part.kind in NO_METADATA:
        return f"Set RENKEI_{name.upper()}_…, see docs/connections.md."
    return f"renkei connect {part.kind} --name {name}"


# -- what the answers tell beside ------------------------------------------------------------------


def _clock(name: str, heard: list[Heard]) -> Iterator[Finding]:
    told = [(one.at - at.timestamp()) for one in heard if (at := _date(one.response))]
    if not told:
        return
    skew = min(told, key=abs)  # an answer that took long looks like a clock that is late
    words = f"our clock and theirs differ by {abs(skew):.0f} s"
    if abs(skew) < SKEW_TOLD:
        yield Finding(name, "clock", "ok", words)
    else:
        grade: Grade = "broken" if abs(skew) >= SKEW_BROKEN else "warning"
        yield Finding(name, "clock", grade, words, "Set this machine's clock by NTP: timedatectl set-ntp true")


def _date(response: Response) -> datetime | None:
    with suppress(ValueError, TypeError):
        return parsedate_to_datetime(response.headers["date"]) if "date" in response.headers else None
    return None


def _quotas(name: str, there: Line, heard: list[Heard]) -> Iterator[Finding]:
    newest: dict[str, Usage] = {}
    for one in heard:
        newest |= {usage.quota: usage for usage in there.connector.usage(one.response)}
    for quota, usage in newest.items():
        of = f" of {usage.most:,}" if usage.most else ""
        words = f"{usage.left:,}{of} calls are left of the {quota}"
        if usage.left <= 0:
            yield Finding(name, "quota", "broken", words, "Commands wait until it is full again: renkei limits")
        elif usage.most and usage.left * LOW < usage.most:
            yield Finding(name, "quota", "warning", words, "See what uses it up: renkei limits")
        else:
            yield Finding(name, "quota", "ok", words)


# -- in step ------------------------------------------------------------------


def _drift(folder: Folder, name: str, now: ConnectionMetadata) -> Iterator[Finding]:
    learned = folder.metadata.get(name)
    if learned is None:
        yield Finding(name, "metadata", "warning", "its fields were never learned", "renkei check")
        return
    found = drifts(folder.compile(), folder.project, learned, now)
    for one in found:
        if one.rules:
            words = f"{one.change.place}: {one.change.words}; rules that rely on it: {', '.join(one.rules)}"
            grade: Grade = "warning" if one.change.names else "broken"
            yield Finding(name, "metadata", grade, words, "Mend the rules or the CRM, then: renkei check")
    if not any(one.rules for one in found):
        others = f"; {len(found)} differences concern no rule" if found else ""
        yield Finding(name, "metadata", "ok", f"as it was learned {_age(folder, name)}{others}")


def _age(folder: Folder, name: str) -> str:
    for base in (folder.state, folder.path):
        with suppress(OSError):
            days = int((folder.clock() - (base / "metadata" / f"{name}.json").stat().st_mtime) // 86_400)
            return "today" if days < 1 else f"{days} days ago"
    return "before"


def _captures(folder: Folder, name: str, part: ConnectionPart, now: float) -> Iterator[Finding]:
    """How long ago each tab was last asked, where this machine runs the project and the capture tells it."""
    try:
        store = reading(folder.state / FILE)
    except StoreError:
        return
    interval = Duration.parse(part.poll).elapsed()
    try:
        for tab in tabs_written(folder).get(name, []):
            asked_at = _asked_at(store.note(position_note(f"{name}:{tab}")))
            late = int(now * 1000) - asked_at if asked_at else 0
            if late > STILL * interval:
                words = f"{tab} was last asked for changes {late // 60_000} minutes ago"
                yield Finding(name, "capture", "warning", words, "renkei run, or see what stops it: renkei status")
    finally:
        store.close()


def _asked_at(position: bytes | None) -> int:
    """When a capture last asked, in milliseconds; 0 where its position does not tell."""
    with suppress(ValueError):
        told = json.loads(position or b"{}")
        asked_at = told.get("polled_at") if isinstance(told, dict) else None
        return asked_at if isinstance(asked_at, int) else 0
    return 0
