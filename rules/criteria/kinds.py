"""What kind of value each operand has, as far as the metadata says (D-115)."""

from functools import singledispatch
from typing import Final

from rules.criteria import tree as t
from rules.criteria.functions import FUNCTIONS, Kind
from rules.criteria.names import Context
from rules.criteria.walking import is_condition
from schemas.metadata import Field, FieldType

_KINDS: Final[dict[FieldType, Kind]] = {
    "id": "text", "text": "text", "number": "number", "boolean": "boolean", "date": "date",
    "datetime": "date", "picklist": "text", "multipicklist": "list", "lookup": "text", "user": "text",
    "unknown": "unknown",
}  # fmt: skip


@singledispatch
def kind_of(node: t.Node, context: Context) -> Kind:
    """The kind of an operand's value as far as it is known."""
    return "boolean" if is_condition(node) else "unknown"


@kind_of.register(t.Constant)
def _(node: t.Constant, context: Context) -> Kind:
    if isinstance(node.value, bool):
        return "boolean"
    return "text" if isinstance(node.value, str) else "number"


@kind_of.register(t.Field)
@kind_of.register(t.Before)
@kind_of.register(t.Aggregate)
@kind_of.register(t.Pick)
def _(node: t.Field | t.Before | t.Aggregate | t.Pick, context: Context) -> Kind:
    if isinstance(node, t.Aggregate) and node.kind in ("sum", "avg"):
        return "number"
    return _KINDS[field_of(node.alias, node.name, context).type]


def field_of(alias: str, name: str, context: Context) -> Field:
    """What is known of a field; a field of unknown type where its tab is not known."""
    tab = context.aliases[alias].tab if alias in context.aliases else None
    known = tab.fields.get(name) if tab is not None else None
    return known or Field(name=name, type="id" if name == "id" else "unknown")


@kind_of.register(t.Exact)
def _(node: t.Exact, context: Context) -> Kind:
    return "text"


@kind_of.register(t.Length)
def _(node: t.Length, context: Context) -> Kind:
    return "duration"


@kind_of.register(t.FirstOf)
def _(node: t.FirstOf, context: Context) -> Kind:
    return "text"


@kind_of.register(t.Count)
@kind_of.register(t.Negative)
def _(node: t.Count | t.Negative, context: Context) -> Kind:
    return "number"


@kind_of.register(t.Binary)
def _(node: t.Binary, context: Context) -> Kind:
    if isinstance(node.right, t.Length):
        return "date"
    kinds = {kind_of(node.left, context), kind_of(node.right, context)}
    if node.sign != "+" or "number" in kinds:
        return "number"
    return "text" if kinds == {"text"} else "unknown"


@kind_of.register(t.Call)
def _(node: t.Call, context: Context) -> Kind:
    if node.name in ("min", "max", "coalesce"):
        kinds = {kind_of(argument, context) for argument in node.arguments}
        return kinds.pop() if len(kinds) == 1 else "unknown"
    return FUNCTIONS[node.name].gives if node.name in FUNCTIONS else "unknown"


@kind_of.register(t.Formula)
def _(node: t.Formula, context: Context) -> Kind:
    return kind_of(node.tree, context)
