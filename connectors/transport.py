"""The network: a pooled session per connection and thread; the line between *not sent* and *no answer*."""

import logging
import threading
import time
from collections.abc import Callable
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
_NEVER_LEFT = (requests.exceptions.InvalidURL, requests.exceptions.ConnectTimeout, UnicodeError)
"""Raised before the first byte; a header that is wrong in an answer has a name of its own."""
_CHUNK = 65_536
_LONGEST = 30.0


_own = threading.local()


def _is_foreign(record: logging.LogRecord) -> bool:
    """Whether a line of urllib3's is not about our requests: it would tell urls, which hold sessions and values."""
    return not getattr(_own, "is_sending", False)


logging.getLogger("urllib3.connectionpool").addFilter(_is_foreign)


class ForbiddenAddress(NewConnectionError):  # noqa: N818
    """The name led to an address that this connection may not dial."""


class _Timed(HTTPConnection):
    def send(self, content: Any) -> None:
        """Asks once more whether it may leave, when all but the sending is done: a process may stop at any place."""
        if self.sock is None:
            self.connect()
        check = getattr(_own, "check", None)
        if check is not None:
            check()
        super().send(content)

    def getresponse(self) -> Any:
        """Status and headers, within the timeout in all: a timeout of a socket begins anew with every byte."""
        watch = threading.Timer(float(self.timeout or _LONGEST), self._hang_up)
        watch.daemon = True
        watch.start()
        try:
            answer = super().getresponse()
        finally:
            watch.cancel()
        if self._is_late:  # what was cut off looks like the end of the headers
            answer.close()
            raise TimeoutError
        return answer

    _is_late = False

    def _hang_up(self) -> None:
        self._is_late = True
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


class _Session(requests.Session):
    """Looks at no redirect: what it leads to is not even read."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None."""
        return


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
        session, timeout = self._session(), min(request.timeout, self._settings.timeout)
        prepared = self._prepared(session, request)
        _own.is_sending = True
        try:
            with session.send(
                prepared, timeout=(min(10.0, request.timeout), timeout), allow_redirects=False, stream=True
            ) as answer:
                return self._read(answer)
        except (requests.RequestException, HTTPError, UnicodeError) as error:
            raise self._failure(error, prepared.url or "") from None

    def close(self) -> None:
        """Closes the pooled connections of all threads."""
        for session in self._sessions:
            session.close()

    def _prepared(self, session: requests.Session, request: Request) -> requests.PreparedRequest:
        """The request as it goes out. Raises NotSent where it cannot be one."""
        headers = {**request.headers, **({"Content-Type": request.content_type} if request.content_type else {})}
        url = self._url(request.path)
        try:
            return session.prepare_request(
                requests.Request(request.method, url, params=request.params, data=request.body, headers=headers)
            )
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise NotSent(f"{self._where()}: this is no request ({type(error).__name__})") from None

    def _url(self, path: str) -> str:
        url = path if "://" in path else f"{self._settings.url}{path}"
        try:
            parts = urlsplit(url)
        except ValueError:
            raise NotSent(f"{self._where()}: this is no url") from None
        if parts.scheme != "https" and not (parts.scheme == "http" and self._settings.allow_private):
            raise NotSent(
                f"{self._where()}: {parts.scheme or 'no scheme'}: only https may be used, unless the connection says "
                "`allow_private: true` (`renkei connect --allow-private`)"
            )
        return url

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = _Session()
            session.trust_env = False
            session.verify = self._settings.ca_file or True
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

    def _failure(self, error: Exception, url: str) -> NotSent | NoAnswer:
        # Only the kind is told: urllib3's texts carry the url, whose parameters may hold a session or a value.
        kind = type(_cause(error)).__name__
        if _before_sending(error):
            return NotSent(f"{self._where(url)} could not be reached ({kind})")
        return NoAnswer(f"{self._where(url)} did not answer ({kind})")

    def _where(self, url: str = "") -> str:
        """The connection, and which of its own two hosts it is about: any other may hold a field's value."""
        login = urlsplit(self._settings.login_url).hostname
        host = login if login and urlsplit(url).hostname == login else urlsplit(self._settings.url).hostname
        return f"connection {self._settings.connection!r} ({host})"


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


def checking(send: Send, check: Callable[[], None]) -> Send:
    """The same network, asking before a request is made, and again as its bytes leave. ``check`` raises NotSent."""

    def checked(request: Request) -> Response:
        check()
        _own.check = check
        try:
            return send(request)
        finally:
            _own.check = None

    return checked


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
