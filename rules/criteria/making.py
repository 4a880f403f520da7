"""From the grammar's rules to nodes of the tree, one small method per rule."""

# ruff: noqa: D102 - each method is documented by the rule of its name in grammar.lark

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from lark import Token
from lark.tree import Meta

from rules.criteria import tree as t
from rules.criteria.errors import CriteriaError, Span
from rules.durations import Duration
from schemas.values import Amount

_LONGEST_NUMBER: Final = 30

_AfterIs = Callable[[t.Operand, bool, Span], t.Condition]
"""What stands after a subject, waiting for that subject, whether it is negated, and the span of both."""


@dataclass(frozen=True)
class _Rows(t.Node):
    """An argument ``path [by path [desc]] [where condition]``, on its way into a node about related rows."""

    path: t.Name
    by: t.Name | None = None
    descending: bool = False
    where: t.Condition | None = None


class Maker:
    """One method per rule of the grammar; each gets the place and what its parts became."""

    def text(self, place: Meta, parts: list[Any]) -> t.Tree:
        found: t.Tree = parts[0]
        return found

    def any_of(self, place: Meta, parts: list[Any]) -> t.Or:
        return t.Or(tuple(parts), span=_span(place))

    def all_of(self, place: Meta, parts: list[Any]) -> t.And:
        return t.And(tuple(parts), span=_span(place))

    def complement(self, place: Meta, parts: list[Any]) -> t.Not:
        return t.Not(parts[0], span=_span(place))

    def in_order(self, place: Meta, parts: list[Any]) -> t.Window:
        return t.Window(parts[0], parts[1], span=_span(place))

    def close_by(self, place: Meta, parts: list[Any]) -> t.Window:
        return t.Window(parts[0], parts[2], _duration(parts[1]), span=_span(place))

    # -- one condition

    def order(self, place: Meta, parts: list[Any]) -> t.Compare:
        return t.Compare(parts[1].value, parts[0], parts[2], span=_span(place))

    def between(self, place: Meta, parts: list[Any]) -> t.Between:
        return t.Between(*parts, span=_span(place))

    def between_exclusive(self, place: Meta, parts: list[Any]) -> t.Between:
        return t.Between(parts[0], parts[1], parts[2], exclusive=True, span=_span(place))

    def holds(self, place: Meta, parts: list[Any]) -> t.Condition:
        after: _AfterIs = parts[1]
        return after(parts[0], False, _span(place))

    def holds_not(self, place: Meta, parts: list[Any]) -> t.Condition:
        after: _AfterIs = parts[1]
        return after(parts[0], True, _span(place))

    def contains(self, place: Meta, parts: list[Any]) -> t.TextTest:
        return t.TextTest("contains", *parts, span=_span(place))

    def contains_not(self, place: Meta, parts: list[Any]) -> t.TextTest:
        return t.TextTest("contains", parts[0], parts[1], negated=True, span=_span(place))

    def starts_with(self, place: Meta, parts: list[Any]) -> t.TextTest:
        return t.TextTest("starts with", *parts, span=_span(place))

    def ends_with(self, place: Meta, parts: list[Any]) -> t.TextTest:
        return t.TextTest("ends with", *parts, span=_span(place))

    def matches(self, place: Meta, parts: list[Any]) -> t.Matches:
        return t.Matches(parts[0], _text(parts[1]), span=_span(place))

    def matches_exactly(self, place: Meta, parts: list[Any]) -> t.Matches:
        return t.Matches(parts[0], _text(parts[1]), exactly=True, span=_span(place))

    def has_all(self, place: Meta, parts: list[Any]) -> t.Members:
        return t.Members("has all", *parts, span=_span(place))

    def has_any(self, place: Meta, parts: list[Any]) -> t.Members:
        return t.Members("has any", *parts, span=_span(place))

    def has_none(self, place: Meta, parts: list[Any]) -> t.Members:
        return t.Members("has none", *parts, span=_span(place))

    def reports_to(self, place: Meta, parts: list[Any]) -> t.UserTest:
        return t.UserTest(parts[0], "reports to", who=parts[1], span=_span(place))

    def exists(self, place: Meta, parts: list[Any]) -> t.Exists:
        return t.Exists(parts[0], span=_span(place))

    def exists_not(self, place: Meta, parts: list[Any]) -> t.Exists:
        return t.Exists(parts[0], negated=True, span=_span(place))

    def quantified(self, place: Meta, parts: list[Any]) -> t.Quantified:
        kind: Any = "no" if parts[0] == "none" else str(parts[0])
        where = parts[2] if len(parts) > 2 else None
        return t.Quantified(kind, parts[1], where, span=_span(place))

    # -- what stands after "is"

    def equals(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.Compare("is", left, parts[0], negated, span=span)

    def empty(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.Empty(left, negated, span=span)

    def exactly_list(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.Members("is exactly", left, parts[0], negated, span=span)

    def on_day(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.OnDay(left, parts[0].value, negated, span=span)

    def in_period(self, place: Meta, parts: list[Any]) -> _AfterIs:
        which, period = (part.value for part in parts)
        return lambda left, negated, span: t.InPeriod(left, which, period, negated, span=span)

    def active(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.UserTest(left, "active", negated=negated, span=span)

    def owner_of(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.UserTest(left, "owner of", parts[0], negated=negated, span=span)

    def one_of(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.OneOf(left, parts[0], negated, span=span)

    def next_days(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.Near(left, "in the next", _duration(parts[0]), negated, span=span)

    def last_days(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.Near(left, "in the last", _duration(parts[0]), negated, span=span)

    def more_ago(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.Near(left, "more than ago", _duration(parts[0]), negated, span=span)

    def less_ago(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.Near(left, "less than ago", _duration(parts[0]), negated, span=span)

    def within(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.Near(left, "within", _duration(parts[0]), negated, span=span)

    def anniversary(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.Near(left, "anniversary", _duration(parts[0]), negated, span=span)

    def in_team(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.UserTest(left, "in team", _text(parts[0]), negated=negated, span=span)

    def in_role(self, place: Meta, parts: list[Any]) -> _AfterIs:
        return lambda left, negated, span: t.UserTest(left, "in role", _text(parts[0]), negated=negated, span=span)

    # -- change and history

    def changed(self, place: Meta, parts: list[Any]) -> t.Change:
        return t.Change(parts[0], span=_span(place))

    def changed_to(self, place: Meta, parts: list[Any]) -> t.Change:
        return t.Change(parts[0], new=parts[1], span=_span(place))

    def changed_from(self, place: Meta, parts: list[Any]) -> t.Change:
        return t.Change(parts[0], old=parts[1], span=_span(place))

    def changed_from_to(self, place: Meta, parts: list[Any]) -> t.Change:
        return t.Change(parts[0], old=parts[1], new=parts[2], span=_span(place))

    def became_empty(self, place: Meta, parts: list[Any]) -> t.Change:
        return t.Change(parts[0], "became empty", span=_span(place))

    def was_filled(self, place: Meta, parts: list[Any]) -> t.Change:
        return t.Change(parts[0], "was filled", span=_span(place))

    def moved(self, place: Meta, parts: list[Any]) -> t.Moved:
        return t.Moved(parts[0], parts[1].value, span=_span(place))

    def moved_by(self, place: Meta, parts: list[Any]) -> t.Moved:
        return t.Moved(parts[0], parts[1].value, parts[2], span=_span(place))

    def moved_by_more(self, place: Meta, parts: list[Any]) -> t.Moved:
        return t.Moved(parts[0], parts[1].value, parts[2], more=True, span=_span(place))

    def crosses(self, place: Meta, parts: list[Any]) -> t.Moved:
        left, side, amount, *reset = parts
        kind: Any = f"crosses {side}"
        return t.Moved(left, kind, amount, reset=reset[0] if reset else None, span=_span(place))

    def was_ever(self, place: Meta, parts: list[Any]) -> t.WasEver:
        return t.WasEver(*parts, span=_span(place))

    def has_never_been(self, place: Meta, parts: list[Any]) -> t.WasEver:
        return t.WasEver(parts[0], parts[1], negated=True, span=_span(place))

    def was_for(self, place: Meta, parts: list[Any]) -> t.WasFor:
        return t.WasFor(parts[0], parts[1], _duration(parts[2]), still=False, span=_span(place))

    def has_been_for(self, place: Meta, parts: list[Any]) -> t.WasFor:
        return t.WasFor(parts[0], parts[1], _duration(parts[2]), still=True, span=_span(place))

    # -- operands

    def add(self, place: Meta, parts: list[Any]) -> t.Binary:
        return t.Binary("+", *parts, span=_span(place))

    def subtract(self, place: Meta, parts: list[Any]) -> t.Binary:
        return t.Binary("-", *parts, span=_span(place))

    def multiply(self, place: Meta, parts: list[Any]) -> t.Binary:
        return t.Binary("*", *parts, span=_span(place))

    def divide(self, place: Meta, parts: list[Any]) -> t.Binary:
        return t.Binary("/", *parts, span=_span(place))

    def negative(self, place: Meta, parts: list[Any]) -> t.Negative:
        return t.Negative(parts[0], span=_span(place))

    def string(self, place: Meta, parts: list[Any]) -> t.Constant:
        return t.Constant(_text(parts[0]), span=_span(place))

    def exact(self, place: Meta, parts: list[Any]) -> t.Exact:
        return t.Exact(_text(parts[0]), span=_span(place))

    def number(self, place: Meta, parts: list[Any]) -> t.Constant:
        return t.Constant(_number(parts[0]), span=_span(place))

    def percent(self, place: Meta, parts: list[Any]) -> t.Constant:
        return t.Constant(Amount(f"{_number(parts[0])}e-2"), percent=True, span=_span(place))

    def duration(self, place: Meta, parts: list[Any]) -> t.Length:
        return t.Length(_duration(parts[0]), span=_span(place))

    def truth(self, place: Meta, parts: list[Any]) -> t.Constant:
        return t.Constant(parts[0] == "true", span=_span(place))

    def bracketed(self, place: Meta, parts: list[Any]) -> t.Tree:
        inner: t.Tree = parts[0]
        return replace(inner, span=_span(place))

    def options(self, place: Meta, parts: list[Any]) -> tuple[t.Operand, ...]:
        return tuple(parts)

    def path(self, place: Meta, parts: list[Any]) -> t.Name:
        return t.Name(tuple(parts), span=_span(place))

    def name(self, place: Meta, parts: list[Any]) -> str:
        token: Token = parts[0]
        return token[1:-1] if token.type == "QUOTED" else str(token)

    def rows(self, place: Meta, parts: list[Any]) -> _Rows:
        return _Rows(parts[0], where=parts[1], span=_span(place))

    def ordered(self, place: Meta, parts: list[Any]) -> _Rows:
        path, by, *rest = parts
        descending = bool(rest) and isinstance(rest[0], Token)
        where = rest[-1] if rest and not isinstance(rest[-1], Token) else None
        return _Rows(path, by, descending, where, span=_span(place))

    def call(self, place: Meta, parts: list[Any]) -> t.Operand:
        name, *arguments = parts
        return _call(str(name), tuple(arguments), _span(place))

    def call_field(self, place: Meta, parts: list[Any]) -> t.Pick:
        return _pick(str(parts[0]), parts[1], parts[2], _span(place))

    # -- the pattern of numbered rows (rows.py)

    def pattern(self, place: Meta, parts: list[Any]) -> Any:
        return parts[0]

    def row_any_of(self, place: Meta, parts: list[Any]) -> Any:
        return t.Or(tuple(parts), span=_span(place))

    def row_all_of(self, place: Meta, parts: list[Any]) -> Any:
        return t.And(tuple(parts), span=_span(place))

    def row_not(self, place: Meta, parts: list[Any]) -> Any:
        return t.Not(parts[0], span=_span(place))

    def row_number(self, place: Meta, parts: list[Any]) -> t.Name:
        return t.Name((str(parts[0]),), span=_span(place))

    def row_group(self, place: Meta, parts: list[Any]) -> Any:
        # One part in a group: brackets stay visible to the check for mixed "and" and "or" (D-110).
        return t.And((parts[0],), span=_span(place))


def _span(place: Meta) -> Span:
    return Span(place.start_pos, place.end_pos)


def _token_span(token: Token) -> Span:
    return Span(token.start_pos or 0, token.end_pos or 0)


def _text(token: Token) -> str:
    """What stands between the quotes; a backslash protects a quote or a backslash and is itself otherwise."""
    return re.sub(r"\\([\"'\\])", r"\1", token[1:-1])


def _number(token: Token) -> int | Amount:
    text = token.rstrip("% \t\n").replace("_", "")
    if len(text) > _LONGEST_NUMBER:
        raise CriteriaError(f"a number has at most {_LONGEST_NUMBER} digits", span=_token_span(token))
    return Amount(text) if "." in text else int(text)


def _duration(token: Token) -> Duration:
    try:
        return Duration.parse(token)
    except ValueError as error:
        raise CriteriaError(str(error), span=_token_span(token)) from None


def _call(name: str, arguments: tuple[Any, ...], span: Span) -> t.Operand:
    only = arguments[0] if len(arguments) == 1 else None
    rows = only if isinstance(only, _Rows) else _Rows(only) if isinstance(only, t.Name) else None
    if name == "count":
        return _count(rows, span)
    if name in ("sum", "avg") or (name in ("min", "max") and len(arguments) == 1):
        return _aggregate(name, rows, span)
    if name in ("first", "last"):
        raise CriteriaError(
            f"{name}(…) names a whole record",
            hint=f"Add the field you want: {name}(contract by StartDate).Status",
            span=span,
        )
    for argument in arguments:
        if isinstance(argument, _Rows):
            raise CriteriaError(
                f"{name}(…) takes values, not related rows",
                hint="`where` and `by` belong to count, sum, min, max, avg, first and last.",
                span=argument.span,
            )
    return t.Call(name, arguments, span=span)


def _count(rows: _Rows | None, span: Span) -> t.Count:
    if rows is None or rows.by or len(rows.path.parts) != 1:
        raise CriteriaError("count(…) counts the rows of a tab", hint="Write count(contract).", span=span)
    return t.Count(rows.path.parts[0], rows.where, span=span)


def _aggregate(name: Any, rows: _Rows | None, span: Span) -> t.Aggregate:
    if rows is None or rows.by or len(rows.path.parts) != 2:
        raise CriteriaError(f"{name}(…) needs one field of a related tab", hint=f"Write {name}(item.Price).", span=span)
    return t.Aggregate(name, *rows.path.parts, rows.where, span=span)


def _pick(name: Any, rows: Any, field: str, span: Span) -> t.Pick:
    ordered = isinstance(rows, _Rows) and rows.by is not None
    if name not in ("first", "last") or not ordered or len(rows.path.parts) != 1 or len(rows.by.parts) != 1:
        raise CriteriaError(
            "a field follows only on first(… by …) and last(… by …)",
            hint="Write first(contract by StartDate).Status",
            span=span,
        )
    return t.Pick(name, rows.path.parts[0], rows.by.parts[0], rows.descending, field, rows.where, span=span)
