"""The network: a pooled session per connection and thread; the line between *not sent* and *no answer*."""

import threading
import time
from contextlib import suppress
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    SSLError,
)

from connectors.addresses import is_public
from connectors.base import Auth, AuthenticationFailed, NoAnswer, NotSent, Request, Response, Send
from connectors.settings import ConnectionSettings

_BEFORE_SENDING = (NewConnectionError, ConnectTimeoutError, SSLError)
_NEVER_LEFT = (
    requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader, requests.exceptions.ConnectTimeout, UnicodeError,
)  # fmt: skip
_CHUNK = 65_536
_LONGEST = 30.0


class ForbiddenAddress(NewConnectionError):  # noqa: N818
    """The name led to an address that this connection may not dial."""


class _Timed(HTTPConnection):
    def getresponse(self) -> Any:
        """Status and headers, within the timeout in all: a timeout of a socket begins anew with every byte."""
        watch = threading.Timer(float(self.timeout or _LONGEST), self._hang_up)
        watch.daemon = True
        watch.start()
        try:
            return super().getresponse()
        finally:
            watch.cancel()

    def _hang_up(self) -> None:
        with suppress(OSError, AttributeError):
            self.sock.shutdown(SHUT_RDWR)


class _TimedHttps(_Timed, HTTPSConnection):
    """The same over TLS."""


class _PublicHttp(_Timed):
    def _new_conn(self) -> Any:
        return _checked(self, super()._new_conn())


class _PublicHttps(_Timed, HTTPSConnection):
    def _new_conn(self) -> Any:
        return _checked(self, super()._new_conn())


def _checked(connection: HTTPConnection, socket: Any) -> Any:
    # The dialled address counts: a name may lead elsewhere at every look (DNS rebinding). No byte was sent yet.
    if is_public(socket.getpeername()[0]):
        return socket
    socket.close()
    raise ForbiddenAddress(connection, "a private address: set allow_private if this is meant")


def _pools(http: type[HTTPConnection], https: type[HTTPConnection]) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    return {
        "http": type("Http", (urllib3.HTTPConnectionPool,), {"ConnectionCls": http}),
        "https": type("Https", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": https}),
    }


_PUBLIC = _pools(_PublicHttp, _PublicHttps)
_ANY = _pools(_Timed, _TimedHttps)


class _Dialling(HTTPAdapter):
    """Dials public addresses only, or any where private ones are allowed."""

    def __init__(self, pools: dict[str, type[urllib3.HTTPConnectionPool]]) -> None:
        self._pools = pools
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools


class Transport:
    """Sends requests of one connection, unsigned; each thread has a session of its own.

    Redirects are never followed, the environment's proxies and netrc are not used, and an answer above
    ``max_answer`` bytes, or slower than ``timeout``, is no answer.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings
        self._own = threading.local()
        self._sessions: list[requests.Session] = []

    def __call__(self, request: Request) -> Response:
        """The answer. Raises NotSent before the request left, NoAnswer after it."""
        url = self._url(request.path)
        headers = {**request.headers}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        try:
            with self._session().request(
                request.method, url, params=request.params, data=request.body, headers=headers,
                timeout=(min(10.0, request.timeout), min(request.timeout, self._settings.timeout)),
                allow_redirects=False, stream=True,
            ) as answer:  # fmt: skip
                return self._read(answer)
        except (requests.RequestException, HTTPError, UnicodeError) as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """Closes the pooled connections of all threads."""
        for session in self._sessions:
            session.close()

    def _url(self, path: str) -> str:
        url = path if "://" in path else f"{self._settings.url}{path}"
        try:
            parts = urlsplit(url)
        except ValueError:
            raise NotSent(f"{self._where()}: this is no url") from None
        if parts.scheme != "https" and not (parts.scheme == "http" and self._settings.allow_private):
            name = self._settings.connection
            raise NotSent(f"connection {name!r}: {parts.scheme or 'no scheme'}: only https may be used")
        return url

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = requests.Session()
            session.trust_env = False
            dialling = _Dialling(_ANY if self._settings.allow_private else _PUBLIC)
            session.mount("http://", dialling)
            session.mount("https://", dialling)
            self._sessions.append(session)
        return session

    def _read(self, answer: requests.Response) -> Response:
        body = bytearray()
        deadline = time.monotonic() + self._settings.timeout
        while chunk := answer.raw.read1(_CHUNK, decode_content=True):  # what has come, so that the clock is seen
            body += chunk
            if time.monotonic() > deadline:
                raise NoAnswer(f"{self._where()}: an answer that took longer than {self._settings.timeout} s")
            if len(body) > self._settings.max_answer:
                raise NoAnswer(f"{self._where()}: an answer of more than {self._settings.max_answer} bytes")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(status=answer.status_code, headers=headers, body=bytes(body))

    def _failure(self, error: Exception) -> NotSent | NoAnswer:
        # Only the kind is told: urllib3's texts carry the url, whose parameters may hold a session or a value.
        kind = type(_cause(error)).__name__
        if _before_sending(error):
            return NotSent(f"{self._where()} could not be reached ({kind})")
        return NoAnswer(f"{self._where()} did not answer ({kind})")

    def _where(self) -> str:
        return f"connection {self._settings.connection!r} ({urlsplit(self._settings.url).hostname})"


def _cause(error: Exception) -> BaseException:
    inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else error
    return inner.reason if isinstance(inner, MaxRetryError) and inner.reason else inner


def _before_sending(error: Exception) -> bool:
    if isinstance(error, _NEVER_LEFT):
        return True
    cause = _cause(error)
    if isinstance(cause, SSLError):
        # A failed handshake is before sending; a TLS stream that broke later is not told apart by its type.
        return "certificate" in str(cause).lower()
    return isinstance(cause, _BEFORE_SENDING)


def authenticated(send: Send, auth: Auth, *, stops: bool = True) -> Send:
    """The same network, signed; an expired token is renewed once and the request repeated: it did nothing.

    An answer that no login cures stops the connection (AuthenticationFailed): nothing was done, and commands wait.
    ``stops=False`` hands such answers on, to those who ask what a login may do.
    """

    def signed(request: Request) -> Response:
        token = auth.token()
        response = send(auth.sign(request, token))
        if auth.expired(response):
            auth.forget(token)
            response = send(auth.sign(request, auth.token()))
            if auth.expired(response):
                raise AuthenticationFailed("a fresh login was refused: renew the connection's credentials")
        if stops and (why := auth.barred(response)):
            raise AuthenticationFailed(why)
        return response

    return signed
