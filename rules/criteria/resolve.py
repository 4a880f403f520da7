"""What each name means in its place: a field, a tab, a formula, a value before, an output of a step."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from rules.criteria import tree as t
from rules.criteria.errors import CriteriaError, Span
from rules.criteria.names import Context
from rules.criteria.parser import DEEPEST_TREE, parse
from rules.criteria.walking import depth, map_children, walk
from rules.suggest import did_you_mean

_OWNERS: Final = ("Owner", "OwnerId", "assigned_user_id")
_CURRENCIES: Final = ("Currency", "CurrencyIsoCode", "currency_id")
_NOTHING: Final = ("null", "none", "nil")
_MOST_NODES: Final = 20_000
_MOST_FORMULAS: Final = 20

_RelatedRows = t.Quantified | t.Count | t.Aggregate | t.Pick


def resolve(tree: t.Tree, context: Context) -> t.Tree:
    """The tree with every name replaced by what it means.

    Raises:
        CriteriaError: a name means nothing here, or something that cannot stand where it does.
    """
    resolved: t.Tree = _resolve(tree, _Place(context, context.own))
    _check_size(resolved, tree.span)
    return resolved


@dataclass(frozen=True)
class _Place:
    """Where a name stands: whose fields bare names are, and the formulas that are being read."""

    context: Context
    own: str
    open: tuple[str, ...] = ()
    done: dict[str, t.Tree] = field(default_factory=dict)

    @property
    def inside(self) -> bool:
        """Whether this is the condition of related rows."""
        return self.own != self.context.own


def _check_size(tree: t.Node, span: Span) -> None:
    size = sum(1 for _ in islice(walk(tree), _MOST_NODES + 1))
    if size > _MOST_NODES or depth(tree) > DEEPEST_TREE:
        raise CriteriaError("with its formulas this is too large", hint="Use fewer formulas in formulas.", span=span)


def _resolve(node: t.Tree, place: _Place) -> t.Tree:  # noqa: PLR0911 - a case per kind of node
    match node:
        case t.Name():
            return _name(node, place)
        case t.Exists():
            return replace(node, operand=_record(node.operand, place))
        case t.Quantified() | t.Count() | t.Aggregate() | t.Pick():
            return _related(node, place)
        case t.Change() | t.Moved():
            return _change(node, place)
        case t.WasEver() | t.WasFor():
            return _history(node, place)
        case t.UserTest():
            return _user_test(node, place)
        case t.Call(name="currency"):
            return _currency(node, place)
    return map_children(node, lambda child: _resolve(child, place))


# --- names


def _name(node: t.Name, place: _Place) -> t.Tree:
    parts, aliases = node.parts, place.context.aliases
    if parts[0] in aliases and len(parts) == 2:
        return _field(parts[0], parts[1], place, node.span)
    if len(parts) == 1:
        return _bare(node, place)
    if parts[0] == "before" and len(parts) == 2:
        return _before(node, place)
    if parts[0] == "steps" and len(parts) == 3:
        return _step(node, place)
    raise _unknown_path(node, place)


def _bare(node: t.Name, place: _Place) -> t.Tree:
    name, context = node.parts[0], place.context
    tab = context.aliases[place.own].tab if place.own in context.aliases else None
    if tab is not None and (name in tab.fields or name == "id"):
        return t.Field(place.own, name, span=node.span)
    if name in context.formulas:
        return _formula(name, place, node.span)
    if name.lower() in _NOTHING:
        raise CriteriaError(f"there is no value '{name}'", hint="Write `is empty`.", span=node.span)
    if tab is None:
        return t.Field(place.own, name, span=node.span)
    if name in context.aliases:
        raise CriteriaError(
            f"'{name}' is a tab, not a value", hint=f"Write {name}.Field, or `{name} exists`.", span=node.span
        )
    known = (*tab.fields, *context.formulas, *context.aliases)
    raise _unknown_field(name, place.own, known, place, node.span)


def _field(alias: str, name: str, place: _Place, span: Span) -> t.Field:
    tab = place.context.aliases[alias].tab
    if tab is not None and name not in tab.fields and name != "id":
        raise _unknown_field(name, alias, tab.fields, place, span)
    _check_single(alias, place, span)
    return t.Field(alias, name, span=span)


def _unknown_field(name: str, alias: str, known: Iterable[str], place: _Place, span: Span) -> CriteriaError:
    tab = place.context.aliases[alias].tab
    label = f" ({tab.name})" if tab is not None else ""
    problem = f"unknown field '{name}' of tab {alias}{label}"
    return CriteriaError(problem, hint=did_you_mean(name, known), span=span)


def _check_single(alias: str, place: _Place, span: Span) -> None:
    aliases = place.context.aliases
    if alias == place.own or aliases[alias].to_one:
        return
    single = aliases[place.own].single if place.inside and place.own in aliases else frozenset()
    if single is not None and alias not in single:
        raise CriteriaError(
            f"there can be several records of tab {alias}",
            hint=f"Say which: any {alias} where (…), first({alias} by …).Field, count({alias}).",
            span=span,
        )


def _unknown_path(node: t.Name, place: _Place) -> CriteriaError:
    first, path, aliases = node.parts[0], ".".join(node.parts), place.context.aliases
    if first == "steps":
        return CriteriaError(
            f"'{path}' names no output", hint="Write steps.<step>.id or steps.<step>.url.", span=node.span
        )
    if first in aliases:
        return CriteriaError(
            f"'{path}' goes further than one record",
            hint="Declare the record it leads to as a tab of the workflow (`lookup:`), and use its alias.",
            span=node.span,
        )
    hint = did_you_mean(first, (*aliases, "before", "steps")) or f"The tabs here are {', '.join(sorted(aliases))}."
    return CriteriaError(f"unknown tab '{first}'", hint=hint, span=node.span)


def _before(node: t.Name, place: _Place) -> t.Before:
    _check_changes(place.context, node.span)
    own = place.context.own
    known = replace(place, own=own)
    return t.Before(own, _field(own, node.parts[1], known, node.span).name, span=node.span)


def _step(node: t.Name, place: _Place) -> t.StepValue:
    steps = place.context.steps
    if steps is not None and node.parts[1] not in steps:
        hint = did_you_mean(node.parts[1], steps) or "A step can use what the steps before it gave."
        raise CriteriaError(f"no earlier step is named '{node.parts[1]}'", hint=hint, span=node.span)
    return t.StepValue(node.parts[1], node.parts[2], span=node.span)


# --- formulas


def _formula(name: str, place: _Place, span: Span) -> t.Formula:
    if name in place.open or len(place.open) >= _MOST_FORMULAS:
        path = " -> ".join((*place.open, name))
        raise CriteriaError(f"formula '{name}' leads back to itself or too far: {path}", span=span)
    if name not in place.done:
        place.done[name] = _formula_tree(name, place)
        _check_size(place.done[name], span)
    return t.Formula(name, place.done[name], span=span)


def _formula_tree(name: str, place: _Place) -> t.Tree:
    formula = place.context.formulas[name]
    if not isinstance(formula, str):
        return formula.tree
    try:
        own = place.context.own
        return _resolve(parse(formula), replace(place, own=own, open=(*place.open, name)))
    except CriteriaError as error:
        if error.source and error.source != formula:
            raise
        problem = f"formula '{name}': {error.problem}"
        raise CriteriaError(problem, hint=error.hint, source=formula, span=error.span) from None


# --- records and related rows


def _record(operand: t.Operand, place: _Place) -> t.Field:
    tab = place.context.aliases[place.own].tab if place.own in place.context.aliases else None
    is_field = tab is not None and isinstance(operand, t.Name) and operand.parts[0] in tab.fields
    if isinstance(operand, t.Name) and len(operand.parts) == 1 and not is_field:
        _check_alias(operand.parts[0], place, operand.span)
        return t.Field(operand.parts[0], "id", span=operand.span)
    raise CriteriaError("only a tab exists or not", hint="Of a field say `is not empty`.", span=operand.span)


def _check_alias(alias: str, place: _Place, span: Span) -> None:
    aliases = place.context.aliases
    if alias not in aliases:
        hint = did_you_mean(alias, aliases) or f"The tabs here are {', '.join(sorted(aliases))}."
        raise CriteriaError(f"unknown tab '{alias}'", hint=hint, span=span)


def _related(node: _RelatedRows, place: _Place) -> t.Tree:
    _check_alias(node.alias, place, node.span)
    inner = replace(place, own=node.alias)
    if isinstance(node, t.Aggregate | t.Pick):
        _field(node.alias, node.name, inner, node.span)
    if isinstance(node, t.Pick):
        _field(node.alias, node.by, inner, node.span)
    return map_children(node, lambda child: _resolve(child, inner))


# --- change, history, users, money


def _check_changes(context: Context, span: Span) -> None:
    if not context.changes_allowed:
        raise CriteriaError(
            "there is no change to look at here",
            hint="Change operators and `before` need an event; timers and schedules have none (D-117).",
            span=span,
        )


def _change(node: t.Change | t.Moved, place: _Place) -> t.Tree:
    _check_changes(place.context, node.span)
    if place.inside:
        raise CriteriaError(
            "a change is seen on the record that wakes the rule only",
            hint=f"Put the rule under tab {place.own}, or ask for its present value.",
            span=node.span,
        )
    resolved = map_children(node, lambda child: _resolve(child, place))
    left = resolved.left
    if not isinstance(left, t.Field) or left.alias != place.context.own:
        raise CriteriaError(
            f"a change is seen on a field of {place.context.own} only, the record that wakes the rule",
            hint="Put the rule under the tab whose change it watches.",
            span=node.left.span,
        )
    return resolved


def _history(node: t.WasEver | t.WasFor, place: _Place) -> t.Tree:
    resolved = map_children(node, lambda child: _resolve(child, place))
    if not isinstance(resolved.left, t.Field):
        raise CriteriaError("only a field has a history", hint="Write tab.Field.", span=node.left.span)
    return resolved


def _user_test(node: t.UserTest, place: _Place) -> t.Tree:
    resolved = map_children(node, lambda child: _resolve(child, place))
    if not isinstance(resolved.left, t.Field | t.Before | t.FirstOf):
        raise CriteriaError("only a field names a user", hint="Write tab.Owner.", span=node.left.span)
    if node.relation == "owner of":
        _check_alias(node.name, place, node.span)
        _check_single(node.name, place, node.span)
        return replace(resolved, who=_first_of(node.name, _OWNERS, "owner", place, node.span))
    if node.relation == "in team":
        return replace(resolved, name=place.context.teams.get(node.name, node.name))
    return resolved


def _first_of(alias: str, names: tuple[str, ...], what: str, place: _Place, span: Span) -> t.FirstOf:
    tab = place.context.aliases[alias].tab
    found = names if tab is None else tuple(name for name in names if name in tab.fields)
    if not found:
        raise CriteriaError(f"tab {alias} has no {what} field", hint=f"Looked for {', '.join(names)}.", span=span)
    return t.FirstOf(alias, found, span=span)


def _currency(node: t.Call, place: _Place) -> t.Tree:
    """The call with a third argument: where the record says which currency its amounts are in (D-115)."""
    resolved = map_children(node, lambda child: _resolve(child, place))
    if len(resolved.arguments) != 2 or not isinstance(resolved.arguments[0], t.Field):
        raise CriteriaError('currency(…) takes a field and a currency: currency(deal.Amount, "JPY")', span=node.span)
    alias = resolved.arguments[0].alias
    place_of_code = _first_of(alias, _CURRENCIES, "currency", place, node.span)
    return replace(resolved, arguments=(*resolved.arguments, place_of_code))
