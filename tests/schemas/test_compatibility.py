"""Every schema in force goes together with every released one, both ways; what was released never changes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from schemas import packaged
from schemas.compatibility import problems
from schemas.contracts import CONTRACTS
from tests.schemas.test_contracts import by_name, newer

RELEASED = {
    ("0.1.0", "change_event"): "66517730ccf04a53",
    ("0.1.0", "command"): "f36675edfcae7c9b",
    ("0.1.0", "decision"): "05b0cac1e6b6f4ad",
    ("0.1.0", "outcome"): "23c7d70162c1fd7f",
}
"""The fingerprint of each schema as it was released: add those of a new release, never change one."""

Schema = dict[str, Any]


@pytest.mark.parametrize("name", packaged.NAMES)
def test_a_schema_reads_and_is_read_by_every_release(name: str) -> None:
    assert [str(problem) for problem in problems(name)] == []


def test_what_was_released_stays_as_it_was() -> None:
    found = {
        (version, name): CONTRACTS[name].layout(text).fingerprint.hex()
        for name in packaged.NAMES
        for version, text in packaged.released(name).items()
    }
    assert found == RELEASED


@pytest.mark.parametrize("name", packaged.NAMES)
def test_new_fields_with_defaults_are_no_problem(name: str) -> None:
    assert problems(name, newer(name)) == []


def _removed(schema: Schema) -> None:
    schema["fields"].remove(by_name(schema["fields"], "record_id"))


def _retyped(schema: Schema) -> None:
    by_name(schema["fields"], "seen_at")["type"] = "string"


def _narrowed(schema: Schema) -> None:
    by_name(schema["fields"], "source_position")["type"] = "int"


def _without_default(schema: Schema) -> None:
    schema["fields"].append({"name": "region", "type": "string"})


def _renamed(schema: Schema) -> None:
    by_name(schema["fields"], "tab")["name"] = "module"


def _inside(schema: Schema) -> None:
    by_name(schema["fields"], "origin")["type"][1]["fields"].append({"name": "depth", "type": "int"})


def _fewer_symbols(schema: Schema) -> None:
    kind = by_name(schema["fields"], "op")["type"]
    kind["symbols"].remove("merge")
    del kind["default"]


def _other_record(schema: Schema) -> None:
    schema["name"] = "Change"


@pytest.mark.parametrize(
    ("break_it", "field", "rule", "reader"),
    [
        (_removed, "record_id", "reader_field_missing_default_value", "release 0.1.0"),
        (_retyped, "seen_at", "type_mismatch", "this version"),
        (_retyped, "seen_at", "type_mismatch", "release 0.1.0"),
        (_narrowed, "source_position", "type_mismatch", "this version"),
        (_without_default, "region", "reader_field_missing_default_value", "this version"),
        (_renamed, "module", "reader_field_missing_default_value", "this version"),
        (_renamed, "tab", "reader_field_missing_default_value", "release 0.1.0"),
        (_inside, "origin", "missing_union_branch", "this version"),
        (_fewer_symbols, "op", "missing_enum_symbols", "this version"),
        (_other_record, "/", "name_mismatch", "this version"),
    ],
)
def test_a_bad_change_is_found_and_named(
    break_it: Callable[[Schema], None], field: str, rule: str, reader: str
) -> None:
    schema = json.loads(packaged.current("change_event"))
    break_it(schema)
    found = problems("change_event", json.dumps(schema))
    assert (field, rule, reader) in [(one.field, one.rule, one.reader) for one in found]
    told = [str(one) for one in found if one.field == field]
    assert all(told_one.startswith(f"change_event.avsc, field {field}: {rule}") for told_one in told)
    assert "released/0.1.0/change_event.avsc" in told[0]
