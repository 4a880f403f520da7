"""Zoho's data centres: where each has its API and its logins. A token is good only in its own (fact sheet, 1.4)."""

from typing import NamedTuple

from connectors.answers import parsed, text
from connectors.auth import origin
from connectors.base import AuthenticationFailed, Request, Send
from connectors.settings import ConnectionSettings, SettingsError


class Centre(NamedTuple):
    """One data centre: the host of logins, and what its API hosts end with."""

    accounts: str
    ending: str


CENTRES = {
    "us": Centre("accounts.zoho.com", "zohoapis.com"),
    "eu": Centre("accounts.zoho.eu", "zohoapis.eu"),
    "in": Centre("accounts.zoho.in", "zohoapis.in"),
    "au": Centre("accounts.zoho.com.au", "zohoapis.com.au"),
    "cn": Centre("accounts.zoho.com.cn", "zohoapis.com.cn"),
    "jp": Centre("accounts.zoho.jp", "zohoapis.jp"),
    "ca": Centre("accounts.zohocloud.ca", "zohoapis.ca"),
    "sa": Centre("accounts.zoho.sa", "zohoapis.sa"),
}
ENVIRONMENTS = {"production": "www", "sandbox": "sandbox", "developer": "developer"}


def completed(settings: ConnectionSettings) -> ConnectionSettings:
    """The settings with the urls of ``options: {data_centre: jp, environment: sandbox}``; urls that stand there win.

    Raises:
        SettingsError: there is no such data centre or environment.
    """
    centre = settings.options.get("data_centre", "") or _centre_of(settings.url)
    if not centre:
        return settings
    there = CENTRES[_known(settings, "data_centre", centre.lower(), CENTRES)]
    environment = settings.options.get("environment", "") or "production"
    first = ENVIRONMENTS[_known(settings, "environment", environment.lower(), ENVIRONMENTS)]
    urls = {
        "url": settings.url or f"https://{first}.{there.ending}",
        "login_url": settings.login_url or f"https://{there.accounts}",
    }
    return settings.model_copy(update=urls)


def api_host(settings: ConnectionSettings, named: str) -> str:
    """Where requests go: always the connection's own url.

    What a login names is only compared: Zoho names the production host for a sandbox too, so that following it would
    write there. Raises AuthenticationFailed where it is a host of another data centre.
    """
    ours, theirs = _centre_of(settings.url), _centre_of(named)
    if ours and theirs and ours != theirs:
        raise AuthenticationFailed(
            f"connection {settings.connection!r}: the login belongs to the data centre {theirs!r}, the project says"
            f" {ours!r}; write `options: {{data_centre: {theirs}}}`, or connect anew"
        )
    return settings.url


def _centre_of(url: str) -> str:
    host = origin(url).partition("://")[2].partition(":")[0]
    return next((name for name, one in CENTRES.items() if host.partition(".")[2] == one.ending), "")


def _known(settings: ConnectionSettings, option: str, value: str, choices: object) -> str:
    names = list(choices) if isinstance(choices, dict) else []
    if value in names:
        return value
    raise SettingsError(f"connection {settings.connection!r}: {option} is one of {', '.join(names)}")


def own_user(send: Send) -> str:
    """The id of the user whose login this is; empty where the login may not ask."""
    answer = parsed(send(Request(method="GET", path="/crm/v8/users", params={"type": "CurrentUser"})))
    users = answer.get("users") if isinstance(answer, dict) else None
    return text(users[0].get("id")) if isinstance(users, list) and users and isinstance(users[0], dict) else ""
