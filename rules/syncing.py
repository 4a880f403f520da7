"""Two tabs kept alike: what both sides held when they were last alike, and whether they are (D-44)."""

from collections.abc import Iterator, Mapping

from rules import unseen
from rules.book import Rule
from rules.criteria.scope import Unknown, Verdict
from rules.rounds import Round
from rules.state import Event, Fire, JourneyRules, Sent
from schemas.values import Ref, Value, same, tab_of

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
            _tried(round_, rule, anchor).pop(name, None)
        else:
            different = True
    return different


def _find_tried(round_: Round, rule: Rule, anchor: Ref) -> None:
    """A write whose answer was lost, and that was refused when repeated, has taken effect if its value is there."""
    assert rule.sync is not None
    base = round_.memory.agreed.setdefault(_key(rule, anchor), {})
    written = unseen.overlay(round_)
    for name, (record, value) in list(_tried(round_, rule, anchor).items()):
        shown = record in round_.view.join.shown
        if shown and same(round_.view.image(record, written).get(_field(rule, name, record)), value):
            base[name] = value
            del _tried(round_, rule, anchor)[name]


def agreed(round_: Round, rule: Rule, anchor: Ref) -> Mapping[str, Value]:
    """What both sides held when they were last alike, by the left one's field."""
    _find_tried(round_, rule, anchor)
    return round_.memory.agreed.get(_key(rule, anchor), {})


def note_written(round_: Round, rule: Rule, fire: Fire, sent: Sent) -> None:
    """What one side was given is what both agree on."""
    assert rule.sync is not None
    base = round_.memory.agreed.setdefault(_key(rule, fire.anchor), {})
    for name in rule.sync.pairs:
        field = _field(rule, name, sent.ref)
        if field in sent.fields:
            base[name] = sent.fields[field]
            _tried(round_, rule, fire.anchor).pop(name, None)


def note_refused(round_: Round, rule: Rule, fire: Fire, sent: Sent) -> None:
    """One side was changed meanwhile; by whom is not known where an answer was lost before."""
    assert rule.sync is not None
    for name in rule.sync.pairs:
        field = _field(rule, name, sent.ref)
        if field in sent.fields:
            _tried(round_, rule, fire.anchor)[name] = (sent.ref, sent.fields[field])


def told(round_: Round, rule: Rule, anchor: Ref) -> Iterator[str]:
    """How each pair of fields stands, in words; no values."""
    sync = rule.sync
    if sync is None:
        return
    scope = round_.scope(rule, anchor, overlay=unseen.overlay(round_))
    left, right = scope[sync.left], scope[sync.right]
    if not isinstance(left, dict) or not isinstance(right, dict):
        return
    for name, other in sync.pairs.items():
        stands = "alike" if same(left.get(name), right.get(other)) else "different"
        yield f"{sync.left}.{name} and {sync.right}.{other}: {stands}"


def is_under_way(memory: JourneyRules, rule: Rule, anchor: Ref) -> bool:
    """Whether a fire of this sync has yet to look at the two records: it will see what is new now."""
    return any(
        fire.rule == rule.id and fire.anchor == anchor and fire.state in _WAITING for fire in memory.fires.values()
    )


def forget(memory: JourneyRules, rule: Rule, anchor: Ref) -> None:
    """The record has left the journey."""
    memory.agreed.pop(_key(rule, anchor), None)
    memory.tried.pop(_key(rule, anchor), None)


def _field(rule: Rule, name: str, record: Ref) -> str:
    """What a record's side calls the field that the left side calls so."""
    assert rule.sync is not None
    return name if tab_of(record) == rule.workflow.tabs[rule.sync.left] else rule.sync.pairs[name]


def _tried(round_: Round, rule: Rule, anchor: Ref) -> dict[str, tuple[Ref, Value]]:
    return round_.memory.tried.setdefault(_key(rule, anchor), {})


def _key(rule: Rule, anchor: Ref) -> str:
    return f"{rule.id}@{anchor}"
