"""Webhooks: signed after the specification, and what a receiver's status means (D-96)."""

import base64
from collections.abc import Sequence

import pytest

from connectors.base import NoAuth, Request, Response
from connectors.credentials import CredentialError, Credentials, Secret
from connectors.testing import ConnectorContract
from connectors.webhook import Signature, WebhookConnector
from schemas.codec import from_json
from schemas.commands import Applied, Command, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata
from tests.connectors.fakes import NOW, settings

HOOK = WebhookConnector(settings("webhook"), ConnectionMetadata(connection="webhook"))
ONE = Command(
    id="c1", connection="hook", tab="hook:calls", operation="webhook", fields={"deal": "17"},
    workflow="flow", rule="won",
    planned_at=NOW,
)  # fmt: skip


class TestWebhookContract(ConnectorContract):
    connector = HOOK
    commands = (ONE,)
    overloaded = (429, 503)
    reads_bodies = False

    def answered(self, commands: Sequence[Command]) -> Response:
        return Response(status=204)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, Applied), (202, Applied), (204, Applied), (301, Rejected), (400, Rejected), (404, Rejected),
    (410, Rejected),
     (429, RetryLater), (503, RetryLater), (500, Uncertain), (504, Uncertain)],
)  # fmt: skip
def test_the_status_tells(status: int, kind: type) -> None:
    [outcome] = HOOK.outcomes([ONE], Response(status=status))
    assert type(outcome) is kind


@pytest.mark.parametrize(
    ("header", "after"), [("7", 7.0), ("-3", 0.0), ("1e99", 86_400.0), ("nan", 5.0), ("soon", 5.0)]
)
def test_a_receiver_may_say_when_to_come_again(header: str, after: float) -> None:
    [outcome] = HOOK.outcomes([ONE], Response(status=503, headers={"retry-after": header}))
    assert outcome == RetryLater(command_id="c1", reason="status 503", after=after)


def test_the_body_is_the_snapshot_of_the_fire() -> None:
    request = HOOK.request([ONE])
    assert request.headers == {"webhook-id": "c1"}
    assert from_json(request.body or b"") == {
        "type": "flow.won", "timestamp": "2027-01-15T08:00:00Z", "data": {"deal": "17"},
    }  # fmt: skip


def test_a_signature_is_that_of_the_specifications_example() -> None:
    signature = Signature(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), clock=lambda: 1614265330.9)
    request = Request(
        method="POST",
        path="/",
        headers={"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek"},
        body=b'{"test": 2432232314}',
    )
    assert signature.sign(request, "").headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_without_a_secret_nothing_is_signed() -> None:
    assert type(HOOK.authentication(Credentials("hook", {}), lambda request: Response(status=200))) is NoAuth


def test_a_secret_that_is_not_base64_is_refused() -> None:
    with pytest.raises(CredentialError, match="not base64"):
        Signature(Secret("whsec_???"))
    assert Signature(Secret(base64.b64encode(b"x" * 24).decode()))
