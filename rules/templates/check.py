"""Checks a parsed template before it is rendered: every name it uses, and what of the records it reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, LoopExpression, Path
from liquid.builtin.expressions import Literal as LiteralExpression
from liquid.builtin.expressions.arguments import PositionalArgument
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.logical import (
    BooleanExpression,
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LogicalAndExpression,
    LogicalOrExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.primitive import FloatLiteral, IntegerLiteral, RangeLiteral
from liquid.builtin.tags.for_tag import ForNode
from liquid.context import RenderContext
from liquid.exceptions import LiquidTypeError
from liquid.expression import Expression
from liquid.token import Token

from rules.suggest import did_you_mean
from rules.templates.environment import value_of
from rules.templates.filters import FILTERS, check_count, check_filter
from schemas.values import TRAIL, Amount

_WHOLE: Final = ("size", "first", "last")
_COMPARISONS: Final = (
    EqExpression, NeExpression, LtExpression, GtExpression, LeExpression, GeExpression, ContainsExpression,
)  # fmt: skip

DEEPEST: Final = 50
"""Conditions may be nested, or chained with and/or, so deep."""


class WrongNameError(Exception):
    """A wrong name or construct, and the token where it stands."""

    def __init__(self, problem: str, token: Token, length: int = 1, hint: str = "") -> None:
        super().__init__(problem)
        self.problem, self.token, self.length, self.hint = problem, token, length, hint


@dataclass(frozen=True)
class Names:
    """What a template may name: aliases with their fields, to-many aliases, steps, others; none means any."""

    aliases: Mapping[str, frozenset[str] | None]
    to_many: frozenset[str]
    steps: frozenset[str] | None
    plain: frozenset[str]

    @property
    def roots(self) -> frozenset[str]:
        """Everything that may stand at the beginning of a path."""
        return frozenset(self.aliases) | self.plain | {"steps"}


@dataclass
class Check:
    """A walk over one parsed template that collects what it reads, and guards its comparisons."""

    names: Names
    reads: set[tuple[str, str]] = field(default_factory=set)
    loops: list[dict[str, str]] = field(default_factory=list)
    """Names bound by the loops around: the alias of the row, or nothing for a plain value."""
    local: set[str] = field(default_factory=set)

    def nodes(self, nodes: Iterable[Node], context: RenderContext) -> None:
        """Check some nodes in order. Raises WrongNameError."""
        for node in nodes:
            self._node(node, context)

    def _node(self, node: Node, context: RenderContext) -> None:
        if isinstance(node, ForNode):
            self.loops.append(self._loop(node))
        else:
            for expression in node.expressions():
                self._expression(expression)
        self.nodes(node.children(context, include_partials=False), context)
        if isinstance(node, ForNode):
            self.loops.pop()
        for name in node.template_scope():
            self._free(name, name.token)
            self.local.add(name)

    def _loop(self, node: ForNode) -> dict[str, str]:
        loop: LoopExpression = node.expression
        self._free(loop.identifier, loop.token)
        if not isinstance(loop.iterable, Path):
            raise WrongNameError("a loop goes over related records or a list field", loop.token)
        for number in (loop.limit, loop.offset):
            if number is not None and not isinstance(number, IntegerLiteral):
                raise WrongNameError("limit and offset of a loop are plain numbers", loop.token)
        alias = self._alias(loop.iterable) if len(loop.iterable.path) == 1 else ""
        if alias:
            self.reads.add((alias, "id"))
        else:
            self._path(loop.iterable)
        return {loop.identifier: alias, "forloop": ""}

    def _free(self, name: str, token: Token) -> None:
        if name in self.names.roots:
            raise WrongNameError(f"'{name}' already has a meaning here", token, len(name), "Choose another name.")

    def _expression(self, expression: Expression, depth: int = 0) -> None:
        if depth > DEEPEST:
            raise WrongNameError(f"a condition has more than {DEEPEST} parts", expression.token)
        if isinstance(expression, RangeLiteral):
            raise WrongNameError("ranges cannot be used in templates", expression.token)
        if isinstance(expression, Path):
            self._path(expression)
        if isinstance(expression, FilteredExpression):
            for call in expression.filters or ():
                self._filter(call)
        _guard(expression)
        for child in expression.children():
            self._expression(child, depth + 1)

    def _filter(self, call: Filter) -> None:
        values = [argument.value for argument in call.args]
        try:
            if any(not isinstance(argument, PositionalArgument) for argument in call.args):
                raise ValueError(f"filter '{call.name}' takes no named arguments")
            literals = [value_of(value.value) for value in values if isinstance(value, LiteralExpression)]
            if len(literals) == len(values) or call.name not in FILTERS:
                check_filter(call.name, literals)
            check_count(call.name, len(values))
        except ValueError as error:
            raise WrongNameError(str(error), call.token, len(call.name)) from None

    def _path(self, path: Path) -> None:
        root, *rest = path.path
        if not isinstance(root, str):
            raise self._wrong(path, "a value is named by a word", "")
        alias = self._alias(path)
        if alias:
            self._record(path, alias, is_row=self._bound(root) is not None)
        elif root == "steps" and self._bound(root) is None:
            self._step(path)
        elif root == "forloop" and self.loops:
            return
        elif self._bound(root) is not None or root in self.local or root in self.names.plain:
            self._tail(path, rest)
        else:
            known = {*self.names.roots, *self.local, *(name for loop in self.loops for name in loop)}
            raise self._wrong(path, f"unknown name '{root}'", did_you_mean(root, known))

    def _bound(self, name: str) -> str | None:
        return next((loop[name] for loop in reversed(self.loops) if name in loop), None)

    def _alias(self, path: Path) -> str:
        """The alias whose record or rows a path begins with, if it does."""
        root = path.path[0]
        if not isinstance(root, str):
            return ""
        bound = self._bound(root)
        return bound if bound is not None else root if root in self.names.aliases else ""

    def _record(self, path: Path, alias: str, *, is_row: bool) -> None:
        rest = path.path[1:]
        if not is_row and rest and rest[0] == "size" and len(rest) == 1:
            self.reads.add((alias, "id"))
            return
        if not is_row and rest and (rest[0] in _WHOLE or isinstance(rest[0], int)):
            rest, is_row = rest[1:], True
        if not rest:
            hint = f"Name one of its fields, as {path}.id" + ("." if is_row else f", or loop over {alias}.")
            raise self._wrong(path, f"'{path}' is a whole record", hint)
        if alias in self.names.to_many and not is_row:
            hint = f"Loop with {{% for row in {alias} %}}, or take {alias}.first."
            raise self._wrong(path, f"there may be several {alias}", hint)
        self.reads.add((alias, self._field(path, alias, rest[0])))
        self._tail(path, rest[1:])

    def _field(self, path: Path, alias: str, name: object) -> str:
        if not isinstance(name, str):
            raise self._wrong(path, "a field is named by a word", f'Write {alias}.Field or {alias}["Field name"].')
        fields = self.names.aliases[alias]
        hidden = name.startswith((TRAIL, "__"))
        if hidden or (fields is not None and name not in fields and name != "id"):
            raise self._wrong(path, f"unknown field '{name}' of {alias}", did_you_mean(name, fields or ()))
        return name

    def _step(self, path: Path) -> None:
        match path.path:
            case [_, str(step), str(_)]:
                if self.names.steps is not None and step not in self.names.steps:
                    raise self._wrong(path, f"unknown step '{step}'", did_you_mean(step, self.names.steps))
            case _:
                raise self._wrong(path, f"'{path}' is no output of a step", "Write steps.name.id or steps.name.url.")

    def _tail(self, path: Path, rest: Iterable[object]) -> None:
        if any(part not in _WHOLE and not isinstance(part, int) for part in rest):
            raise self._wrong(path, f"'{path}' goes too deep: a value has no fields", "")

    @staticmethod
    def _wrong(path: Path, problem: str, hint: str) -> WrongNameError:
        return WrongNameError(problem, path.token, len(str(path)), hint)


class Guarded(Expression):
    """A comparison that is false where its sides cannot be compared, instead of an error."""

    def __init__(self, comparison: Expression) -> None:
        super().__init__(comparison.token)
        self.comparison = comparison

    def evaluate(self, context: RenderContext) -> object:
        """The comparison's value, or false."""
        try:
            return self.comparison.evaluate(context)
        except (LiquidTypeError, ArithmeticError):
            return False

    def children(self) -> Iterable[Expression]:
        """The comparison."""
        return [self.comparison]


def _guard(expression: Expression) -> None:
    """Replace what could fail in a condition, or would compare money with a binary float (D-90)."""
    if isinstance(expression, BooleanExpression):
        expression.expression = _guarded(expression.expression)
    elif isinstance(expression, (LogicalAndExpression, LogicalOrExpression, *_COMPARISONS)):
        expression.left, expression.right = _guarded(expression.left), _guarded(expression.right)


def _guarded(part: Expression) -> Expression:
    if isinstance(part, FloatLiteral):
        return LiteralExpression(part.token, Amount(part.token.value))
    return Guarded(part) if isinstance(part, _COMPARISONS) else part
