"""Which side of a synced field wins: a merge of three values, as version control does it.

A side has changed where it differs from what both held when they were last alike. One side changed: it is copied.
Both changed, to different values: only then times are compared, so that clocks that differ harm nobody else.
"""

from typing import Literal, NamedTuple, TypeAlias

from rules.criteria.scope import Unknown
from schemas.values import SECOND, Value, same

Side = Literal["left", "right"]
Policy = Literal["newest", "left", "right", "fail"]
"""Who wins where both sides have changed a field."""


class Pair(NamedTuple):
    """One field on both sides; times in milliseconds by the clock of each CRM."""

    left: Value
    right: Value
    base: Value | Unknown
    """What both held when they were last alike; unknown if they never were, as far as was seen."""
    left_at: int
    right_at: int


class Won(NamedTuple):
    """The side whose value goes to the other one, and whether both had changed."""

    side: Side
    clash: bool


class Clash(NamedTuple):
    """Both sides have changed, and a person has to say which one is right."""


Verdict: TypeAlias = Won | Clash | None
"""None: they are alike."""


def merge(pair: Pair, policy: Policy, tie: Side) -> Verdict:
    """What is to be done about one field. ``tie`` wins where both were changed in one second."""
    if same(pair.left, pair.right):
        return None
    if not isinstance(pair.base, Unknown):
        if same(pair.left, pair.base):
            return Won("right", clash=False)
        if same(pair.right, pair.base):
            return Won("left", clash=False)
    if policy == "fail":
        return Clash()
    return Won(_newest(pair, tie) if policy == "newest" else policy, clash=True)


def _newest(pair: Pair, tie: Side) -> Side:
    """CRMs tell whole seconds: what is within one of them is no order."""
    left, right = pair.left_at // SECOND, pair.right_at // SECOND
    if left == right:
        return tie
    return "left" if left > right else "right"
