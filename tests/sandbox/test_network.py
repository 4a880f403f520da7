"""The bad network does to real sockets exactly what its line says, and undoes it."""

import gc
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sandbox.network import Line, Network, Proxy

SECONDS = 10.0
MEGABYTE = 1 << 20


@contextmanager
def server(echoes: bool = True) -> Iterator[str]:
    """Sends back what it gets, or only swallows it; ends when the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection:
                try:
                    while got := connection.recv(MEGABYTE):
                        if echoes:
                            connection.sendall(got)
                    connection.sendall(b"" if echoes else b"all")
                except OSError:
                    return

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(SECONDS)


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as running:
        yield running


@pytest.fixture
def door(network: Network) -> Iterator[Proxy]:
    """A proxy to a server that echoes."""
    with server() as address:
        yield network.proxy(address, seed=7)


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS)


def said_back(connection: socket.socket, words: bytes) -> bytes:
    connection.sendall(words)
    return exactly(connection, len(words))


def exactly(connection: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count and (more := connection.recv(count - len(got))):
        got += more
    return got


def until_reset(connection: socket.socket) -> bytes:
    """What came before the reset."""
    got = b""
    try:
        while more := connection.recv(5000):
            got += more
    except ConnectionResetError:
        return got
    raise AssertionError("the connection ended in order")


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.005)


def test_a_sound_line_carries_all_bytes_and_counts_them(door: Proxy) -> None:
    words = "行って来ます 👋".encode() * 50_000
    with connected(door) as one, connected(door) as other:
        sending = threading.Thread(target=one.sendall, args=(words,))
        sending.start()
        assert exactly(one, len(words)) == words
        sending.join()
        assert said_back(other, b"abc") == b"abc"
        assert door.counted == (2, 2, len(words) + 3, len(words) + 3)
    until(lambda: door.counted.open == 0)


def test_one_side_may_end_while_the_other_goes_on(network: Network) -> None:
    with server(echoes=False) as address, connected(network.proxy(address)) as connection:
        connection.sendall(b"x" * MEGABYTE)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b"all"


def test_latency_delays_each_way_and_not_the_throughput(door: Proxy) -> None:
    door.set(Line(latency=0.1))
    with connected(door) as connection:
        began = time.monotonic()
        assert said_back(connection, b"1") == b"1"
        assert time.monotonic() - began >= 0.2
        began = time.monotonic()
        for _ in range(20):
            connection.sendall(b"y" * 1000)
        exactly(connection, 20_000)
        assert 0.2 <= time.monotonic() - began < 2.0


def test_jitter_comes_from_the_seed() -> None:
    with Network() as network, server() as address:
        drawn = []
        for seed in (7, 7, 8):
            proxy = network.proxy(address, seed=seed)
            proxy.set(Line(latency=0.05, jitter=0.04))
            now = time.monotonic()
            drawn.append([round(proxy.due().at - now, 2) for _ in range(50)])
    same, again, other = drawn
    assert same == pytest.approx(again, abs=0.02)
    assert same != pytest.approx(other, abs=0.02)
    assert all(0.005 <= late <= 0.1 for late in same)


def test_a_cut_line_refuses_and_resets_and_comes_back_at_the_same_address(door: Proxy) -> None:
    with connected(door) as connection:
        said_back(connection, b"1")
        door.set(Line(is_cut=True))
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        with pytest.raises(ConnectionRefusedError):
            connected(door)
    door.heal()
    with connected(door) as connection:
        assert said_back(connection, b"2") == b"2"


def test_a_reset_ends_what_is_open_and_nothing_else(door: Proxy) -> None:
    with connected(door) as connection:
        said_back(connection, b"1")
        door.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with connected(door) as connection:
        assert said_back(connection, b"2") == b"2"


def test_a_line_that_hangs_answers_nobody_and_loses_nothing(door: Proxy) -> None:
    with connected(door) as old:
        said_back(old, b"1")
        door.set(Line(hangs=True))
        with connected(door) as new:
            for connection in (old, new):
                connection.sendall(b"held")
                connection.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
                connection.settimeout(SECONDS)
            door.heal()
            assert [exactly(connection, 4) for connection in (old, new)] == [b"held", b"held"]


@pytest.mark.parametrize("limit", [0, 1, 1000])
def test_an_answer_is_lost_after_so_many_bytes(door: Proxy, limit: int) -> None:
    with connected(door) as connection:
        said_back(connection, b"before")
        door.set(Line(limit_down=limit))
        connection.sendall(b"z" * 5000)
        assert len(until_reset(connection)) <= limit
    assert door.counted.up == 5006
    assert door.counted.down == 6 + limit


def test_a_request_is_cut_in_its_middle(door: Proxy) -> None:
    door.set(Line(limit_up=10))
    with connected(door) as connection:
        connection.sendall(b"0123456789abcdef")
        until(lambda: door.counted[:2] == (1, 0))
    assert door.counted.up == 10


def test_a_slow_line_keeps_to_its_rate_and_can_be_hurried(door: Proxy) -> None:
    door.set(Line(rate=20_000))
    with connected(door) as connection:
        began = time.monotonic()
        assert said_back(connection, b"s" * 4000) == b"s" * 4000
        assert 0.15 <= time.monotonic() - began < 3.0
        connection.sendall(b"l" * 400_000)
        door.heal()
        assert len(exactly(connection, 400_000)) == 400_000
        assert time.monotonic() - began < 15.0


def test_healing_delivers_what_was_late(door: Proxy) -> None:
    door.set(Line(latency=600.0))
    with connected(door) as connection:
        connection.sendall(b"late")
        until(lambda: door.counted.open == 1)
        door.heal()
        assert exactly(connection, 4) == b"late"


def test_what_is_taken_while_the_line_heals_is_not_late_either(door: Proxy) -> None:
    """At any moment between taking and giving; one in a hundred was lost until 600 s later."""
    drawn = random.Random(7)
    for _ in range(300):
        with connected(door) as connection:
            door.set(Line(latency=600.0))
            connection.sendall(b"late")
            healed_at = time.perf_counter() + drawn.uniform(0, 0.0006)
            while time.perf_counter() < healed_at:
                pass
            door.heal()
            assert exactly(connection, 4) == b"late"


def test_a_line_that_is_healed_and_reset_at_once_is_reset(door: Proxy) -> None:
    """A wait with a limit may swallow a cancellation (CPython 86296); the door then waited for that connection."""
    for _ in range(200):
        with connected(door) as connection:
            door.set(Line(latency=600.0))
            connection.sendall(b"late")
            until(lambda: door.counted.open == 1)
            healing = threading.Thread(target=door.heal)
            healing.start()
            door.reset()
            healing.join()
            assert until_reset(connection) in (b"", b"late")


def test_a_door_that_closes_while_clients_knock_leaves_no_socket_behind() -> None:
    """What is left behind is told when it is collected; pytest makes that an error."""
    with server() as address:
        for _ in range(20):
            with Network() as network:
                door = network.proxy(address)
                knocking = [connected(door) for _ in range(10)]
            for one in knocking:
                one.close()
        gc.collect()


def test_no_server_behind_the_door_is_a_reset(network: Network) -> None:
    with server() as address:
        pass
    with pytest.raises(ConnectionResetError):
        first_word(network.proxy(address))


def first_word(proxy: Proxy) -> bytes:
    with connected(proxy) as connection:
        return connection.recv(1)


def test_a_sound_line_carries_fifty_megabytes_in_a_second(network: Network) -> None:
    with server(echoes=False) as address:
        best = max(megabytes_per_second(network.proxy(address)) for _ in range(3))
    assert best > 50


def megabytes_per_second(proxy: Proxy, megabytes: int = 64) -> float:
    with connected(proxy) as connection:
        began = time.monotonic()
        for _ in range(megabytes):
            connection.sendall(bytes(MEGABYTE))
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b"all"
        return megabytes / (time.monotonic() - began)
