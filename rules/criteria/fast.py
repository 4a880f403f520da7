"""The everyday comparisons, a field with a constant, as closures that allocate nothing.

They give the same verdicts as the general ones in ``conditions.py`` (a property test compares them); a value
of another type than the constant's goes the general way.
"""

import operator
from typing import Any, Final

from rules.criteria import tree as t
from rules.criteria.closures import Test
from rules.criteria.comparing import equal, order
from rules.criteria.names import Context
from rules.criteria.scope import UNKNOWN, Scope, Verdict
from schemas.values import Amount, fold, is_empty

_RELATIONS: Final[dict[str, Any]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "is": operator.eq,
}  # fmt: skip


def fast_comparison(node: t.Compare, context: Context) -> Test | None:
    """The closure for a field compared with a text or number; none for other operands."""
    left, right = node.left, node.right
    if not isinstance(left, t.Field) or not isinstance(right, t.Constant) or isinstance(right.value, bool):
        return None
    if isinstance(right.value, int | Amount):
        return _number_test(left, node.relation, right.value, context)
    if node.relation == "is" and not is_empty(right.value):
        return _text_test(left, right.value, context)
    return None


def fast_choice(node: t.OneOf, context: Context) -> Test | None:
    """The closure for a field that is one of several texts; none for other operands."""
    texts = [option.value for option in node.options if isinstance(option, t.Constant)]
    if not isinstance(node.left, t.Field) or len(texts) != len(node.options):
        return None
    words = [text for text in texts if isinstance(text, str) and not is_empty(text)]
    return _choice_test(node.left, words, context) if len(words) == len(texts) else None


def looks_only_at(node: t.Node, alias: str, context: Context) -> bool:
    """Whether a condition is made of these closures alone, over fields of one alias: it needs its record, no more."""
    match node:
        case t.And(parts=parts) | t.Or(parts=parts):
            return all(looks_only_at(part, alias, context) for part in parts)
        case t.Compare(left=t.Field(alias=own), negated=False):
            return own == alias and fast_comparison(node, context) is not None
        case t.OneOf(left=t.Field(alias=own), negated=False):
            return own == alias and fast_choice(node, context) is not None
    return False


def _missing(scope: Scope, alias: str) -> Verdict:
    """The verdict where a record has no such field, or is not there: false, or unknown."""
    try:
        return None if scope[alias] is UNKNOWN else False
    except KeyError:
        return False


def _text_test(left: t.Field, text: str, context: Context) -> Test:
    alias, name, folded, calendar = left.alias, left.name, fold(text), context.calendar
    plain = not text[:1].isdigit()  # a text that may be a date or number goes the general way when not the same

    def test(scope: Any) -> Verdict:  # a record that is not there is caught, which is quicker than to ask
        try:
            value = scope[alias][name]
        except (KeyError, TypeError):
            return _missing(scope, alias)
        if value == text:
            return True
        if plain and type(value) is str:
            return fold(value) == folded
        return equal(value, text, calendar)

    return test


def _number_test(left: t.Field, relation: str, number: int | Amount, context: Context) -> Test:
    alias, name, calendar = left.alias, left.name, context.calendar
    holds = _RELATIONS[relation]

    def test(scope: Any) -> Verdict:  # a record that is not there is caught, which is quicker than to ask
        try:
            value = scope[alias][name]
        except (KeyError, TypeError):
            return _missing(scope, alias)
        kind = type(value)
        if kind is int or kind is Amount:
            verdict: bool = holds(value, number)
            return verdict
        if relation == "is":
            return equal(value, number, calendar)
        compared = order(value, number, calendar)
        return False if compared is None else bool(holds(compared, 0))

    return test


def _choice_test(left: t.Field, texts: list[str], context: Context) -> Test:
    alias, name, calendar = left.alias, left.name, context.calendar
    as_written, folded = frozenset(texts), frozenset(map(fold, texts))
    plain = not any(text[:1].isdigit() for text in texts)

    def test(scope: Any) -> Verdict:  # a record that is not there is caught, which is quicker than to ask
        try:
            value = scope[alias][name]
            if value in as_written:
                return True
        except KeyError:
            return _missing(scope, alias)
        except TypeError:  # no record, or a list
            if not isinstance(scope[alias], dict):
                return _missing(scope, alias)
            value = scope[alias].get(name)
        if plain and type(value) is str:
            return fold(value) in folded
        return any(equal(value, text, calendar) for text in texts)

    return test
