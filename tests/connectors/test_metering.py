"""Requests that are counted but did not ask: each vendor's own rule says by which answers the others rest."""

import pytest

from connectors.base import Connector, Limits, Request, Response
from connectors.limits import Limiter
from connectors.metering import metered
from connectors.registry import kind_of
from schemas.codec import to_json
from schemas.metadata import ConnectionMetadata
from tests.connectors.fakes import NOW, settings, toy

FULL = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "ConcurrentRequests (Concurrent API Requests) exceeded."}]
SPENT = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]
NO_RIGHT = [{"errorCode": "INSUFFICIENT_ACCESS", "message": "権限がありません"}]


def connector_of(kind: str) -> Connector:
    return toy() if kind == "toy" else kind_of(kind)(settings(kind), ConnectionMetadata(connection=kind))


def rest_after(kind: str, status: int, body: object) -> int:
    """Milliseconds for which everybody rests once a capture was answered so."""
    limiter = Limiter(Limits())
    answer = Response(status=status, body=to_json(body))
    send = metered(lambda request: answer, connector_of(kind), limiter, lambda: NOW)
    assert send(Request(method="GET", path="/x")) is answer
    return limiter.wait(NOW, "interactive")


@pytest.mark.parametrize("kind", ["toy", "zoho", "salesforce", "vtiger"])
def test_a_right_that_is_missing_lets_nobody_rest(kind: str) -> None:
    assert rest_after(kind, 403, NO_RIGHT) == 0
    assert rest_after(kind, 200, []) == 0


@pytest.mark.parametrize("kind", ["toy", "zoho", "salesforce", "vtiger"])
@pytest.mark.parametrize("status", [429, 503])
def test_want_of_room_lets_everybody_rest(kind: str, status: int) -> None:
    assert rest_after(kind, status, {}) > 0


@pytest.mark.parametrize("body", [FULL, SPENT])
def test_salesforce_says_want_of_room_by_403_too(body: object) -> None:
    assert rest_after("salesforce", 403, body) > 0
