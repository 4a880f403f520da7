"""The login as SOAP wants it: the token in the envelope, and faults that say that it is no longer good."""

import msgspec

from connectors.base import Auth, Request, Response

SESSION = "@session@"
"""Stands in a SOAP request where the token belongs."""

_ENDED = b"INVALID_SESSION_ID</faultcode>"


class Session:
    """Signs requests as another login does, and puts the token where a SOAP request has a place for it."""

    def __init__(self, login: Auth) -> None:
        self._login = login

    def token(self) -> str:
        """A token to sign with. Raises AuthenticationFailed."""
        return self._login.token()

    def sign(self, request: Request, token: str) -> Request:
        """The request with its proof."""
        if request.body is not None and request.content_type == "text/xml":
            # The first place only: what people wrote comes after it.
            body = request.body.replace(SESSION.encode(), token.encode(), 1)
            request = msgspec.structs.replace(request, body=body)
        return self._login.sign(request, token)

    def expired(self, response: Response) -> bool:
        """Whether a new token may cure what this answer says; SOAP says so with status 500."""
        return self._login.expired(response) or (response.status == 500 and _ENDED in response.body)

    def forget(self, token: str) -> None:
        """Do not use this token again."""
        self._login.forget(token)
