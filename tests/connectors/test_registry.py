"""Which connectors there are, and what happens when two want one name; limits on a moved clock."""

from collections.abc import Sequence
from importlib.metadata import EntryPoint

import pytest

from connectors.base import Limits, NotSent, Request, Response, Send
from connectors.capture import CaptureFailed
from connectors.limits import Limiter
from connectors.registry import GROUP, Line, UnknownConnector, installed, kind_of, kinds
from connectors.zoho import ZohoConnector
from schemas.metadata import ConnectionMetadata
from tests.connectors.fakes import ToyConnector, settings, slot


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


def test_ours_are_there_under_their_own_kind() -> None:
    assert {kind: connector.kind for kind, connector in installed().items()} == {kind: kind for kind in installed()}
    assert set(installed()) == {"zoho", "salesforce", "vtiger", "email", "webhook", "file"}


def test_a_strangers_connector_is_found_by_its_entry_point() -> None:
    found = kinds([point("toy", "tests.connectors.fakes:ToyConnector")])
    assert kind_of("toy", found).kind == "toy"


def test_two_claims_of_one_kind_are_refused() -> None:
    with pytest.raises(
        UnknownConnector, match=r"'zoho' is claimed twice, also by tests\.connectors\.fakes:ToyConnector"
    ):
        kinds([point("zoho", "tests.connectors.fakes:ToyConnector")])


def test_what_is_no_connector_is_refused() -> None:
    with pytest.raises(UnknownConnector, match="is no Connector"):
        kinds([point("odd", "tests.connectors.fakes:ToyCrm")])


def test_a_misspelled_kind_is_answered_with_the_nearest() -> None:
    assert kind_of("zoho") is ZohoConnector
    with pytest.raises(UnknownConnector, match="Did you mean 'salesforce'"):
        kind_of("salesfroce")
    with pytest.raises(UnknownConnector, match="Known kinds: email"):
        kind_of("sap")


def waits(limiter: Limiter, now: int) -> int:
    with slot(limiter, now) as wait:
        return wait


def test_a_bucket_lets_a_burst_through_and_then_a_steady_stream() -> None:
    limiter = Limiter(Limits(per_minute=60, at_once=1))
    assert [waits(limiter, 0) for _ in range(10)] == [0] * 10
    assert waits(limiter, 0) == 1001
    assert waits(limiter, 1001) == 0
    assert waits(limiter, 1001) > 0
    assert waits(limiter, 500) > 0  # a clock that jumps back gives nothing


def fail(limiter: Limiter) -> None:
    with slot(limiter, 0):
        assert waits(limiter, 0) > 0
        raise KeyError


def test_slots_are_given_back_even_after_a_failure() -> None:
    limiter = Limiter(Limits(at_once=1))
    with pytest.raises(KeyError):
        fail(limiter)
    assert waits(limiter, 0) == 0


def test_a_pause_holds_everybody() -> None:
    limiter = Limiter(Limits())
    limiter.pause(5000)
    limiter.pause(3000)
    assert waits(limiter, 1000) == 4000
    assert waits(limiter, 5000) == 0


class Choosy(ToyConnector):
    """Tells of itself, and of what is missing, as its CRM answers."""

    def describe(self, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
        response = send(Request(method="GET", path="/describe"))
        if response.status != 200:
            raise CaptureFailed(f"the CRM answered {response.status}")
        return self.metadata

    def missing_permissions(self, send: Send, tabs: Sequence[str]) -> list[str]:
        answers = {tab: send(Request(method="GET", path=f"/may/{tab}")).status for tab in tabs}
        return [f"toy.{tab}.READ" for tab, status in answers.items() if status == 403]


@pytest.mark.parametrize(
    ("statuses", "known", "missing", "trouble"),
    [
        ({}, True, (), ""),
        ({"/may/Deals": 403}, True, ("the scope toy.Deals.READ is missing",), ""),
        ({"/may/Deals": 403, "/describe": 403}, False, ("the scope toy.Deals.READ is missing",), "answered 403"),
        ({"/describe": 500}, False, (), "answered 500"),
        ({"/describe": 0, "/may/Deals": 0}, False, (), "away"),
    ],
)
def test_what_a_login_may_not_do_is_told_also_where_it_may_not_even_ask(
    statuses: dict[str, int], known: bool, missing: tuple[str, ...], trouble: str
) -> None:
    def crm(request: Request) -> Response:
        status = statuses.get(request.path, 200)
        if not status:
            raise NotSent("away")
        return Response(status=status)

    told = Line(Choosy(settings(), ConnectionMetadata(connection="toy")), crm, crm).told(["Deals"])
    assert (told.metadata is not None, told.missing) == (known, missing)
    assert trouble in str(told.trouble or "")
