"""The three pages, over real HTTP."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from renkei.metrics import Meter
from renkei.web import Health, WebServer
from tests.lag.scraping import scraped


class Clock:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Site(NamedTuple):
    """A running program, as its parts and its visitors see it."""

    health: Health
    clock: Clock
    meter: Meter
    server: WebServer

    def get(self, path: str, method: str = "GET", accept: str = "*/*") -> tuple[int, str, bytes]:
        """Ask for a page: status, type and body."""
        request = urllib.request.Request(f"{self.server.address}{path}", method=method, headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read()


@pytest.fixture
def site() -> Iterator[Site]:
    clock, meter = Clock(), Meter()
    health = Health(patience=60, clock=clock)
    with WebServer(health, meter.registry) as server:
        yield Site(health, clock, meter, server)


def test_it_is_alive_while_its_loop_turns(site: Site) -> None:
    assert site.get("/livez")[0] == 200
    site.clock.now += 60.5
    status, kind, body = site.get("/livez")
    assert (status, kind) == (503, "application/json")
    assert json.loads(body) == {"ok": False, "turned_seconds_ago": 60.5, "patience_seconds": 60}
    site.health.turn()
    assert site.get("/livez")[0] == 200


def test_it_is_ready_when_no_part_waits_and_says_for_what(site: Site) -> None:
    site.health.waits("state", "restored 12,000 of 80,000 rows")
    site.health.waits("partitions", "none assigned")
    site.health.ready("start")
    assert json.loads(site.get("/readyz")[2]) == {
        "ok": False, "waits_for": {"state": "restored 12,000 of 80,000 rows", "partitions": "none assigned"},
    }  # fmt: skip
    site.health.ready("state")
    assert (site.get("/readyz")[0], site.get("/livez")[0]) == (503, 200)
    site.health.ready("partitions")
    status, _, body = site.get("/readyz?verbose")
    assert (status, json.loads(body)) == (200, {"ok": True, "waits_for": {}})


def test_it_is_not_ready_before_it_has_said_so(site: Site) -> None:
    assert (site.get("/readyz")[0], json.loads(site.get("/readyz")[2])["waits_for"].keys()) == (503, {"start"})


def test_a_program_that_hangs_is_not_ready(site: Site) -> None:
    site.health.ready("start")
    site.clock.now += 61
    assert json.loads(site.get("/readyz")[2])["waits_for"] == {"loop": "it has not come round for 61 s"}


def test_metrics_are_served(site: Site) -> None:
    site.meter.parked("journeys")
    status, kind, body = site.get("/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    assert scraped(body.decode())("renkei_parked_total", topic="journeys") == 1


def test_open_metrics_are_served_to_whoever_asks_for_them(site: Site) -> None:
    _, kind, body = site.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_other_pages_are_not_there(site: Site) -> None:
    status, _, body = site.get("/tables")
    assert (status, json.loads(body)["pages"]) == (404, ["/livez", "/metrics", "/readyz"])
    assert site.get("/livez", method="POST")[0] == 501
    assert site.get("/livez", method="HEAD") == (200, "application/json", b"")


def test_a_visitor_who_says_nothing_keeps_nobody_waiting(site: Site) -> None:
    _, _, rest = site.server.address.partition("//")
    host, _, port = rest.partition(":")
    with socket.create_connection((host, int(port)), timeout=10):
        began = time.monotonic()
        assert site.get("/livez")[0] == 200
        assert time.monotonic() - began < 4


def test_a_server_that_is_closed_frees_its_port() -> None:
    first = WebServer(Health(), Meter().registry)
    first.start()
    port = int(first.address.rpartition(":")[2])
    first.close()
    with WebServer(Health(), Meter().registry, port=port) as second:
        assert second.address == f"http://127.0.0.1:{port}"


def test_a_server_that_never_ran_closes_too() -> None:
    server = WebServer(Health(), Meter().registry)
    server.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{server.address}/livez", timeout=5)
