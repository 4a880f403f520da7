"""What a criteria text means: a tree of frozen nodes, each with its span in the source.

Operands have values, conditions have verdicts. The parser makes ``Name`` nodes; ``resolve.py`` replaces each
by what it names here (``Field``, ``Before``, ``StepValue``, ``Formula``), which is then checked and compiled.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rules.criteria.errors import NOWHERE, Span
from rules.durations import Duration
from schemas.values import Amount


@dataclass(frozen=True, kw_only=True)
class Node:
    """What all nodes have: the span of text they were read from, which does not count in comparisons."""

    span: Span = field(default=NOWHERE, compare=False, repr=False)


# --- operands: they have a value


@dataclass(frozen=True)
class Constant(Node):
    """A value written in the text; ``percent`` where it was written with ``%`` (``12%`` is 0.12)."""

    value: bool | int | Amount | str
    percent: bool = False


@dataclass(frozen=True)
class Exact(Node):
    """A text that compares letter by letter: ``exactly "…"`` (D-113)."""

    text: str


@dataclass(frozen=True)
class Length(Node):
    """A duration used in date arithmetic: ``created_at + 1 day``."""

    duration: Duration


@dataclass(frozen=True)
class Name(Node):
    """A name not resolved yet: ``Stage``, ``deal.Stage``, ``before.Stage``, ``steps.project.url``."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class Field(Node):
    """A field of the one record that an alias means here."""

    alias: str
    name: str


@dataclass(frozen=True)
class Before(Node):
    """A field of the anchor's image before the waking event; empty where there was none (D-117)."""

    alias: str
    name: str


@dataclass(frozen=True)
class StepValue(Node):
    """An output of an earlier step of the same fire (D-46)."""

    step: str
    name: str


@dataclass(frozen=True)
class FirstOf(Node):
    """The first of these fields that a record has: the owner or the currency, which CRMs name differently."""

    alias: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Binary(Node):
    """``+ - * /`` of two operands."""

    sign: Literal["+", "-", "*", "/"]
    left: "Operand"
    right: "Operand"


@dataclass(frozen=True)
class Negative(Node):
    """The number with the other sign."""

    operand: "Operand"


@dataclass(frozen=True)
class Call(Node):
    """A function of its arguments."""

    name: str
    arguments: tuple["Operand", ...]


@dataclass(frozen=True)
class Count(Node):
    """How many related rows there are, or for how many of them a condition holds; 0 over no rows (D-32)."""

    alias: str
    where: "Condition | None" = None


@dataclass(frozen=True)
class Aggregate(Node):
    """Sum, least, greatest or mean of a field of related rows; empty over no rows (D-32)."""

    kind: Literal["sum", "min", "max", "avg"]
    alias: str
    name: str
    where: "Condition | None" = None


@dataclass(frozen=True)
class Pick(Node):
    """A field of the first or last related row in the order of another field."""

    kind: Literal["first", "last"]
    alias: str
    by: str
    descending: bool
    name: str
    where: "Condition | None" = None


@dataclass(frozen=True)
class Formula(Node):
    """A named expression; it takes part as if it were written here."""

    name: str
    tree: "Operand | Condition"


# --- conditions: they have a verdict

Relation = Literal["is", ">", ">=", "<", "<="]
TextRelation = Literal["contains", "starts with", "ends with"]
Period = Literal["week", "month", "quarter", "year"]


@dataclass(frozen=True)
class And(Node):
    """All of these hold."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class Or(Node):
    """At least one of these holds."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class Not(Node):
    """The exact complement (D-111)."""

    part: "Condition"


@dataclass(frozen=True)
class Compare(Node):
    """Equality or order of two operands (D-112, D-113)."""

    relation: Relation
    left: "Operand"
    right: "Operand"
    negated: bool = False


@dataclass(frozen=True)
class OneOf(Node):
    """``in [..]``."""

    left: "Operand"
    options: tuple["Operand", ...]
    negated: bool = False


@dataclass(frozen=True)
class TextTest(Node):
    """``contains``, ``starts with``, ``ends with``; of a multi-select, ``contains`` asks for a member."""

    relation: TextRelation
    left: "Operand"
    right: "Operand"
    negated: bool = False


@dataclass(frozen=True)
class Matches(Node):
    """A pattern is found in the text (RE2: no backtracking); letter case counts only with ``exactly``."""

    left: "Operand"
    pattern: str
    exactly: bool = False


@dataclass(frozen=True)
class Between(Node):
    """Within two bounds, both included unless ``exclusive``."""

    left: "Operand"
    low: "Operand"
    high: "Operand"
    exclusive: bool = False


@dataclass(frozen=True)
class Empty(Node):
    """Nothing is in there: none, blank text or an empty list."""

    operand: "Operand"
    negated: bool = False


@dataclass(frozen=True)
class Members(Node):
    """How the chosen values of a multi-select compare with a list."""

    relation: Literal["has all", "has any", "has none", "is exactly"]
    left: "Operand"
    options: tuple["Operand", ...]
    negated: bool = False


@dataclass(frozen=True)
class OnDay(Node):
    """``is today``, ``is yesterday``, ``is tomorrow``."""

    left: "Operand"
    day: Literal["today", "yesterday", "tomorrow"]
    negated: bool = False


@dataclass(frozen=True)
class InPeriod(Node):
    """``is this week``, ``is next quarter``, ``is last year``, by the calendar of the workflow (D-116)."""

    left: "Operand"
    which: Literal["this", "next", "last"]
    period: Period
    negated: bool = False


@dataclass(frozen=True)
class Near(Node):
    """A date near now: ahead, behind, or by its yearly return."""

    left: "Operand"
    relation: Literal["in the next", "in the last", "more than ago", "less than ago", "within", "anniversary"]
    duration: Duration
    negated: bool = False


@dataclass(frozen=True)
class Change(Node):
    """What the waking event did to a field of the anchor (D-117)."""

    left: "Operand"
    kind: Literal["changed", "became empty", "was filled"] = "changed"
    old: "Operand | None" = None
    new: "Operand | None" = None


@dataclass(frozen=True)
class Moved(Node):
    """A number or date rose or fell, by at least (``more``: by more than) an amount, or across a value.

    With ``reset``, a crossing counts again only after the field was back at that value (D-24).
    """

    left: "Operand"
    kind: Literal["increased", "decreased", "crosses above", "crosses below"]
    amount: "Operand | None" = None
    more: bool = False
    reset: "Operand | None" = None


@dataclass(frozen=True)
class WasEver(Node):
    """``was ever v``; negated: ``has never been v``."""

    left: "Operand"
    value: "Operand"
    negated: bool = False


@dataclass(frozen=True)
class WasFor(Node):
    """``has been v for 14 days`` (until now), or ``was v for at least 3 days`` (at any time)."""

    left: "Operand"
    value: "Operand"
    duration: Duration
    still: bool


@dataclass(frozen=True)
class UserTest(Node):
    """What is known of a user: ownership, team, role, manager, activity."""

    left: "Operand"
    relation: Literal["owner of", "in team", "in role", "reports to", "active"]
    name: str = ""
    who: "Operand | None" = None
    negated: bool = False


@dataclass(frozen=True)
class Quantified(Node):
    """``any``, ``all``, ``all_or_no`` or ``no`` related row holds a condition; without one, a row."""

    kind: Literal["any", "all", "all_or_no", "no"]
    alias: str
    where: "Condition | None" = None


@dataclass(frozen=True)
class Exists(Node):
    """There is such a record: ``account exists``."""

    operand: "Operand"
    negated: bool = False


@dataclass(frozen=True)
class Window(Node):
    """Two conditions by when they last became true: within a duration, or one then the other."""

    first: "Condition"
    second: "Condition"
    duration: Duration | None = None


Operand: TypeAlias = (
    Constant | Exact | Length | Name | Field | Before | StepValue | FirstOf | Binary | Negative | Call
    | Count | Aggregate | Pick | Formula
)  # fmt: skip
Condition: TypeAlias = (
    And | Or | Not | Compare | OneOf | TextTest | Matches | Between | Empty | Members | OnDay | InPeriod
    | Near | Change | Moved | WasEver | WasFor | UserTest | Quantified | Exists | Window | Formula
)  # fmt: skip
Tree: TypeAlias = Operand | Condition
