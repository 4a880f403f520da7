"""Framing: a message says by which schema it was written, and what cannot be read says why and what to do."""

import json
from collections.abc import Sequence
from io import BytesIO

import msgspec
import pytest
from fastavro import schemaless_reader, schemaless_writer

from schemas import packaged, topics
from schemas.codec import CodecError
from schemas.commands import Command, Rejected
from schemas.contracts import CHANGE_EVENT
from schemas.decisions import Decision
from schemas.events import Extra
from schemas.framing import FINGERPRINT, Framing, Framings, RegistryUnavailable
from tests.schemas.nouns import DEAL, SECRET, report
from tests.schemas.test_contracts import newer

TOPIC = topics.changes(DEAL.tab)


class Shelf:
    """A registry in memory: ids from 1, the same schema the same id."""

    def __init__(self) -> None:
        self.schemas: list[str] = []
        self.questions = 0
        self.subjects: set[str] = set()

    def register(self, subject: str, schema: str) -> int:
        self.questions += 1
        self.subjects.add(subject)
        if schema not in self.schemas:
            self.schemas.append(schema)
        return self.schemas.index(schema) + 1

    def schema(self, schema_id: int) -> str:
        self.questions += 1
        if schema_id > len(self.schemas):
            raise CodecError(f"schema id {schema_id} is not known")
        return self.schemas[schema_id - 1]


def test_without_a_registry_the_header_names_the_schema() -> None:
    framing = Framings().of(TOPIC)
    value, headers = framing.encode(DEAL)
    assert headers == [(FINGERPRINT, CHANGE_EVENT.current.fingerprint)]
    assert framing.decode(value, [("other", b"x"), *headers]) == DEAL


def test_with_a_registry_the_message_has_confluents_frame() -> None:
    shelf = Shelf()
    value, headers = Framing(CHANGE_EVENT, TOPIC, shelf).encode(DEAL)
    assert (value[:5], headers) == (b"\x00\x00\x00\x00\x01", [])
    assert shelf.subjects == {"changes.zoho.Deals-value"}
    assert Framing(CHANGE_EVENT, TOPIC, shelf).decode(value, headers) == DEAL


def test_a_registry_is_asked_once_for_each_schema() -> None:
    shelf = Shelf()
    framing = Framing(CHANGE_EVENT, TOPIC, shelf)
    values = [framing.encode(DEAL)[0] for _ in range(3)]
    assert [framing.decode(value, []) for value in values] == [DEAL] * 3
    assert shelf.questions == 2


def test_history_from_before_the_registry_stays_readable() -> None:
    value, headers = Framings().of(TOPIC).encode(DEAL)
    assert Framings(Shelf()).of(TOPIC).decode(value, headers) == DEAL


def test_a_large_schema_id_is_big_endian() -> None:
    shelf = Shelf()
    shelf.schemas = ["{}"] * 0x1234 + [CHANGE_EVENT.current.text]
    value, _ = Framing(CHANGE_EVENT, TOPIC, shelf).encode(DEAL)
    assert value[:5] == b"\x00\x00\x00\x12\x35"


@pytest.mark.parametrize("registry", [None, Shelf()], ids=["header", "registry"])
def test_a_newer_message_is_passed_on_byte_for_byte(registry: Shelf | None) -> None:
    text = newer("change_event")
    extra = Extra(text, {"region": "関西", "place": None, "origin": {"depth": 7}})
    framing = Framing(CHANGE_EVENT, TOPIC, registry, [text])
    message = framing.encode(msgspec.structs.replace(DEAL, extra=extra))
    kept = framing.decode(*message)
    assert kept.extra == extra
    assert framing.encode(kept) == message
    assert framing.encode(DEAL) != message


def test_newer_schemas_are_given_to_the_topics_of_their_noun() -> None:
    framings = Framings(known=[newer("change_event"), newer("command")])
    extra = Extra(newer("command"), {"region": "", "place": None})
    command = Command(id="c", connection="zoho", tab="zoho:Deals", operation="update", extra=extra)
    framing = framings.of(topics.commands("zoho"))
    assert framing.decode(*framing.encode(command)) == command


@pytest.mark.parametrize(
    ("topic", "noun"),
    [
        (topics.changes("salesforce:Contract"), DEAL),
        (topics.commands("zoho"), Command(id="c", connection="zoho", tab="zoho:Deals", operation="x")),
        (topics.bulk("zoho"), Command(id="c", connection="zoho", tab="zoho:Deals", operation="x")),
        (topics.OUTCOMES, report(Rejected(command_id="c", code="7", reason="no"))),
        (topics.DECISIONS, Decision(kind="alarm", at=1, journey="zoho:Deals/1", detail={"why": ["🎌"]})),
    ],
)
def test_every_avro_topic_has_its_framing(topic: str, noun: object) -> None:
    framing = Framings().of(topic)
    assert framing.decode(*framing.encode(noun)) == noun


@pytest.mark.parametrize("topic", [topics.JOURNEYS, topics.RELATIONS, topics.PARKED, topics.ledger("zoho")])
def test_other_topics_hold_no_avro(topic: str) -> None:
    with pytest.raises(CodecError, match=topic):
        Framings().of(topic)


@pytest.mark.parametrize(
    ("value", "headers", "words"),
    [
        (b"", [], "only 0 bytes and no header"),
        (b"\x00\x00\x01", [], "only 3 bytes and no header"),
        (b"\x82\xa1a" + SECRET.encode(), [], "magic byte 82 and no header avro-fingerprint: .* wire format"),
        (b"\x00\x00\x00\x00\x07" + SECRET.encode(), [], "schema id 7, and no schema registry is configured"),
        (b"x", [(FINGERPRINT, bytes(8))], "schema 0000000000000000, which no release .*: upgrade the reader"),
        (b"x", [(FINGERPRINT, b"")], "schema , which no release"),
        (SECRET.encode(), [(FINGERPRINT, CHANGE_EVENT.current.fingerprint)], "damaged"),
    ],
)
def test_what_cannot_be_read_says_which_and_what_next(
    value: bytes, headers: Sequence[tuple[str, bytes]], words: str
) -> None:
    with pytest.raises(CodecError, match=words) as caught:
        Framings().of(TOPIC).decode(value, headers)
    assert SECRET not in str(caught.value)


def test_an_unknown_id_is_the_registrys_word() -> None:
    with pytest.raises(CodecError, match="schema id 7 is not known"):
        Framings(Shelf()).of(TOPIC).decode(b"\x00\x00\x00\x00\x07abc", [])


def test_a_message_of_another_noun_is_on_the_wrong_topic() -> None:
    shelf = Shelf()
    shelf.register("commands.zoho-value", packaged.current("command"))
    with pytest.raises(CodecError, match="one of Command, not of ChangeEvent"):
        Framings(shelf).of(TOPIC).decode(b"\x00\x00\x00\x00\x01abc", [])


def test_bytes_after_the_body_are_not_overlooked() -> None:
    value, headers = Framings().of(TOPIC).encode(DEAL)
    with pytest.raises(CodecError, match="left over"):
        Framings().of(TOPIC).decode(value + b"\x00", headers)


def test_a_registry_that_is_away_is_no_fault_of_the_message() -> None:
    class Away(Shelf):
        def schema(self, schema_id: int) -> str:
            raise RegistryUnavailable("later")

    with pytest.raises(RegistryUnavailable):
        Framings(Away()).of(TOPIC).decode(b"\x00\x00\x00\x00\x07abc", [])
    assert not issubclass(RegistryUnavailable, CodecError)


def test_released_schemas_are_read_by_their_fingerprint() -> None:
    for name in packaged.NAMES:
        for text in packaged.released(name).values():
            assert json.loads(text)["namespace"] == "renkei"
    released = CHANGE_EVENT.layout(packaged.released("change_event")["0.1.0"])
    fields = schemaless_reader(BytesIO(CHANGE_EVENT.encode(DEAL)), CHANGE_EVENT.current.parsed, None)
    value = BytesIO()
    schemaless_writer(value, released.parsed, fields)
    assert Framings().of(TOPIC).decode(value.getvalue(), [(FINGERPRINT, released.fingerprint)]) == DEAL
