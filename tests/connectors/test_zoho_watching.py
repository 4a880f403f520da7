"""Zoho's notifications over real HTTP: subscribed, renewed, verified, ended; lost and repeated ones do no harm."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.base import Request, Response
from connectors.capture import CaptureFailed
from connectors.credentials import Credentials
from connectors.notices import Gate, Notices
from connectors.notices_server import Door, NoticeServer
from connectors.settings import ConnectionSettings
from connectors.tokens import Shelf
from connectors.transport import Transport, authenticated
from connectors.zoho import ZohoConnector
from connectors.zoho.watching import LIFE, ZohoNotices
from sandbox.faults import Fault
from sandbox.ports import free_ports
from sandbox.server import Sandbox
from schemas.codec import to_json
from schemas.metadata import ConnectionMetadata
from schemas.values import DAY, HOUR, MINUTE, SECOND
from tests.connectors.fakes import NOW
from tests.sandbox.zoho_seed import journey


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(journey()) as running:
        running.clock.set(NOW)
        yield running


class Watching:
    """A connection with a door on loopback; ``heard`` is what came in, in order."""

    def __init__(self, sandbox: Sandbox, *tabs: str) -> None:
        self.crm, self.clock = sandbox.zoho, sandbox.clock
        [port] = free_ports(1)
        settings = ConnectionSettings(
            connection="zoho", kind="zoho", url=self.crm.url, allow_private=True,
            options={"notices": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"},
        )  # fmt: skip
        connector = ZohoConnector(settings, ConnectionMetadata(connection="zoho"))
        self.transport = Transport(settings)
        credentials = Credentials("zoho", self.crm.credentials)
        auth = connector.authentication(credentials, self.transport)
        auth.share(Shelf(lambda: self.clock.now() / 1000))
        self.send = authenticated(self.transport, auth, stops=False)
        notices = connector.notices(credentials, self.send, tabs or ("Deals",))
        assert notices is not None
        self.notices: Notices = notices
        self.heard: list[str] = []
        self._came = threading.Condition()
        self.server = NoticeServer(Door(Gate(self.notices, self._note), self.clock.now), "127.0.0.1", port)
        self.server.start()

    def _note(self, tab: str) -> None:
        with self._came:
            self.heard.append(tab)
            self._came.notify_all()

    def wait_for(self, number: int) -> list[str]:
        with self._came:
            assert self._came.wait_for(lambda: len(self.heard) >= number, timeout=10), self.heard
        return self.heard

    def channels(self) -> int:
        answer = self.send(Request(method="GET", path="/crm/v8/actions/watch"))
        return 0 if answer.status == 204 else len({row["channel_id"] for row in answer.json()["watch"]})

    def close(self) -> None:
        self.server.close()
        self.transport.close()


@pytest.fixture
def watching(sandbox: Sandbox) -> Iterator[Watching]:
    made = Watching(sandbox, "Deals", "Demos")
    yield made
    made.close()


def deal(watching: Watching, name: str = "株式会社") -> str:
    return watching.crm.insert("Deals", {"Deal_Name": name, "Stage": "Qualification"})


def test_a_change_by_hand_is_told_by_its_tab(watching: Watching) -> None:
    kept = watching.notices.keep(NOW)
    assert (kept.missed, kept.next_at) == (False, NOW + HOUR)
    one = deal(watching)
    watching.crm.update("Deals", one, {"Amount": 5})
    watching.crm.insert("Demos", {"Name": "x", "Status": "Requested"})
    watching.crm.insert("Feedback", {"Name": "not watched"})
    watching.crm.delete("Deals", one)
    assert watching.wait_for(4) == ["Deals", "Deals", "Demos", "Deals"]


def test_a_lost_notice_is_silence_and_a_repeated_one_is_told_once(watching: Watching) -> None:
    watching.notices.keep(NOW)
    watching.crm.faults.add(Fault(do="lose_notice", where="NOTIFY Deals insert"))
    watching.crm.faults.add(Fault(do="repeat_notice", where="NOTIFY Demos"))
    deal(watching)
    watching.crm.insert("Demos", {"Name": "twice", "Status": "Requested"})
    watching.clock.advance(SECOND)
    deal(watching, "last")
    assert watching.wait_for(2) == ["Demos", "Deals"]


def test_a_channel_is_renewed_at_half_of_its_life_and_never_ends(watching: Watching) -> None:
    at = watching.notices.keep(NOW).next_at
    watching.crm.faults.forget_calls()
    while at < NOW + 2 * LIFE:
        watching.clock.set(at)
        kept = watching.notices.keep(at)
        assert not kept.missed
        at = kept.next_at
    assert watching.channels() == 1
    calls = [call.method for call in watching.crm.faults.calls() if "watch" in call.target and call.status < 300]
    assert calls.count("POST") == 0
    assert calls.count("PATCH") == 3
    watching.clock.set(at)
    deal(watching)
    assert watching.wait_for(1) == ["Deals"]


@pytest.mark.parametrize("after", [HOUR, LIFE // 2, LIFE + DAY])
def test_a_channel_that_is_gone_is_opened_again_and_what_was_missed_is_read(watching: Watching, after: int) -> None:
    watching.notices.keep(NOW)
    answer = watching.send(Request(method="GET", path="/crm/v8/actions/watch"))
    channel = answer.json()["watch"][0]["channel_id"]
    watching.send(Request(method="DELETE", path="/crm/v8/actions/watch", params={"channel_ids": channel}))
    watching.clock.set(NOW + after)
    kept = watching.notices.keep(NOW + after)
    assert kept.missed
    assert watching.channels() == 1


def test_after_a_restart_the_channel_that_is_there_is_taken_over(sandbox: Sandbox) -> None:
    first = Watching(sandbox, "Deals")
    first.notices.keep(NOW)
    first.close()
    second = Watching(sandbox, "Deals", "Demos")
    sandbox.clock.advance(MINUTE)
    assert not second.notices.keep(sandbox.clock.now()).missed
    assert second.channels() == 1
    second.crm.insert("Demos", {"Name": "x", "Status": "Requested"})
    assert second.wait_for(1) == ["Demos"]
    second.notices.close()
    assert second.channels() == 0
    second.close()


def test_a_scope_that_is_missing_is_named() -> None:
    with Sandbox(journey(scopes=("ZohoCRM.modules.ALL",))) as poor:
        watching = Watching(poor)
        with pytest.raises(CaptureFailed, match=r"grant the scope ZohoCRM\.notifications\.ALL"):
            watching.notices.keep(NOW)
        watching.close()


def alone() -> ZohoNotices:
    def nobody(request: Request) -> Response:
        raise AssertionError(request)

    return ZohoNotices("zoho", "a secret", "https://hooks.example.com", nobody, ["Deals"])


def callback(notices: ZohoNotices, **more: Any) -> bytes:
    own = {"token": notices._token, "channel_id": notices._channel, "module": "Deals", "ids": ["1"],
           "operation": "update", "server_time": NOW}  # fmt: skip
    return to_json({**own, **more})


@pytest.mark.parametrize(
    "more",
    [
        {"token": "guessed"}, {"token": None}, {"token": ["x"]}, {"channel_id": "1"}, {"module": "Leads"},
        {"module": ["Deals"]}, {"server_time": "now"}, {"server_time": True}, {"server_time": None},
    ],
)  # fmt: skip
def test_a_callback_without_our_token_channel_tab_or_time_is_not_heard(more: dict[str, Any]) -> None:
    assert alone().hear(callback(alone(), **more)) is None
    heard = alone().hear(callback(alone()))
    assert heard is not None
    assert (heard.tab, heard.at) == ("Deals", NOW)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 5000])
def test_a_body_that_is_no_callback_is_not_heard(body: bytes) -> None:
    assert alone().hear(body) is None


def test_path_and_token_tell_nothing_of_the_secret_or_of_each_other() -> None:
    notices = alone()
    assert "a secret" not in notices.path + notices._token
    assert notices._token not in notices.path
    assert len(notices._token) <= 50
    assert 0 < int(notices._channel) < 2**63
