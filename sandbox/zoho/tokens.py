"""Zoho's OAuth: access tokens from a refresh token, at most ten within ten minutes."""

import secrets
from collections.abc import Mapping
from typing import Any

from sandbox.clock import Clock
from schemas.values import HOUR, MINUTE

CREDENTIALS = {
    "client_id": "1000.SANDBOXCLIENT",
    "client_secret": "sandbox-zoho-secret",
    "refresh_token": "1000.sandboxrefresh.sandboxrefresh",
}


class Tokens:
    """Gives out and checks access tokens; ``most`` is how many one refresh token may get in ten minutes."""

    def __init__(self, clock: Clock, most: int = 10) -> None:
        self.most = most
        self._clock = clock
        self._issued: dict[str, int] = {}

    def exchange(self, form: Mapping[str, str], api_domain: str) -> dict[str, Any]:
        """The answer of the token endpoint; failures are an ``error`` key under status 200."""
        if any(form.get(key) != CREDENTIALS[key] for key in ("client_id", "client_secret")):
            return {"error": "invalid_client"}
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") != CREDENTIALS["refresh_token"]:
            return {"error": "invalid_code"}
        token = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
        self._remember(token)
        return {"access_token": token, "api_domain": api_domain, "token_type": "Bearer", "expires_in": 3600}

    def ends(self, token: str) -> int | None:
        """When a valid token ends, in milliseconds; none for an unknown or expired one."""
        issued = self._issued.get(token)
        if issued is None or issued + HOUR <= self._clock.now():
            return None
        return issued + HOUR

    def expire(self) -> None:
        """End all access tokens."""
        self._issued.clear()

    def _remember(self, token: str) -> None:
        now = self._clock.now()
        recent = [one for one, issued in self._issued.items() if issued > now - 10 * MINUTE]
        if len(recent) >= self.most:  # an eleventh token deletes the oldest (fact sheet 1.2)
            del self._issued[recent[0]]
        self._issued[token] = now
