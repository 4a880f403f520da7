"""The login as SOAP wants it too: the token in the envelope, and faults that say that it is no longer good."""

import msgspec

from connectors.auth import OAuth
from connectors.base import Request, Response

SESSION = "@session@"
"""Stands in a SOAP request where the token belongs."""

_ENDED = b"INVALID_SESSION_ID</faultcode>"


class Login(OAuth):
    """OAuth whose token goes where a SOAP request has a place for it."""

    def sign(self, request: Request, token: str) -> Request:
        """The request with its proof."""
        if request.body is not None and request.content_type == "text/xml":
            # The first place only: what people wrote comes after it.
            body = request.body.replace(SESSION.encode(), token.encode(), 1)
            request = msgspec.structs.replace(request, body=body)
        return super().sign(request, token)

    def expired(self, response: Response) -> bool:
        """Whether a new token may cure what this answer says; SOAP says so with status 500."""
        return super().expired(response) or (response.status == 500 and _ENDED in response.body)
