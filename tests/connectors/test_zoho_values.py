"""Values in Zoho's dialect, both ways; what it would refuse or mangle is refused by the name of its field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.zoho.values import image, literal, misfit, write
from schemas.codec import from_json, to_json
from schemas.metadata import Field, FieldType, Tab
from schemas.values import Amount, format_instant, same

FIELDS = (
    Field(name="Name", type="text", max_length=10),
    Field(name="Free", type="text"),
    Field(name="Amount", type="number"),
    Field(name="Open", type="boolean"),
    Field(name="Day", type="date"),
    Field(name="At", type="datetime"),
    Field(name="Stage", type="picklist", values=("新規", "Won")),
    Field(name="Any", type="picklist"),
    Field(name="Langs", type="multipicklist", values=("日本語", "English")),
    Field(name="Account", type="lookup", refers_to=("Accounts",)),
    Field(name="Boss", type="user"),
    Field(name="Total", type="number", writable=False),
    Field(name="Odd", type="unknown"),
)
DEALS = Tab(name="Deals", fields={field.name: field for field in FIELDS})
TYPES = {field.name: field.type for field in FIELDS}


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("number", "12.50", Amount("12.5")), ("number", "7", 7), ("number", Amount("0.1"), Amount("0.1")),
        ("boolean", "true", True), ("boolean", " False ", False), ("boolean", False, False),
        ("text", 12, "12"), ("text", Amount("1.50"), "1.50"), ("text", Amount("1E+3"), "1000"),
        ("date", "2026-01-31", "2026-01-31"), ("date", "2026-01-31T20:00:00Z", "2026-02-01"),
        ("datetime", "2026-01-31T20:00:00.25Z", "2026-01-31T20:00:00+00:00"),
        ("datetime", "2026-02-01T05:00:00+09:00", "2026-01-31T20:00:00+00:00"),
        ("datetime", "2026-02-01T05:00:00", "2026-01-31T20:00:00+00:00"),
        ("datetime", "2026-02-01", "2026-01-31T15:00:00+00:00"),
        ("multipicklist", "日本語", ["日本語"]), ("multipicklist", [], []), ("multipicklist", None, []),
        ("lookup", "77", {"id": "77"}), ("lookup", None, None), ("text", "", None), ("unknown", [1], [1]),
    ],
)  # fmt: skip
def test_a_value_is_written_in_the_form_of_its_type(kind: FieldType, value: Any, written: object) -> None:
    assert write(value, kind, "Asia/Tokyo") == written


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"Name": "x" * 11}, "field Name: it holds 10 characters, and this is longer"),
        ({"Name": True}, "field Name: it takes text"),
        ({"Name": ["a"]}, "field Name: it takes text"),
        ({"Amount": "a secret"}, "field Amount: it takes a number"),
        ({"Amount": True}, "field Amount: it takes a number"),
        ({"Amount": "NaN"}, "field Amount: it takes a number"),
        ({"Open": "perhaps"}, "field Open: it takes true or false"),
        ({"Open": 1}, "field Open: it takes true or false"),
        ({"Day": "31.01.2026"}, "field Day: it takes a day: 2026-01-31"),
        ({"Day": "2026-02-30"}, "field Day: it takes a day: 2026-01-31"),
        ({"At": "soon"}, "field At: it takes a moment with its zone: 2026-01-31T09:00:00Z"),
        ({"Stage": "Lost"}, "field Stage: the value is not one of its list"),
        ({"Langs": ["日本語", "Klingon"]}, "field Langs: the value is not one of its list"),
        ({"Langs": [1]}, "field Langs: it takes texts of its list"),
        ({"Account": 77}, "field Account: it takes the id of a record"),
        ({"Account": "../7"}, "field Account: it takes the id of a record"),
        ({"Boss": ["1"]}, "field Boss: it takes the id of a user"),
        ({"Total": 5}, "field Total: it is read-only, so Zoho would leave it out"),
        ({"Nope": 5}, "field Nope: Zoho's Deals has no such field, and would leave it out"),
    ],
)
def test_what_zoho_would_refuse_or_lose_is_refused_by_its_name(fields: dict[str, Any], reason: str) -> None:
    assert misfit(DEALS, fields) == reason


@pytest.mark.parametrize(
    "fields",
    [
        {"Name": "x" * 10}, {"Name": None}, {"Name": 12}, {"Amount": "12.5"}, {"Stage": "新規"}, {"Stage": None},
        {"Any": "whatever"}, {"Langs": "English"}, {"Langs": []}, {"Account": "77"}, {"Odd": {"a": [1]}},
        {"Day": "2026-01-31T20:00:00Z"}, {"At": "2026-01-31"}, {"Owner": "1"}, {"$se_module": "Deals"},
        {"Free": "🚀" * 5000},
    ],
)  # fmt: skip
def test_what_fits_is_not_refused(fields: dict[str, Any]) -> None:
    assert misfit(DEALS, fields) == ""


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**15), 10**15), st.text(max_size=20),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9).map(Amount),
    st.lists(st.sampled_from(("日本語", "English", "x")), max_size=3),
    st.sampled_from(("新規", "77", "true", "2026-01-31")),
    st.integers(0, 4_000_000_000_000).map(lambda at: format_instant(at // 1000 * 1000)),
)  # fmt: skip


@given(st.sampled_from([field.name for field in FIELDS]), VALUES)
def test_what_is_not_refused_comes_back_as_the_same_value(name: str, value: Any) -> None:
    if misfit(DEALS, {name: value}):
        return
    once = image({name: from_json(to_json(write(value, TYPES[name])))}, TYPES)
    twice = image({name: from_json(to_json(write(once[name], TYPES[name])))}, TYPES)
    assert same(once[name], twice[name])
    if isinstance(value, str | bool | None) and TYPES[name] in {"text", "picklist", "lookup", "user"}:
        assert same(once[name], value)


@given(st.text(max_size=30))
def test_a_literal_never_ends_early(text: str) -> None:
    inner = literal(text)[1:-1]
    assert literal(text)[0] == literal(text)[-1] == "'"
    assert inner.replace("\\\\", "").replace("\\'", "").count("'") == 0
    assert inner.replace("\\'", "'").replace("\\\\", "\\") == text or "\\" in text


def test_tags_are_read_by_name() -> None:
    assert image({"Tag": [{"name": "重要", "id": "1"}, {"name": "vip"}]}, {}) == {"Tag": ["重要", "vip"]}
