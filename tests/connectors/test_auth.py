"""Logging in: once for all threads, again when a token ends, and never showing a secret."""

import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.auth import OAuth, VtigerSession
from connectors.base import AuthenticationFailed, NoAnswer, NotSent, Request, Response, Send
from connectors.credentials import CredentialError, Credentials, Secret, credentials, variable
from connectors.settings import ConnectionSettings
from connectors.transport import authenticated
from tests.connectors.crms import reply

CANARY = "canary-5ecret"
SECRETS = {
    "client_id": "id",
    "client_secret": CANARY,
    "refresh_token": CANARY,
    "username": "admin",
    "access_key": CANARY,
}
LOGIN = "/oauth/v2/token"


def oauth(send: Send, login: str = "refresh_token") -> OAuth:
    told = ConnectionSettings(connection="zoho", kind="zoho", url="https://crm.example", login=login)  # type: ignore[arg-type]  # one of the two
    return OAuth(told, Credentials("zoho", SECRETS), send, path=LOGIN, scheme="Zoho-oauthtoken")


class Vendor:
    """Issues numbered tokens; only the newest is good."""

    def __init__(self) -> None:
        self.issued = 0
        self.requests: list[Request] = []
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        with self.lock:
            self.requests.append(request)
            if request.path.endswith(LOGIN):
                self.issued += 1
                return reply(200, {"access_token": f"t{self.issued}", "expires_in": 3600})
        if request.headers["Authorization"] != f"Zoho-oauthtoken t{self.issued}":
            return reply(401, {"code": "INVALID_TOKEN", "details": {}, "message": "", "status": "error"})
        return reply(200, {})


def test_a_token_is_fetched_once_and_shared() -> None:
    vendor = Vendor()
    send = authenticated(vendor, oauth(vendor))
    assert send(Request(method="GET", path="/a")).status == 200
    assert send(Request(method="GET", path="/b")).status == 200
    assert vendor.issued == 1


def test_a_token_that_ended_is_renewed_once_and_the_request_repeated() -> None:
    vendor = Vendor()
    send = authenticated(vendor, oauth(vendor))
    send(Request(method="GET", path="/a"))
    vendor.issued += 1
    assert send(Request(method="GET", path="/b")).status == 200
    assert [request.path.rpartition("/")[2] for request in vendor.requests] == [
        "token",
        "a",
        "b",
        "token",
        "b",
    ]


def test_twenty_threads_renew_a_token_once() -> None:
    vendor = Vendor()
    send = authenticated(vendor, oauth(vendor))
    send(Request(method="GET", path="/a"))
    vendor.issued += 1
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(send(Request(method="GET", path="/b")).status))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 20
    assert sum(request.path.endswith(LOGIN) for request in vendor.requests) == 2


def answering(response: Response) -> Callable[[Request], Response]:
    return lambda request: response


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (reply(200, {"error": "invalid_code"}), AuthenticationFailed),
        (reply(400, {"error": "invalid_grant", "error_description": "expired"}), AuthenticationFailed),
        (reply(400, {"error": "Access Denied"}), NotSent),
        (reply(502), NotSent),
        (reply(200, []), NotSent),
    ],
)
def test_a_refused_login_sends_nothing_and_shows_nothing(response: Response, error: type[NotSent]) -> None:
    with pytest.raises(NotSent) as caught:
        authenticated(answering(response), oauth(answering(response)))(Request(method="GET", path="/a"))
    assert type(caught.value) is error
    assert CANARY not in str(caught.value)


def test_a_login_without_an_answer_sent_nothing_that_matters() -> None:
    def lost(request: Request) -> Response:
        raise NoAnswer("gone")

    with pytest.raises(NotSent, match="login: gone"):
        oauth(lost).token()


def test_a_token_goes_to_no_other_host() -> None:
    auth = oauth(Vendor())
    assert auth.sign(Request(method="GET", path="https://crm.example/next"), "t").headers
    for path in ("https://crm.example.evil/next", "https://evil.example/", "http://crm.example/"):
        with pytest.raises(NotSent, match="foreign host"):
            auth.sign(Request(method="GET", path=path), "t")


def test_a_fresh_token_that_is_refused_too_stops_the_connection() -> None:
    def vendor(request: Request) -> Response:
        body = {"access_token": "t"} if request.path.endswith(LOGIN) else {"code": "INVALID_TOKEN"}
        return reply(200 if request.path.endswith(LOGIN) else 401, body)

    with pytest.raises(AuthenticationFailed, match="renew"):
        authenticated(vendor, oauth(vendor))(Request(method="GET", path="/a"))


def vtiger(send: Send) -> VtigerSession:
    told = ConnectionSettings(connection="vtiger", kind="vtiger", url="https://crm.example")
    return VtigerSession(told, Credentials("vtiger", SECRETS), send)


def test_vtiger_hashes_the_challenge_and_signs_query_or_form() -> None:
    asked: list[Request] = []

    def vendor(request: Request) -> Response:
        asked.append(request)
        result = {"token": "abc"} if request.method == "GET" else {"sessionName": "s1"}
        return reply(200, {"success": True, "result": result})

    auth = vtiger(vendor)
    assert auth.token() == "s1"
    assert b"operation=login&username=admin&accessKey=" in (asked[1].body or b"")
    assert CANARY.encode() not in (asked[1].body or b"")
    assert auth.sign(Request(method="GET", path="/x"), "s1").params == {"sessionName": "s1"}
    assert auth.sign(Request(method="POST", path="/x", body=b"a=1&b="), "s1").body == b"a=1&b=&sessionName=s1"


@pytest.mark.parametrize(
    ("code", "over"),
    [("INVALID_SESSIONID", True), ("SESSION_EXPIRED", True), ("ACCESS_DENIED", False), (0, False)],
)
def test_vtiger_tells_a_session_that_is_over_with_status_200(code: object, over: bool) -> None:
    answer = reply(200, {"success": False, "error": {"code": code, "message": "x"}})
    assert vtiger(answering(answer)).expired(answer) is over


def test_vtiger_refuses_a_wrong_key() -> None:
    answer = reply(200, {"success": False, "error": {"code": "INVALID_USER_CREDENTIALS", "message": "x"}})
    with pytest.raises(AuthenticationFailed, match="INVALID_USER_CREDENTIALS"):
        vtiger(answering(answer)).token()


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(CANARY)
    all_of_them = Credentials("zoho", SECRETS)
    shown = f"{secret} {secret!r} {[secret]} {all_of_them!r} {vars(all_of_them)}"
    assert CANARY not in shown
    for write_down in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not copied"):
            write_down(secret)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yaml"
    file.write_text("my-zoho:\n  client_id: from-file\n  client_secret: from-file\n")
    file.chmod(0o600)
    found = credentials("my-zoho", {"RENKEI_MY_ZOHO_CLIENT_ID": "from-env", "RENKEI_OTHER_X": "no"}, file)
    assert found.text("client_id") == "from-env"
    assert found.get("client_secret").reveal() == "from-file"
    assert variable("my-zoho", "client_id") == "RENKEI_MY_ZOHO_CLIENT_ID"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "credentials.yaml"
    file.write_text(f"zoho:\n  client_secret: {CANARY}\n")
    file.chmod(mode)
    with pytest.raises(CredentialError, match="chmod 600"):
        credentials("zoho", {}, file)


@pytest.mark.parametrize("content", [f"zoho: {CANARY}", f"[{CANARY}", f"- {CANARY}"])
def test_a_file_of_another_shape_is_refused_without_quoting_it(tmp_path: Path, content: str) -> None:
    file = tmp_path / "credentials.yaml"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(CredentialError) as caught:
        credentials("zoho", {}, file)
    assert CANARY not in str(caught.value)


def test_a_missing_secret_says_how_to_set_it() -> None:
    with pytest.raises(CredentialError, match="set RENKEI_ZOHO_REFRESH_TOKEN or put it"):
        credentials("zoho", {}).get("refresh_token")
