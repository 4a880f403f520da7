"""A tree as canonical text: the same meaning always reads the same, and reads back to the same tree."""

import re
from decimal import Context
from functools import singledispatch
from typing import Final

from rules.criteria import tree as t

KEYWORDS: Final = frozenset(
    [
        "active",
        "ago",
        "all",
        "all_or_no",
        "and",
        "anniversary",
        "any",
        "at",
        "became",
        "been",
        "between",
        "by",
        "changed",
        "contain",
        "contains",
        "crosses",
        "decreased",
        "desc",
        "does",
        "empty",
        "ends",
        "ever",
        "exactly",
        "exclusive",
        "exist",
        "exists",
        "false",
        "filled",
        "for",
        "from",
        "has",
        "in",
        "increased",
        "is",
        "last",
        "least",
        "less",
        "matches",
        "more",
        "never",
        "next",
        "no",
        "none",
        "not",
        "of",
        "or",
        "owner",
        "reports",
        "reset",
        "role",
        "starts",
        "team",
        "than",
        "the",
        "then",
        "this",
        "to",
        "today",
        "tomorrow",
        "true",
        "was",
        "where",
        "with",
        "within",
        "yesterday",
        "above",
        "below",
        "week",
        "month",
        "quarter",
        "year",
    ]
)
_WORD: Final = re.compile(r"[^\W\d]\w*")
_DIGITS: Final = Context(prec=40)
_NEAR: Final = {
    "in the next": "in the next {}",
    "in the last": "in the last {}",
    "more than ago": "more than {} ago",
    "less than ago": "less than {} ago",
    "within": "within {}",
    "anniversary": "anniversary in the next {}",
}


@singledispatch
def text_of(node: t.Node) -> str:
    """The canonical text of a tree."""
    raise NotImplementedError(f"no text for {type(node).__name__}")


def name_of(name: str) -> str:
    """A field or alias as it is written: in backticks where it is a keyword or no word."""
    return name if _WORD.fullmatch(name) and name not in KEYWORDS else f"`{name}`"


def quoted(text: str) -> str:
    """A text constant as it is written."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _join(texts: tuple[t.Operand, ...]) -> str:
    return ", ".join(map(text_of, texts))


def _options(options: tuple[t.Operand, ...]) -> str:
    return f"[{_join(options)}]"


def _not(negated: bool) -> str:
    return "not " if negated else ""


# --- operands


@text_of.register(t.Constant)
def _(node: t.Constant) -> str:
    if isinstance(node.value, bool):
        return "true" if node.value else "false"
    if isinstance(node.value, str):
        return quoted(node.value)
    if isinstance(node.value, int):
        return str(node.value)
    shown = format(node.value.scaleb(2, _DIGITS) if node.percent else node.value, "f")
    return f"{shown}%" if node.percent else shown if "." in shown else f"{shown}.0"


@text_of.register(t.Exact)
def _(node: t.Exact) -> str:
    return f"exactly {quoted(node.text)}"


@text_of.register(t.Length)
def _(node: t.Length) -> str:
    return str(node.duration)


@text_of.register(t.Name)
def _(node: t.Name) -> str:
    return ".".join(map(name_of, node.parts))


@text_of.register(t.Field)
def _(node: t.Field) -> str:
    return f"{name_of(node.alias)}.{name_of(node.name)}"


@text_of.register(t.Before)
def _(node: t.Before) -> str:
    return f"before.{name_of(node.name)}"


@text_of.register(t.StepValue)
def _(node: t.StepValue) -> str:
    return f"steps.{name_of(node.step)}.{name_of(node.name)}"


@text_of.register(t.FirstOf)
def _(node: t.FirstOf) -> str:
    return f"{name_of(node.alias)}.{name_of(node.names[0])}"


_STRENGTH: Final = {"+": 1, "-": 1, "*": 2, "/": 2}


def _factor(node: t.Operand, strength: int) -> str:
    weak = isinstance(node, t.Binary) and _STRENGTH[node.sign] < strength
    return f"({text_of(node)})" if weak else text_of(node)


@text_of.register(t.Binary)
def _(node: t.Binary) -> str:
    strength = _STRENGTH[node.sign]
    return f"{_factor(node.left, strength)} {node.sign} {_factor(node.right, strength + 1)}"


@text_of.register(t.Negative)
def _(node: t.Negative) -> str:
    return f"-{_factor(node.operand, 3)}"


@text_of.register(t.Call)
def _(node: t.Call) -> str:
    return f"{node.name}({_join(node.arguments)})"


def _where(condition: t.Condition | None) -> str:
    return f" where {text_of(condition)}" if condition is not None else ""


@text_of.register(t.Count)
def _(node: t.Count) -> str:
    return f"count({name_of(node.alias)}{_where(node.where)})"


@text_of.register(t.Aggregate)
def _(node: t.Aggregate) -> str:
    return f"{node.kind}({name_of(node.alias)}.{name_of(node.name)}{_where(node.where)})"


@text_of.register(t.Pick)
def _(node: t.Pick) -> str:
    order = f" by {name_of(node.by)}{' desc' if node.descending else ''}"
    return f"{node.kind}({name_of(node.alias)}{order}{_where(node.where)}).{name_of(node.name)}"


@text_of.register(t.Formula)
def _(node: t.Formula) -> str:
    return name_of(node.name)


# --- conditions


def _part(node: t.Condition, *loose: type[t.Node]) -> str:
    return f"({text_of(node)})" if isinstance(node, loose) else text_of(node)


@text_of.register(t.And)
def _(node: t.And) -> str:
    return " and ".join(_part(part, t.And, t.Or) for part in node.parts)


@text_of.register(t.Or)
def _(node: t.Or) -> str:
    return " or ".join(_part(part, t.And, t.Or) for part in node.parts)


@text_of.register(t.Not)
def _(node: t.Not) -> str:
    return f"not {_part(node.part, t.And, t.Or, t.Window)}"


@text_of.register(t.Window)
def _(node: t.Window) -> str:
    between = f"within {node.duration} of" if node.duration else "then"
    first, second = (_part(part, t.And, t.Or, t.Not, t.Window) for part in (node.first, node.second))
    return f"{first} {between} {second}"


@text_of.register(t.Compare)
def _(node: t.Compare) -> str:
    relation = f"is {_not(node.negated)}".strip() if node.relation == "is" else node.relation
    return f"{text_of(node.left)} {relation} {text_of(node.right)}"


@text_of.register(t.OneOf)
def _(node: t.OneOf) -> str:
    return f"{text_of(node.left)} {_not(node.negated)}in {_options(node.options)}"


@text_of.register(t.TextTest)
def _(node: t.TextTest) -> str:
    relation = "does not contain" if node.negated else node.relation
    return f"{text_of(node.left)} {relation} {text_of(node.right)}"


@text_of.register(t.Matches)
def _(node: t.Matches) -> str:
    return f"{text_of(node.left)} matches {'exactly ' if node.exactly else ''}{quoted(node.pattern)}"


@text_of.register(t.Between)
def _(node: t.Between) -> str:
    bounds = f"{text_of(node.low)} and {text_of(node.high)}{' exclusive' if node.exclusive else ''}"
    return f"{text_of(node.left)} between {bounds}"


@text_of.register(t.Empty)
def _(node: t.Empty) -> str:
    return f"{text_of(node.operand)} is {_not(node.negated)}empty"


@text_of.register(t.Members)
def _(node: t.Members) -> str:
    relation = f"is {_not(node.negated)}exactly" if node.relation == "is exactly" else node.relation
    return f"{text_of(node.left)} {relation} {_options(node.options)}"


@text_of.register(t.OnDay)
def _(node: t.OnDay) -> str:
    return f"{text_of(node.left)} is {_not(node.negated)}{node.day}"


@text_of.register(t.InPeriod)
def _(node: t.InPeriod) -> str:
    return f"{text_of(node.left)} is {_not(node.negated)}{node.which} {node.period}"


@text_of.register(t.Near)
def _(node: t.Near) -> str:
    return f"{text_of(node.left)} {_not(node.negated)}{_NEAR[node.relation].format(node.duration)}"


@text_of.register(t.Change)
def _(node: t.Change) -> str:
    old = f" from {text_of(node.old)}" if node.old is not None else ""
    new = f" to {text_of(node.new)}" if node.new is not None else ""
    return f"{text_of(node.left)} {node.kind}{old}{new}"


@text_of.register(t.Moved)
def _(node: t.Moved) -> str:
    by = "" if node.kind.startswith("crosses") else "by more than " if node.more else "by "
    amount = f" {by}{text_of(node.amount)}" if node.amount is not None else ""
    reset = f" reset at {text_of(node.reset)}" if node.reset is not None else ""
    return f"{text_of(node.left)} {node.kind}{amount}{reset}"


@text_of.register(t.WasEver)
def _(node: t.WasEver) -> str:
    return f"{text_of(node.left)} {'has never been' if node.negated else 'was ever'} {text_of(node.value)}"


@text_of.register(t.WasFor)
def _(node: t.WasFor) -> str:
    verb, how = ("has been", "for") if node.still else ("was", "for at least")
    return f"{text_of(node.left)} {verb} {text_of(node.value)} {how} {node.duration}"


@text_of.register(t.UserTest)
def _(node: t.UserTest) -> str:
    subject = text_of(node.left)
    if node.relation == "reports to" and node.who is not None:
        return f"{subject} reports to {text_of(node.who)}"
    if node.relation in ("in team", "in role"):
        return f"{subject} {_not(node.negated)}{node.relation} {quoted(node.name)}"
    name = f" {name_of(node.name)}" if node.relation == "owner of" else ""
    return f"{subject} is {_not(node.negated)}{node.relation}{name}"


@text_of.register(t.Quantified)
def _(node: t.Quantified) -> str:
    condition = f" where ({text_of(node.where)})" if node.where is not None else ""
    return f"{node.kind} {name_of(node.alias)}{condition}"


@text_of.register(t.Exists)
def _(node: t.Exists) -> str:
    # A resolved operand is the id of the record: the tab alone reads better.
    subject = name_of(node.operand.alias) if isinstance(node.operand, t.Field) else text_of(node.operand)
    return f"{subject} {'does not exist' if node.negated else 'exists'}"
