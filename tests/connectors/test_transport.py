"""The network's edge: what was not sent, what got no answer, whom we may dial, and that no secret gets out."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors.addresses import is_public
from connectors.base import NoAnswer, NotSent, Request, Response
from connectors.settings import ConnectionSettings
from connectors.transport import Transport, checking

CANARY = "canary-5ecret"


@contextmanager
def server(answer: bytes | None) -> Iterator[str]:
    """One that takes one request and answers these bytes, or hangs up without an answer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65_536)
            if answer is not None:
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join(5)
        listener.close()


@contextmanager
def transport(url: str, allow_private: bool = True, max_answer: int = 1000) -> Iterator[Transport]:
    told = ConnectionSettings(
        connection="toy", kind="toy", url=url, allow_private=allow_private, max_answer=max_answer, timeout=5
    )
    network = Transport(told)
    yield network
    network.close()


ASK = Request(method="GET", path="/x", params={"session": CANARY}, headers={"Authorization": CANARY})


def test_an_answer_is_read_with_lower_case_headers() -> None:
    with (
        server(b"HTTP/1.1 200 OK\r\nX-Left: 3\r\nContent-Length: 2\r\n\r\n{}") as url,
        transport(url) as send,
    ):
        response = send(ASK)
    assert (response.status, response.body, response.headers["x-left"]) == (200, b"{}", "3")


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with server(answer) as url, transport(url) as send:
        assert send(ASK).status == 302


def test_a_claim_that_is_over_by_the_time_the_connection_stands_keeps_the_bytes_back() -> None:
    """Fault matrix row 12: a process may be stopped at any place, also between asking and sending."""
    asked = iter([None, NotSent("the claim is over")])

    def check() -> None:
        if (over := next(asked)) is not None:
            raise over

    with socket.create_server(("127.0.0.1", 0)) as listener:
        with transport(f"http://127.0.0.1:{listener.getsockname()[1]}") as send, pytest.raises(NotSent, match="claim"):
            checking(send, check)(ASK)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            assert connection.recv(1) == b""


def test_nobody_there_means_not_sent() -> None:
    with transport("http://127.0.0.1:1") as send, pytest.raises(NotSent) as caught:
        send(ASK)
    assert CANARY not in str(caught.value)


def test_what_cannot_be_reached_is_named_and_only_if_it_is_ours() -> None:
    """The host of logins is another one than the CRM's; any third host may be made of a record's field."""
    settings = ConnectionSettings(
        connection="c", kind="toy", url="http://127.0.0.1:1", login_url="http://accounts.invalid", allow_private=True
    )
    for url, named in (
        ("http://accounts.invalid/oauth/v2/token", "(accounts.invalid)"),
        ("http://127.0.0.1:1/crm", "(127.0.0.1)"),
        (f"http://{CANARY}.invalid/", "(127.0.0.1)"),
    ):
        with pytest.raises(NotSent) as caught:
            Transport(settings)(Request(method="GET", path=url))
        assert named in str(caught.value)
        assert CANARY not in str(caught.value)


def test_a_name_that_does_not_exist_means_not_sent() -> None:
    with transport("http://nowhere.invalid") as send, pytest.raises(NotSent):
        send(ASK)


@pytest.mark.parametrize(
    "answer",
    [None, b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", b"no http at all\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000],
)  # fmt: skip
def test_an_answer_that_is_cut_or_too_long_is_no_answer(answer: bytes | None) -> None:
    with server(answer) as url, transport(url) as send, pytest.raises(NoAnswer) as caught:
        send(ASK)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://crm.example", "ftp://crm.example", "crm.example"])
def test_plain_http_needs_permission(url: str) -> None:
    with transport(url, allow_private=False) as send, pytest.raises(NotSent, match="only https"):
        send(ASK)


def test_a_private_address_is_refused_when_it_is_dialled() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://localhost:{listener.getsockname()[1]}"
        with transport(url, allow_private=False) as send, pytest.raises(NotSent, match="ForbiddenAddress"):
            send(ASK)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
    "224.0.0.1",
     "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
     "64:ff9b::7f00:1",
     "2002:7f00:1::", "ff02::1", "not an address", ""],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


def test_settings_refuse_credentials_in_a_url() -> None:
    with pytest.raises(ValueError, match="must not carry credentials"):
        ConnectionSettings(connection="toy", kind="toy", url="https://user:pass@crm.example")


def test_a_response_is_json_or_says_so() -> None:
    assert Response(status=200, body=b'{"a": 1.50}').json() == {"a": pytest.approx(1.5)}
