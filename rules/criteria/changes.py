"""What the waking event did to a field (D-117), and what a field held before that (its trail).

A trail stands in the image under ``~Field``: ``[[since_ms, value], ...]``, oldest first, the last is now.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from rules.calendars import Calendar, Duration
from rules.criteria import tree as t
from rules.criteria.closures import Read, Seen, Test, absent, negative, value_of, verdict_of
from rules.criteria.comparing import EXACT, order
from rules.criteria.conditions import same_as
from rules.criteria.names import Context
from rules.criteria.operands import shift
from rules.criteria.scope import UNKNOWN, Scope, Unknown, Verdict
from schemas.values import TRAIL, Amount, Value, is_empty, to_number

Same = Callable[[Value, Value], bool]


def _same(operand: t.Operand, context: Context) -> Same:
    compare, calendar = same_as(operand), context.calendar
    return lambda one, other: compare(one, other, calendar)


@verdict_of.register(t.Change)
def _(node: t.Change, context: Context) -> Test:
    if node.kind != "changed":
        return _presence_test(node, context)
    name, now_holds = _field_of(node).name, _side(node.new, context)
    then_held = _side(node.old, context)
    value = value_of(node.left, context)

    def test(scope: Scope) -> Verdict:
        if scope.before is None or name not in scope.changed:
            return False
        old, new = then_held(scope, scope.before.get(name)), now_holds(scope, value(scope))
        if old is False or new is False:
            return False
        return None if old is None or new is None else True

    return test


def _field_of(node: t.Change | t.Moved) -> t.Field:
    assert isinstance(node.left, t.Field)  # resolve.py lets nothing else through
    return node.left


def _side(operand: t.Operand | None, context: Context) -> Callable[[Scope, Seen], Verdict]:
    """Whether a value is the one that was asked for; any value is, where none was."""
    if operand is None:
        return lambda scope, value: True
    wanted, same = value_of(operand, context), _same(operand, context)

    def holds(scope: Scope, value: Seen) -> Verdict:
        expected = wanted(scope)
        if isinstance(value, Unknown) or isinstance(expected, Unknown):
            return None
        return same(value, expected)

    return holds


def _presence_test(node: t.Change, context: Context) -> Test:
    name, value = _field_of(node).name, value_of(node.left, context)
    emptied = node.kind == "became empty"

    def test(scope: Scope) -> Verdict:
        if scope.before is None or name not in scope.changed:
            return False
        now = value(scope)
        if isinstance(now, Unknown):
            return None
        return is_empty(now) is emptied and is_empty(scope.before.get(name)) is not emptied

    return test


# --- rose, fell, crossed


@verdict_of.register(t.Moved)
def _(node: t.Moved, context: Context) -> Test:
    name, value = _field_of(node).name, value_of(node.left, context)
    amount: Read = value_of(node.amount, context) if node.amount is not None else lambda scope: None
    moved, armed = _movement(node, context.calendar), armed_test(node, context)

    def test(scope: Scope) -> Verdict:
        if scope.before is None or name not in scope.changed:
            return False
        new, by = value(scope), amount(scope)
        if isinstance(new, Unknown) or isinstance(by, Unknown):
            return None
        return moved(scope.before.get(name), new, by) and armed(scope)

    return test


def armed_test(node: t.Moved, context: Context) -> Test:
    """Whether a crossing counts (D-24): the field was back at its reset level since it was last beyond.

    The trail alone decides. Where it tells of neither, the crossing counts, and so it does where no trail was kept.
    """
    if node.amount is None or node.reset is None:
        return lambda scope: True
    field, calendar, sign = _field_of(node), context.calendar, _sign(node)
    threshold, reset = value_of(node.amount, context), value_of(node.reset, context)

    def test(scope: Scope) -> Verdict:
        limit, level = threshold(scope), reset(scope)
        if isinstance(limit, Unknown) or isinstance(level, Unknown):
            return None
        for _, value in reversed((trail_of(scope, field) or ())[:-1]):  # the last entry is the present value
            if _reached(value, level, -sign, False, calendar):
                return True
            if _beyond(value, limit, sign, calendar):
                return False
        return True

    return test


def _sign(node: t.Moved) -> int:
    return 1 if node.kind in ("increased", "crosses above") else -1


def _movement(node: t.Moved, calendar: Calendar) -> Callable[[Value, Value, Value], bool]:
    """Whether a field moved from one value to another in the way that a node says."""
    sign = _sign(node)
    if node.kind.startswith("crosses"):
        return lambda old, new, limit: _beyond(new, limit, sign, calendar) and not _beyond(old, limit, sign, calendar)
    if isinstance(node.amount, t.Length):
        duration = node.amount.duration
        return lambda old, new, by: _reached(new, shift(old, duration, sign, calendar), sign, node.more, calendar)
    if node.amount is None:
        return lambda old, new, by: _beyond(new, old, sign, calendar)
    percent = isinstance(node.amount, t.Constant) and node.amount.percent
    return lambda old, new, by: _reached(new, _goal(old, by, sign, percent), sign, node.more, calendar)


def _beyond(value: Value, limit: Value, sign: int, calendar: Calendar) -> bool:
    compared = order(value, limit, calendar)
    return compared is not None and compared * sign > 0


def _reached(value: Value, goal: Value, sign: int, more: bool, calendar: Calendar) -> bool:
    compared = order(value, goal, calendar)
    return compared is not None and compared * sign >= (1 if more else 0)


def _goal(old: Value, by: Value, sign: int, percent: bool) -> Value:
    """The value that a number must reach; none where there is no number, or no percentage of zero."""
    start, step = to_number(old), to_number(by)
    if start is None or step is None or (percent and not start):
        return None
    if percent:
        step = EXACT.multiply(EXACT.abs(Decimal(start)), Decimal(step))
    return Amount(EXACT.add(Decimal(start), EXACT.multiply(Decimal(sign), Decimal(step))))


# --- history


def trail_of(scope: Scope, field: t.Field) -> Sequence[tuple[int, Value]] | None:
    """The values that a field has had, oldest first; none where that is not known. No record: no values."""
    if absent(scope, field.alias):
        return ()
    record: Any = scope[field.alias]
    if record is UNKNOWN:
        return None
    trail = record.get(TRAIL + field.name)
    return None if trail is None else [(since, value) for since, value in trail]


def run_since(trail: Sequence[tuple[int, Value]], wanted: Value, same: Same) -> int | None:
    """Since when the newest entries all have the value; none where the newest has not."""
    since: int | None = None
    for start, value in reversed(trail):
        if not same(value, wanted):
            break
        since = start
    return since


@verdict_of.register(t.WasEver)
def _(node: t.WasEver, context: Context) -> Test:
    field, same = node.left, _same(node.value, context)
    assert isinstance(field, t.Field)
    current, wanted = value_of(field, context), value_of(node.value, context)

    def test(scope: Scope) -> Verdict:
        value, expected = current(scope), wanted(scope)
        if isinstance(value, Unknown) or isinstance(expected, Unknown):
            return None
        if same(value, expected):
            return True
        trail = trail_of(scope, field)
        return None if trail is None else any(same(old, expected) for _, old in trail)

    return negative(test, node) if node.negated else test


@verdict_of.register(t.WasFor)
def _(node: t.WasFor, context: Context) -> Test:
    field, same, lasted = node.left, _same(node.value, context), _lasted(node.duration, context.calendar)
    assert isinstance(field, t.Field)
    current, wanted = value_of(field, context), value_of(node.value, context)

    def test(scope: Scope) -> Verdict:
        value, expected = current(scope), wanted(scope)
        if isinstance(value, Unknown) or isinstance(expected, Unknown):
            return None
        if node.still and not same(value, expected):
            return False
        trail = trail_of(scope, field)
        if trail is None:
            return None
        if node.still:
            since = run_since(trail, expected, same)
            return since is not None and lasted(since, scope.now)
        return any(lasted(start, end) for start, end in _runs(trail, expected, same, scope.now))

    return test


def _lasted(duration: Duration, calendar: Calendar) -> Callable[[int, int], bool]:
    def lasted(start: int, end: int) -> bool:
        try:
            return calendar.add(start, duration) <= end
        except (ValueError, OverflowError):
            return False

    return lasted


def _runs(trail: Sequence[tuple[int, Value]], wanted: Value, same: Same, now: int) -> list[tuple[int, int]]:
    """The stretches of time in which a field had the value, the last one until now."""
    runs: list[tuple[int, int]] = []
    start: int | None = None
    for since, value in trail:
        holds = same(value, wanted)
        if holds and start is None:
            start = since
        elif not holds and start is not None:
            runs.append((start, since))
            start = None
    return [*runs, (start, now)] if start is not None else runs
