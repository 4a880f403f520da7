"""Servers that mean harm, over real sockets: where we are led, how much we read, and how long we wait."""

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as some

from connectors.addresses import is_public
from connectors.base import NoAnswer, NotSent, Request
from connectors.settings import ConnectionSettings
from connectors.transport import Transport

ASK = Request(method="GET", path="/x")
OK = b"HTTP/1.1 200 OK\r\n"


class Server:
    """A listener that plays a script with each client; ``clients`` counts them."""

    def __init__(self, play: Callable[[socket.socket], None], host: str = "127.0.0.1", greets: bool = False) -> None:
        self._greets = greets
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._play = play
        self.clients = 0
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.clients += 1
            threading.Thread(target=self._with, args=(client,), daemon=True).start()

    def _with(self, client: socket.socket) -> None:
        with client:
            try:
                if self._greets:
                    self._play(client)
                    return
                while b"\r\n\r\n" in (received := client.recv(65_536)):
                    del received
                    self._play(client)
            except OSError:
                return

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


@contextmanager
def serving(play: Callable[[socket.socket], None], host: str = "127.0.0.1", greets: bool = False) -> Iterator[Server]:
    server = Server(play, host, greets)
    yield server
    server.close()


@contextmanager
def line(url: str, **told: object) -> Iterator[Transport]:
    network = Transport(
        ConnectionSettings(
            **{"connection": "toy", "kind": "toy", "url": url, "allow_private": True, "timeout": 0.5, **told}  # type: ignore[arg-type]
        )
    )
    yield network
    network.close()


def no_answer(send: Transport) -> bool:
    """Whether a request left and nothing came that can be read."""
    with pytest.raises(NoAnswer):
        send(ASK)
    return True


def not_sent(send: Transport, request: Request) -> bool:
    """Whether a request did not leave."""
    with pytest.raises(NotSent):
        send(request)
    return True


def drip(first: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    """Sends a beginning, then a little at a time without end: no single read waits long."""

    def play(client: socket.socket) -> None:
        client.sendall(first)
        pause = threading.Event()
        while not pause.wait(0.1):
            client.sendall(piece)

    return play


@pytest.mark.parametrize(
    ("name", "play"),
    [
        ("body", drip(OK + b"Content-Length: 1000000\r\n\r\n", b"x")),
        ("chunks", drip(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")),
        ("endless body", drip(OK + b"Connection: close\r\n\r\n", b"x")),
        ("headers", drip(OK, b"X-Drip: 1\r\n")),
        ("status line", drip(b"HTTP/1.1 200 ", b"O")),
        ("early hints", drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
        ("nothing", lambda client: threading.Event().wait(3) and None),
    ],
)
def test_an_answer_that_drips_is_given_up_in_time(name: str, play: Callable[[socket.socket], None]) -> None:
    with serving(play) as server, line(f"http://127.0.0.1:{server.port}") as send:
        began = time.monotonic()
        with pytest.raises(NoAnswer):
            send(ASK)
        assert time.monotonic() - began < 2.0, name


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("long", OK + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000),
        ("zipped", OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"\0" * 20_000_000)),
        (
            "twice zipped",
            OK + b"Content-Encoding: gzip, gzip\r\n\r\n" + gzip.compress(gzip.compress(b"\0" * 9_000_000)),
        ),
        ("not zipped", OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz"),
        ("many headers", OK + b"A: 1\r\n" * 500 + b"\r\n"),
        ("a long header", OK + b"A: " + b"1" * 100_000 + b"\r\n\r\n"),
        ("bad chunks", OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        ("a redirect that never ends", b"HTTP/1.1 302 X\r\nLocation: http://[\xff\r\n\r\n" + b"x" * 5000),
        ("two lengths", OK + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}"),
    ],
)
def test_an_answer_that_is_too_much_or_no_http_is_no_answer(name: str, answer: bytes) -> None:
    def play(client: socket.socket) -> None:
        client.sendall(answer)
        client.shutdown(socket.SHUT_WR)

    with serving(play) as server, line(f"http://127.0.0.1:{server.port}", max_answer=1000) as send:
        assert no_answer(send), name


@given(some.binary(max_size=200))
def test_no_bytes_of_a_server_do_anything_but_answer_or_not(answer: bytes) -> None:
    def play(client: socket.socket) -> None:
        client.sendall(answer)
        client.shutdown(socket.SHUT_WR)

    with serving(play) as server, line(f"http://127.0.0.1:{server.port}", max_answer=1000) as send:
        try:
            response = send(ASK)
        except NoAnswer:
            return
    assert 0 <= response.status < 1000


def secret(certificate: trustme.LeafCert, answer: bytes) -> Callable[[socket.socket], None]:
    """A server that speaks TLS from the first byte."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)

    def play(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as hidden:
            hidden.recv(65_536)
            hidden.sendall(answer)

    return play


@pytest.mark.parametrize(("name", "trusted"), [("127.0.0.1", True), ("127.0.0.1", False), ("other.example", True)])
def test_only_a_certificate_that_is_trusted_and_of_that_name_is_spoken_to(
    tmp_path: Path, name: str, trusted: bool
) -> None:
    authority = trustme.CA()
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(tmp_path / "ca.pem")
    play = secret(authority.issue_cert(name), OK + b"Content-Length: 2\r\n\r\n{}")
    with serving(play, greets=True) as server:
        url = f"https://127.0.0.1:{server.port}"
        with line(url, ca_file=str(tmp_path / "ca.pem"), timeout=5) as send:
            if trusted and name == "127.0.0.1":
                assert send(ASK).body == b"{}"
            else:
                assert not_sent(send, ASK), "a handshake that fails is before sending"
        with line(url, timeout=5) as send:
            assert not_sent(send, ASK)


def test_connections_are_kept_for_the_next_request() -> None:
    def play(client: socket.socket) -> None:
        client.sendall(OK + b"Content-Length: 2\r\n\r\n{}")

    with serving(play) as server, line(f"http://127.0.0.1:{server.port}") as send:
        assert [send(ASK).status for _ in range(20)] == [200] * 20
        assert server.clients == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(status: int) -> None:
    with serving(lambda client: None) as metadata:
        to = f"http://127.0.0.1:{metadata.port}/latest/meta-data".encode()

        def play(client: socket.socket) -> None:
            client.sendall(b"HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, to))

        with serving(play) as server, line(f"http://127.0.0.1:{server.port}") as send:
            assert send(ASK).status == status
        assert metadata.clients == 0


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(client: socket.socket) -> None:
        client.sendall(OK + b"Content-Length: 0\r\n\r\n")

    with serving(play) as proxy, serving(play) as server, line(f"http://127.0.0.1:{server.port}") as send:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        assert send(ASK).status == 200
        assert (proxy.clients, server.clients) == (0, 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
@pytest.mark.parametrize("told", [{}, {"login_url": "https://public.example"}])
def test_a_private_address_is_hung_up_before_a_byte_is_sent(host: str, told: dict[str, str]) -> None:
    got: list[bytes] = []

    def play(client: socket.socket) -> None:
        got.append(b"asked")

    with serving(play, "127.0.0.1" if host == "localhost" else host) as server:
        url = f"https://[{host}]:{server.port}" if ":" in host else f"https://{host}:{server.port}"
        with line(url, allow_private=False, **told) as send, pytest.raises(NotSent, match="ForbiddenAddress"):
            send(ASK)
        with line("https://crm.example", allow_private=False) as send, pytest.raises(NotSent, match="ForbiddenAddress"):
            send(Request(method="GET", path=f"{url}/x"))
    assert got == []


@pytest.mark.parametrize(
    "spelled", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]"]
)
def test_other_spellings_of_loopback_are_not_dialled(spelled: str) -> None:
    with serving(lambda client: None) as server, line(f"https://{spelled}:{server.port}", allow_private=False) as send:
        assert not_sent(send, ASK)


@given(some.ip_addresses(v=4))
def test_an_address_inside_ipv6_is_judged_as_itself(inner: IPv4Address) -> None:
    number = int(inner)
    for outer in (
        f"::ffff:{inner}",
        str(IPv6Address((0x64FF9B << 96) | number)),
        str(IPv6Address((0x2002 << 112) | (number << 80))),
    ):
        assert is_public(outer) == is_public(str(inner)), outer


@pytest.mark.parametrize(
    "path", ["http://[::1", "https://\ud800.example", "https://exa mple.com/", "gopher://x/", "//"]
)
def test_a_url_that_is_none_is_not_sent(path: str) -> None:
    with line("https://crm.example", allow_private=False) as send, pytest.raises(NotSent):
        send(Request(method="GET", path=path))


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "a\nb", "\u20ac", "\ud800"])
def test_a_header_that_cannot_be_is_not_sent(value: str) -> None:
    with serving(lambda client: None) as server, line(f"http://127.0.0.1:{server.port}") as send:
        assert not_sent(send, Request(method="GET", path="/", headers={"X": value}))
