"""Related rows: quantifiers, existence and aggregates (D-32), unknown until all rows are here (D-04)."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final, TypeAlias

from rules.criteria import tree as t
from rules.criteria.closures import Read, Seen, Test, value_of, verdict_of
from rules.criteria.comparing import EXACT, Number, finite, sort_key
from rules.criteria.fast import looks_only_at
from rules.criteria.functions import extreme
from rules.criteria.names import Context
from rules.criteria.scope import UNKNOWN, RelatedRow, Scope, Verdict
from schemas.values import Value, is_empty, to_number

RowTest: TypeAlias = Callable[[Scope, RelatedRow], Verdict]
"""The verdict of a condition on one related record, and the scope in which it is one."""


def _row_test(alias: str, where: t.Node, context: Context) -> RowTest:
    test: Callable[[Any], Verdict] = verdict_of(where, context)
    if looks_only_at(where, alias, context):
        return lambda scope, row: test({alias: row.image})  # all that it can see
    return lambda scope, row: test(scope.at(alias, row))


@verdict_of.register(t.Quantified)
def _(node: t.Quantified, context: Context) -> Test:
    if node.where is None:
        found = _any_at_all(node.alias)
    else:
        where = _row_test(node.alias, node.where, context)
        if node.kind in ("all", "all_or_no"):
            return _every(node.alias, where, vacuous=node.kind == "all_or_no")
        found = _any(node.alias, where)
    return _complement(found) if node.kind == "no" else found


def _complement(test: Test) -> Test:
    def complement(scope: Scope) -> Verdict:
        verdict = test(scope)
        return None if verdict is None else not verdict

    return complement


def _any_at_all(alias: str) -> Test:
    def test(scope: Scope) -> Verdict:
        rows, complete = scope.rows(alias)
        return True if rows else False if complete else None

    return test


def _any(alias: str, where: RowTest) -> Test:
    """True with a witness; false only when all rows are known to be none."""

    def test(scope: Scope) -> Verdict:
        rows, complete = scope.rows(alias)
        verdict: Verdict = False if complete else None
        for row in rows:
            one = where(scope, row)
            if one is True:
                return True
            if one is None:
                verdict = None
        return verdict

    return test


def _every(alias: str, where: RowTest, vacuous: bool) -> Test:
    """False with a counter-example; true only when all rows hold. Over no rows: ``vacuous`` (D-32)."""

    def test(scope: Scope) -> Verdict:
        rows, complete = scope.rows(alias)
        verdict: Verdict = (bool(rows) or vacuous) if complete else None
        for row in rows:
            one = where(scope, row)
            if one is False:
                return False
            if one is None:
                verdict = None
        return verdict

    return test


@verdict_of.register(t.Exists)
def _(node: t.Exists, context: Context) -> Test:
    assert isinstance(node.operand, t.Field)
    alias = node.operand.alias
    one = alias in context.aliases and context.aliases[alias].to_one
    test = _is_there(alias) if one else _any_at_all(alias)
    return _complement(test) if node.negated else test


def _is_there(alias: str) -> Test:
    def test(scope: Scope) -> Verdict:
        record = scope[alias]
        return None if record is UNKNOWN else record is not None

    return test


# --- aggregates


def _chosen(alias: str, where: RowTest | None) -> Callable[[Scope], list[RelatedRow] | None]:
    """The rows that a condition holds for; none where that is not known of all."""

    def choose(scope: Scope) -> list[RelatedRow] | None:
        rows, complete = scope.rows(alias)
        if not complete:
            return None
        if where is None:
            return list(rows)
        verdicts = [where(scope, row) for row in rows]
        if None in verdicts:
            return None
        return [row for row, verdict in zip(rows, verdicts, strict=True) if verdict]

    return choose


def _where(node: t.Count | t.Aggregate | t.Pick, context: Context) -> RowTest | None:
    return None if node.where is None else _row_test(node.alias, node.where, context)


@value_of.register(t.Count)
def _(node: t.Count, context: Context) -> Read:
    choose = _chosen(node.alias, _where(node, context))

    def read(scope: Scope) -> Seen:
        rows = choose(scope)
        return UNKNOWN if rows is None else len(rows)

    return read


@value_of.register(t.Aggregate)
def _(node: t.Aggregate, context: Context) -> Read:
    choose, name = _chosen(node.alias, _where(node, context)), node.name
    combine = _combination(node, context)

    def read(scope: Scope) -> Seen:
        rows = choose(scope)
        return UNKNOWN if rows is None else combine([row.image.get(name) for row in rows])

    return read


def _combination(node: t.Aggregate, context: Context) -> Callable[[list[Value]], Value]:
    calendar = context.calendar
    if node.kind == "sum":
        return _sum
    if node.kind == "avg":
        return _mean
    sign = 1 if node.kind == "max" else -1
    return lambda values: extreme(values, sign, calendar)


def _numbers(values: list[Value]) -> Iterator[Number]:
    for value in values:
        number = None if is_empty(value) else to_number(value)
        if number is not None:
            yield number


def _sum(values: list[Value]) -> Value:
    numbers = list(_numbers(values))
    return _total(numbers) if numbers else None


def _total(numbers: list[Number]) -> Value:
    if all(isinstance(number, int) for number in numbers):
        return int(sum(numbers))
    total = Decimal(0)
    for number in numbers:
        total = EXACT.add(total, Decimal(number))
    return finite(total)


def _mean(values: list[Value]) -> Value:
    numbers = list(_numbers(values))
    total = to_number(_total(numbers)) if numbers else None
    return None if total is None else finite(EXACT.divide(Decimal(total), Decimal(len(numbers))))


@value_of.register(t.Pick)
def _(node: t.Pick, context: Context) -> Read:
    """Rows with nothing to order by count only where no row has a value; equals go by record name."""
    choose, by, name = _chosen(node.alias, _where(node, context)), node.by, node.name
    place = 0 if node.kind == "first" else -1

    def read(scope: Scope) -> Seen:
        rows = choose(scope)
        if rows is None:
            return UNKNOWN
        filled = [row for row in rows if not is_empty(row.image.get(by))] or rows
        ordered = sorted(filled, key=lambda row: row.ref)
        ordered.sort(key=lambda row: sort_key(row.image.get(by)), reverse=node.descending)
        return ordered[place].image.get(name) if ordered else None

    return read


# --- counting as far as needed: three rows decide "count(x) >= 3", whatever else comes

_DECIDED: Final[dict[str, tuple[int, bool]]] = {
    ">=": (0, True),
    ">": (1, True),
    "<": (0, False),
    "<=": (1, False),
}


def early_count(node: t.Compare, context: Context) -> Test | None:
    """The test of ``count(…) >= n`` and its like, which may be decided before all rows are here."""
    left, right = node.left, node.right
    if not isinstance(left, t.Count) or not isinstance(right, t.Constant) or node.relation not in _DECIDED:
        return None
    if not isinstance(right.value, int) or isinstance(right.value, bool):
        return None
    more, verdict = _DECIDED[node.relation]
    return _at_least(left, right.value + more, verdict, context)


def _at_least(count: t.Count, enough: int, verdict: bool, context: Context) -> Test:
    alias, where = count.alias, _where(count, context)

    def test(scope: Scope) -> Verdict:
        rows, complete = scope.rows(alias)
        verdicts: list[Verdict] = [True if where is None else where(scope, row) for row in rows]
        if verdicts.count(True) >= enough:
            return verdict
        if not complete or verdicts.count(True) + verdicts.count(None) >= enough:
            return None
        return not verdict

    return test
