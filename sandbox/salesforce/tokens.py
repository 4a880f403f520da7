"""Salesforce's OAuth: access tokens for client credentials or a refresh token."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from typing import Any

from sandbox.clock import Clock
from schemas.values import HOUR

CREDENTIALS = {
    "client_id": "3MVG9sandboxclient",
    "client_secret": "sandbox-salesforce-secret",
    "refresh_token": "5Aep861sandboxrefresh",
}
ORGANISATION = "00D5g000004xyzAEAQ"
LIFETIME = 2 * HOUR

Failure = tuple[str, str]


class Tokens:
    """Gives out and checks access tokens; a session lives two hours from its last use."""

    def __init__(self, clock: Clock, user_id: str) -> None:
        self._clock = clock
        self._user_id = user_id
        self._last_used: dict[str, int] = {}

    def exchange(self, form: Mapping[str, str], authorization: str, origin: str) -> tuple[int, dict[str, Any]]:
        """The answer of the token endpoint: status and body."""
        failure = _failure({**_basic(authorization), **form})
        if failure is not None:
            return 400, {"error": failure[0], "error_description": failure[1]}
        now, token = self._clock.now(), f"{ORGANISATION[:15]}!{secrets.token_urlsafe(48)}"
        self._last_used[token] = now
        return 200, {
            "access_token": token,
            "signature": secrets.token_urlsafe(32),
            "scope": "api refresh_token",
            "instance_url": origin,
            "id": f"{origin}/id/{ORGANISATION}/{self._user_id}",
            "token_type": "Bearer",
            "issued_at": str(now),
        }

    def admit(self, authorization: str) -> bool:
        """Whether the header names a session that lives; its life is extended by use."""
        kind, _, token = authorization.partition(" ")
        used = self._last_used.get(token)
        if kind != "Bearer" or used is None or used + LIFETIME <= self._clock.now():
            return False
        self._last_used[token] = self._clock.now()
        return True

    def expire(self) -> None:
        """End all sessions."""
        self._last_used.clear()


def _failure(form: Mapping[str, str]) -> Failure | None:
    grant = form.get("grant_type")
    if not grant:
        return "invalid_request", "grant type is missing"
    if grant not in ("client_credentials", "refresh_token"):
        return "unsupported_grant_type", "grant type not supported"
    if form.get("client_id") != CREDENTIALS["client_id"]:
        return "invalid_client_id", "client identifier invalid"
    if form.get("client_secret") != CREDENTIALS["client_secret"]:
        return "invalid_client", "invalid client credentials"
    if grant == "refresh_token" and form.get("refresh_token") != CREDENTIALS["refresh_token"]:
        return "invalid_grant", "expired access/refresh token"
    return None


def _basic(authorization: str) -> dict[str, str]:
    kind, _, content = authorization.partition(" ")
    if kind != "Basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(content).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    return {"client_id": client_id, "client_secret": secret}
