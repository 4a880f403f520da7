"""The client of a schema registry and the practice registry, over real HTTP: ids, caches, errors, compatibility."""

import json
from collections.abc import Iterator

import pytest
import requests

from connectors.base import Request, Response
from connectors.schema_registry import SchemaRegistry, opened
from connectors.settings import ConnectionSettings
from sandbox.schema_registry import SchemaRegistry as Practice
from schemas import packaged
from schemas.codec import CodecError
from schemas.contracts import CHANGE_EVENT
from schemas.framing import Framings, RegistryUnavailable
from tests.schemas.nouns import DEAL, SECRET
from tests.schemas.test_contracts import fields_of, newer, written

EVENT = packaged.current("change_event")
SUBJECT = "changes.zoho.Deals-value"
BROKEN = EVENT.replace('"record_id"', '"record"')


@pytest.fixture
def practice() -> Iterator[Practice]:
    with Practice() as running:
        yield running


def client(url: str, register: bool = True, **credentials: str) -> SchemaRegistry:
    settings = ConnectionSettings(connection="registry", kind="schema_registry", url=url, allow_private=True, timeout=5)
    return opened(settings, credentials, register)


def ask(practice: Practice, method: str, path: str, body: object = None) -> tuple[int, object]:
    answer = requests.request(method, practice.url + path, json=body, timeout=5)
    assert answer.headers["content-type"] == "application/vnd.schemaregistry.v1+json"
    return answer.status_code, answer.json()


def test_the_same_schema_has_the_same_id_everywhere(practice: Practice) -> None:
    registry = client(practice.url)
    first = registry.register(SUBJECT, EVENT)
    spaced = json.dumps(json.loads(EVENT), indent=8)
    assert [registry.register(SUBJECT, spaced), client(practice.url).register("other-value", EVENT)] == [first, first]
    assert registry.register(SUBJECT, newer("change_event")) != first
    assert json.loads(registry.schema(first)) == json.loads(EVENT)


def test_a_question_is_asked_once(practice: Practice) -> None:
    registry = client(practice.url)
    ids = {registry.register(SUBJECT, EVENT) for _ in range(3)}
    assert [registry.schema(one) for one in [*ids] * 3]
    assert practice.asked == [f"POST /subjects/{SUBJECT}/versions", "GET /schemas/ids/1"]


def test_messages_are_framed_with_the_registrys_ids(practice: Practice) -> None:
    value, headers = Framings(client(practice.url)).of("changes.zoho.Deals").encode(DEAL)
    assert value[:5] == b"\x00\x00\x00\x00\x01"
    assert Framings(client(practice.url)).of("changes.zoho.Deals").decode(value, headers) == DEAL
    assert list(practice.known.subjects) == [SUBJECT]


def test_a_newer_release_on_the_same_topic_is_read_and_passed_on(practice: Practice) -> None:
    topic = "changes.zoho.Deals"
    ours = Framings(client(practice.url)).of(topic)
    first = ours.encode(DEAL)[0]
    newer_id = client(practice.url).register(SUBJECT, newer("change_event"))
    body = written(newer("change_event"), {**fields_of(CHANGE_EVENT, DEAL), "region": "関西", "place": None})
    message = b"\x00" + newer_id.to_bytes(4, "big") + body
    kept = ours.decode(message, [])
    assert ours.encode(kept) == (message, [])
    assert ours.decode(first, []) == DEAL


def test_without_the_right_to_register_a_schema_is_looked_up(practice: Practice) -> None:
    reader = client(practice.url, register=False)
    with pytest.raises(CodecError, match="40401"):
        reader.register(SUBJECT, EVENT)
    client(practice.url).register(SUBJECT, EVENT)
    assert reader.register(SUBJECT, EVENT) == 1
    with pytest.raises(CodecError, match="40403"):
        reader.register(SUBJECT, newer("change_event"))


def test_a_subject_with_a_slash_and_a_blank_stays_one_subject() -> None:
    paths = []

    def send(request: Request) -> Response:
        paths.append(request.path)
        return Response(status=200, body=b'{"id": 4294967295}')

    assert SchemaRegistry(send).register("a/b c-value", EVENT) == 2**32 - 1
    assert paths == ["/subjects/a%2Fb%20c-value/versions"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda one: one.schema(99), "schema id 99: the schema is not known: .* 40403"),
        (lambda one: one.register(SUBJECT, BROKEN), "incompatible with an earlier schema of the subject .error 409"),
        (lambda one: one.register(SUBJECT, '{"type": "nonsense"}'), "42201"),
        (lambda one: one.set_level(SUBJECT, "SOMEHOW"), "42203"),
    ],
)
def test_errors_that_stay_are_codec_errors(practice: Practice, call: object, words: str) -> None:
    registry = client(practice.url)
    registry.register(SUBJECT, EVENT)
    assert callable(call)
    with pytest.raises(CodecError, match=words):
        call(registry)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (Response(status=500, body=b'{"error_code": 50001, "message": "x"}'), "status 500 .* asked again"),
        (Response(status=503, body=b"<html>"), "status 503"),
        (Response(status=429, body=b'{"error_code": 42901}'), "status 429"),
        (Response(status=404, body=b"<html>nginx"), "is the url that of a registry"),
        (Response(status=200, body=b"<html>"), "is the url that of a registry"),
        (Response(status=200, body=b'{"id": "one"}'), "without a schema id"),
        (Response(status=401, body=b'{"error_code": 40101}'), "check its user and password"),
        (Response(status=404, body=b'{"error_code": []}'), "is the url that of a registry"),
    ],
)
def test_errors_that_may_pass_are_told_apart(response: Response, words: str) -> None:
    with pytest.raises(RegistryUnavailable, match=words):
        SchemaRegistry(lambda request: response).register(SUBJECT, EVENT)


def test_a_registry_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(RegistryUnavailable, match="could not be reached"):
        client("http://127.0.0.1:1").schema(1)


def test_a_schema_of_another_kind_is_refused() -> None:
    response = Response(status=200, body=b'{"schema": "message A {}", "schemaType": "PROTOBUF"}')
    with pytest.raises(CodecError, match="schema id 3 is not an Avro schema"):
        SchemaRegistry(lambda request: response).schema(3)


def test_basic_authentication() -> None:
    with Practice("reader", SECRET) as practice:
        assert client(practice.url, user="reader", password=SECRET).register(SUBJECT, EVENT) == 1
        with pytest.raises(RegistryUnavailable, match="check its user and password") as caught:
            client(practice.url, user="reader", password=f"not {SECRET}").schema(1)
        assert SECRET not in str(caught.value)


def test_levels_of_compatibility(practice: Practice) -> None:
    registry = client(practice.url)
    assert registry.level(SUBJECT) == "BACKWARD"
    registry.set_level(SUBJECT, "FULL_TRANSITIVE")
    assert registry.level(SUBJECT) == "FULL_TRANSITIVE"
    assert registry.compatible(SUBJECT, BROKEN)
    registry.register(SUBJECT, EVENT)
    assert registry.compatible(SUBJECT, newer("change_event"))
    assert not registry.compatible(SUBJECT, BROKEN)


ONE = json.dumps({"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}]})
MORE = json.dumps({"type": "record", "name": "R", "fields": [*json.loads(ONE)["fields"], {"name": "b", "type": "int"}]})
EMPTY = json.dumps({"type": "record", "name": "R", "fields": []})


@pytest.mark.parametrize(
    ("level", "allowed"),
    [
        ("NONE", {"more", "empty"}), ("BACKWARD", {"empty"}), ("BACKWARD_TRANSITIVE", {"empty"}), ("FORWARD", {"more"}),
        ("FORWARD_TRANSITIVE", {"more"}), ("FULL", set()), ("FULL_TRANSITIVE", set()),
    ],
)  # fmt: skip
def test_a_level_decides_what_may_follow(practice: Practice, level: str, allowed: set[str]) -> None:
    ask(practice, "PUT", "/config", {"compatibility": level.lower()})
    assert ask(practice, "POST", "/subjects/r/versions", {"schema": ONE}) == (200, {"id": 1})
    path = "/compatibility/subjects/r/versions/latest"
    answers = {name: ask(practice, "POST", path, {"schema": text}) for name, text in (("more", MORE), ("empty", EMPTY))}
    assert {name for name, (_, answer) in answers.items() if answer == {"is_compatible": True}} == allowed
    told = {name: ask(practice, "POST", "/subjects/r/versions", {"schema": one})[0]
            for name, one in (("more", MORE), ("empty", EMPTY)) if name not in allowed}  # fmt: skip
    assert set(told.values()) <= {409}


def test_only_the_transitive_levels_look_at_all_versions(practice: Practice) -> None:
    optional = ONE.replace('"string"}', '"string"}, {"name": "b", "type": "int", "default": 0}')
    texts = [ONE, optional, MORE]
    ids = [ask(practice, "POST", "/subjects/r/versions", {"schema": text})[0] for text in texts]
    assert ids == [200, 200, 200]
    ask(practice, "PUT", "/config/s", {"compatibility": "BACKWARD_TRANSITIVE"})
    ids = [ask(practice, "POST", "/subjects/s/versions", {"schema": text})[0] for text in texts]
    assert ids == [200, 200, 409]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/subjects/no/versions", None, 404, 40401),
        ("GET", "/subjects/no/versions/latest", None, 404, 40401),
        ("GET", "/subjects/r/versions/9", None, 404, 40402),
        ("GET", "/subjects/r/versions/nine", None, 422, 42202),
        ("GET", "/schemas/ids/9", None, 404, 40403),
        ("POST", "/subjects/r", {"schema": MORE}, 404, 40403),
        ("POST", "/subjects/no", {"schema": ONE}, 404, 40401),
        ("POST", "/subjects/r/versions", {"schema": "{"}, 422, 42201),
        ("POST", "/subjects/r/versions", {}, 422, 42201),
        ("POST", "/subjects/r/versions", {"schema": MORE}, 409, 409),
        ("POST", "/compatibility/subjects/r/versions/9", {"schema": ONE}, 404, 40402),
        ("PUT", "/config/r", {"compatibility": "x"}, 422, 42203),
        ("GET", "/config/r", None, 404, 40408),
        ("GET", "/nothing", None, 404, 404),
        ("DELETE", "/subjects", None, 405, 405),
    ],
)
def test_the_practice_registry_tells_errors_as_documented(
    practice: Practice, method: str, path: str, body: object, status: int, code: int
) -> None:
    ask(practice, "POST", "/subjects/r/versions", {"schema": ONE})
    found, answer = ask(practice, method, path, body)
    assert isinstance(answer, dict)
    assert (found, answer["error_code"]) == (status, code)
    assert answer["message"]


def test_the_practice_registry_lists_what_it_knows(practice: Practice) -> None:
    ask(practice, "POST", "/subjects/r/versions", {"schema": ONE})
    compact = {"subject": "r", "version": 1, "id": 1, "schema": practice.known.text(1)}
    assert ask(practice, "GET", "/subjects") == (200, ["r"])
    assert ask(practice, "GET", "/subjects/r/versions") == (200, [1])
    assert ask(practice, "GET", "/subjects/r/versions/latest") == (200, compact)
    assert ask(practice, "POST", "/subjects/r", {"schema": ONE}) == (200, compact)
    assert ask(practice, "GET", "/schemas/ids/1") == (200, {"schema": compact["schema"]})
    assert ask(practice, "GET", "/schemas/ids/1/versions") == (200, [{"subject": "r", "version": 1}])
    assert ask(practice, "GET", "/schemas/types") == (200, ["AVRO"])
