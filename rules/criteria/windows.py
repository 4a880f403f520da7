"""Time windows: two conditions by when each last became true, remembered in the scope's marks.

What was already true when first looked at has no time: only ``then`` can use it, as the earlier one. The
record just made is the exception, its conditions became true now (D-22a).
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from rules.calendars import Calendar, Duration
from rules.criteria import tree as t
from rules.criteria.closures import Test, verdict_of
from rules.criteria.names import Context
from rules.criteria.printing import text_of
from rules.criteria.scope import Mark, Scope, Verdict
from rules.criteria.walking import walk

Observe: TypeAlias = Callable[[Scope], None]


def with_windows(tree: t.Node, context: Context) -> Test:
    """The verdict of a tree; all operands of its windows are looked at each time, whatever ``and`` skips."""
    test, observers = verdict_of(tree, context), observers_of(tree, context)
    return _observed(test, observers) if observers else test


def _observed(test: Test, observers: Sequence[Observe]) -> Test:
    def observed(scope: Scope) -> Verdict:
        for observe in observers:
            observe(scope)
        return test(scope)

    return observed


def observers_of(tree: t.Node, context: Context) -> tuple[Observe, ...]:
    """What updates the marks of all windows in a tree, inner windows first."""
    windows = [node for node in walk(tree) if isinstance(node, t.Window)]
    operands = {text_of(one): one for window in reversed(windows) for one in (window.first, window.second)}
    return tuple(_observer(key, verdict_of(one, context)) for key, one in operands.items())


def _observer(key: str, test: Test) -> Observe:
    def observe(scope: Scope) -> None:
        verdict = test(scope)
        if verdict is None:  # unknown is no edge (D-22)
            return
        mark = scope.marks.get(key)
        if mark is None:
            scope.marks[key] = Mark(verdict, scope.now if verdict and scope.created else None)
        elif verdict is not mark.verdict:
            scope.marks[key] = Mark(verdict, scope.now if verdict else mark.since)

    return observe


@verdict_of.register(t.Window)
def _(node: t.Window, context: Context) -> Test:
    first, second = text_of(node.first), text_of(node.second)
    holds = _in_order if node.duration is None else _within(node.duration, context.calendar)

    def test(scope: Scope) -> Verdict:
        one, other = scope.marks.get(first), scope.marks.get(second)
        return None if one is None or other is None else holds(one, other)

    return test


def _in_order(first: Mark, second: Mark) -> bool:
    if second.since is None:
        return False
    return first.since < second.since if first.since is not None else first.verdict is True


def _within(duration: Duration, calendar: Calendar) -> Callable[[Mark, Mark], bool]:
    def within(first: Mark, second: Mark) -> bool:
        if first.since is None or second.since is None:
            return False
        try:
            return calendar.add(min(first.since, second.since), duration) >= max(first.since, second.since)
        except (ValueError, OverflowError):
            return False

    return within
