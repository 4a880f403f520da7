"""Proof of who we are: OAuth tokens, Vtiger's challenge session, Basic; renewed once for all threads and processes."""

import base64
import hashlib
import re
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import msgspec

from connectors.answers import parsed, text
from connectors.base import AuthenticationFailed, NoAnswer, NotSent, Request, Response, Send
from connectors.credentials import CredentialError, Credentials
from connectors.settings import ConnectionSettings
from connectors.tokens import Kept, Shelf, Token
from schemas.values import to_number

FORM = "application/x-www-form-urlencoded"
CHALLENGES = 5
"""How often Vtiger's login is tried where other processes log in as the same user at the same time."""
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JWT_LIFE = 180
"""Seconds that a signed assertion is good for; Salesforce takes no longer ones."""
BEFORE_END = 60.0
"""Seconds before its end that a token is renewed, or a tenth of its life where that is shorter."""
REFUSED = 300.0
"""Seconds that refused credentials are not tried again, unless they change."""

_USABLE = re.compile(r"[\x21-\x7e]{1,8192}")
"""What can stand in a header: a token of another shape would break the request, not the login."""
_DESCRIPTIONS = frozenset({
    "audience is invalid", "authentication failure", "client identifier invalid", "expired access/refresh token",
    "expired authorization code", "grant type not supported", "inactive organization", "inactive user",
    "invalid assertion", "invalid client credentials", "ip restricted", "user hasn't approved this consumer",
    "user is not admin approved to access this app",
})  # fmt: skip
"""What Salesforce says of a refused login, and an operator needs to know; other words may be anything."""
_BARRED = ("AUTHENTICATION_FAILURE", "OAUTH_SCOPE_MISMATCH", "INVALID_AUTH_HEADER", "API_DISABLED_FOR_ORG")
"""Codes of statuses 401 and 403 that a fresh token does not cure."""


class TokenAuth:
    """A token that is fetched when needed by one, while all others who use the shelf wait for it (single flight).

    It is renewed shortly before its end where the vendor names one; at most ten logins leave in ten minutes.
    """

    def __init__(self, settings: ConnectionSettings, credentials: Credentials, send: Send) -> None:
        self._settings = settings
        self._credentials = credentials
        self._send = send
        self._shelf = Shelf()
        self._used = Token("")

    def share(self, shelf: Shelf) -> None:
        """Keep the token there, with everybody who uses this connection."""
        self._shelf = shelf

    def token(self) -> str:
        """The token in use, fetched where there is none or it ends soon. Raises AuthenticationFailed or NotSent."""
        used = self._used
        if not used.value or (used.renew_at is not None and self._shelf.clock() >= used.renew_at):
            self._used = used = self._fetched()
        return used.value

    def forget(self, token: str) -> None:
        """Drops this token; one that another one fetched meanwhile stays."""
        if self._used.value == token:
            self._used = Token("")
        with self._shelf.open() as kept:
            if kept.token and kept.token.value == token:
                kept.token = None

    def barred(self, response: Response) -> str:
        """Why no login helps; nothing unless a vendor has such answers."""
        return ""

    @abstractmethod
    def _login(self) -> Token:
        """A fresh token. Raises AuthenticationFailed or NotSent."""

    def _fetched(self) -> Token:
        with self._shelf.open() as kept:
            now, proof = self._shelf.clock(), self._proof()
            return kept.good(proof, now) or self._renewed(kept, proof, now)

    def _renewed(self, kept: Kept, proof: str, now: float) -> Token:
        if words := self._shelf.refused(proof, now):
            raise AuthenticationFailed(words)
        self._refuse_haste(kept.must_wait(now))
        kept.logins.append(now)
        kept.token, kept.proof = None, proof
        try:
            kept.token = self._login()
        except (AuthenticationFailed, CredentialError) as error:
            self._shelf.remember_refusal(proof, now + REFUSED, str(error))
            raise AuthenticationFailed(str(error)) from None
        return kept.token

    def _refuse_haste(self, wait: float) -> None:
        if wait:  # how long is not told: the sentence would be another one each time, and told each time
            raise NotSent(f"{self._where()}: as many logins as ten minutes may see have left; the next one waits")

    def _proof(self) -> str:
        """Tells these credentials from others, read anew: an operator may have renewed them."""
        told = self._settings
        try:
            self._credentials.reread()
        except CredentialError as error:
            raise AuthenticationFailed(str(error)) from None
        return self._credentials.fingerprint(f"{told.kind} {told.url} {told.login_url} {told.login}")

    def _ask(self, request: Request) -> dict[str, Any]:
        try:
            response = self._send(request)
        except NoAnswer as error:
            raise NotSent(f"login: {error}") from None
        answer = parsed(response)
        if isinstance(answer, dict) and response.status < 500 and response.status != 429:
            return answer
        raise NotSent(f"{self._where()}: login answered {response.status}" + ("" if answer else " without JSON"))

    def _usable(self, token: object) -> str:
        if isinstance(token, str) and _USABLE.fullmatch(token):
            return token
        raise NotSent(f"{self._where()}: login answered with something that is no token")

    def _refused(self, code: object) -> AuthenticationFailed:
        # A code is a word; whatever else stands there may be anything, and is not told.
        told = text(code)[:80] if re.fullmatch(r"[\w .:'/-]+", text(code)) else ""
        return AuthenticationFailed(f"{self._where()}: login was refused ({told or 'no reason given'}); {self._cure()}")

    def _cure(self) -> str:
        return _cure(self._settings)

    def _where(self) -> str:
        return _where(self._settings)


def _cure(settings: ConnectionSettings) -> str:
    return f"renew its credentials: renkei connect {settings.kind} --name {settings.connection}"


def _where(settings: ConnectionSettings) -> str:
    return f"connection {settings.connection!r}"


Named: TypeAlias = Callable[[ConnectionSettings, str], str]
"""Where requests go: the settings, and the API host that a login named (empty where none). Raises NotSent."""


def own_host(settings: ConnectionSettings, named: str) -> str:
    """The host that a login named, if it is the connection's own. Raises NotSent on any other."""
    if is_own(settings, named):
        return named or settings.url
    raise NotSent(f"connection {settings.connection!r}: the login named a foreign API host; check url and login_url")


def is_own(settings: ConnectionSettings, named: str) -> bool:
    """Whether a url is on a host of the connection; no url is too."""
    return not named or origin(named) in {origin(settings.url), origin(settings.login_url)} - {""}


def origin(url: str) -> str:
    """Scheme, host and port of a url, in lower case; empty where it has none."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or ''}".lower() if parts.hostname else ""
    except ValueError:
        return ""


def addressed(settings: ConnectionSettings, base: str, request: Request) -> Request:
    """The request with its whole url below a base. Raises NotSent where it would go elsewhere.

    An answer may name where to read on; our token goes nowhere else.
    """
    path = request.path if "://" in request.path else base + request.path
    if path.startswith(f"{base}/"):
        return msgspec.structs.replace(request, path=path)
    raise NotSent(f"connection {settings.connection!r}: a request to a foreign host was not signed")


class OAuth(TokenAuth):
    """OAuth 2 by refresh token, client credentials or a signed assertion (JWT); the token goes into a header."""

    def __init__(  # noqa: PLR0913
        self, settings: ConnectionSettings, credentials: Credentials, send: Send, *, path: str, scheme: str,
        host: str = "instance_url", named: Named = own_host, audience: str = "",
    ) -> None:  # fmt: skip
        super().__init__(settings, credentials, send)
        self._path, self._scheme = path, scheme
        self._host, self._named, self._audience = host, named, audience

    @property
    def base(self) -> str:
        """Where requests go: the API host that the last login named, or the connection's url."""
        return self._used.base or self._settings.url

    def sign(self, request: Request, token: str) -> Request:
        """The request with its authorization header, sent to the host that the login named."""
        signed = addressed(self._settings, self.base, request)
        headers = {**signed.headers, "Authorization": f"{self._scheme} {token}"}
        return msgspec.structs.replace(signed, headers=headers)

    def expired(self, response: Response) -> bool:
        """Status 401 that a new token may cure: Zoho's INVALID_TOKEN, Salesforce's INVALID_SESSION_ID."""
        return response.status == 401 and any(
            code in response.body for code in (b"INVALID_TOKEN", b"INVALID_SESSION_ID")
        )

    def barred(self, response: Response) -> str:
        """Why no login helps: scopes that are missing, an API that is switched off."""
        if response.status not in {401, 403}:
            return ""
        code = next((code for code in _BARRED if code.encode() in response.body[:2_000]), "")
        return f"{self._where()}: the CRM says {code}; see renkei doctor, then {self._cure()}" if code else ""

    def _login(self) -> Token:
        where = (self._settings.login_url or self._settings.url) + self._path
        body = urlencode(self._form()).encode()
        answer = self._ask(Request(method="POST", path=where, body=body, content_type=FORM))
        # Zoho answers 200 for a refused login too: only the token itself proves it.
        if "access_token" not in answer:
            raise self._failed(answer)
        token = self._usable(answer["access_token"])
        base = self._named(self._settings, text(answer.get(self._host)).rstrip("/"))
        return Token(token, base, renewal(answer, self._shelf.clock()))

    def _form(self) -> dict[str, str]:
        if self._settings.login == "jwt_bearer":
            return {"grant_type": JWT_BEARER, "assertion": self._assertion()}
        names = ["client_id", "client_secret"]
        names += ["refresh_token"] if self._settings.login == "refresh_token" else []
        return {"grant_type": self._settings.login, **{name: self._credentials.get(name).reveal() for name in names}}

    def _assertion(self) -> str:
        claims = {
            "iss": self._credentials.get("client_id").reveal(),
            "sub": self._credentials.get("username").reveal(),
            "aud": self._audience,
            "exp": int(self._shelf.clock()) + JWT_LIFE,
        }
        # An environment variable cannot hold line ends everywhere: \n is taken for one.
        key = self._credentials.get("private_key").reveal().replace("\\n", "\n")
        try:
            return jwt.encode(claims, key, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            raise CredentialError(f"{self._where()}: private_key is no RSA key in PEM form; {self._cure()}") from None

    def _failed(self, answer: dict[str, Any]) -> NotSent:
        code = text(answer.get("error"))
        description = text(answer.get("error_description"))
        if code == "Access Denied" or "rate exceeded" in description:
            return NotSent(f"{self._where()}: too many logins, waiting")
        return self._refused(f"{code}: {description}" if description in _DESCRIPTIONS else code)


def renewal(answer: dict[str, Any], now: float) -> float | None:
    """When a token should be renewed, in seconds: shortly before the end that the answer names; none where it does not.

    Old Zoho answers tell seconds as ``expires_in_sec``, and milliseconds as ``expires_in``.
    """
    told = answer.get("expires_in_sec", answer.get("expires_in"))
    life = None if isinstance(told, bool) or not isinstance(told, int | str) else to_number(told)
    if life is None or not 0 < life < 10**9:
        return None
    return now + float(life) - min(BEFORE_END, float(life) / 10)


class BasicAuth:
    """User name and access key with every request (Vtiger's cloud); credentials are read again once refused."""

    def __init__(self, settings: ConnectionSettings, credentials: Credentials) -> None:
        self._settings, self._credentials = settings, credentials
        self._token = ""

    def token(self) -> str:
        """Both, as the header wants them. Raises AuthenticationFailed where one is missing."""
        if not self._token:
            try:
                self._credentials.reread()
                pair = f"{self._credentials.get('username').reveal()}:{self._credentials.get('access_key').reveal()}"
            except CredentialError as error:
                raise AuthenticationFailed(str(error)) from None
            self._token = base64.b64encode(pair.encode()).decode()
        return self._token

    def sign(self, request: Request, token: str) -> Request:
        """The request with its authorization header."""
        signed = addressed(self._settings, self._settings.url, request)
        return msgspec.structs.replace(signed, headers={**signed.headers, "Authorization": f"Basic {token}"})

    def expired(self, response: Response) -> bool:
        """Never: there is nothing to renew."""
        return False

    def barred(self, response: Response) -> str:
        """Status 401: the name or the key is wrong."""
        if response.status != 401:
            return ""
        self._token = ""
        told = self._settings
        return f"{_where(told)}: the CRM refused the user name or the access key; {_cure(told)}"

    def forget(self, token: str) -> None:
        """Read the credentials again."""
        self._token = ""

    def share(self, shelf: Shelf) -> None:
        """Nothing: no login gives this token."""


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
        request = addressed(self._settings, self._settings.url, request)
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

    def _login(self) -> Token:
        for _ in range(CHALLENGES - 1):
            with suppress(_Overtaken):
                return self._answered()
        try:
            return self._answered()
        except _Overtaken as error:
            raise self._refused(error.code) from None

    def _answered(self) -> Token:
        """One challenge, answered. A user has one challenge at a time: that of another process takes ours away."""
        user = self._credentials.get("username").reveal()
        challenge = self._result(
            Request(method="GET", path="/webservice.php", params={"operation": "getchallenge", "username": user})
        )
        key = text(challenge.get("token")) + self._credentials.get("access_key").reveal()
        digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()  # the vendor's protocol
        form = urlencode({"operation": "login", "username": user, "accessKey": digest}).encode()
        login = self._result(Request(method="POST", path="/webservice.php", body=form, content_type=FORM))
        return Token(self._usable(login.get("sessionName")))

    def _result(self, request: Request) -> dict[str, Any]:
        answer = self._ask(request)
        result = answer.get("result")
        if answer.get("success") is True and isinstance(result, dict):
            return result
        error = answer.get("error")
        code = error.get("code") if isinstance(error, dict) else ""
        raise _Overtaken(code) if code in self._overtaken else self._refused(code)
