"""Which kinds of connections there are: ours, and those of installed packages (``renkei.connectors``)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from connectors.base import Connector, NoAnswer, NotSent, Send
from connectors.capture import CaptureFailed
from connectors.credentials import Credentials
from connectors.settings import ConnectionSettings
from connectors.tokens import Shelf
from connectors.transport import Transport, authenticated, checking
from schemas.metadata import ConnectionMetadata

GROUP = "renkei.connectors"
Kinds: TypeAlias = Mapping[str, type[Connector]]

_OURS = {
    "zoho": "connectors.zoho:ZohoConnector",
    "salesforce": "connectors.salesforce:SalesforceConnector",
    "vtiger": "connectors.vtiger:VtigerConnector",
    "email": "connectors.email:EmailConnector",
    "webhook": "connectors.webhook:WebhookConnector",
    "file": "connectors.file:FileConnector",
}


@runtime_checkable
class HasOwnNetwork(Protocol):
    """A connector that does not speak HTTP (mail) brings its own network."""

    def network(self, credentials: Credentials) -> Send:
        """How its requests are sent."""
        ...


class UnknownConnector(Exception):  # noqa: N818
    """No connector of that kind is installed, or two claim the same kind."""


@cache
def installed() -> Kinds:
    """All kinds that can be used here."""
    return kinds(entry_points(group=GROUP))


def kinds(found: Iterable[EntryPoint]) -> Kinds:
    """Our kinds and those found. Raises UnknownConnector where two claim one kind, or one is no connector."""
    loaded = {kind: _ours(place) for kind, place in _OURS.items()}
    for point in found:
        if point.name in loaded:
            raise UnknownConnector(
                f"connector kind {point.name!r} is claimed twice, also by {point.value}: uninstall one"
            )
        loaded[point.name] = _checked(point)
    return loaded


def kind_of(name: str, known: Kinds | None = None) -> type[Connector]:
    """The connector of a kind. Raises UnknownConnector that names the nearest one."""
    known = installed() if known is None else known
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known kinds: {', '.join(sorted(known))}."
    raise UnknownConnector(f"no connector of kind {name!r} is installed. {hint}")


class Told(NamedTuple):
    """What a CRM told of itself (none where it did not: then why), and what the login may not do, as sentences."""

    metadata: ConnectionMetadata | None
    missing: tuple[str, ...] = ()
    trouble: Exception | None = None
    unasked: Exception | None = None
    """Why it could not be asked what the login may not do."""


class Line(NamedTuple):
    """A connection that can be used: its connector, its network, and the same for asking what the login may do.

    On ``send`` an answer that no login cures stops the connection; ``asking`` hands it on.
    """

    connector: Connector
    send: Send
    asking: Send

    def told(self, tabs: Sequence[str]) -> Told:
        """What there is and what is missing; a permission that is missing may be why the rest is not told."""
        try:
            found, trouble = self.connector.describe(self.send, tabs), None
        except (NotSent, NoAnswer, CaptureFailed) as error:
            found, trouble = None, error
        missing, unasked = list[str](), None
        try:
            missing = self.connector.missing_permissions(self.asking, tabs)
        except (NotSent, NoAnswer, CaptureFailed) as error:
            unasked = error
        return Told(found, tuple(_sentence(one) for one in missing), trouble, unasked)


def connect(
    settings: ConnectionSettings,
    credentials: Credentials,
    metadata: ConnectionMetadata | None = None,
    check: Callable[[], None] | None = None,
    shelf: Shelf | None = None,
) -> Line:
    """A connection that can be used; ``check`` is the last before a request leaves. A login it does not hold back.

    Its token is kept on the ``shelf``, where there is one, for everybody who uses the connection.
    """
    known = metadata or ConnectionMetadata(connection=settings.connection)
    return line(settings, credentials, known, lambda plain: plain, shelf, check)


def line(
    settings: ConnectionSettings,
    credentials: Credentials,
    metadata: ConnectionMetadata,
    around: Callable[[Send], Send],
    shelf: Shelf | None = None,
    check: Callable[[], None] | None = None,
) -> Line:
    """A connection whose requests, logins included, all pass through what is put ``around`` the network.

    All but logins are asked about by ``check`` as they leave.
    """
    kind = kind_of(settings.kind)
    settings = kind.completed(settings)
    connector = kind(settings, metadata)
    if isinstance(connector, HasOwnNetwork):
        own = _checking(around(connector.network(credentials)), check)
        return Line(connector, own, own)
    plain = around(Transport(settings))
    auth = connector.authentication(credentials, plain)
    if shelf is not None:
        auth.share(shelf)
    # A login changes nothing in a CRM. Held back with the claim it was made for, it would never come about where it
    # takes longer than a claim lasts, and every further claim would wait for it as long.
    bound = _checking(plain, check)
    return Line(connector, authenticated(bound, auth), authenticated(bound, auth, stops=False))


def _checking(send: Send, check: Callable[[], None] | None) -> Send:
    return send if check is None else checking(send, check)


def _sentence(missing: str) -> str:
    return missing if " " in missing else f"the scope {missing} is missing"


def _ours(place: str) -> type[Connector]:
    module, _, name = place.partition(":")
    found: type[Connector] = getattr(import_module(module), name)
    return found


def _checked(point: EntryPoint) -> type[Connector]:
    loaded = point.load()
    if isinstance(loaded, type) and issubclass(loaded, Connector):
        return loaded
    raise UnknownConnector(
        f"entry point {point.name!r} ({point.value}) is no Connector: subclass connectors.base.Connector"
    )
