"""Who may tell us that something changed: a secret path, a token, a size, a rate, and never twice."""

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from connectors.notices import (
    AHEAD,
    BURST,
    MOST_BYTES,
    OLDEST,
    BadNoticeOptions,
    Gate,
    Heard,
    Kept,
    Place,
    derived,
    place_of,
)
from connectors.notices_server import Door, NoticeServer
from sandbox.ports import free_ports
from schemas.codec import CodecError, from_json
from tests.connectors.fakes import NOW


class Spoken:
    """Notices of a toy CRM: ``{"word": the token, "tab", "at"}``."""

    path = "/notices/secret"

    def keep(self, now: int) -> Kept:
        return Kept(now)

    def hear(self, body: bytes) -> Heard | None:
        try:
            told = from_json(body)
            return Heard(told["tab"], told["at"], f"{told['tab']}{told['at']}") if told["word"] == "ours" else None
        except (CodecError, KeyError, TypeError):
            return None

    def close(self) -> None:
        """Nothing to end."""


def notice(at: int = NOW, tab: str = "Deals", word: str = "ours") -> bytes:
    return f'{{"tab": "{tab}", "at": {at}, "word": "{word}"}}'.encode()


def test_a_good_notice_is_told_once_however_often_it_comes() -> None:
    told: list[str] = []
    gate = Gate(Spoken(), told.append)
    assert [gate.hear(notice(), NOW) for _ in range(3)] == [200, 208, 208]
    assert gate.hear(notice(NOW + 1), NOW) == 200
    assert told == ["Deals", "Deals"]


@pytest.mark.parametrize(
    "body",
    [notice(word="theirs"), b"", b"{", b"[]", b"null", b"\xff\xfe", notice(NOW - OLDEST - 1), notice(NOW + AHEAD + 1)],
)
def test_what_is_wrong_strange_old_or_of_the_future_tells_nothing(body: bytes) -> None:
    told: list[str] = []
    assert Gate(Spoken(), told.append).hear(body, NOW) == 403
    assert told == []


def test_a_replay_is_refused_for_as_long_as_it_could_be_let_in() -> None:
    gate = Gate(Spoken(), lambda tab: None)
    assert gate.hear(notice(), NOW) == 200
    assert gate.hear(notice(), NOW + OLDEST) == 208
    assert gate.hear(notice(), NOW + OLDEST + 1) == 403


def test_more_than_the_rate_is_turned_away_until_time_passes() -> None:
    gate = Gate(Spoken(), lambda tab: None)
    assert sum(gate.may_come(NOW) for _ in range(BURST + 50)) == BURST
    assert not gate.may_come(NOW)
    assert gate.may_come(NOW + 1_000)


def test_what_is_derived_is_the_same_after_a_restart_and_different_for_everything_else() -> None:
    assert derived("s", "zoho", "path") == derived("s", "zoho", "path")
    others = {derived("s", "zoho", "token"), derived("s", "other", "path"), derived("t", "zoho", "path")}
    assert len({*others, derived("s", "zoho", "path")}) == 4


def test_a_place_is_named_whole_or_not_at_all() -> None:
    options = {"notices": "https://hooks.example.com/in/", "listen": "127.0.0.1:8700"}
    assert place_of({}, False) is None
    assert place_of(options, False) == Place("https://hooks.example.com/in", "127.0.0.1", 8700)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"notices": "https://x.example"}, "listen"), ({"listen": "127.0.0.1:8700"}, "notices"),
        ({"notices": "http://x.example", "listen": "127.0.0.1:8700"}, "notices"),
        ({"notices": "https://u:p@x.example", "listen": "127.0.0.1:8700"}, "notices"),
        ({"notices": "https://x.example", "listen": "8700"}, "listen"),
        ({"notices": "https://x.example", "listen": "127.0.0.1:99999"}, "listen"),
    ],
)  # fmt: skip
def test_options_that_name_no_place_are_refused_by_name(options: dict[str, str], named: str) -> None:
    with pytest.raises(BadNoticeOptions, match=f"option `{named}`"):
        place_of(options, False)


@pytest.fixture
def door() -> Iterator[tuple[str, list[str]]]:
    told: list[str] = []
    [port] = free_ports(1)
    server = NoticeServer(Door(Gate(Spoken(), told.append), lambda: NOW), "127.0.0.1", port)
    server.start()
    yield f"http://127.0.0.1:{port}", told
    server.close()


def ask(url: str, path: str, body: bytes | Iterator[bytes] = b"", method: str = "POST") -> int:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        assert answer.read() == b""
        return answer.status
    finally:
        connection.close()


def test_the_door_lets_in_by_its_path_alone(door: tuple[str, list[str]]) -> None:
    url, told = door
    assert ask(url, "/notices/secret", notice()) == 200
    assert ask(url, "/notices/secret", notice()) == 208
    assert ask(url, "/notices/secreT", notice(NOW + 1)) == 404
    assert ask(url, "/", notice(NOW + 1)) == 404
    assert ask(url, "/notices/%F0%9F%9A%80", notice()) == 404
    assert ask(url, "/notices/secret", method="GET") == 405
    assert ask(url, "/notices/secret", notice(word="theirs")) == 403
    assert told == ["Deals"]


def test_the_door_reads_no_more_than_it_must(door: tuple[str, list[str]]) -> None:
    url, told = door
    assert ask(url, "/notices/secret", iter([b"x" * 65_536] * (MOST_BYTES // 65_536 + 1))) == 413
    assert told == []


def test_a_taken_address_is_named(door: tuple[str, list[str]]) -> None:
    where = urlsplit(door[0])
    again = NoticeServer(Door(Gate(Spoken(), lambda tab: None)), "127.0.0.1", where.port or 0)
    with pytest.raises(OSError, match="listen"):
        again.start()
