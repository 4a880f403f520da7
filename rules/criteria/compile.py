"""From text to closures: the way in to the criteria language."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rules.criteria import changes, conditions, dates, operands, related, users
from rules.criteria import tree as t
from rules.criteria.cautions import cautions
from rules.criteria.check import check, check_condition
from rules.criteria.closures import Read, Test, value_of
from rules.criteria.errors import Caution, CriteriaError
from rules.criteria.explain import Explanation, explain
from rules.criteria.names import Context
from rules.criteria.parser import parse
from rules.criteria.printing import text_of
from rules.criteria.resolve import resolve
from rules.criteria.rows import PATTERN, combine, parse_rows
from rules.criteria.scope import Scope
from rules.criteria.wakes import Wake, wakes_of
from rules.criteria.walking import walk
from rules.criteria.windows import observers_of, with_windows

_COMPILERS = (changes, conditions, dates, operands, related, users)
"""The modules that know how each node is compiled: importing them is what registers it."""

FieldOf = tuple[str, str]
"""An alias and one of its fields."""


@dataclass(frozen=True)
class Criteria:
    """A compiled condition; equal to another with the same canonical text."""

    text: str
    tree: t.Tree = field(compare=False, repr=False)
    verdict: Test = field(compare=False, repr=False)
    """True, false or none for unknown (D-04) in a scope; updates the scope's marks of time windows."""
    reads: frozenset[FieldOf] = field(compare=False, repr=False)
    """What it depends on (D-31); ``(alias, "id")`` where only the existence of records counts."""
    trails: frozenset[FieldOf] = field(compare=False, repr=False)
    """The fields whose earlier values it needs, under ``~Field`` of the image."""
    reads_changes: bool = field(compare=False, repr=False)
    """Whether it looks at what the waking event changed (D-117)."""
    cautions: tuple[Caution, ...] = field(compare=False, repr=False)
    """What is legal and often not meant: to be shown when a workflow is checked (D-111, D-112)."""
    _context: Context = field(compare=False, repr=False)
    _wake: Wake | None = field(compare=False, repr=False)

    @property
    def timed(self) -> bool:
        """Whether the verdict can change with time alone (D-59)."""
        return self._wake is not None

    def wakes(self, scope: Scope) -> int | None:
        """The next instant after now (ms) at which the verdict can change with no edit (D-59), if any."""
        if self._wake is None:
            return None
        now = scope.now
        return min((at for at in self._wake(scope) if at > now), default=None)

    def explain(self, scope: Scope) -> Explanation:
        """The verdict with its reasons: every part with what its named operands held."""
        for observe in observers_of(self.tree, self._context):
            observe(scope)
        return explain(self.tree, self._context, scope)


@dataclass(frozen=True)
class Expression:
    """A compiled value expression; equal to another with the same canonical text."""

    text: str
    tree: t.Tree = field(compare=False, repr=False)
    value: Read = field(compare=False, repr=False)
    """Its value in a scope, unknown while a record that it needs is (D-04); never raises (D-90)."""
    reads: frozenset[FieldOf] = field(compare=False, repr=False)
    trails: frozenset[FieldOf] = field(compare=False, repr=False)
    reads_changes: bool = field(compare=False, repr=False)
    cautions: tuple[Caution, ...] = field(compare=False, repr=False)


def compile_criteria(source: str | Mapping[str | int, str], context: Context) -> Criteria:
    """A condition from one text, or from numbered rows and the pattern that joins them.

    Raises:
        CriteriaError: the text cannot be read, names what is not there, or cannot mean what it says.
    """
    if isinstance(source, str):
        parsed, tree = _checked(source, context, condition=True)
    else:
        parsed, tree = _from_rows(source, context)
    return Criteria(
        text=text_of(parsed),
        tree=tree,
        verdict=with_windows(tree, context),
        reads=frozenset(_reads(tree)),
        trails=frozenset(_trails(tree)),
        reads_changes=_reads_changes(tree),
        cautions=cautions(tree),
        _context=context,
        _wake=wakes_of(tree, context),
    )


def compile_expression(source: str, context: Context) -> Expression:
    """A value from one text; a condition gives true or false.

    Raises:
        CriteriaError: the text cannot be read, names what is not there, or cannot mean what it says.
    """
    parsed, tree = _checked(source, context, condition=False)
    if any(isinstance(node, t.Window) for node in walk(tree)):
        raise CriteriaError("time windows belong in criteria, not in values", source=source, span=parsed.span)
    return Expression(
        text=text_of(parsed),
        tree=tree,
        value=value_of(tree, context),
        reads=frozenset(_reads(tree)),
        trails=frozenset(_trails(tree)),
        reads_changes=_reads_changes(tree),
        cautions=cautions(tree),
    )


def _checked(source: str, context: Context, condition: bool, row: str = "") -> tuple[t.Tree, t.Tree]:
    """The tree as written and the tree resolved, both found sound."""
    try:
        parsed = parse(source)
        tree = resolve(parsed, context)
        if condition:
            check_condition(tree)
        check(tree, context)
        _check_windows(tree)
    except CriteriaError as error:
        raise error.within(source, row) from None
    return parsed, tree


def _check_windows(tree: t.Tree) -> None:
    """Refuses windows over related rows: their memory is one per rule and anchor, not one per row."""
    for node in walk(tree):
        where = getattr(node, "where", None)
        inner = walk(where) if where is not None else iter(())
        for window in (one for one in inner if isinstance(one, t.Window)):
            raise CriteriaError("time windows cannot look at each related row", span=window.span)


def _from_rows(source: Mapping[str | int, str], context: Context) -> tuple[t.Tree, t.Tree]:
    rows, pattern = parse_rows(source), source.get(PATTERN)
    texts = {str(number): text for number, text in source.items()}
    resolved = {number: _checked(texts[number], context, True, number)[1] for number in rows}
    return combine(rows, pattern), combine(resolved, pattern)


def _reads(tree: t.Tree) -> Iterator[FieldOf]:
    for node in walk(tree):
        match node:
            case t.Field() | t.Before():
                yield node.alias, node.name
            case t.FirstOf():
                yield from ((node.alias, name) for name in node.names)
            case t.Quantified() | t.Count():
                yield node.alias, "id"
            case t.Aggregate():
                yield from ((node.alias, name) for name in ("id", node.name))
            case t.Pick():
                yield from ((node.alias, name) for name in ("id", node.by, node.name))


def _trails(tree: t.Tree) -> Iterator[FieldOf]:
    for node in walk(tree):
        if isinstance(node, t.Moved) and node.reset is None:
            continue
        if isinstance(node, t.WasEver | t.WasFor | t.Moved) and isinstance(node.left, t.Field):
            yield node.left.alias, node.left.name


def _reads_changes(tree: t.Tree) -> bool:
    return any(isinstance(node, t.Change | t.Moved | t.Before) for node in walk(tree))
