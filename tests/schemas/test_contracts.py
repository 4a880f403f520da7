"""The Avro contracts: what is written comes back exactly, and what a newer release added is not lost."""

import json
from io import BytesIO
from typing import Any

import msgspec
import pytest
from avro.schema import parse
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas import packaged
from schemas.codec import CodecError, Unpacker, pack
from schemas.commands import Applied, Command, RetryLater
from schemas.contracts import CHANGE_EVENT, COMMAND, CONTRACTS, OUTCOME, Contract
from schemas.decisions import Decision
from schemas.events import Chain, ChangeEvent, Extra
from schemas.layout import Layout
from schemas.values import Amount
from tests.schemas.nouns import COMMANDS, DEAL, DECISIONS, EVENTS, REPORTS, SECRET, report, spelled

NOUNS = {"change_event": EVENTS, "command": COMMANDS, "outcome": REPORTS, "decision": DECISIONS}
TEN = Command(id="c", connection="zoho", tab="zoho:Deals", operation="update")
FIRED = Decision(kind="fired", at=1, journey="zoho:Deals/1")


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(packaged.current(name))
    return found


def by_name(fields: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(field for field in fields if field["name"] == name)


def newer(name: str) -> str:
    """The schema of a release to come: two fields more, and one more inside the chain."""
    found = schema(name)
    day = {"type": "int", "logicalType": "date"}
    record = {"type": "record", "name": "Place", "fields": [{"name": "on", "type": day}]}
    found["fields"].insert(1, {"name": "region", "type": "string", "default": "", "doc": "Where."})
    found["fields"].append({"name": "place", "type": ["null", record], "default": None})
    for field in found["fields"]:
        if field["name"] in ("origin", "chain"):
            field["type"][1]["fields"].append({"name": "depth", "type": "int", "default": 0})
    return json.dumps(found)


def written(text: str, fields: dict[str, Any]) -> bytes:
    out = BytesIO()
    schemaless_writer(out, parse_schema(json.loads(text)), fields)
    return out.getvalue()


def fields_of(contract: Contract[Any], noun: Any) -> dict[str, Any]:
    """What another program reads of our message, by the published schema."""
    found: Any = schemaless_reader(BytesIO(contract.encode(noun)), parse_schema(schema(contract.name)), None)
    return dict(found)


def read(contract: Contract[Any], body: bytes, text: str = "") -> Any:
    return contract.decode(body, contract.layout(text or contract.current.text))


@pytest.mark.parametrize("name", NOUNS)
@given(chosen=st.data())
def test_what_is_written_comes_back_exactly(name: str, chosen: st.DataObject) -> None:
    noun, contract = chosen.draw(NOUNS[name]), CONTRACTS[name]
    back = read(contract, contract.encode(noun))
    assert back == noun
    assert spelled(msgspec.structs.asdict(back)) == spelled(msgspec.structs.asdict(noun))


def test_null_and_absent_are_two_things_and_so_are_no_image_and_an_empty_one() -> None:
    images: list[dict[str, Any] | None] = [None, {}, {"a": None}, {"a": ""}, {"a": []}, {"b": None}]
    events = [msgspec.structs.replace(DEAL, after=image) for image in images]
    assert [read(CHANGE_EVENT, CHANGE_EVENT.encode(event)).after for event in events] == images


def test_exact_decimals_keep_their_digits() -> None:
    event = msgspec.structs.replace(DEAL, after={"a": Amount("0.10"), "b": Amount("1E+5"), "c": 2**80})
    after = read(CHANGE_EVENT, CHANGE_EVENT.encode(event)).after
    assert [str(after[name]) for name in "abc"] == ["0.10", "1E+5", str(2**80)]
    assert isinstance(after["a"], Amount)


def test_another_avro_library_reads_the_same_fields() -> None:
    fields = fields_of(CHANGE_EVENT, DEAL)
    assert fields["committed_at"].isoformat() == "2026-01-31T09:00:00+00:00"
    assert json.loads(fields["after"])["Amount"] == 1250000.5
    assert fields["origin"] == {"id": "c1", "hop": 2, "fired": ["w/r@zoho:Deals/1"]}


@pytest.mark.parametrize("name", NOUNS)
def test_unknown_newer_fields_are_kept_and_written_again(name: str) -> None:
    contract, text = CONTRACTS[name], newer(name)
    noun = {"change_event": DEAL, "command": TEN, "outcome": report(Applied(command_id="c")), "decision": FIRED}[name]
    fields = fields_of(contract, noun)
    if name == "change_event":
        fields["origin"]["depth"] = 7
    body = written(text, {**fields, "region": "関西", "place": {"on": 20_000}})

    kept = read(contract, body, text)
    assert kept.extra.fields["region"] == "関西"
    assert msgspec.structs.replace(kept, extra=msgspec.UNSET) == noun
    parked: Any = Unpacker(type(kept))(pack(kept))
    assert contract.encode(parked) == body
    assert contract.layout_of(parked).text == text


def test_a_noun_that_we_change_keeps_what_it_came_with() -> None:
    text = newer("change_event")
    kept = msgspec.structs.replace(DEAL, extra=Extra(text, {"region": "Kansai", "place": None, "origin": {"depth": 7}}))
    changed = msgspec.structs.replace(kept, seen_at=5, origin=None)
    back = read(CHANGE_EVENT, CHANGE_EVENT.encode(changed), text)
    assert (back.seen_at, back.origin, back.extra.fields) == (5, None, {"region": "Kansai", "place": None})


def test_what_the_newer_schema_has_no_place_for_is_not_lost_in_silence() -> None:
    found = json.loads(newer("change_event"))
    found["fields"] = [field for field in found["fields"] if field["name"] != "into"]
    extra = Extra(json.dumps(found), {"region": "Kansai", "place": None, "origin": {"depth": 7}})
    event = msgspec.structs.replace(DEAL, extra=extra)
    assert read(CHANGE_EVENT, CHANGE_EVENT.encode(event), extra.schema) == event
    with pytest.raises(CodecError, match="has no field into"):
        CHANGE_EVENT.encode(msgspec.structs.replace(event, into="9"))


@pytest.mark.parametrize(
    ("name", "without", "default"),
    [("change_event", "actor", ""), ("change_event", "changed_fields", ()), ("command", "fields", {})],
)
def test_a_field_that_an_older_release_did_not_write_has_its_default(name: str, without: str, default: object) -> None:
    older = schema(name)
    older["fields"].remove(by_name(older["fields"], without))
    noun = DEAL if name == "change_event" else msgspec.structs.replace(TEN, fields={"Stage": "Won"})
    text = json.dumps(older)
    back = read(CONTRACTS[name], written(text, fields_of(CONTRACTS[name], noun)), text)
    assert back == msgspec.structs.replace(noun, **{without: default})


def test_a_value_of_a_newer_list_is_refused_by_name() -> None:
    text = schema("change_event")
    by_name(text["fields"], "op")["type"]["symbols"].append("archive")
    fields = {"tab": "a:B", "record_id": "1", "op": "archive", "committed_at": 1, "seen_at": 1, "source_position": 1}
    with pytest.raises(CodecError, match="'archive', which this release does not know: upgrade"):
        read(CHANGE_EVENT, written(json.dumps(text), fields), json.dumps(text))


@pytest.mark.parametrize("value", [1.5, b"x", object(), Amount("NaN"), "\ud800", {"a": Amount("Infinity")}])
def test_what_is_no_field_value_is_refused_or_exact(value: Any) -> None:
    event = msgspec.structs.replace(DEAL, after={SECRET: value})
    if value in (1.5, b"x"):
        assert read(CHANGE_EVENT, CHANGE_EVENT.encode(event)).after[SECRET] in (Amount("1.5"), "eA==")
        return
    with pytest.raises(CodecError, match="cannot be written: after") as caught:
        CHANGE_EVENT.encode(event)
    assert SECRET not in str(caught.value)


def test_a_wrong_field_is_named_and_its_value_is_not() -> None:
    event = msgspec.structs.replace(DEAL, actor=[SECRET], seen_at=2**70)
    with pytest.raises(CodecError, match="seen_at, actor") as caught:
        CHANGE_EVENT.encode(event)
    assert SECRET not in str(caught.value)


@given(body=st.binary(max_size=60) | st.builds(lambda cut: CHANGE_EVENT.encode(DEAL)[:cut], st.integers(0, 300)))
def test_any_bytes_are_an_event_or_a_codec_error(body: bytes) -> None:
    try:
        found = read(CHANGE_EVENT, body)
    except CodecError:
        return
    assert isinstance(found, ChangeEvent)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ('"string"', "no record"),
        (packaged.current("command"), "one of Command, not of ChangeEvent"),
        ('{"type": "record", "name": "ChangeEvent", "fields": []}', "has no field tab, record_id"),
        (
            '{"type": "record", "name": "ChangeEvent", "fields": [{"name": "tab", "type": "nonsense"}]}',
            "cannot be parsed",
        ),
    ],
)
def test_a_schema_of_something_else_is_refused(text: str, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        CHANGE_EVENT.layout(text)


@pytest.mark.parametrize("name", packaged.NAMES)
def test_fingerprints_are_those_of_the_avro_library(name: str) -> None:
    # The avro library leaves {"type": "long"} of a logical type as it is, against the rule [PRIMITIVES] of Avro's
    # specification, so it is given the plain type.
    plain = packaged.current(name).replace('{"type": "long", "logicalType": "timestamp-millis"}', '"long"')
    assert CONTRACTS[name].current.fingerprint == parse(plain).fingerprint("CRC-64-AVRO")


@pytest.mark.parametrize("name", packaged.NAMES)
def test_every_field_is_explained_and_its_default_is_that_of_the_noun(name: str) -> None:
    contract, fields = CONTRACTS[name], schema(name)["fields"]
    assert not [field["name"] for field in fields if not field.get("doc")]
    bare = {field["name"]: field for field in fields if "default" not in field}
    values = {"op": "create", "kind": "done" if name == "decision" else "applied"}
    least = {key: values.get(key, 1 if "long" in str(field["type"]) else "x") for key, field in bare.items()}
    noun = read(contract, written(packaged.current(name), least))
    if name == "outcome":
        of = ("at", "connection", "journey", "fire")
        given: dict[str, object] = {key: least[key] for key in of}
        given["outcome"] = Applied(command_id="x")
    else:
        given = dict(least)
    assert noun == type(noun)(**given)


def test_an_outcome_keeps_its_own_fields_only() -> None:
    later = report(RetryLater(command_id="c", reason="busy", after=2.5))
    assert read(OUTCOME, OUTCOME.encode(later)) == later


def test_a_layout_tells_the_one_in_force_from_a_newer_one() -> None:
    assert CHANGE_EVENT.current.same
    layout: Layout = COMMAND.layout(newer("command"))
    assert (layout.newer, layout.unknown, layout.inner) == (True, ["region", "place"], {"chain": {"depth"}})


def test_an_old_chain_without_its_later_fields_is_read() -> None:
    text = schema("change_event")
    chain = by_name(text["fields"], "origin")["type"][1]
    chain["fields"] = chain["fields"][:1]
    fields = {"tab": "a:B", "record_id": "1", "op": "create", "committed_at": 1, "seen_at": 1, "source_position": 1}
    back = read(CHANGE_EVENT, written(json.dumps(text), {**fields, "origin": {"id": "c"}}), json.dumps(text))
    assert back.origin == Chain("c")
