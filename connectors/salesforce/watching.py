"""How an object is watched: by polling, or by Change Data Capture (the option ``capture``)."""

from collections.abc import Sequence

from connectors.base import Auth, Capture, Request, Send
from connectors.capture import CaptureFailed, readable
from connectors.fields import field_types
from connectors.salesforce.bus import URL, Bus, Proof, dial
from connectors.salesforce.capture import capture as polling
from connectors.salesforce.pubsub import PubSubCapture
from connectors.salesforce.rereading import Reread
from connectors.salesforce.values import API
from connectors.settings import ConnectionSettings
from schemas.metadata import ConnectionMetadata

WAYS = ("polling", "pubsub")


def watch(
    settings: ConnectionSettings,
    metadata: ConnectionMetadata,
    tab: str,
    send: Send,
    fields: Sequence[str],
    auth: Auth | None,
) -> Capture:
    """Watches an object; no fields means all that are known. Raises ValueError: no such way to watch."""
    way = settings.options.get("capture", WAYS[0])
    if way not in WAYS:
        raise ValueError(f"connection {settings.connection!r}: the option capture is {' or '.join(WAYS)}, not {way!r}")
    polled = polling(settings, metadata, tab, send, fields)
    if way == "polling":
        return polled
    if auth is None:
        raise CaptureFailed(f"connection {settings.connection!r}: Pub/Sub needs a login; ask for authentication first")
    login = _Login(settings, send, auth)
    return PubSubCapture(
        f"{settings.connection}:{tab}",
        topic_of(tab),
        _bus(settings, login),
        polled,
        Reread(metadata, tab, send, fields),
        login.renew,
        types=field_types(metadata, tab),
    )


def unheard(settings: ConnectionSettings, tabs: Sequence[str], send: Send, auth: Auth | None) -> list[str]:
    """Sentences about objects whose topic is not there, or not for this login; nothing where objects are polled.

    Raises NotSent or NoAnswer.
    """
    if settings.options.get("capture") != "pubsub" or auth is None:
        return []
    bus = _bus(settings, _Login(settings, send, auth))
    try:
        return [f"{tab}: {why}" for tab in tabs if (why := bus.refuses(topic_of(tab)))]
    finally:
        bus.close()


def _bus(settings: ConnectionSettings, login: "_Login") -> Bus:
    return Bus(lambda: dial(settings.options.get("pubsub_url", URL), settings.allow_private), login.proof)


def topic_of(tab: str) -> str:
    """``Lead`` is told of under ``/data/LeadChangeEvent``, ``Visit__c`` under ``/data/Visit__ChangeEvent``."""
    return f"/data/{tab[:-1] if tab.endswith('__c') else tab}ChangeEvent"


class _Login:
    """The login of REST, as Pub/Sub wants to see it."""

    def __init__(self, settings: ConnectionSettings, send: Send, auth: Auth) -> None:
        self._send, self._auth = send, auth
        self._organisation = settings.options.get("organization", "")
        self._token = ""

    def proof(self) -> Proof:
        """Token, instance and organisation. Raises AuthenticationFailed, NotSent, NoAnswer or CaptureFailed."""
        self._organisation = self._organisation or self._asked()
        self._token = self._auth.token()
        signed = self._auth.sign(Request(method="GET", path="/"), self._token)
        return Proof(self._token, signed.path.rstrip("/"), self._organisation)

    def renew(self) -> None:
        """Do not use the token again that was refused."""
        self._auth.forget(self._token)

    def _asked(self) -> str:
        request = Request(method="GET", path=f"{API}/query", params={"q": "SELECT Id FROM Organization LIMIT 1"})
        answer = readable(self._send(request), "Salesforce's organisation")
        try:
            return str(answer["records"][0]["Id"])
        except (KeyError, IndexError, TypeError):
            raise CaptureFailed("Salesforce does not tell its organisation: set the option organization") from None
