"""From the code that Zoho's API console shows to the refresh token that a server uses (fact sheet, 1.1)."""

from collections.abc import Mapping
from urllib.parse import urlencode

from connectors.answers import parsed, text
from connectors.auth import FORM
from connectors.base import Request, Send
from connectors.settings import ConnectionSettings


def granted(settings: ConnectionSettings, secrets: Mapping[str, str], send: Send) -> dict[str, str]:
    """The secrets, a grant code in the place of the refresh token exchanged for one; a refresh token stays.

    A code looks like a token and is good for a few minutes and one use, so it is tried as a code first. Raises NotSent
    or NoAnswer.
    """
    form = {
        "grant_type": "authorization_code",
        "client_id": secrets["client_id"],
        "client_secret": secrets["client_secret"],
        "code": secrets["refresh_token"],
    }
    where = f"{settings.login_url or settings.url}/oauth/v2/token"
    answer = parsed(send(Request(method="POST", path=where, body=urlencode(form).encode(), content_type=FORM)))
    found = text(answer.get("refresh_token")) if isinstance(answer, dict) else ""
    return {**secrets, "refresh_token": found or secrets["refresh_token"]}
