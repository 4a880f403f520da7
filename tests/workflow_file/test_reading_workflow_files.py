"""Reading workflow files: values as YAML 1.2 means them, every one with its place."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.document import Path, Plain, Position
from rules.errors import Problems, WorkflowError
from rules.source import read_yaml
from schemas.values import Amount

JOURNEY = """\
workflow: customer-journey   # the chain of the first page
timezone: Asia/Tokyo
tabs:
  deal:    {module: zoho.Deals}
  account: {module: zoho.Accounts, lookup: deal.Account_Name}
rules:
  deal:
    - name: ask-for-demo
      trigger: {becomes: Lead_Status is "Qualified"}
      criteria:
        1: deal.Amount >= 10000
        2: account.Type is "見込み客"
        pattern: 1 and 2
      actions:
        - {create: demo, fields: {Name: 'Demo for {{ account.Account_Name }}'}}
"""


def test_a_workflow_file_becomes_plain_values() -> None:
    value = read_yaml(JOURNEY, "journey.yaml").value
    assert isinstance(value, dict)
    assert value["workflow"] == "customer-journey"
    assert value["rules"] == {
        "deal": [
            {
                "name": "ask-for-demo",
                "trigger": {"becomes": 'Lead_Status is "Qualified"'},
                "criteria": {
                    1: "deal.Amount >= 10000",
                    2: 'account.Type is "見込み客"',
                    "pattern": "1 and 2",
                },
                "actions": [{"create": "demo", "fields": {"Name": "Demo for {{ account.Account_Name }}"}}],
            }
        ]
    }


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ((), 1, 1),
        (("workflow",), 1, 11),
        (("tabs", "account", "lookup"), 5, 44),
        (("rules", "deal", 0), 8, 7),
        (("rules", "deal", 0, "trigger", "becomes"), 9, 26),
        (("rules", "deal", 0, "criteria", 2), 12, 12),
        (("rules", "deal", 0, "actions", 0, "fields", "Name"), 15, 41),
    ],
)
def test_every_value_knows_its_place(path: Path, line: int, column: int) -> None:
    assert read_yaml(JOURNEY, "journey.yaml").position(path) == Position(line, column)


def test_a_key_has_its_own_place_and_a_list_item_its_value() -> None:
    document = read_yaml(JOURNEY, "journey.yaml")
    assert document.key_position(("rules", "deal", 0, "criteria", "pattern")) == Position(13, 9)
    assert document.key_position(("rules", "deal", 0)) == Position(8, 7)


def test_a_missing_path_has_the_place_of_the_nearest_value_above_it() -> None:
    document = read_yaml(JOURNEY, "journey.yaml")
    assert document.position(("tabs", "account", "match", "x")) == document.position(("tabs", "account"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("off", "off"),
        ("~", None),
        ("", None),
        ("null", None),
        ("17", 17),
        ("-3", -3),
        ("0", 0),
        ("1.50", Amount("1.50")),
        ("-.5", Amount("-.5")),
        ("1e3", Amount("1e3")),
        ("9" * 30, int("9" * 30)),
        ("09:00", "09:00"),
        ("2026-01-31", "2026-01-31"),
        ("14d", "14d"),
        ("12%", "12%"),
        ("1_000", "1_000"),
        ("NaN", "NaN"),
        ("-", "-"),
        ("'007'", "007"),
        ('"true"', "true"),
        ("3 business days", "3 business days"),
        ("zoho.Deals", "zoho.Deals"),
    ],
)
def test_a_word_means_what_yaml_1_2_says(text: str, value: Plain) -> None:
    if text == "-":
        text = "'-'"
    read = read_yaml(f"field: {text}", "w.yaml").value
    assert read == {"field": value}
    assert isinstance(read, dict)
    assert type(read["field"]) is type(value)


@pytest.mark.parametrize("word", ["007", "+819012345678", "0x1F", "0o17", "00.5", ".nan", "-.inf", "9" * 31, "1e400"])
def test_a_number_that_would_lose_something_is_refused_with_the_way_out(word: str) -> None:
    with pytest.raises(WorkflowError) as refused:
        read_yaml(f"code: {word}", "w.yaml")
    (problem,) = refused.value.problems
    assert (problem.line, problem.column) == (1, 7)
    assert "uote it" in problem.hint


@pytest.mark.parametrize(
    ("text", "problem", "line", "column"),
    [
        ("a: b: c\n", "a ':' is not expected here", 1, 5),
        ("a:\n\t- b\n", "a tabulator in the indentation", 2, 1),
        ("a: 'b\nc: d\n", "the quotes are not closed", 1, 4),
        ("a: {b: c\nd: e\n", "the braces '{ }' are not closed, or a comma is missing", 1, 4),
        ("a: [1, 2\nb: 3\n", "the brackets '[ ]' are not closed, or a comma is missing", 1, 4),
        (
            "a:\n   b: 1\n  c: 2\n",
            "the line does not line up with the ones above, or belongs to nothing",
            3,
            3,
        ),
        ("a: 1\nb\nc: 2\n", "a key without ':'", 2, 1),
        ("a: @x\n", "a text cannot begin with this character", 1, 4),
        ("a: \x1b[31m\n", "a character that cannot be printed", 1, 4),
        ("a: *b\n", "the alias '*b' names no anchor", 1, 4),
        ("a: !!python/object:os.system x\n", "YAML tags are not read", 1, 4),
        ("a: {x: 1}\nb:\n  <<: {x: 1}\n", "the merge key '<<' is not read", 3, 3),
        ("a: 1\nb: 2\na: 3\n", "the key 'a' is written twice", 3, 1),
        ("1: x\n'1': y\n", "the key '1' is written twice", 2, 1),
        ("true: x\n", "a key must be text or a whole number", 1, 1),
        ("? [a, b]\n: c\n", "a key must be text or a whole number", 1, 3),
        ("a: 1\n---\nb: 2\n", "a second document begins here", 2, 1),
        ("%YAML 1.1\n---\na: yes\n", "'%' directives are not read", 2, 1),
        ("", "the file is empty", 1, 1),
        ("# nothing but words\n", "the file is empty", 1, 1),
    ],
)
def test_what_cannot_be_read_is_told_in_plain_words(text: str, problem: str, line: int, column: int) -> None:
    with pytest.raises(WorkflowError) as refused:
        read_yaml(text, "w.yaml")
    first = next(iter(refused.value.problems))
    assert (first.problem, first.line, first.column) == (problem, line, column)
    assert first.hint


def test_all_problems_of_a_file_are_told_together() -> None:
    with pytest.raises(WorkflowError) as refused:
        read_yaml("a: 007\nb: .nan\nc: !x 1\na: 2\n", "w.yaml")
    assert [problem.line for problem in refused.value.problems] == [1, 2, 3, 4]


def test_bytes_that_are_not_utf_8_are_refused_with_their_line() -> None:
    with pytest.raises(WorkflowError, match=r"w\.yaml:2:1: this is not UTF-8 text"):
        read_yaml("a: 1\nb: 東京".encode("shift_jis"), "w.yaml")


def test_windows_files_read_the_same() -> None:
    plain = read_yaml("a: 1\nb: [x, y]\n", "w.yaml")
    windows = read_yaml("\ufeffa: 1\r\nb: [x, y]\r\n".encode(), "w.yaml")
    assert windows.value == plain.value
    assert windows.position(("b", 1)) == plain.position(("b", 1)) == Position(2, 8)
    assert windows.lines == plain.lines


def test_an_alias_repeats_its_anchor_and_points_there() -> None:
    document = read_yaml("base: &base {Status: Planned}\nfields: *base\n", "w.yaml")
    assert document.value == {"base": {"Status": "Planned"}, "fields": {"Status": "Planned"}}
    assert document.position(("fields", "Status")) == Position(1, 22)


def test_an_anchor_twice_is_refused() -> None:
    with pytest.raises(WorkflowError, match="'&a' is written twice"):
        read_yaml("x: &a 1\ny: &a 2\n", "w.yaml")


words = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(10**29), 10**29) | words
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(words, values, min_size=1, max_size=4))
def test_what_is_written_as_json_is_read_as_it_was(value: dict[str, Plain]) -> None:
    assert read_yaml(json.dumps(value, ensure_ascii=False), "w.yaml").value == value


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(words, values, min_size=1, max_size=4), st.sampled_from([None, 2]))
def test_at_the_place_of_a_value_stands_the_value(value: dict[str, Plain], indent: int | None) -> None:
    document = read_yaml(json.dumps(value, ensure_ascii=False, indent=indent), "w.yaml")
    for path, leaf in _leaves(document.value):
        line, column = document.position(path)
        assert document.lines[line - 1][column - 1 :].startswith(json.dumps(leaf, ensure_ascii=False))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"ab1:-?,[]{}'\"\\ \n\t#&*!|>%@~", "  ", ": ", "- ", "<<: ", "é", "\r\n"]),
        max_size=40,
    )
)
def test_no_text_is_too_strange_to_be_refused_in_words(pieces: list[str]) -> None:
    refused = _problems_of("".join(pieces))
    assert all(problem.problem and problem.line for problem in refused)
    assert bool(refused) == bool(refused.render())


def _problems_of(text: str) -> Problems:
    try:
        read_yaml(text, "w.yaml")
    except WorkflowError as refused:
        return refused.problems
    return Problems()


def _leaves(value: Plain, path: Path = ()) -> Iterator[tuple[Path, Plain]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _leaves(child, (*path, index))
    else:
        yield path, value
