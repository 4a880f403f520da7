"""Proof of who we are: OAuth tokens and Vtiger's challenge session, renewed once for all threads."""

import hashlib
import threading
from abc import abstractmethod
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from connectors.answers import parsed, text
from connectors.base import AuthenticationFailed, NoAnswer, NotSent, Request, Response, Send
from connectors.credentials import Credentials
from connectors.settings import ConnectionSettings

FORM = "application/x-www-form-urlencoded"
CHALLENGES = 5
"""How often Vtiger's login is tried where other processes log in as the same user at the same time."""


class TokenAuth:
    """A token that is fetched when needed by one thread, while the others wait for it (single flight)."""

    def __init__(self, settings: ConnectionSettings, credentials: Credentials, send: Send) -> None:
        self._settings = settings
        self._credentials = credentials
        self._send = send
        self._lock = threading.Lock()
        self._token = ""

    def token(self) -> str:
        """The token in use, fetched where there is none. Raises AuthenticationFailed."""
        with self._lock:
            if not self._token:
                self._token = self._login()
            return self._token

    def forget(self, token: str) -> None:
        """Drops this token; one that another thread fetched meanwhile stays."""
        with self._lock:
            if self._token == token:
                self._token = ""

    @abstractmethod
    def _login(self) -> str:
        """A fresh token."""

    def _ask(self, request: Request) -> dict[str, Any]:
        try:
            response = self._send(request)
        except NoAnswer as error:
            raise NotSent(f"login: {error}") from None
        answer = parsed(response)
        if isinstance(answer, dict):
            return answer
        raise NotSent(f"connection {self._settings.connection!r}: login answered {response.status} without JSON")

    def _refused(self, code: object) -> AuthenticationFailed:
        return AuthenticationFailed(
            f"connection {self._settings.connection!r}: login was refused"
            f" ({text(code)[:60] or 'no reason given'}); renew its credentials"
        )


class OAuth(TokenAuth):
    """OAuth 2 by refresh token or client credentials (Zoho, Salesforce); the token goes into a header."""

    def __init__(
        self, settings: ConnectionSettings, credentials: Credentials, send: Send, *, path: str, scheme: str
    ) -> None:
        super().__init__(settings, credentials, send)
        self._path = path
        self._scheme = scheme
        self._base = ""

    def sign(self, request: Request, token: str) -> Request:
        """The request with its authorization header, sent to the host that the login named."""
        base = self._base or self._settings.url
        if "://" in request.path and not request.path.startswith(f"{base}/"):
            # An answer may name where to read on; our token goes nowhere else.
            raise NotSent(f"connection {self._settings.connection!r}: a request to a foreign host was not signed")
        headers = {**request.headers, "Authorization": f"{self._scheme} {token}"}
        path = request.path if "://" in request.path else base + request.path
        return msgspec.structs.replace(request, headers=headers, path=path)

    def expired(self, response: Response) -> bool:
        """Status 401 that a new token may cure: Zoho's INVALID_TOKEN, Salesforce's INVALID_SESSION_ID."""
        return response.status == 401 and any(
            code in response.body for code in (b"INVALID_TOKEN", b"INVALID_SESSION_ID")
        )

    def _login(self) -> str:
        form = {name: self._credentials.get(name).reveal() for name in self._names()}
        body = urlencode({"grant_type": self._settings.login, **form}).encode()
        where = (self._settings.login_url or self._settings.url) + self._path
        answer = self._ask(Request(method="POST", path=where, body=body, content_type=FORM))
        # Zoho answers 200 for a refused login too: only the token itself proves it.
        token = text(answer.get("access_token"))
        if not token:
            raise self._failed(answer)
        self._base = text(answer.get("instance_url")).rstrip("/")
        return token

    def _names(self) -> tuple[str, ...]:
        pair = ("client_id", "client_secret")
        return (*pair, "refresh_token") if self._settings.login == "refresh_token" else pair

    def _failed(self, answer: dict[str, Any]) -> NotSent:
        code = text(answer.get("error"))
        throttled = code == "Access Denied" or "rate exceeded" in text(answer.get("error_description"))
        if throttled:
            return NotSent(f"connection {self._settings.connection!r}: too many logins, waiting")
        return self._refused(code)


class _Overtaken(Exception):  # noqa: N818 - it reaches nobody
    """A login whose challenge may have been replaced by that of another login of the same user."""

    def __init__(self, code: str) -> None:
        self.code = code


class VtigerSession(TokenAuth):
    """Vtiger's session: a challenge hashed with the access key; the session name goes into query or form."""

    _overtaken = frozenset({"INVALID_USER_CREDENTIALS", "INVALID_AUTH_TOKEN"})
    _ended = frozenset({"INVALID_SESSIONID", "SESSION_EXPIRED", "SESSION_LEFT_IDLE", "AUTHENTICATION_REQUIRED"})

    def sign(self, request: Request, token: str) -> Request:
        """The request with ``sessionName``: in the query of a GET, in the form of a POST."""
        if request.method == "GET":
            return msgspec.structs.replace(request, params={**request.params, "sessionName": token})
        form = [*parse_qsl((request.body or b"").decode(), keep_blank_values=True), ("sessionName", token)]
        return msgspec.structs.replace(request, body=urlencode(form).encode())

    def expired(self, response: Response) -> bool:
        """An answer whose error code says that the session is over; Vtiger says so with status 200."""
        if len(response.body) > 1_000:  # a failure is short; this spares parsing every page of rows
            return False
        answer = parsed(response)
        error = answer.get("error") if isinstance(answer, dict) else None
        return isinstance(error, dict) and error.get("code") in self._ended

    def _login(self) -> str:
        for _ in range(CHALLENGES - 1):
            with suppress(_Overtaken):
                return self._answered()
        try:
            return self._answered()
        except _Overtaken as error:
            raise self._refused(error.code) from None

    def _answered(self) -> str:
        """One challenge, answered. A user has one challenge at a time: that of another process takes ours away."""
        user = self._credentials.get("username").reveal()
        challenge = self._result(
            Request(method="GET", path="/webservice.php", params={"operation": "getchallenge", "username": user})
        )
        key = text(challenge.get("token")) + self._credentials.get("access_key").reveal()
        digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()  # the vendor's protocol
        form = urlencode({"operation": "login", "username": user, "accessKey": digest}).encode()
        login = self._result(Request(method="POST", path="/webservice.php", body=form, content_type=FORM))
        session = text(login.get("sessionName"))
        if not session:
            raise self._refused("no session")
        return session

    def _result(self, request: Request) -> dict[str, Any]:
        answer = self._ask(request)
        result = answer.get("result")
        if answer.get("success") is True and isinstance(result, dict):
            return result
        error = answer.get("error")
        code = error.get("code") if isinstance(error, dict) else ""
        raise _Overtaken(code) if code in self._overtaken else self._refused(code)
