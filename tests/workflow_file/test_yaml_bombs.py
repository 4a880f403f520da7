"""Files made to hurt: each is refused at once, at a place, with words that a person can act on."""

import time
from itertools import pairwise

import pytest

from rules.errors import WorkflowError
from rules.source import read_yaml

MANY_LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
WIDE_LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{below}'] * 9)}]\n" for below, one in pairwise("abcdefgh")
)
SMALL_BUT_FAT = f"a: &a [{'x, ' * 2000}x]\nb: &b [*a, *a, *a]\nc: [*b, *b]\n"
DEEP_BY_ALIAS = "a: &a " + "[" * 30 + "]" * 30 + "\nb: " + "[" * 30 + "*a" + "]" * 30 + "\n"

BOMBS = {
    "one byte too many": ("a: 1\n" + "#" * 1_000_000, "larger than 1 MB"),
    "many wide characters": ("a: " + "東" * 400_000, "larger than 1 MB"),
    "one endless line": ("[" * 900_000, "this line has 900000 characters"),
    "too many lines": ("\n" * 900_000 + "a: 1", "more than 20000 lines"),
    "deep brackets": ("[\n" * 9000, "more than 40 levels"),
    "deep brackets in one line": ("[" * 90_000, "more than 40 levels"),
    "deep braces": ("{a: " * 20_000, "more than 40 levels"),
    "deep dashes": ("- " * 40_000, "more than 40 levels"),
    "deep questions": ("? " * 40_000, "more than 40 levels"),
    "deep indentation": ("".join("  " * n + "a:\n" for n in range(900)), "more than 40 levels"),
    "deep through an alias": (DEEP_BY_ALIAS, "more than 40 levels"),
    "billion laughs": (MANY_LAUGHS, "more than 20 aliases"),
    "nine times nine laughs": (WIDE_LAUGHS, "more than 20 aliases"),
    "few aliases of much": (SMALL_BUT_FAT, "more than 10000 values"),
    "an alias inside itself": ("a: &a [1, *a]", "stands inside itself"),
    "very many values": ("- x\n" * 19_000, "more than 10000 values"),
    "very many keys": ("".join(f"k{n}: v\n" for n in range(19_000)), "more than 10000 values"),
    "a huge whole number": ("a: " + "9" * 90_000, "at most 30 digits"),
    "a huge exponent": ("a: 1e" + "9" * 90_000, "at most 30 digits"),
    "a huge negative exponent": ("a: 1e-999999999", "at most 30 digits"),
    "not a number": ("a: .nan", "is not a number that a field can hold"),
    "infinity": ("a: -.inf", "is not a number that a field can hold"),
    "duplicate keys without end": ("a: 1\n" * 19_000, "written twice"),
    "merge keys": ("a: &a {x: 1}\n" + "b:\n  <<: *a\n", "merge key"),
    "merge lists": ("a: &a {x: 1}\nb: {<<: [*a, *a, *a]}", "merge key"),
    "tags without end": ("- !x y\n" * 19_000, "tags are not read"),
    "an object tag": ("a: !!python/object/apply:os.system [ls]", "tags are not read"),
    "anchors without end": ("".join(f"- &a{n} x\n" for n in range(19_000)), "more than 10000 values"),
    "directives without end": ("%TAG ! tag:x,2026:\n" * 9000 + "---\na: 1", "cannot be read as YAML"),
    "documents without end": ("a: 1\n---\n" * 9000, "a second document"),
    "null bytes": ("a: \x00", "cannot be printed"),
    "half a character": ("a: \ud800", "cannot be printed"),
    "an open quote to the end": ("a: '" + "x\n  " * 15_000, "quotes are not closed"),
}


@pytest.mark.parametrize(("text", "words"), BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_at_once_and_in_words(text: str, words: str) -> None:
    began = time.process_time()
    with pytest.raises(WorkflowError) as refused:
        read_yaml(text, "bomb.yaml")
    # A tenth of a second on an idle machine; an expanded bomb would take minutes, and a busy machine ten times as long.
    assert time.process_time() - began < 20
    problem = next(iter(refused.value.problems))
    assert words in problem.problem
    assert problem.hint
    assert problem.file == "bomb.yaml"
    assert len(refused.value.problems) <= 50
    assert len(problem.render()) < 1000


def test_a_few_aliases_are_no_bomb() -> None:
    text = "base: &base {a: 1}\n" + "".join(f"u{n}: *base\n" for n in range(20))
    value = read_yaml(text, "w.yaml").value
    assert isinstance(value, dict)
    assert len(value) == 21


def test_forty_levels_are_no_bomb() -> None:
    assert read_yaml("[" * 40 + "]" * 40, "w.yaml").root.height == 40


def test_a_large_honest_file_is_read() -> None:
    rule = "    - name: rule-{n}\n      trigger: created\n      actions: [{{update: deal, fields: {{A: 1}}}}]\n"
    text = "rules:\n  deal:\n" + "".join(rule.format(n=n) for n in range(500))
    assert read_yaml(text, "w.yaml").root.size > 5000
