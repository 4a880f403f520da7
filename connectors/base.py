"""The extension point: what a connector is, and the words it shares with transport, worker and capture."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import msgspec

from connectors.credentials import Credentials
from connectors.notices import Notices
from connectors.settings import ConnectionSettings
from connectors.tokens import Shelf
from schemas.abilities import Abilities
from schemas.codec import from_json
from schemas.commands import Command, Outcome, Rejected, Uncertain
from schemas.events import ChangeEvent
from schemas.metadata import ConnectionMetadata


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request; ``path`` is relative to the connection's url, or absolute. ``timeout`` in seconds."""

    method: str
    path: str
    params: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: bytes | None = None
    content_type: str = ""
    timeout: float = 30.0


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One answer; header names are lower case."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON, every fraction an exact decimal. Raises CodecError on what is not JSON."""
        return from_json(self.body)


class NotSent(Exception):  # noqa: N818
    """The request did not leave: nothing was written, the same request may be sent later."""


class NoAnswer(Exception):  # noqa: N818
    """The request left and no readable answer came: the effect is uncertain (D-42)."""


class AuthenticationFailed(NotSent):
    """The connection's credentials were refused: commands wait until an operator renews them."""


_OVERLOADED = frozenset({420, 429, 503})
"""Statuses by which a whole connection, not one record, is asked to wait. 403 is not one of them: mostly it is a
permission that is missing, and where a vendor refuses for want of room by it, its connector says so."""

Send: TypeAlias = Callable[[Request], Response]
"""The whole network, as far as a connector knows. Raises NotSent or NoAnswer."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the vendor allows: requests per minute (none: no limit), requests at once, units of ``price`` per day."""

    per_minute: int | None = None
    at_once: int = 4
    per_day: int | None = None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer tells of one quota: how much of it is left, of how much, and when it is full again (ms)."""

    quota: Literal["day", "hour", "minute"]
    left: int
    most: int | None = None
    resets_at: int | None = None
    from_half: bool = False
    """Whether it is told only once half of it is used: then all of it is twice what is left, at least."""


class Pressure(msgspec.Struct, frozen=True, kw_only=True):
    """The vendor refused a call for want of room, and nothing was done.

    ``busy``: too many at once or too fast, so fewer at once; ``spent``: a quota is used up, so nobody calls for a
    while; ``unwell``: the CRM is down or being mended. ``after``: seconds, where the vendor says so.
    """

    kind: Literal["busy", "spent", "unwell"]
    after: float = 0.0


OVERLOADED = Pressure(kind="busy")
"""What a connector says that knows nothing of its vendor's limits: then its outcomes tell for how long."""


class Auth(Protocol):
    """How requests prove who they are from; the transport logs in again once when ``expired`` says so."""

    def token(self) -> str:
        """A token to sign with, logging in where there is none yet. Raises AuthenticationFailed."""
        ...

    def sign(self, request: Request, token: str) -> Request:
        """The request with its proof."""
        ...

    def expired(self, response: Response) -> bool:
        """Whether this answer says that the token is no longer good, so that nothing was done."""
        ...

    def barred(self, response: Response) -> str:
        """Why a fresh token would not help either, and what to do; empty where this answer says no such thing."""
        ...

    def forget(self, token: str) -> None:
        """Do not use this token again; a newer one stays."""
        ...

    def share(self, shelf: Shelf) -> None:
        """Keep the token there, with everybody who uses this connection."""
        ...


class NoAuth:
    """Requests that need no proof."""

    def token(self) -> str:
        """Nothing."""
        return ""

    def sign(self, request: Request, token: str) -> Request:
        """The request as it is."""
        return request

    def expired(self, response: Response) -> bool:
        """Never."""
        return False

    def barred(self, response: Response) -> str:
        """Never."""
        return ""

    def forget(self, token: str) -> None:
        """Nothing to forget."""

    def share(self, shelf: Shelf) -> None:
        """Nothing to share."""


class BadLine(msgspec.Struct, frozen=True):
    """Something captured that cannot be read, for parking: where it is and why; never its content."""

    reason: str
    file: str
    line: int


class LoadProgress(msgspec.Struct, frozen=True):
    """How far a first load is: the records read, and how many there were when it began; none where nobody can say."""

    read: int
    of: int | None = None


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """What one poll found. ``position`` is opaque and goes into the next poll, once the events are durable.

    ``more``: poll again at once. ``loaded``: the first load is complete; it turns true once and stays so. ``loads``:
    how many of the events belong to the first load, where others follow it on the same page; none for all.
    """

    events: list[ChangeEvent]
    position: bytes
    more: bool = False
    loaded: bool = True
    loads: int | None = None
    bad: list[BadLine] = []
    progress: LoadProgress | None = None
    """How far the first load is after this page, where it counts."""


class Capture(Protocol):
    """Watches one tab for changes. Inherit from it: what it holds open is let go of by ``close``."""

    def poll(self, position: bytes | None, now: int) -> Polled:
        """The changes after a position, none meaning from the beginning. Raises NotSent or NoAnswer."""
        ...

    def close(self) -> None:
        """Let go of connections; called once, after the last poll. Nothing to do unless a capture keeps some open."""
        return


class Connector(ABC):
    """One kind of connection. Two pure methods make one; the rest has safe defaults.

    Registered by an entry point of the group ``renkei.connectors`` whose name is ``kind``.
    """

    kind: ClassVar[str]
    limits: ClassVar[Limits] = Limits()
    batch: ClassVar[Mapping[str, int]] = {}
    """The most commands of one operation in one request; 1 where it is not named."""
    tabs_at_once: ClassVar[Mapping[str, int]] = {}
    """The most tabs of one operation in one request, for commands without a key or a condition; 1 where not named."""
    look_first: ClassVar[frozenset[str]] = frozenset()
    """Operations with a key whose effect is looked up before the first try, for CRMs without upsert."""
    never_blind: ClassVar[frozenset[str]] = frozenset()
    """Operations that are not repeated while their fate is unknown, whatever the command's ``on_unknown`` says."""
    repeatable: ClassVar[frozenset[str]] = frozenset()
    """Operations that may be sent twice and still have one effect, so that no lookup is needed."""
    modified_field: ClassVar[str] = ""
    """The field of an applied outcome that tells the record's modified time."""

    def __init__(self, settings: ConnectionSettings, metadata: ConnectionMetadata) -> None:
        self.settings = settings
        self.metadata = metadata

    def most(self, command: Command) -> int:
        """The most commands like this one that one request can carry. Pure."""
        return self.batch.get(command.operation, 1)

    def price(self, request: Request) -> int:
        """What a request costs of the vendor's daily quota, in its own units. Pure."""
        return 1

    def usage(self, response: Response) -> Sequence[Usage]:
        """What an answer tells of quotas; nothing where it is silent. Pure."""
        return ()

    def pressure(self, response: Response) -> Pressure | None:
        """Whether the whole connection, not one record, was refused for want of room: the vendor's own rule. Pure."""
        return OVERLOADED if response.status in _OVERLOADED else None

    @classmethod
    def completed(cls, settings: ConnectionSettings) -> ConnectionSettings:
        """The settings with what follows from them, such as the url of a data centre. Raises SettingsError."""
        return settings

    @classmethod
    def abilities(cls, settings: ConnectionSettings) -> Abilities | None:
        """What such a connection can be asked to do, by operation; none: nobody knows, and the checker asks nothing.

        The tabs that an operation makes records in are described with those of the workflows, so that their key fields
        are known; and what it makes is known as an echo by them (D-60).
        """
        return None

    @abstractmethod
    def request(self, commands: Sequence[Command]) -> Request:
        """The request for some commands that share operation, key field, ``trigger_native``, and tab. Pure.

        Several tabs come together only as ``tabs_at_once`` says.
        """

    @abstractmethod
    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """One outcome per command, in order; what cannot be read is Uncertain for all, not guessed. Pure."""

    def refuse(self, command: Command) -> Rejected | None:
        """Why this command need not even be sent, for example because its owner is inactive (D-48)."""
        return None

    def looks_first(self, command: Command) -> bool:
        """Whether the command is looked up before its first try; ``found`` then says what to send. Pure."""
        return command.key is not None and command.operation in self.look_first

    def find(self, command: Command) -> Request | None:
        """The request that looks a command's effect up; none where that cannot be asked (D-42)."""
        return None

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """What a lookup says: there (Applied), proven not there (RetryLater), Uncertain, or what to send now."""
        return Uncertain(command_id=command.id, reason="this connector cannot look effects up")

    def authentication(self, credentials: Credentials, send: Send) -> Auth:
        """How requests of this connection are signed; ``send`` reaches its login endpoint unsigned."""
        return NoAuth()

    def capture(self, tab: str, send: Send, fields: Sequence[str] = ()) -> Capture:
        """Watches a tab (named without the connection); no fields: all. Raises NotImplementedError."""
        raise NotImplementedError(f"a connection of kind {self.kind!r} captures no changes")

    def notices(self, credentials: Credentials, send: Send, tabs: Sequence[str]) -> Notices | None:
        """How the CRM tells that something changed, so that a tab is read at once; none where it does not.

        Raises BadNoticeOptions where the connection's options name no place for them.
        """
        return None

    def describe(self, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
        """What the connection says of these tabs, its users and its teams."""
        return self.metadata

    def own_user(self, send: Send) -> str:
        """The record id of the user that we log in as; empty where that cannot be asked. Raises NotSent or NoAnswer."""
        return ""

    def unwatchable(self, send: Send, tabs: Sequence[str]) -> list[str]:
        """Why some of these tabs cannot be watched as the settings say, as sentences; empty where all can.

        ``send`` is signed; it raises NotSent or NoAnswer. Where it cannot be asked, CaptureFailed.
        """
        return []

    def missing_permissions(self, send: Send, tabs: Sequence[str]) -> list[str]:
        """What this login may not do that its tabs need, as sentences for an operator; empty where nothing is missing.

        ``send`` is signed; it raises NotSent or NoAnswer.
        """
        return []
