"""Numbered rows and a pattern, the other notation of the same tree (D-110)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rules.criteria import tree as t
from rules.criteria.errors import CriteriaError
from rules.criteria.parser import parse, read
from rules.criteria.walking import walk

PATTERN = "pattern"


def parse_rows(source: Mapping[str | int, str]) -> dict[str, t.Tree]:
    """The tree of each row by its number.

    Raises:
        CriteriaError: a row cannot be read, or is not numbered.
    """
    return {str(number): _row(str(number), text) for number, text in source.items() if number != PATTERN}


def _row(number: str, text: object) -> t.Tree:
    if not number.isascii() or not number.isdecimal() or number.startswith("0"):
        raise CriteriaError(
            f"'{number}' is no row number",
            hint="Rows are numbered 1, 2, 3; the pattern stands under `pattern`.",
        )
    if not isinstance(text, str):
        raise CriteriaError("a row is a text", row=number)
    try:
        return parse(text)
    except CriteriaError as error:
        raise error.within(text, number) from None


def combine(rows: Mapping[str, t.Tree], pattern: str | None) -> t.Tree:
    """One tree of the rows as the pattern joins them; without a pattern all rows must hold.

    Raises:
        CriteriaError: the pattern cannot be read, names no row, leaves one out, or mixes ``and`` and ``or``.
    """
    if not rows:
        raise CriteriaError("there are no criteria rows", hint="Number them: {1: …, 2: …}.")
    if pattern is None:
        return _joined(t.And, list(rows.values()))
    try:
        shape = read(pattern, PATTERN)
        _check_mixed(shape, pattern)
        _check_rows(shape, rows)
    except CriteriaError as error:
        raise error.within(pattern, PATTERN) from None
    return _filled(shape, rows)


def _joined(kind: type[t.And] | type[t.Or], parts: list[Any]) -> t.Tree:
    joined: t.Tree = parts[0] if len(parts) == 1 else kind(tuple(parts))
    return joined


def _numbers(shape: t.Node) -> Iterator[t.Name]:
    return (node for node in walk(shape) if isinstance(node, t.Name))


def _check_rows(shape: t.Node, rows: Mapping[str, t.Tree]) -> None:
    named = list(_numbers(shape))
    for name in named:
        if name.parts[0] not in rows:
            known = ", ".join(rows)
            raise CriteriaError(f"there is no row {name.parts[0]}", hint=f"The rows are {known}.", span=name.span)
    unused = [number for number in rows if all(name.parts[0] != number for name in named)]
    if unused:
        raise CriteriaError(
            f"the pattern leaves out row {', '.join(unused)}",
            hint="Use every row in the pattern, or delete it.",
        )


def _check_mixed(shape: t.Node, pattern: str) -> None:
    """Refuses ``1 or 2 and 3``, which can be read in two ways; a group is an ``And`` of one part."""
    for node in walk(shape):
        if isinstance(node, t.Or) and any(isinstance(part, t.And) and len(part.parts) > 1 for part in node.parts):
            by_rank, in_sequence = _readings(node, pattern)
            raise CriteriaError(
                "`and` and `or` are mixed without brackets, which can be read in two ways",
                hint=f"Write either {by_rank} or {in_sequence}.",
                span=node.span,
            )


def _readings(node: t.Or, pattern: str) -> tuple[str, str]:
    """Two readings of a mixed pattern: ``and`` before ``or``, and another, from left to right if that differs."""
    steps: list[tuple[str, str]] = []
    for part in node.parts:
        several = isinstance(part, t.And) and len(part.parts) > 1
        for position, step in enumerate(part.parts if several and isinstance(part, t.And) else (part,)):
            text = " ".join(pattern[step.span.start : step.span.end].split())
            steps.append(("and" if position else "or", text))
    by_rank, in_sequence = _grouped(steps, "and", "or"), _in_sequence(steps)
    other = in_sequence if in_sequence != by_rank else _grouped(steps, "or", "and")
    return f'"{by_rank}"', f'"{other}"'


def _grouped(steps: Sequence[tuple[str, str]], inner: str, outer: str) -> str:
    """The steps with brackets round those that one word joins."""
    groups: list[list[str]] = []
    for word, text in steps:
        if groups and word == inner:
            groups[-1].append(text)
        else:
            groups.append([text])
    texts = (f" {inner} ".join(group) for group in groups)
    bracketed = (f"({text})" if len(group) > 1 else text for text, group in zip(texts, groups, strict=True))
    return f" {outer} ".join(bracketed)


def _in_sequence(steps: Sequence[tuple[str, str]]) -> str:
    """The steps with brackets as if read from left to right."""
    sequence, last = steps[0][1], ""
    for word, text in steps[1:]:
        start = f"({sequence})" if last not in ("", word) else sequence
        sequence, last = f"{start} {word} {text}", word
    return sequence


def _filled(shape: Any, rows: Mapping[str, t.Tree]) -> t.Tree:
    if isinstance(shape, t.Name):
        return replace(rows[shape.parts[0]])
    if isinstance(shape, t.Not):
        return t.Not(_filled(shape.part, rows))  # type: ignore[arg-type]  # check.py asks whether it is a condition
    return _joined(type(shape), [_filled(part, rows) for part in shape.parts])
