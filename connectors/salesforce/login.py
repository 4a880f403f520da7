"""Salesforce's logins: which hosts are its own, and for whom an assertion is meant (fact sheet, 1)."""

from urllib.parse import urlsplit

from connectors.answers import parsed, text
from connectors.auth import is_own, origin
from connectors.base import NotSent, Request, Send
from connectors.settings import ConnectionSettings, SettingsError

PRODUCTION, TEST = "https://login.salesforce.com", "https://test.salesforce.com"
_SHARED = frozenset({"login.salesforce.com", "test.salesforce.com"})
_ENDINGS = (".salesforce.com", ".force.com", ".salesforce.mil", ".sfcrmproducts.cn")


def completed(settings: ConnectionSettings) -> ConnectionSettings:
    """The settings with the url where there is none: the login host, which names the API host.

    Raises:
        SettingsError: client credentials are given out by the own domain only.
    """
    url = settings.url or settings.login_url or PRODUCTION
    if settings.login == "client_credentials" and (urlsplit(settings.login_url or url).hostname or "") in _SHARED:
        raise SettingsError(
            f"connection {settings.connection!r}: client credentials need the own domain:"
            " write `url: https://<mydomain>.my.salesforce.com`"
        )
    return settings.model_copy(update={"url": url})


def audience(settings: ConnectionSettings) -> str:
    """For whom an assertion is signed: ``options: {audience: …}``, or the login host of production or sandboxes."""
    host = urlsplit(settings.login_url or settings.url).hostname or ""
    is_test = host == "test.salesforce.com" or ".sandbox." in host
    return settings.options.get("audience") or (TEST if is_test else PRODUCTION)


def api_host(settings: ConnectionSettings, named: str) -> str:
    """Where requests go: the host that a login named, if it is the connection's own or both are Salesforce's.

    Raises:
        NotSent: it is another one; our token goes nowhere else.
    """
    if is_own(settings, named):
        return named or settings.url
    if named.startswith("https://") and all(_is_theirs(url) for url in (named, settings.url)):
        return named
    raise NotSent(
        f"connection {settings.connection!r}: the login named an API host that is not Salesforce's:"
        " check url and login_url"
    )


def _is_theirs(url: str) -> bool:
    scheme, _, host = origin(url).partition("://")
    return scheme == "https" and host.endswith(":") and f".{host[:-1]}".endswith(_ENDINGS)


def own_user(send: Send) -> str:
    """The id of the user whose login this is; empty where the login may not ask."""
    answer = parsed(send(Request(method="GET", path="/services/oauth2/userinfo")))
    return text(answer.get("user_id")) if isinstance(answer, dict) else ""
