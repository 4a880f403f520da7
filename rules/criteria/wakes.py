"""When a verdict can change although nobody edits anything (D-59).

Date tests and durations know their next instant. A comparison that uses ``now()`` or ``today()`` is probed:
evaluated at later and later times until it differs, then halved down to the millisecond.
"""

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from functools import singledispatch
from typing import Final, TypeAlias

from rules.calendars import Calendar, Duration
from rules.criteria import tree as t
from rules.criteria.changes import run_since, trail_of
from rules.criteria.closures import Seen, Test, value_of, verdict_of
from rules.criteria.conditions import bounds_of, same_as
from rules.criteria.dates import FOREVER, spells
from rules.criteria.names import Context
from rules.criteria.scope import Mark, RelatedRow, Rows, Scope, Unknown
from rules.criteria.walking import children, is_condition
from schemas.metadata import ConnectionMetadata
from schemas.values import DAY, Image, Ref

Wake: TypeAlias = Callable[[Scope], Iterator[int]]
"""The instants at which a verdict can change; those that are past do not count."""

_CLOCKS: Final = ("now", "today")
_STEADY: Final = (*_CLOCKS, "date", "days_between", "business_days_between")
"""Functions that only rise or only fall while time passes: what they decide changes once."""

_RELOOK_STEPS: Final = 80
_FURTHEST_DOUBLING: Final = 12  # 2 ** 12 days are about eleven years


@singledispatch
def wakes_of(node: t.Node, context: Context) -> Wake | None:
    """What gives the instants at which a node can change by itself; none if time does not matter to it."""
    parts = [wakes_of(child, context) for child in children(node)]
    return _together([*parts, _clock(node, context)])


def _together(wakes: Sequence[Wake | None]) -> Wake | None:
    known = [wake for wake in wakes if wake is not None]
    if len(known) < 2:
        return known[0] if known else None

    def together(scope: Scope) -> Iterator[int]:
        for wake in known:
            yield from wake(scope)

    return together


@wakes_of.register(t.OnDay)
@wakes_of.register(t.InPeriod)
@wakes_of.register(t.Near)
def _(node: t.OnDay | t.InPeriod | t.Near, context: Context) -> Wake | None:
    operand, calendar = value_of(node.left, context), context.calendar

    def wake(scope: Scope) -> Iterator[int]:
        value = operand(scope)
        if not isinstance(value, Unknown):
            for spell in spells(node, value, scope.now, calendar):
                yield from (edge for edge in spell if edge != FOREVER)

    return _together([wake, wakes_of(node.left, context), _clock(node, context)])


@wakes_of.register(t.WasFor)
def _(node: t.WasFor, context: Context) -> Wake | None:
    field, same, calendar = node.left, same_as(node.value), context.calendar
    assert isinstance(field, t.Field)
    wanted = value_of(node.value, context)

    def wake(scope: Scope) -> Iterator[int]:
        expected = wanted(scope)
        if isinstance(expected, Unknown):
            return
        since = run_since(trail_of(scope, field) or (), expected, lambda one, other: same(one, other, calendar))
        if since is not None:
            yield from _after(since, node.duration, calendar)

    return _together([wake, wakes_of(node.value, context)])


def _after(since: int, duration: Duration, calendar: Calendar) -> Iterator[int]:
    try:
        yield calendar.add(since, duration)
    except (ValueError, OverflowError):
        return


@wakes_of.register(t.Quantified)
@wakes_of.register(t.Count)
@wakes_of.register(t.Aggregate)
@wakes_of.register(t.Pick)
def _(node: t.Quantified | t.Count | t.Aggregate | t.Pick, context: Context) -> Wake | None:
    inner = None if node.where is None else wakes_of(node.where, context)
    if inner is None:
        return None
    alias = node.alias

    def wake(scope: Scope) -> Iterator[int]:
        for row in scope.rows(alias).rows:
            yield from inner(scope.at(alias, row))

    return wake


# --- comparisons with the clock


def _clock(node: t.Node, context: Context) -> Wake | None:
    if not _compares(node) or not any(call.name in _CLOCKS for call in _calls(node)):
        return None
    changing = _probes(node)
    steady = all(map(_changes_once, changing))
    probes = [verdict_of(probe, context) for probe in changing]
    times = _doubling if steady else _half_days

    def wake(scope: Scope) -> Iterator[int]:
        at = _next_difference(probes, scope, times(scope.now))
        if at is not None:
            yield at
        elif not steady:
            yield scope.now + _RELOOK_STEPS * DAY // 2

    return wake


def _compares(node: t.Node) -> bool:
    logic = (t.And, t.Or, t.Not, t.Window, t.Quantified, t.Formula, t.Exists)
    return is_condition(node) and not isinstance(node, logic)


def _calls(node: t.Node) -> Iterator[t.Call]:
    """The function calls in the operands of a comparison, not those in conditions below."""
    for child in children(node):
        if isinstance(child, t.Call):
            yield child
        if not is_condition(child):
            yield from _calls(child)


def _changes_once(node: t.Node) -> bool:
    """Whether time can turn a comparison once only: the clock is read once, by functions that keep its direction."""
    names = [call.name for call in _calls(node)]
    once = sum(name in _CLOCKS for name in names) < 2
    return isinstance(node, t.Compare) and once and all(name in _STEADY for name in names)


def _probes(node: t.Node) -> list[t.Node]:
    """Conditions of which one changes whenever the node's verdict does."""
    if isinstance(node, t.Compare) and node.relation != "is":
        return [node]
    if isinstance(node, t.Compare):
        return [t.Compare(">=", node.left, node.right), t.Compare(">", node.left, node.right)]
    if isinstance(node, t.Between):
        return list(bounds_of(node))
    return [node]


def _doubling(now: int) -> Iterator[int]:
    return (now + DAY * 2**step for step in range(_FURTHEST_DOUBLING + 1))


def _half_days(now: int) -> Iterator[int]:
    return (now + step * DAY // 2 for step in range(1, _RELOOK_STEPS + 1))


def _next_difference(probes: Sequence[Test], scope: Scope, times: Iterator[int]) -> int | None:
    def seen(at: int) -> list[bool | None]:
        later = _At(scope, at)
        return [probe(later) for probe in probes]

    present, low = seen(scope.now), scope.now
    for high in times:
        if seen(high) != present:
            return _first(lambda at: seen(at) != present, low, high)
        low = high
    return None


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first instant after ``low`` that holds, known to hold at ``high``."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


class _At:
    """A scope at another time."""

    def __init__(self, scope: Scope, now: int) -> None:
        self._scope, self.now = scope, now
        self.anchor: Ref = scope.anchor
        self.before: Image | None = scope.before
        self.changed: frozenset[str] = scope.changed
        self.created: bool = scope.created
        self.marks: MutableMapping[str, Mark] = scope.marks

    def __getitem__(self, alias: str) -> Image | Unknown | None:
        return self._scope[alias]

    def rows(self, alias: str) -> Rows:
        return self._scope.rows(alias)

    def at(self, alias: str, row: RelatedRow) -> Scope:
        return _At(self._scope.at(alias, row), self.now)

    def metadata(self, alias: str) -> ConnectionMetadata | None:
        return self._scope.metadata(alias)

    def value_of_step(self, name: str, field: str) -> Seen:
        return self._scope.value_of_step(name, field)
