"""Tokens: shared by all who use a connection, renewed in time, asked for sparingly, and sent to nobody else."""

import json
import multiprocessing
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as some

from connectors import tokens
from connectors.auth import BasicAuth, OAuth, VtigerSession
from connectors.base import Auth, AuthenticationFailed, NotSent, Request, Response
from connectors.credentials import Credentials, credentials
from connectors.registry import kind_of
from connectors.settings import ConnectionSettings, SettingsError
from connectors.tokens import FileShelf, Shelf
from connectors.transport import authenticated
from connectors.zoho.granting import granted
from schemas.metadata import ConnectionMetadata
from tests.connectors.crms import reply

CANARY = "canary-5ecret"
SECRETS = {"client_id": "id", "client_secret": CANARY, "refresh_token": CANARY, "username": "ann", "access_key": CANARY}
HOUR = 3600.0
APPROVED = "user is not admin approved to access this app"


class Time:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Vendor:
    """Issues numbered tokens, each good for an hour; answers of the login endpoint can be set."""

    def __init__(self) -> None:
        self.logins: list[Request] = []
        self.answer: Response | None = None

    def __call__(self, request: Request) -> Response:
        if "/oauth" not in request.path:
            return reply(200, {})
        self.logins.append(request)
        return self.answer or reply(200, {"access_token": f"t{len(self.logins)}", "expires_in": 3600})


def settings(kind: str = "zoho", **told: Any) -> ConnectionSettings:
    return ConnectionSettings(**{"connection": kind, "kind": kind, "url": "https://crm.example", **told})


def login(vendor: Callable[[Request], Response], shelf: Shelf, found: Credentials | None = None) -> OAuth:
    auth = OAuth(settings(), found or Credentials("zoho", SECRETS), vendor, path="/oauth", scheme="Bearer")
    auth.share(shelf)
    return auth


# -- sharing ------------------------------------------------------------------


def test_worker_and_capture_of_one_process_share_a_token() -> None:
    vendor, shelf = Vendor(), Shelf()
    assert [login(vendor, shelf).token() for _ in range(3)] == ["t1", "t1", "t1"]


def _in_another_process(file: Path, answers: "multiprocessing.Queue[str]") -> None:
    answers.put(login(Vendor(), FileShelf(file)).token())


def test_processes_share_a_token_by_a_file_that_only_its_owner_may_read(tmp_path: Path) -> None:
    file, vendor = tmp_path / "tokens" / "zoho.json", Vendor()
    vendor.answer = reply(200, {"access_token": "shared", "expires_in": 3600})
    assert login(vendor, FileShelf(file)).token() == "shared"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    forked = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[str] = forked.Queue()
    other = forked.Process(target=_in_another_process, args=(file, answers))
    other.start()
    assert answers.get(timeout=20) == "shared"
    other.join()
    assert CANARY not in file.read_text(), "a shelf keeps tokens, not credentials"


def test_a_token_got_with_other_credentials_is_not_used(tmp_path: Path) -> None:
    vendor, file = Vendor(), tmp_path / "zoho.json"
    login(vendor, FileShelf(file)).token()
    other = Credentials("zoho", {**SECRETS, "refresh_token": "of somebody else"})
    assert login(vendor, FileShelf(file), other).token() == "t2"


def test_who_is_suspended_while_it_logs_in_holds_nobody_up_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "PATIENCE", 0.1)
    file, vendor = tmp_path / "zoho.json", Vendor()
    with FileShelf(file).open():
        own = login(vendor, FileShelf(file))
        assert own.token() == "t1"
        monkeypatch.setattr(tokens, "PATIENCE", 20.0)
        began = time.monotonic()
        own.forget("t1")
        assert own.token() == "t2"
        assert time.monotonic() - began < 10, "who is known to hold it is waited for once"
    own.forget("t2")
    assert own.token() == "t3"
    assert login(Vendor(), FileShelf(file)).token() == "t3", "and later it is shared again"


@pytest.mark.parametrize("content", [b"", b"torn{", b'{"token": 5}', b'{"logins": "x"}', b"\xff\x00"])
def test_a_torn_token_file_costs_one_login(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "zoho.json"
    file.write_bytes(content)
    assert login(Vendor(), FileShelf(file)).token() == "t1"
    assert json.loads(file.read_bytes())["token"]["value"] == "t1"


def test_where_no_file_can_be_written_a_process_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("a file, no folder")
    shelf, vendor = FileShelf(tmp_path / "tokens" / "zoho.json"), Vendor()
    assert [login(vendor, shelf).token() for _ in range(2)] == ["t1", "t1"]


# -- in time and sparingly ------------------------------------------------------------------


def test_a_token_is_renewed_shortly_before_its_end() -> None:
    vendor, time = Vendor(), Time()
    auth = login(vendor, Shelf(time))
    found = []
    for _ in range(5):
        found.append(auth.token())
        time.now += HOUR / 4 - 1
    assert found == ["t1", "t1", "t1", "t1", "t2"], "renewed within its last minute, before it ended"


def test_at_most_ten_logins_leave_within_ten_minutes() -> None:
    vendor, time = Vendor(), Time()
    auth = login(vendor, Shelf(time))
    waited = []
    for _ in range(60):
        try:
            auth.forget(auth.token())
        except NotSent as error:
            waited.append(str(error))
        time.now += 30
    assert len(waited) == 30
    assert len(vendor.logins) == 30, "ten in each of three times ten minutes"
    assert set(waited) == {"connection 'zoho': as many logins as ten minutes may see have left; the next one waits"}


def test_refused_credentials_are_not_tried_again_until_they_change(tmp_path: Path) -> None:
    file, vendor, time = tmp_path / "credentials.yaml", Vendor(), Time()
    write(file, "revoked")
    auth = login(vendor, Shelf(time), credentials("zoho", {}, file))
    vendor.answer = reply(200, {"error": "invalid_code"})
    for _ in range(9):
        with pytest.raises(AuthenticationFailed, match=r"refused \(invalid_code\); renew .*: renkei connect zoho"):
            auth.token()
        time.now += 20
    assert len(vendor.logins) == 1
    vendor.answer = None
    write(file, "renewed")
    assert auth.token() == "t2", "read again without a restart"


def write(file: Path, refresh_token: str) -> None:
    file.write_text(f"zoho: {{client_id: a, client_secret: b, refresh_token: {refresh_token}}}\n")
    file.chmod(0o600)


def test_what_was_mended_at_the_vendor_is_seen_after_five_minutes() -> None:
    vendor, time = Vendor(), Time()
    auth = login(vendor, Shelf(time))
    vendor.answer = reply(400, {"error": "invalid_app_access", "error_description": APPROVED})
    with pytest.raises(AuthenticationFailed, match=r"\(invalid_app_access: user is not admin approved to access this"):
        auth.token()
    vendor.answer = None
    time.now += 301
    assert auth.token() == "t2"


@pytest.mark.parametrize("answer", [reply(503, {"error": "x"}), reply(429, {"error": "slow"}), reply(500, {})])
def test_a_login_endpoint_that_is_ill_refuses_nobody(answer: Response) -> None:
    vendor = Vendor()
    auth, vendor.answer = login(vendor, Shelf()), answer
    with pytest.raises(NotSent) as caught:
        auth.token()
    assert type(caught.value) is NotSent
    vendor.answer = None
    assert auth.token() == "t2"


def test_missing_credentials_stop_the_connection_and_come_back_once_they_are_there(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yaml"
    auth = login(Vendor(), Shelf(), credentials("zoho", {}, file))
    for _ in range(12):
        with pytest.raises(AuthenticationFailed, match="RENKEI_ZOHO_CLIENT_ID"):
            auth.token()
    write(file, "there")
    assert auth.token() == "t1"
    file.chmod(0o644)
    auth.forget("t1")
    with pytest.raises(AuthenticationFailed, match="chmod 600"):
        auth.token()


# -- where tokens go ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "named", "goes_to"),
    [
        ("https://login.salesforce.com", "https://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        ("https://acme.my.salesforce.com", "", "https://acme.my.salesforce.com"),
        ("http://127.0.0.1:8123", "http://127.0.0.1:8123/", "http://127.0.0.1:8123"),
        ("https://login.salesforce.com", "https://acme.my.salesforce.com.evil.example", ""),
        ("https://login.salesforce.com", "https://evil.example/.salesforce.com", ""),
        ("https://login.salesforce.com", "https://evil.example#.salesforce.com", ""),
        ("https://login.salesforce.com", "http://acme.my.salesforce.com", ""),
        ("https://login.salesforce.com", "https://acme.my.salesforce.com:8443", ""),
        ("https://login.salesforce.com", "https://notsalesforce.com", ""),
        ("https://login.salesforce.com", "https://[::1", ""),
        ("https://proxy.example", "https://acme.my.salesforce.com", ""),
    ],
)
def test_salesforce_may_name_only_a_host_of_its_own(url: str, named: str, goes_to: str) -> None:
    def vendor(request: Request) -> Response:
        return reply(200, {"access_token": "t", "instance_url": named})

    connector = kind_of("salesforce")(settings("salesforce", url=url), ConnectionMetadata(connection="salesforce"))
    auth = connector.authentication(Credentials("salesforce", SECRETS), vendor)
    if goes_to:
        assert auth.sign(Request(method="GET", path="/x"), auth.token()).path == f"{goes_to}/x"
    else:
        with pytest.raises(NotSent, match="not Salesforce's: check url"):
            auth.token()


@pytest.mark.parametrize("path", ["@evil.example/", ".evil.example/", "https://crm.example.evil/", "//evil", "evil"])
def test_a_path_never_leads_a_token_to_another_host(path: str) -> None:
    """An answer may name where to read on."""
    pair = Credentials("x", SECRETS)
    for auth in (login(Vendor(), Shelf()), BasicAuth(settings(), pair), VtigerSession(settings(), pair, Vendor())):
        try:
            signed = auth.sign(Request(method="GET", path=path), "t")
        except NotSent:
            continue
        assert signed.path.startswith("https://crm.example/"), path


@pytest.mark.parametrize(
    ("options", "url", "login_url"),
    [
        ({"data_centre": "us"}, "https://www.zohoapis.com", "https://accounts.zoho.com"),
        ({"data_centre": "EU"}, "https://www.zohoapis.eu", "https://accounts.zoho.eu"),
        ({"data_centre": "in"}, "https://www.zohoapis.in", "https://accounts.zoho.in"),
        ({"data_centre": "au"}, "https://www.zohoapis.com.au", "https://accounts.zoho.com.au"),
        ({"data_centre": "cn"}, "https://www.zohoapis.com.cn", "https://accounts.zoho.com.cn"),
        ({"data_centre": "jp"}, "https://www.zohoapis.jp", "https://accounts.zoho.jp"),
        ({"data_centre": "ca"}, "https://www.zohoapis.ca", "https://accounts.zohocloud.ca"),
        ({"data_centre": "sa"}, "https://www.zohoapis.sa", "https://accounts.zoho.sa"),
        ({"data_centre": "jp", "environment": "sandbox"}, "https://sandbox.zohoapis.jp", "https://accounts.zoho.jp"),
    ],
)
def test_a_data_centre_gives_both_urls(options: dict[str, str], url: str, login_url: str) -> None:
    found = kind_of("zoho").completed(settings(url="", options=options))
    assert (found.url, found.login_url) == (url, login_url)


def test_urls_that_a_project_names_win() -> None:
    kind = kind_of("zoho")
    assert kind.completed(settings(url="https://www.zohoapis.in")).login_url == "https://accounts.zoho.in"
    told = settings(url="https://a.example", login_url="https://b.example", options={"data_centre": "eu"})
    assert kind.completed(told) == told
    assert kind.completed(settings()) == settings()


@pytest.mark.parametrize(
    ("kind", "told", "says"),
    [
        ("zoho", {"url": "", "options": {"data_centre": "uk"}}, "data_centre is one of us, eu, in"),
        ("zoho", {"url": "", "options": {"data_centre": "eu", "environment": "x"}}, "environment is one of production"),
        ("salesforce", {"url": "", "login": "client_credentials"}, "need the own domain"),
    ],
)
def test_settings_that_cannot_be_say_what_to_write(kind: str, told: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        kind_of(kind).completed(settings(kind, **told))


def test_a_zoho_login_of_another_data_centre_is_told_and_its_sandbox_never_becomes_production() -> None:
    def signed(url: str, api_domain: str) -> str:
        told = kind_of("zoho").completed(settings(url=url))
        auth = kind_of("zoho")(told, ConnectionMetadata(connection="zoho")).authentication(
            Credentials("zoho", SECRETS), lambda _: reply(200, {"access_token": "t", "api_domain": api_domain})
        )
        return auth.sign(Request(method="GET", path="/crm"), auth.token()).path

    assert signed("https://sandbox.zohoapis.eu", "https://www.zohoapis.eu") == "https://sandbox.zohoapis.eu/crm"
    assert signed("https://www.zohoapis.eu", "https://evil.example") == "https://www.zohoapis.eu/crm"
    with pytest.raises(AuthenticationFailed, match="belongs to the data centre 'us', the project says 'eu'"):
        signed("https://www.zohoapis.eu", "https://www.zohoapis.com")


def test_the_code_of_zohos_console_becomes_a_refresh_token_and_a_refresh_token_stays() -> None:
    def console(request: Request) -> Response:
        assert request.path == "https://accounts.zoho.jp/oauth/v2/token"
        is_code = b"grant_type=authorization_code" in (request.body or b"") and b"code=1000.code" in (
            request.body or b""
        )
        return reply(200, {"access_token": "a", "refresh_token": "fresh"} if is_code else {"error": "invalid_code"})

    told = kind_of("zoho").completed(settings(url="", options={"data_centre": "jp"}))
    pair = {"client_id": "c", "client_secret": "s"}
    assert granted(told, {**pair, "refresh_token": "1000.code"}, console)["refresh_token"] == "fresh"
    assert granted(told, {**pair, "refresh_token": "1000.old"}, console)["refresh_token"] == "1000.old"


# -- other proofs ------------------------------------------------------------------


def _keys() -> tuple[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode(), key.public_key()


@pytest.mark.parametrize(
    ("told", "audience"),
    [
        ({}, "https://login.salesforce.com"),
        ({"login_url": "https://test.salesforce.com"}, "https://test.salesforce.com"),
        ({"url": "https://acme--dev.sandbox.my.salesforce.com"}, "https://test.salesforce.com"),
        ({"options": {"audience": "https://site.example"}}, "https://site.example"),
    ],
)
def test_salesforce_takes_an_assertion_that_is_signed_with_our_key(told: dict[str, Any], audience: str) -> None:
    pem, public = _keys()
    asked: list[Request] = []

    def vendor(request: Request) -> Response:
        asked.append(request)
        return reply(200, {"access_token": "t", "instance_url": ""})

    found = {"client_id": "consumer", "username": "ann@example.com", "private_key": pem.replace("\n", "\\n")}
    connector = kind_of("salesforce")(
        kind_of("salesforce").completed(settings("salesforce", **{"url": "", "login": "jwt_bearer", **told})),
        ConnectionMetadata(connection="salesforce"),
    )
    assert connector.authentication(Credentials("salesforce", found), vendor).token() == "t"
    form = dict(pair.split("=", 1) for pair in (asked[0].body or b"").decode().split("&"))
    claims = jwt.decode(form["assertion"], public, algorithms=["RS256"], audience=audience)
    assert (claims["iss"], claims["sub"]) == ("consumer", "ann@example.com")
    assert form["grant_type"] == "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"


def test_a_key_that_is_none_says_so_without_showing_it() -> None:
    found = {"client_id": "c", "username": "u", "private_key": CANARY}
    told = settings("salesforce", login="jwt_bearer")
    auth = OAuth(told, Credentials("salesforce", found), Vendor(), path="/oauth", scheme="Bearer")
    with pytest.raises(AuthenticationFailed, match="no RSA key in PEM form") as caught:
        auth.token()
    assert CANARY not in str(caught.value)


def test_basic_credentials_go_with_every_request_and_are_read_again_once_refused(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yaml"
    right = "Basic YW5uOmtleTI="

    def cloud(request: Request) -> Response:
        return reply(200 if request.headers["Authorization"] == right else 401, {})

    def keep(key: str) -> None:
        file.write_text(f"vtiger: {{username: ann, access_key: {key}}}\n")
        file.chmod(0o600)

    keep("key1")
    auth = BasicAuth(settings("vtiger", login="basic"), credentials("vtiger", {}, file))
    send = authenticated(cloud, auth)
    with pytest.raises(AuthenticationFailed, match="refused the user name or the access key; renew"):
        send(Request(method="GET", path="/me"))
    keep("key2")
    assert send(Request(method="GET", path="/me")).status == 200


@pytest.mark.parametrize(
    ("status", "code", "stops"),
    [
        (401, "AUTHENTICATION_FAILURE", True), (401, "OAUTH_SCOPE_MISMATCH", True), (403, "API_DISABLED_FOR_ORG", True),
        (403, "NO_PERMISSION", False), (400, "OAUTH_SCOPE_MISMATCH", False), (429, "TOO_MANY_REQUESTS", False),
    ],
)  # fmt: skip
def test_what_no_login_cures_stops_the_connection(status: int, code: str, stops: bool) -> None:
    def vendor(request: Request) -> Response:
        return reply(200, {"access_token": "t"}) if "/oauth" in request.path else reply(status, {"code": code})

    auth, ask = login(vendor, Shelf()), Request(method="GET", path="/x")
    assert authenticated(vendor, auth, stops=False)(ask).status == status
    if stops:
        with pytest.raises(AuthenticationFailed, match=f"the CRM says {code}; see renkei doctor"):
            authenticated(vendor, auth)(ask)
    else:
        assert authenticated(vendor, auth)(ask).status == status


# -- answers are untrusted ------------------------------------------------------------------

ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=8,
)
ANSWERS = some.fixed_dictionaries(
    {},
    optional={
        name: ANYTHING | some.just(f"x{CANARY}\r\nEvil: 1")
        for name in ("access_token", "expires_in", "instance_url", "api_domain", "error", "success", "result")
    },
)


@given(some.sampled_from([200, 201, 302, 400, 401, 403, 429, 500, 503]), ANSWERS | ANYTHING | some.binary())
def test_no_login_answer_does_anything_else_than_give_a_token_or_refuse_it(status: int, answer: Any) -> None:
    body = Response(status=status, body=answer) if isinstance(answer, bytes) else reply(status, answer)
    pair = Credentials("x", SECRETS)
    kinds = [kind_of(kind)(settings(kind), ConnectionMetadata(connection=kind)) for kind in ("zoho", "salesforce")]
    auths = [one.authentication(pair, lambda _: body) for one in kinds] + [
        VtigerSession(settings(), pair, lambda _: body)
    ]
    for auth in auths:
        told = said_by(auth)
        if isinstance(told, str):
            assert CANARY not in told
        else:
            assert told.path.startswith("https://crm.example/")
            assert all(value.isprintable() and value.isascii() for value in told.headers.values())


def said_by(auth: Auth) -> Request | str:
    """A signed request, or why there is none."""
    try:
        return auth.sign(Request(method="GET", path="/x"), auth.token())
    except NotSent as error:
        return str(error)
