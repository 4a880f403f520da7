"""Salesforce's OAuth: access tokens for a signed assertion (JWT bearer), client credentials or a refresh token."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sandbox.clock import Clock
from schemas.values import HOUR, MINUTE, SECOND

CREDENTIALS = {
    "client_id": "3MVG9sandboxclient",
    "client_secret": "sandbox-salesforce-secret",
    "refresh_token": "5Aep861sandboxrefresh",
}
ORGANISATION = "00D5g000004xyzAEAQ"
LIFETIME = 2 * HOUR
USERNAME = "renkei@sandbox.example"
"""Who a signed assertion speaks for: its claim ``sub``."""
AUDIENCES = frozenset({"https://login.salesforce.com", "https://test.salesforce.com"})
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LONGEST_ASSERTION = 3 * MINUTE

Failure = tuple[str, str]


@lru_cache(maxsize=1)
def _key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def private_key() -> str:
    """The key (PEM) with which a client of this process signs assertions; it opens nothing but the sandbox."""
    return _key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Tokens:
    """Gives out and checks access tokens; a session lives two hours from its last use."""

    def __init__(self, clock: Clock, user_id: str) -> None:
        self._clock = clock
        self._user_id = user_id
        self._last_used: dict[str, int] = {}

    def exchange(self, form: Mapping[str, str], authorization: str, origin: str) -> tuple[int, dict[str, Any]]:
        """The answer of the token endpoint: status and body."""
        failure = self._failure({**_basic(authorization), **form}, origin)
        if failure is not None:
            return 400, {"error": failure[0], "error_description": failure[1]}
        now, token = self._clock.now(), f"{ORGANISATION[:15]}!{secrets.token_urlsafe(48)}"
        self._last_used[token] = now
        return 200, {
            "access_token": token,
            "scope": "api refresh_token",
            "instance_url": origin,
            "id": f"{origin}/id/{ORGANISATION}/{self._user_id}",
            "token_type": "Bearer",
            **({} if form.get("grant_type") == JWT_BEARER else _stamp(now)),
        }

    def admit(self, authorization: str) -> bool:
        """Whether the header names a session that lives; its life is extended by use."""
        kind, _, token = authorization.partition(" ")
        used = self._last_used.get(token)
        if kind != "Bearer" or used is None or used + LIFETIME <= self._clock.now():
            return False
        self._last_used[token] = self._clock.now()
        return True

    def lives(self, token: str) -> bool:
        """Whether this session lives; its life is not extended."""
        used = self._last_used.get(token)
        return used is not None and used + LIFETIME > self._clock.now()

    def expire(self) -> None:
        """End all sessions."""
        self._last_used.clear()

    def _failure(self, form: Mapping[str, str], origin: str) -> Failure | None:
        grant = form.get("grant_type")
        if not grant:
            return "invalid_request", "grant type is missing"
        if grant == JWT_BEARER:
            return self._bad_assertion(form.get("assertion", ""), origin)
        if grant not in ("client_credentials", "refresh_token"):
            return "unsupported_grant_type", "grant type not supported"
        return _bad_client(grant, form)

    def _bad_assertion(self, assertion: str, origin: str) -> Failure | None:
        """What is wrong with a signed assertion: its signature, who it is from and for, how long it holds."""
        unchecked = {"verify_aud": False, "verify_exp": False}
        try:
            claims = jwt.decode(assertion, _key().public_key(), algorithms=["RS256"], options=unchecked)  # type: ignore[arg-type]
            left = int(claims.get("exp", 0)) * SECOND - self._clock.now()
        except (jwt.InvalidTokenError, ValueError, TypeError):
            return "invalid_grant", "invalid assertion"
        if claims.get("iss") != CREDENTIALS["client_id"]:
            return "invalid_client_id", "client identifier invalid"
        if claims.get("aud") not in {*AUDIENCES, origin}:
            return "invalid_grant", "audience is invalid"
        if claims.get("sub") != USERNAME:
            return "invalid_grant", "user hasn't approved this consumer"
        return None if 0 < left <= LONGEST_ASSERTION + MINUTE else ("invalid_grant", "expired authorization code")


def _stamp(now: int) -> dict[str, str]:
    """What all answers but those to assertions carry."""
    return {"issued_at": str(now), "signature": secrets.token_urlsafe(32)}


def _bad_client(grant: str, form: Mapping[str, str]) -> Failure | None:
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
