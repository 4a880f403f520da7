"""What is refused before any record is seen: wrong kinds (D-115), values no picklist has (D-114), misuse."""

from collections.abc import Iterable
from decimal import Decimal
from functools import singledispatch

from rules.criteria import tree as t
from rules.criteria.comparing import moment, order
from rules.criteria.conditions import compile_pattern
from rules.criteria.errors import CriteriaError
from rules.criteria.functions import FUNCTIONS, Function, Kind
from rules.criteria.kinds import field_of, kind_of
from rules.criteria.names import Context
from rules.criteria.printing import quoted, text_of
from rules.criteria.walking import children, is_condition, walk
from rules.suggest import did_you_mean
from schemas.metadata import Field
from schemas.values import Amount, Value, fold, is_empty, to_number


def check(tree: t.Tree, context: Context) -> None:
    """Refuses a resolved tree that cannot mean what it says.

    Raises:
        CriteriaError: for the first such place in the order of the text.
    """
    for node in walk(tree):
        _check_parts(node)
        _check(node, context)


def check_condition(tree: t.Tree) -> None:
    """Refuses a value where a condition belongs. Raises CriteriaError."""
    if not is_condition(tree):
        raise CriteriaError(
            f"`{text_of(tree)}` is a value, not a condition",
            hint=f"Say what of it: `{text_of(tree)} is …`, `{text_of(tree)} is not empty`.",
            span=tree.span,
        )


def _check_parts(node: t.Node) -> None:
    if isinstance(node, t.Formula):
        return
    for child in children(node):
        if isinstance(node, t.And | t.Or | t.Not | t.Window) or child is getattr(node, "where", None):
            check_condition(child)  # type: ignore[arg-type]  # children of a tree are trees
        elif is_condition(child):
            raise CriteriaError(
                "a condition stands where a value belongs",
                hint="Join conditions with `and` and `or`; they need no `is true`.",
                span=child.span,
            )


# --- single nodes


@singledispatch
def _check(node: t.Node, context: Context) -> None:
    """Nothing to refuse."""


@_check.register(t.Compare)
def _(node: t.Compare, context: Context) -> None:
    if node.relation == "is":
        _check_values(node.left, [node.right], context)
        _check_values(node.right, [node.left], context)
    else:
        _check_pair(node.left, node.right, context)
        for side in (node.left, node.right):
            _refuse(side, ("boolean", "list"), f"has no order, so `{node.relation}` is never true", context)


@_check.register(t.Between)
def _(node: t.Between, context: Context) -> None:
    for bound in (node.low, node.high):
        _check_pair(node.left, bound, context)
    _refuse(node.left, ("boolean", "list"), "has no order", context)


@_check.register(t.OneOf)
def _(node: t.OneOf, context: Context) -> None:
    _check_values(node.left, node.options, context)


@_check.register(t.Members)
def _(node: t.Members, context: Context) -> None:
    _refuse(
        node.left,
        ("number", "boolean", "date"),
        f"is not a multi-select, so `{node.relation}` says nothing",
        context,
    )
    _check_values(node.left, node.options, context)


@_check.register(t.TextTest)
def _(node: t.TextTest, context: Context) -> None:
    _refuse(node.left, ("number", "boolean", "date"), f"is no text, so `{node.relation}` is never true", context)
    _refuse(node.right, ("number", "boolean", "date", "list"), "is no text: write it in quotes", context)
    _refuse_empty_text(node.right)


@_check.register(t.Matches)
def _(node: t.Matches, context: Context) -> None:
    _refuse(node.left, ("number", "boolean", "date", "list"), "is no text, so `matches` is never true", context)
    try:
        compile_pattern(node.pattern, node.exactly)
    except ValueError as error:
        raise CriteriaError(
            f"the pattern cannot be read: {error}",
            hint="Patterns are RE2: no look-around and no back references.",
            span=node.span,
        ) from None


@_check.register(t.OnDay)
@_check.register(t.InPeriod)
@_check.register(t.Near)
def _(node: t.OnDay | t.InPeriod | t.Near, context: Context) -> None:
    _refuse(node.left, ("text", "number", "boolean", "list", "duration"), "is no date", context)
    if isinstance(node, t.Near) and node.relation == "anniversary" and not node.duration.in_days:
        raise CriteriaError("anniversaries are days", hint="Say how many days or weeks ahead.", span=node.span)


@_check.register(t.Change)
def _(node: t.Change, context: Context) -> None:
    _check_values(node.left, [side for side in (node.old, node.new) if side is not None], context)


@_check.register(t.Moved)
def _(node: t.Moved, context: Context) -> None:
    _refuse(node.left, ("text", "boolean", "list"), f"is no number or date, so it is never {node.kind}", context)
    if node.amount is None:
        return
    if node.kind.startswith("crosses"):
        _check_pair(node.left, node.amount, context)
        _check_reset(node, node.amount, context)
    elif isinstance(node.amount, t.Length):
        _refuse(node.left, ("number",), "is no date: a duration is added to dates", context)
    else:
        _refuse(node.left, ("date",), "is a date: say by how many days", context)


def _check_reset(node: t.Moved, threshold: t.Operand, context: Context) -> None:
    """Refuses a reset level that is not on the near side of the threshold, where both are written out (D-24)."""
    if node.reset is None:
        return
    _check_pair(node.left, node.reset, context)
    _check_pair(threshold, node.reset, context)
    compared = order(_written(node.reset), _written(threshold), context.calendar)
    above = node.kind == "crosses above"
    if compared is not None and (compared >= 0 if above else compared <= 0):
        side = "below" if above else "above"
        raise CriteriaError(
            f"`reset at {text_of(node.reset)}` is not {side} {text_of(threshold)}",
            hint=f"The field has to come back before it can cross again: name a value {side} {text_of(threshold)}.",
            span=node.reset.span,
        )


def _written(node: t.Operand) -> Value:
    """The value that a text says outright, a negative number too; none for what is known only when it runs."""
    if isinstance(node, t.Negative):
        number = to_number(_written(node.operand))
        return None if number is None else Amount(Decimal(number).copy_negate())
    return node.value if isinstance(node, t.Constant) else None


@_check.register(t.WasEver)
@_check.register(t.WasFor)
def _(node: t.WasEver | t.WasFor, context: Context) -> None:
    _check_values(node.left, [node.value], context)


@_check.register(t.UserTest)
def _(node: t.UserTest, context: Context) -> None:
    _refuse(node.left, ("number", "boolean", "date"), "names no user", context)


@_check.register(t.Quantified)
def _(node: t.Quantified, context: Context) -> None:
    if node.where is None and node.kind in ("all", "all_or_no"):
        raise CriteriaError(
            f"`{node.kind} {node.alias}` of what?",
            hint=f"Write {node.kind} {node.alias} where (…).",
            span=node.span,
        )


@_check.register(t.Aggregate)
def _(node: t.Aggregate, context: Context) -> None:
    field = t.Field(node.alias, node.name, span=node.span)
    if node.kind in ("sum", "avg"):
        _refuse(field, ("text", "boolean", "date", "list"), f"is no number, so it has no {node.kind}", context)


@_check.register(t.Binary)
def _(node: t.Binary, context: Context) -> None:
    if isinstance(node.right, t.Length):
        _refuse(
            node.left,
            ("text", "number", "boolean", "list", "duration"),
            "is no date to add a duration to",
            context,
        )
        if node.sign not in "+-":
            raise CriteriaError("a duration is added or subtracted", span=node.span)
        return
    _refuse(node.left, ("duration",), "stands on the right: date + 1 day", context)
    for side in (node.left, node.right):
        _refuse(side, ("boolean", "list"), "is no number", context)
        if node.sign != "+":
            _refuse(side, ("text",), "is no number", context)
            _refuse(side, ("date",), "is a date: use days_between(a, b)", context)
    _check_pair(node.left, node.right, context)


@_check.register(t.Negative)
def _(node: t.Negative, context: Context) -> None:
    _refuse(node.operand, ("text", "boolean", "date", "list", "duration"), "is no number", context)


@_check.register(t.Call)
def _(node: t.Call, context: Context) -> None:
    function = FUNCTIONS.get(node.name)
    if function is None:
        known = (*FUNCTIONS, "count", "sum", "avg", "first", "last")
        hint = did_you_mean(node.name, known) or f"There are {', '.join(sorted(known))}."
        raise CriteriaError(f"there is no function '{node.name}'", hint=hint, span=node.span)
    _check_count(node, function)
    wrong: dict[Kind, tuple[Kind, ...]] = {
        "text": ("number", "boolean"), "number": ("text", "boolean", "date", "list"),
        "date": ("number", "boolean", "list"),
    }  # fmt: skip
    for argument in node.arguments:
        refused = ("duration", *wrong.get(function.takes, ()))
        _refuse(argument, refused, f"is no {function.takes}, which {node.name}(…) takes", context)


def _check_count(node: t.Call, function: Function) -> None:
    count = len(node.arguments)
    if not function.least <= count <= function.most or (node.name == "date" and count == 2):
        least, most = function.least, function.most
        number = str(least) if least == most else f"{least} to {most}"
        raise CriteriaError(f"{node.name}(…) takes {number} values, not {count}", span=node.span)


# --- pairs


def _refuse(node: t.Operand, kinds: Iterable[Kind], because: str, context: Context) -> None:
    if kind_of(node, context) in kinds:
        raise CriteriaError(f"`{text_of(node)}` {because}", span=node.span)


def _check_pair(left: t.Operand, right: t.Operand, context: Context) -> None:
    kinds = {kind_of(left, context), kind_of(right, context)}
    if "duration" in kinds:
        raise CriteriaError(
            "a duration is no value to compare with",
            hint="Compare dates: created_at + 1 day < now().",
            span=right.span,
        )
    if len(kinds) < 2 or "unknown" in kinds or kinds == {"text", "list"}:
        return
    if kinds == {"date", "text"}:
        _check_date(left, right)
        return
    names = {"list": "multi-select"}
    one, other = (names.get(kind_of(side, context), kind_of(side, context)) for side in (left, right))
    raise CriteriaError(
        f"`{text_of(left)}` is {one}, `{text_of(right)}` is {other}",
        hint=_pair_hint(left, right, kinds),
        span=right.span,
    )


def _pair_hint(left: t.Operand, right: t.Operand, kinds: set[Kind]) -> str:
    if kinds == {"text", "number"}:
        for side in (left, right):
            if isinstance(side, t.Constant) and not isinstance(side.value, str):
                return f"Write the text as {quoted(text_of(side))}."
            if isinstance(side, t.Constant | t.Exact):
                return "Numbers are written without quotes."
    return "Write `is true` or `is false`." if "boolean" in kinds else ""


def _check_date(left: t.Operand, right: t.Operand) -> None:
    for side in (left, right):
        if isinstance(side, t.Constant) and isinstance(side.value, str) and moment(side.value) is None:
            raise CriteriaError(
                f"{text_of(side)} is no date",
                hint='Dates are written "2026-01-31" or "2026-01-31T09:00:00Z".',
                span=side.span,
            )


def _check_values(left: t.Operand, values: Iterable[t.Operand], context: Context) -> None:
    for value in values:
        _check_pair(left, value, context)
        _refuse_empty_text(value)
        if isinstance(left, t.Field | t.Before | t.Pick) and isinstance(value, t.Constant | t.Exact):
            _check_choice(field_of(left.alias, left.name, context), value)


def _refuse_empty_text(value: t.Operand) -> None:
    if isinstance(value, t.Constant) and is_empty(value.value):
        raise CriteriaError("nothing equals an empty text", hint="Write `is empty` or `is not empty`.", span=value.span)


def _check_choice(field: Field, value: t.Constant | t.Exact) -> None:
    """Refuses a text that a picklist does not have: it would be a rule that never fires (D-114)."""
    text = value.text if isinstance(value, t.Exact) else value.value
    if not field.values or field.type not in ("picklist", "multipicklist") or not isinstance(text, str):
        return
    known = set(field.values) if isinstance(value, t.Exact) else {fold(one) for one in field.values}
    if (text if isinstance(value, t.Exact) else fold(text)) not in known:
        hint = did_you_mean(text, field.values) or f"The values are {', '.join(map(quoted, field.values[:20]))}."
        raise CriteriaError(f"{field.name} has no value {quoted(text)}", hint=hint, span=value.span)
