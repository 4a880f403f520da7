"""A schema registry over HTTP, as Confluent documents its API: Avro schemas, subjects, compatibility, error bodies.

Not there: references, deletion, modes, contexts, and schemas that are not Avro.
"""

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Self

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import Schema, parse
from fastapi import Request, Response

from sandbox.emulator import json_object, new_app
from sandbox.hosting import Connections, Host
from schemas.codec import to_json

_JSON = "application/vnd.schemaregistry.v1+json"
LEVELS = (
    "NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE",
)  # fmt: skip


class Refusal(Exception):  # noqa: N818
    """An error as the registry tells it: its code, whose first three digits are the status, and its words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def response(self) -> Response:
        """The answer."""
        return _reply({"error_code": self.code, "message": self.message}, int(str(self.code)[:3]))


class Schemas:
    """What a registry knows: schemas by id, the versions of each subject, and the compatibility levels."""

    def __init__(self) -> None:
        self.level = "BACKWARD"
        self.levels: dict[str, str] = {}
        self.texts: list[str] = []
        """The schemas in compact form; the first one has the id 1."""
        self.subjects: dict[str, list[int]] = {}
        """The ids of each subject in order of their versions."""

    def register(self, subject: str, body: dict[str, Any]) -> int:
        """The id of a schema under a subject. Raises Refusal: not a schema, incompatible."""
        text = _compact(body)
        known = self._id(text)
        if known in self.subjects.get(subject, ()):
            return known
        problems = list(self._problems(subject, text))
        if problems:
            raise Refusal(
                409, "Schema being registered is incompatible with an earlier schema for subject "
                f'"{subject}", details: {problems}',
            )  # fmt: skip
        if not known:
            self.texts.append(text)
            known = len(self.texts)
        self.subjects.setdefault(subject, []).append(known)
        return known

    def looked_up(self, subject: str, body: dict[str, Any]) -> dict[str, Any]:
        """A schema that is registered under a subject. Raises Refusal."""
        ids, known = self.versions(subject), self._id(_compact(body))
        if known not in ids:
            raise Refusal(40403, "Schema not found")
        return self.version(subject, str(ids.index(known) + 1))

    def text(self, schema_id: int) -> str:
        """The schema with an id. Raises Refusal."""
        if not 0 < schema_id <= len(self.texts):
            raise Refusal(40403, f"Schema {schema_id} not found")
        return self.texts[schema_id - 1]

    def versions(self, subject: str) -> list[int]:
        """The ids of a subject's versions. Raises Refusal."""
        if subject not in self.subjects:
            raise Refusal(40401, f"Subject '{subject}' not found.")
        return self.subjects[subject]

    def version(self, subject: str, version: str) -> dict[str, Any]:
        """One version of a subject, or its ``latest``. Raises Refusal."""
        ids = self.versions(subject)
        number = len(ids) if version in ("latest", "-1") else _number(version)
        if number > len(ids):
            raise Refusal(40402, f"Version {number} not found.")
        schema_id = ids[number - 1]
        return {"subject": subject, "version": number, "id": schema_id, "schema": self.text(schema_id)}

    def problems_with(self, subject: str, version: str, body: dict[str, Any]) -> list[str]:
        """Why a schema does not go together with one version; nothing if there is no latest one. Raises Refusal."""
        text = _compact(body)
        if version == "latest" and subject not in self.subjects:
            return []
        return list(_unreadable(self.level_of(subject), text, self.version(subject, version)["schema"]))

    def level_of(self, subject: str) -> str:
        """The compatibility level that holds for a subject."""
        return self.levels.get(subject, self.level)

    def _id(self, text: str) -> int:
        return self.texts.index(text) + 1 if text in self.texts else 0

    def _problems(self, subject: str, text: str) -> Iterator[str]:
        level, ids = self.level_of(subject), self.subjects.get(subject, [])
        for schema_id in ids if level.endswith("_TRANSITIVE") else ids[-1:]:
            yield from _unreadable(level, text, self.text(schema_id))


class SchemaRegistry:
    """The registry on a loopback port, from ``with`` until its end; with a user it asks for basic authentication."""

    def __init__(self, user: str = "", password: str = "") -> None:
        self.known = Schemas()
        self.asked: list[str] = []
        """The requests that came, as ``GET /schemas/ids/1``."""
        self._authorization = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}" if user else ""
        self._app = new_app()
        self._app.middleware("http")(self._guard)
        for method, path, answer in _routes(self.known):
            self._app.add_api_route(path, answer, methods=[method])
        self._host = Host(self._app, Connections(), "schema-registry")

    @property
    def url(self) -> str:
        """Where it answers; empty before it is started."""
        return self._host.url

    def __enter__(self) -> Self:
        self._host.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._host.stop()

    async def _guard(self, request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if request.headers.get("authorization", "") != self._authorization and self._authorization:
            return Refusal(401, "Unauthorized").response()
        response = await answer(request)
        if response.status_code in (404, 405) and response.headers["content-type"] != _JSON:
            return Refusal(response.status_code, f"HTTP {response.status_code}").response()
        return response


_Answer = Callable[[Request], Awaitable[Response]]


def _routes(known: Schemas) -> Iterator[tuple[str, str, _Answer]]:
    yield from _subject_routes(known)
    yield from _config_routes(known)

    def by_id(part: dict[str, str], _: Any) -> object:
        return {"schema": known.text(_whole(part["id"]))}

    def where(part: dict[str, str], _: Any) -> object:
        schema_id = _whole(part["id"])
        known.text(schema_id)
        return [
            {"subject": subject, "version": ids.index(schema_id) + 1}
            for subject, ids in known.subjects.items() if schema_id in ids
        ]  # fmt: skip

    yield "GET", "/schemas/ids/{id}", _route(by_id)
    yield "GET", "/schemas/ids/{id}/versions", _route(where)
    yield "GET", "/schemas/types", _route(lambda part, body: ["AVRO"])


def _subject_routes(known: Schemas) -> Iterator[tuple[str, str, _Answer]]:
    def compatible(part: dict[str, str], body: dict[str, Any]) -> object:
        problems = known.problems_with(part["subject"], part["version"], body)
        return {"is_compatible": not problems} | ({"messages": problems} if part.get("verbose") == "true" else {})

    one = "/subjects/{subject}/versions"
    yield "GET", "/subjects", _route(lambda part, body: list(known.subjects))
    yield "POST", "/subjects/{subject}", _route(lambda part, body: known.looked_up(part["subject"], body))
    yield "GET", one, _route(lambda part, body: [*range(1, len(known.versions(part["subject"])) + 1)])
    yield "POST", one, _route(lambda part, body: {"id": known.register(part["subject"], body)})
    yield "GET", one + "/{version}", _route(lambda part, body: known.version(part["subject"], part["version"]))
    yield "POST", "/compatibility" + one + "/{version}", _route(compatible)


def _config_routes(known: Schemas) -> Iterator[tuple[str, str, _Answer]]:
    def set_global(part: dict[str, str], body: dict[str, Any]) -> object:
        known.level = _level(body)
        return {"compatibility": known.level}

    def set_one(part: dict[str, str], body: dict[str, Any]) -> object:
        known.levels[part["subject"]] = _level(body)
        return {"compatibility": known.levels[part["subject"]]}

    def one(part: dict[str, str], _: Any) -> object:
        subject = part["subject"]
        if subject not in known.levels and part.get("defaultToGlobal") != "true":
            raise Refusal(40408, f"Subject '{subject}' does not have subject-level compatibility configured")
        return {"compatibilityLevel": known.level_of(subject)}

    yield "GET", "/config", _route(lambda part, body: {"compatibilityLevel": known.level})
    yield "PUT", "/config", _route(set_global)
    yield "GET", "/config/{subject}", _route(one)
    yield "PUT", "/config/{subject}", _route(set_one)


def _route(answer: Callable[[dict[str, str], Any], object]) -> _Answer:
    """An answer made of the path's and the query's parts and the JSON body, refusals told as the registry does."""

    async def route(request: Request) -> Response:
        body = json_object(await request.body()) or {}
        try:
            return _reply(answer({**request.query_params, **request.path_params}, body))
        except Refusal as refusal:
            return refusal.response()

    return route


def _reply(body: object, status: int = 200) -> Response:
    return Response(to_json(body), status, media_type=_JSON)


def _compact(body: dict[str, Any]) -> str:
    """The schema of a request without white space, attributes in order: what tells whether two are the same."""
    text = body.get("schema")
    try:
        if not isinstance(text, str) or body.get("schemaType", "AVRO") != "AVRO" or body.get("references"):
            raise ValueError("only Avro without references is known here")
        parse(text)
        return json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    except (ValueError, AvroException) as error:
        raise Refusal(42201, f"Invalid schema, details: {error}") from None


def _unreadable(level: str, new: str, old: str) -> Iterator[str]:
    kind = level.partition("_")[0]
    if kind in ("BACKWARD", "FULL"):
        yield from _compared(parse(new), parse(old), "new schema cannot read the old one")
    if kind in ("FORWARD", "FULL"):
        yield from _compared(parse(old), parse(new), "old schema cannot read the new one")


def _compared(reader: Schema, writer: Schema, what: str) -> Iterator[str]:
    result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)  # type: ignore[no-untyped-call]
    if result.compatibility is SchemaCompatibilityType.incompatible:
        yield f"{what}: {', '.join(sorted(result.messages))} at {', '.join(sorted(result.locations))}"


def _level(body: dict[str, Any]) -> str:
    level = str(body.get("compatibility", "")).upper()
    if level not in LEVELS:
        raise Refusal(42203, f"Invalid compatibility level. Valid values are {', '.join(LEVELS).lower()}")
    return level


def _number(version: str) -> int:
    if not version.isdecimal() or int(version) < 1:
        raise Refusal(
            42202, f"The specified version '{version}' is not a valid version id. Allowed values are between "
            '[1, 2^31-1] and the string "latest"',
        )  # fmt: skip
    return int(version)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise Refusal(404, "HTTP 404 Not Found")
    return int(text)
