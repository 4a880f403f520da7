"""How problems look: place, words, source with carets, what to do next; as text and as JSON."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.criteria.errors import CriteriaError, Span
from rules.document import caret, where
from rules.errors import Place, Problem, Problems, WorkflowError
from rules.source import read_yaml
from rules.validation import problem_in_text


def wrong(source: str, words: str, row: str = "") -> CriteriaError:
    """An error of the criteria language about these words."""
    start = source.index(words)
    return CriteriaError("unknown field", source=source, span=Span(start, start + len(words)), row=row)


def test_a_problem_is_rendered_with_place_source_carets_and_hint() -> None:
    text = 'rules:\n  deal:\n    - name: won\n      trigger: {becomes: Stagee is "Closed Won"}\n'
    document = read_yaml(text, "workflows/journey.yaml")
    error = CriteriaError(
        "unknown field 'Stagee' of tab deal (zoho.Deals)",
        hint="Did you mean 'Stage'?",
        source='Stagee is "Closed Won"',
        span=Span(0, 6),
    )
    problem = problem_in_text(document, ("rules", "deal", 0, "trigger", "becomes"), error)
    assert problem.render() == (
        "workflows/journey.yaml:4:26: unknown field 'Stagee' of tab deal (zoho.Deals)\n"
        '    trigger: {becomes: Stagee is "Closed Won"}\n'
        "                       ^^^^^^\n"
        "  Did you mean 'Stage'?"
    )
    assert problem.to_json() == {
        "file": "workflows/journey.yaml",
        "line": 4,
        "column": 26,
        "where": "rules.deal[0].trigger.becomes",
        "severity": "error",
        "problem": "unknown field 'Stagee' of tab deal (zoho.Deals)",
        "hint": "Did you mean 'Stage'?",
        "excerpt": 'trigger: {becomes: Stagee is "Closed Won"}\n                   ^^^^^^',
    }


@pytest.mark.parametrize(
    ("written", "words", "line", "column"),
    [
        ("a is b and c is d", "c", 1, 16),
        ("'a is ''x'' and cc is d'", "cc", 1, 21),
        ("'a is ''x y'''", "'x y'", 1, 11),
        ('"a is \\"x y\\" and cc"', '"x y"', 1, 11),
        ('"a is \\"x y\\" and cc"', "cc", 1, 23),
        ("|\n  a is b\n  and cc is d", "cc", 3, 7),
        (">\n  a is b\n  and cc is d", "cc", 3, 7),
        ("aa is b\n  and aa is c", "is c", 2, 10),
        ("状態 is 完了 and cc", "cc", 1, 18),
    ],
)
def test_carets_stand_under_the_very_words(written: str, words: str, line: int, column: int) -> None:
    document = read_yaml(f"on: {written}\n", "w.yaml")
    source = document.value["on"] if isinstance(document.value, dict) else None
    assert isinstance(source, str)
    problem = problem_in_text(document, ("on",), wrong(source, words))
    assert (problem.line, problem.column) == (line, column)


def test_a_part_of_a_text_is_found_inside_it() -> None:
    document = read_yaml("Name: Demo for {{ acount.Name }}\n", "w.yaml")
    problem = problem_in_text(document, ("Name",), wrong(" acount.Name ", "acount"))
    assert problem.excerpt == "Name: Demo for {{ acount.Name }}\n                  ^^^^^^"


def test_the_second_of_two_equal_words_is_found() -> None:
    document = read_yaml('on: "a.b is 1 and \\"a.b\\" is a.b"\n', "w.yaml")
    source = 'a.b is 1 and "a.b" is a.b'
    error = CriteriaError("unknown", source=source, span=Span(len(source) - 3, len(source)))
    assert problem_in_text(document, ("on",), error).column == 30


@pytest.mark.parametrize("written", ['"caf\\u00e9 is 1 and cafe\\u0301 is 2"', "a is\n  b"])
def test_a_spot_that_cannot_be_told_falls_back_to_the_text(written: str) -> None:
    document = read_yaml(f"on: {written}\n", "w.yaml")
    source = document.value["on"] if isinstance(document.value, dict) else None
    assert isinstance(source, str)
    words = "é" if "é" in source else "is b"
    assert problem_in_text(document, ("on",), wrong(source, words)).column == 5


def test_a_row_of_numbered_criteria_is_found_by_its_number() -> None:
    document = read_yaml("criteria:\n  1: a is b\n  2: cc is d\n  pattern: 1 nad 2\n", "w.yaml")
    row = problem_in_text(document, ("criteria",), wrong("cc is d", "cc", row="2"))
    pattern = problem_in_text(document, ("criteria",), wrong("1 nad 2", "nad", row="pattern"))
    assert (row.line, row.column, row.where) == (3, 6, "criteria[2]")
    assert (pattern.line, pattern.column) == (4, 14)


def test_a_problem_without_a_line_names_the_path() -> None:
    problem = Problem("no such tab", "", Place("w.yaml", where="tabs.deal"), "warning")
    assert problem.render() == "w.yaml, tabs.deal: warning: no such tab"
    assert Problem("no such tab").render() == "no such tab"


def test_wide_characters_get_two_carets_each() -> None:
    assert caret("    状態: 完了 x", 9, 2) == "状態: 完了 x\n      ^^^^"


def test_long_lines_are_cut_around_the_spot() -> None:
    source, carets = caret("x" * 500 + "HERE" + "y" * 500, 501, 4).split("\n")
    assert len(source) <= 110
    assert source[carets.index("^") : carets.index("^") + 4] == "HERE"
    assert source.startswith("…")


def test_an_excerpt_prints_no_terminal_controls() -> None:
    assert "\x1b" not in caret("a: \x1b[31mred\u202e", 4, 3)


@settings(max_examples=80, deadline=None)
@given(
    st.text(st.characters(max_codepoint=0x2FFF, categories=["L", "N", "P", "Zs", "Cc"]), max_size=300),
    st.integers(1, 310),
)
def test_an_excerpt_is_always_two_lines_with_a_caret(line: str, column: int) -> None:
    source, carets = caret(line.replace("\n", " ").replace("\r", " "), column, 3).split("\n")
    assert len(source) <= 110
    assert set(carets) <= {" ", "^"}
    assert carets.endswith("^")


def test_paths_read_as_people_write_them() -> None:
    assert where(("rules", "deal", 1, "trigger")) == "rules.deal[1].trigger"
    assert where(("tabs", "a b", "x.y")) == 'tabs["a b"]["x.y"]'
    assert where(()) == ""


def test_problems_come_in_the_order_of_the_file_and_once() -> None:
    first, second = (Problem(f"p{line}", "", Place("w.yaml", line, 1)) for line in (3, 10))
    assert list(Problems.of([second, first, second])) == [first, second]
    assert Problems.of([second]) + Problems.of([first]) == Problems.of([first, second])


def test_only_errors_refuse() -> None:
    warning = Problem("hm", severity="warning")
    Problems.of([warning]).refuse()
    with pytest.raises(WorkflowError, match="hm") as refused:
        Problems.of([warning, Problem("no")]).refuse()
    assert refused.value.problems.summary() == "1 error and 1 warning"
    assert Problems().summary() == "no problems"
    assert [one["problem"] for one in refused.value.problems.to_json()] == ["hm", "no"]
