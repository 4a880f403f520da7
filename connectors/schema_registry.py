"""A schema registry that speaks Confluent's HTTP API, as the framing of messages needs it (``schemas.framing``)."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from connectors.base import NoAnswer, NotSent, Request, Response, Send
from connectors.settings import ConnectionSettings
from connectors.transport import Transport
from schemas.codec import CodecError, to_json
from schemas.framing import RegistryUnavailable

_JSON = "application/vnd.schemaregistry.v1+json"
_TRANSIENT = frozenset({401, 403, 408, 429})
"""With refused credentials nothing is wrong with the message: it waits until an operator renews them."""

_MEANINGS = {
    40401: "the subject is not known",
    40402: "the version is not known",
    40403: "the schema is not known: is it the registry by which the message was written?",
    40408: "the subject has no compatibility level of its own",
    409: "it is incompatible with an earlier schema of the subject",
    42201: "the registry does not take it as a schema",
    42202: "the version is not a number from 1",
    42203: "it is not a compatibility level",
}


class SchemaRegistry:
    """Asks a registry, each question once. Raises RegistryUnavailable, or CodecError where asking again is useless.

    With ``register`` off nothing is ever registered: a schema is looked up, and must be there already.
    """

    def __init__(
        self,
        send: Send,
        user: str = "",
        password: str = "",
        register: bool = True,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._send, self._may_register = send, register
        self.close = close
        """Closes its connections."""
        self._headers = {"Accept": _JSON}
        if user:
            self._headers["Authorization"] = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
        self._ids: dict[tuple[str, str], int] = {}
        self._schemas: dict[int, str] = {}

    def register(self, subject: str, schema: str) -> int:
        """The id of a schema under a subject, new or as it is there already."""
        known = self._ids.get((subject, schema))
        if known is not None:
            return known
        path = f"/subjects/{_part(subject)}" + ("/versions" if self._may_register else "")
        answer = self._ask("POST", path, {"schema": schema}, f"schema of subject {subject}")
        found = self._ids[subject, schema] = _id(answer)
        return found

    def schema(self, schema_id: int) -> str:
        """The schema with this id, as JSON."""
        known = self._schemas.get(schema_id)
        if known is not None:
            return known
        answer = self._ask("GET", f"/schemas/ids/{schema_id}", None, f"schema id {schema_id}")
        if answer.get("schemaType", "AVRO") != "AVRO" or not isinstance(answer.get("schema"), str):
            raise CodecError(f"schema id {schema_id} is not an Avro schema: another program's message on this topic?")
        found: str = answer["schema"]
        self._schemas[schema_id] = found
        return found

    def compatible(self, subject: str, schema: str) -> bool:
        """Whether a schema may follow the newest one of a subject, by the subject's level; never kept."""
        path = f"/compatibility/subjects/{_part(subject)}/versions/latest"
        return self._ask("POST", path, {"schema": schema}, f"subject {subject}").get("is_compatible") is True

    def level(self, subject: str) -> str:
        """The compatibility level that holds for a subject: its own, or the registry's."""
        path = f"/config/{_part(subject)}?defaultToGlobal=true"
        return str(self._ask("GET", path, None, f"subject {subject}").get("compatibilityLevel", ""))

    def set_level(self, subject: str, level: str) -> None:
        """Give a subject a compatibility level of its own: ``FULL_TRANSITIVE`` is what our releases keep."""
        self._ask("PUT", f"/config/{_part(subject)}", {"compatibility": level}, f"subject {subject}, level {level}")

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None, about: str) -> dict[str, Any]:
        content = None if body is None else to_json(body)
        request = Request(
            method=method, path=path, headers=self._headers, body=content, content_type="" if body is None else _JSON
        )
        try:
            return _answer(self._send(request), about)
        except (NotSent, NoAnswer) as error:
            raise RegistryUnavailable(f"schema registry: {error}; it is asked again") from None


def opened(settings: ConnectionSettings, credentials: Mapping[str, str], register: bool = True) -> SchemaRegistry:
    """The registry at the url of these settings; ``user`` and ``password`` are used where they are given."""
    user, password = credentials.get("user", ""), credentials.get("password", "")
    transport = Transport(settings)
    return SchemaRegistry(transport, user, password, register, transport.close)


def _part(subject: str) -> str:
    return quote(subject, safe="")


def _id(answer: Mapping[str, Any]) -> int:
    found = answer.get("id")
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 2**32:
        raise RegistryUnavailable("schema registry: an answer without a schema id; is the url that of a registry?")
    return found


def _answer(response: Response, about: str) -> dict[str, Any]:
    try:
        body = response.json()
    except CodecError:
        body = None
    if response.status == 200 and isinstance(body, dict):
        return body
    code = body.get("error_code") if isinstance(body, dict) else None
    if response.status in _TRANSIENT or not isinstance(code, int) or code not in _MEANINGS:
        raise RegistryUnavailable(f"schema registry: status {response.status} for {about}; {_next_step(response)}")
    raise CodecError(f"schema registry, {about}: {_MEANINGS[code]} (error {code})")


def _next_step(response: Response) -> str:
    if response.status in (401, 403):
        return "check its user and password"
    return "it is asked again" if response.status >= 429 else "is the url that of a registry?"
