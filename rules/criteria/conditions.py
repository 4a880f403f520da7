"""Verdicts over values: logic, equality, order, text, presence and multi-selects, as closures.

The everyday comparisons, a field with a constant, have closures of their own (``fast.py``).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from unicodedata import normalize

import re2

from rules.calendars import Calendar
from rules.criteria import tree as t
from rules.criteria.closures import Test, negative, value_of, verdict_of
from rules.criteria.comparing import equal, member, members, order
from rules.criteria.fast import fast_choice, fast_comparison
from rules.criteria.names import Context
from rules.criteria.related import early_count
from rules.criteria.scope import Scope, Unknown, Verdict
from schemas.values import Value, fold, is_empty

# --- logic (D-04): unknown and false = false, unknown or true = true


@verdict_of.register(t.And)
def _(node: t.And, context: Context) -> Test:
    # What looks at one field goes first: a false part ends it, and the order of pure tests does not matter.
    ordered = sorted(node.parts, key=lambda part: not isinstance(part, t.Compare | t.OneOf))
    parts = tuple(verdict_of(part, context) for part in ordered)

    def test(scope: Scope) -> Verdict:
        verdict: Verdict = True
        for part in parts:
            one = part(scope)
            if one is False:
                return False
            if one is None:
                verdict = None
        return verdict

    return test


@verdict_of.register(t.Or)
def _(node: t.Or, context: Context) -> Test:
    parts = tuple(verdict_of(part, context) for part in node.parts)

    def test(scope: Scope) -> Verdict:
        verdict: Verdict = False
        for part in parts:
            one = part(scope)
            if one is True:
                return True
            if one is None:
                verdict = None
        return verdict

    return test


@verdict_of.register(t.Not)
def _(node: t.Not, context: Context) -> Test:
    part = verdict_of(node.part, context)

    def test(scope: Scope) -> Verdict:
        verdict = part(scope)
        return None if verdict is None else not verdict

    return test


# --- comparisons

_BY_ORDER: Final[Mapping[str, Callable[[int], bool]]] = {
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
}


def related(relation: t.Relation, left: Value, right: Value, calendar: Calendar) -> bool:
    """Whether two values stand in a relation; an order with an empty or ill-typed side is false (D-112)."""
    if relation == "is":
        return equal(left, right, calendar)
    compared = order(left, right, calendar)
    return compared is not None and _BY_ORDER[relation](compared)


def same_as(operand: t.Operand) -> Callable[[Value, Value, Calendar], bool]:
    """How to compare for equality with an operand: letter by letter with ``exactly`` (D-113)."""
    return _identical if isinstance(operand, t.Exact) else equal


def _identical(left: Value, right: Value, calendar: Calendar) -> bool:
    return members(left) == members(right)


def both(left: t.Operand, right: t.Operand, context: Context, holds: Callable[[Value, Value], bool]) -> Test:
    """A test of two values, unknown where one of them is."""
    one, other = value_of(left, context), value_of(right, context)

    def test(scope: Scope) -> Verdict:
        first, second = one(scope), other(scope)
        if isinstance(first, Unknown) or isinstance(second, Unknown):
            return None
        return holds(first, second)

    return test


@verdict_of.register(t.Compare)
def _(node: t.Compare, context: Context) -> Test:
    test = fast_comparison(node, context) or early_count(node, context) or _comparison(node, context)
    return negative(test, node) if node.negated else test


def _comparison(node: t.Compare, context: Context) -> Test:
    calendar, relation = context.calendar, node.relation
    if isinstance(node.left, t.Exact) or isinstance(node.right, t.Exact):
        return both(node.left, node.right, context, lambda one, other: _identical(one, other, calendar))
    return both(node.left, node.right, context, lambda one, other: related(relation, one, other, calendar))


@verdict_of.register(t.Between)
def _(node: t.Between, context: Context) -> Test:
    return verdict_of(t.And(bounds_of(node)), context)


def bounds_of(node: t.Between) -> tuple[t.Compare, t.Compare]:
    """The two comparisons that ``between`` stands for."""
    if node.exclusive:
        return t.Compare(">", node.left, node.low), t.Compare("<", node.left, node.high)
    return t.Compare(">=", node.left, node.low), t.Compare("<=", node.left, node.high)


@verdict_of.register(t.OneOf)
def _(node: t.OneOf, context: Context) -> Test:
    test = fast_choice(node, context) or _choice(node, context)
    return negative(test, node) if node.negated else test


def _choice(node: t.OneOf, context: Context) -> Test:
    options = tuple(t.Compare("is", node.left, option) for option in node.options)
    return verdict_of(t.Or(options), context)


@verdict_of.register(t.Empty)
def _(node: t.Empty, context: Context) -> Test:
    operand = value_of(node.operand, context)

    def test(scope: Scope) -> Verdict:
        value = operand(scope)
        return None if isinstance(value, Unknown) else is_empty(value)

    return negative(test, node) if node.negated else test


# --- text and multi-selects


def _found(relation: t.TextRelation, text: str, part: str) -> bool:
    if relation == "contains":
        return part in text
    return text.startswith(part) if relation == "starts with" else text.endswith(part)


def _text_holds(relation: t.TextRelation, left: Value, right: Value, folded: bool) -> bool:
    """Whether the text has that part; an empty part is in nothing, a value that is no text has no parts."""
    if is_empty(left) or not isinstance(right, str) or is_empty(right):
        return False
    if isinstance(left, list):
        wanted = fold(right) if folded else right
        return relation == "contains" and wanted in [fold(str(one)) if folded else one for one in left]
    if not isinstance(left, str):
        return False
    return _found(relation, fold(left), fold(right)) if folded else _found(relation, left, right)


@verdict_of.register(t.TextTest)
def _(node: t.TextTest, context: Context) -> Test:
    relation, folded = node.relation, not isinstance(node.right, t.Exact)
    test = both(node.left, node.right, context, lambda one, other: _text_holds(relation, one, other, folded))
    return negative(test, node) if node.negated else test


def compile_pattern(pattern: str, exactly: bool) -> Any:
    """The compiled pattern (RE2, linear time). Raises ValueError with the reason, in one line."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = exactly
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0] if error.args else "no pattern"
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(text) from None


@verdict_of.register(t.Matches)
def _(node: t.Matches, context: Context) -> Test:
    operand, exactly = value_of(node.left, context), node.exactly
    pattern = compile_pattern(node.pattern, exactly)

    def test(scope: Scope) -> Verdict:
        value = operand(scope)
        if isinstance(value, Unknown):
            return None
        if not isinstance(value, str):
            return False
        return pattern.search(value if exactly else normalize("NFKC", value)) is not None

    return test


@verdict_of.register(t.Members)
def _(node: t.Members, context: Context) -> Test:
    operand, calendar = value_of(node.left, context), context.calendar
    options = tuple(value_of(option, context) for option in node.options)
    holds = _MEMBER_TESTS[node.relation]

    def test(scope: Scope) -> Verdict:
        found, chosen = operand(scope), [option(scope) for option in options]
        if isinstance(found, Unknown) or any(isinstance(one, Unknown) for one in chosen):
            return None
        return holds(members(found), [one for one in chosen if not isinstance(one, Unknown)], calendar)

    return negative(test, node) if node.negated or node.relation == "has none" else test


def _has_all(found: list[Value], wanted: list[Value], calendar: Calendar) -> bool:
    return bool(found) and all(member(one, found, calendar) for one in wanted)


def _has_any(found: list[Value], wanted: list[Value], calendar: Calendar) -> bool:
    return any(member(one, found, calendar) for one in wanted)


def _is_exactly(found: list[Value], wanted: list[Value], calendar: Calendar) -> bool:
    return _has_all(found, wanted, calendar) and all(member(one, wanted, calendar) for one in found)


_MEMBER_TESTS: Final = {
    "has all": _has_all, "has any": _has_any, "has none": _has_any, "is exactly": _is_exactly,
}  # fmt: skip
