"""Commands as signed webhooks, after the Standard Webhooks specification (D-96)."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence

import msgspec

from connectors.answers import retry_after
from connectors.base import Auth, Connector, NoAuth, Request, Response, Send
from connectors.credentials import CredentialError, Credentials, Secret
from schemas.codec import to_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.values import format_instant


class WebhookConnector(Connector):
    """POSTs ``{type, timestamp, data}`` as JSON; the receiver drops repetitions by ``webhook-id``, the command id.

    ``fields["url"]`` names another address than the connection's; ``fields["body"]`` is sent instead of the fields.
    """

    kind = "webhook"

    def request(self, commands: Sequence[Command]) -> Request:
        """One command, one request."""
        [command] = commands
        rest = {name: value for name, value in command.fields.items() if name != "url"}
        body = {
            "type": f"{command.workflow}.{command.rule}".strip(".") or command.operation,
            "timestamp": format_instant(command.planned_at),
            "data": rest.get("body", rest),
        }
        where = str(command.fields.get("url", ""))
        headers = {"webhook-id": command.id}
        return Request(method="POST", path=where, headers=headers, body=to_json(body), content_type="application/json")

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """By status alone; the body is the receiver's own business."""
        return [_outcome(command, response) for command in commands]

    def authentication(self, credentials: Credentials, send: Send) -> Auth:
        """A signature with the credential ``secret``; without one, requests are not signed."""
        try:
            return Signature(credentials.get("secret"))
        except CredentialError:
            return NoAuth()


class Signature(NoAuth):
    """Signs ``id.timestamp.body`` with HMAC-SHA256 at the moment of sending, so that a retry carries a fresh time."""

    def __init__(self, secret: Secret, clock: Callable[[], float] = time.time) -> None:
        try:
            self._key = base64.b64decode(secret.reveal().removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise CredentialError("the webhook secret is not base64: write whsec_ and 24 to 64 random bytes") from None
        self._clock = clock

    def sign(self, request: Request, token: str) -> Request:
        """The request with ``webhook-timestamp`` and ``webhook-signature``."""
        timestamp = str(int(self._clock()))
        signed = f"{request.headers['webhook-id']}.{timestamp}.".encode() + (request.body or b"")
        digest = base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()
        headers = {**request.headers, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{digest}"}
        return msgspec.structs.replace(request, headers=headers)


def _outcome(command: Command, response: Response) -> Outcome:
    status = response.status
    if 200 <= status < 300:
        return Applied(command_id=command.id)
    if status in {429, 503}:
        return RetryLater(command_id=command.id, reason=f"status {status}", after=retry_after(response, 5.0))
    if 300 <= status < 500:
        return Rejected(command_id=command.id, code=f"http_{status}", reason=f"the receiver answered {status}")
    return Uncertain(command_id=command.id, reason=f"the receiver answered {status}")
