"""Two tabs kept alike: what both sides held when they were last alike, and whether they are (D-44)."""

from collections.abc import Iterator, Mapping

from rules import unseen
from rules.book import Rule
from rules.criteria.scope import Unknown, Verdict
from rules.rounds import Round
from rules.state import Event, Fire, JourneyRules, Sent
from schemas.values import Ref, Value, same

_WAITING = ("new", "unready", "held")


def verdict(round_: Round, rule: Rule, anchor: Ref, event: Event | None) -> Verdict:
    """Whether a rule's criteria hold; of a sync, whether its two records differ."""
    return round_.verdict(rule, anchor, event) if rule.sync is None else differ(round_, rule, anchor)


def differ(round_: Round, rule: Rule, anchor: Ref) -> Verdict:
    """Whether the two records differ in a field that is synced; where they do not, both sides agree on it."""
    assert rule.sync is not None
    scope = round_.scope(rule, anchor, overlay=unseen.overlay(round_))
    left, right = scope[rule.sync.left], scope[rule.sync.right]
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return None
    if left is None or right is None:
        return False
    base = round_.memory.agreed.setdefault(_key(rule, anchor), {})
    different = False
    for name, other in rule.sync.pairs.items():
        if same(left.get(name), right.get(other)):
            base[name] = left.get(name)
        else:
            different = True
    return different


def agreed(round_: Round, rule: Rule, anchor: Ref) -> Mapping[str, Value]:
    """What both sides held when they were last alike, by the left one's field."""
    return round_.memory.agreed.get(_key(rule, anchor), {})


def note_written(round_: Round, rule: Rule, fire: Fire, sent: Sent) -> None:
    """What one side was given is what both agree on."""
    assert rule.sync is not None
    base = round_.memory.agreed.setdefault(_key(rule, fire.anchor), {})
    to_left = sent.ref.partition("/")[0] == rule.workflow.tabs[rule.sync.left]
    for name, other in rule.sync.pairs.items():
        field = name if to_left else other
        if field in sent.fields:
            base[name] = sent.fields[field]


def told(round_: Round, rule: Rule, anchor: Ref) -> Iterator[str]:
    """How each pair of fields stands, in words; no values."""
    scope = round_.scope(rule, anchor, overlay=unseen.overlay(round_)) if rule.sync is not None else {}
    for name, other in rule.sync.pairs.items() if rule.sync is not None else ():
        left, right = scope[rule.sync.left], scope[rule.sync.right]
        if isinstance(left, dict) and isinstance(right, dict):
            stands = "alike" if same(left.get(name), right.get(other)) else "different"
            yield f"{rule.sync.left}.{name} and {rule.sync.right}.{other}: {stands}"


def is_under_way(memory: JourneyRules, rule: Rule, anchor: Ref) -> bool:
    """Whether a fire of this sync has yet to look at the two records: it will see what is new now."""
    return any(
        fire.rule == rule.id and fire.anchor == anchor and fire.state in _WAITING for fire in memory.fires.values()
    )


def forget(memory: JourneyRules, rule: Rule, anchor: Ref) -> None:
    """The record has left the journey."""
    memory.agreed.pop(_key(rule, anchor), None)


def _key(rule: Rule, anchor: Ref) -> str:
    return f"{rule.id}@{anchor}"
