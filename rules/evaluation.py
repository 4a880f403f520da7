"""From changes to fires: which rules a round wakes, what their criteria say, and whether that is an edge."""

from collections.abc import Iterable
from typing import Any

import msgspec

from rules import firing, syncing, timing
from rules.book import EventTrigger, FieldTrigger, NamedTrigger, Rule
from rules.criteria.scope import Verdict
from rules.interest import Concerned
from rules.rounds import Change, Round
from rules.state import Event, Truth, Waiting
from rules.workflow_file import FieldUpdated
from schemas.commands import CommandRank
from schemas.values import Ref, Value, fold, format_instant, same, to_number


class Wake(msgspec.Struct, frozen=True):
    """Why a rule is evaluated: the event that a trigger matched, if one did, and what was seen at all."""

    rule: Rule
    event: Event | None
    change: Change | None = None
    """The change that was seen, of whatever record; none where only something became known or time went by."""
    waited: bool = False
    """Whether the event was kept from an earlier round."""
    by_clock: bool = False
    """Whether nothing but time went by."""

    @property
    def is_live(self) -> bool:
        """Whether something happened, rather than was found or became known."""
        return self.event is not None or (self.change is not None and bool(self.change.kinds))

    @property
    def seen(self) -> Event | None:
        """What happened, as triggers see it; made only where it is asked for."""
        if self.event is not None or self.change is None or not self.change.kinds:
            return self.event
        return event_of(self.change, own=self.change.node == self.rule.node)


_GONE = frozenset({"deleted", "unlinked", "merged", "converted"})
Woken = dict[tuple[int, Ref], list[Wake]]
"""What to evaluate, by the rule's order and the anchor."""


def evaluate_changes(round_: Round, changes: list[Change], *, completed: bool) -> None:
    """Evaluate every rule that the changes wake, then start what fires (D-30, D-31).

    ``completed`` says that something became known: what waited for it is evaluated again (D-04).
    """
    rules, woken = round_.rules, _retry_waiting(round_)
    for change in changes:
        if change.left:
            _let_go(round_, change)
        for rule in rules:
            _wake(round_, rule, change, woken, reads=_reads(rule, change))
    if completed:
        _wake_unknown(round_, woken)
    _evaluate_all(round_, woken)
    dated = [rule for rule in rules if rule.follows_dates]
    for change in changes:
        for rule in dated:
            timing.follow_dates(round_, rule, change)
    for change in changes:
        if change.left:
            _forget(round_, change)
    firing.run_started(round_)


def evaluate_edits(round_: Round, edits: list[tuple[Change, Concerned]]) -> None:
    """The same for records that stay where they are, each with the rules that its edit concerns."""
    woken = _retry_waiting(round_) if round_.memory.waiting else {}
    for change, concerned in edits:
        for rule, reads in concerned.rules:
            _wake(round_, rule, change, woken, reads=reads)
    _evaluate_all(round_, woken)
    for change, concerned in edits:
        for rule in concerned.dated:
            timing.follow_dates(round_, rule, change)
    firing.run_started(round_)


def _evaluate_all(round_: Round, woken: Woken) -> None:
    for key in sorted(woken) if len(woken) > 1 else woken:
        for wake in woken[key]:
            evaluate(round_, key[1], wake)


def evaluate(round_: Round, anchor: Ref, wake: Wake) -> None:
    """Decide one rule on one anchor, and start a fire if it calls for one (D-20 to D-24)."""
    rule, event = wake.rule, wake.event
    if event is not None and not _tells_of_going(event) and not round_.view.join.stands(rule.node, anchor):
        return  # a wake without an event is one of an anchor that stands
    verdict = syncing.verdict(round_, rule, anchor, event)
    if verdict is None and event is not None:
        _wait(round_, rule, anchor, wake)
    if rule.remembers:
        _compare(round_, anchor, wake, verdict)
        return
    if rule.timed and rule.leaves_pending:
        timing.plan_wake(round_, rule, anchor)
    if verdict and event is not None:
        firing.start(round_, rule, anchor, event.id, event, rank=event.rank)
    elif verdict is False and rule.leaves_pending:
        firing.cancel(round_, rule, anchor, "criteria no longer hold")


def _wait(round_: Round, rule: Rule, anchor: Ref, wake: Wake) -> None:
    """Keep an event until what its rule reads is known; that it waits is told once (D-04, D-103)."""
    assert wake.event is not None
    round_.memory.waiting.append(Waiting(rule.id, anchor, wake.event, round_.now))
    if not wake.waited:
        reason = _clash(round_, rule, anchor) or "unknown: a related tab is not loaded, or a relation has not answered"
        round_.decide("unknown", rule, anchor, reason=reason, chain=wake.event.chain)


def _clash(round_: Round, rule: Rule, anchor: Ref) -> str:
    """Why a verdict is unknown though all is known; empty where that is not so (D-35)."""
    alias = round_.scope(rule, anchor).clash() if rule.workflow.several else ""
    return f"unknown: several records of {alias} match, and the workflow says `several: fail`" if alias else ""


def _compare(round_: Round, anchor: Ref, wake: Wake, verdict: Verdict) -> None:
    """Hold the verdict against the last known truth: an edge may fire, an exit cancels (D-21, D-51)."""
    rule = wake.rule
    truth = round_.memory.truth(rule.id, anchor)
    if verdict is None:
        if not truth.unknown and (reason := _clash(round_, rule, anchor)):
            round_.decide("unknown", rule, anchor, reason=reason)
        truth.unknown = True
        return
    truth.unknown = False
    previous = truth.value
    if previous is None and not wake.is_live and rule.workflow.source.existing_records == "ignore":
        return  # the next evaluation is the baseline (D-82)
    if previous is not verdict:
        truth.value, truth.since = verdict, round_.now
    if rule.timed:
        timing.plan_wake(round_, rule, anchor)
    if verdict:
        _fire_if_called(round_, anchor, wake, truth, previous)
    elif previous:
        firing.cancel(round_, rule, anchor, "criteria no longer hold")


def event_of(change: Change, *, own: bool = True) -> Event:
    """What triggers see of a change; of another record's change only that there was one."""
    if not own:
        return Event(change.id, change.kinds, chain=change.chain)
    fields = change.changed or frozenset()
    return Event(change.id, change.kinds, fields, change.before, change.coalesced, change.chain)


def _fire_if_called(round_: Round, anchor: Ref, wake: Wake, truth: Truth, previous: bool | None) -> None:
    rule = wake.rule
    if not _is_called(wake, previous) or (rule.sync and syncing.is_under_way(round_.memory, rule, anchor)):
        return
    if rule.repeat == "once" and truth.last_fired is not None:
        round_.decide("suppressed", rule, anchor, reason=f"once-mark: fired {_instant(truth.last_fired)}")
        return
    truth.epoch += 1
    firing.start(round_, rule, anchor, _epoch(wake, truth), wake.seen, rank=_rank(wake, previous))


def _rank(wake: Wake, previous: bool | None) -> CommandRank:
    """Who brought it: the clock, records that were there before, a person's signal, or a change (D-101)."""
    if wake.by_clock:
        return "schedule"
    if previous is None and not wake.is_live:
        return "bulk"
    return wake.event.rank if wake.event is not None else "rule"


def _is_called(wake: Wake, previous: bool | None) -> bool:
    """Whether holding criteria call for a fire now, by the rule's ``repeat`` (D-20)."""
    rule, event = wake.rule, wake.event
    edge = previous is False or (previous is None and _enrols(rule))
    if rule.sync is not None:
        return edge or wake.is_live
    if isinstance(rule.repeat, dict):
        woken = wake.seen if rule.on_state else event
        return woken is not None and bool(woken.changed & rule.value_fields)
    if rule.repeat == "when_becomes_true":
        return edge if rule.on_state else event is not None and previous is not True
    if rule.repeat == "every_time" and rule.on_state and previous is not None and wake.is_live:
        return True
    return event is not None or (rule.on_state and edge)


def _epoch(wake: Wake, truth: Truth) -> str:
    """The number of the edge, the id of the event, or a constant (D-41)."""
    if wake.rule.repeat == "once":
        return f"once more {truth.discarded}" if truth.discarded else "once"
    if wake.event is not None:
        return wake.event.id
    by_event = wake.rule.repeat == "every_time" or isinstance(wake.rule.repeat, dict)
    return wake.seen.id if by_event and wake.seen is not None else f"edge {truth.epoch}"


def _enrols(rule: Rule) -> bool:
    return rule.workflow.source.existing_records == "enrol"


def _instant(at: int | None) -> str:
    return format_instant(at) if at is not None else "earlier"


def _tells_of_going(event: Event) -> bool:
    """An anchor must stand at the rule's node, except for the events that tell of its going."""
    return not _GONE.isdisjoint(event.kinds)


# -- what wakes ------------------------------------------------------------------


def _wake(round_: Round, rule: Rule, change: Change, woken: Woken, *, reads: bool) -> None:
    if change.kinds and rule.node == change.node:
        if "created" in change.kinds and rule.remembers:
            _born(round_, rule, change)
        if rule.on_event and matches(rule, change):
            woken.setdefault((rule.order, change.ref), []).append(Wake(rule, event_of(change), change))
            return
    if reads and (rule.remembers or rule.leaves_pending):
        for anchor in _affected(round_, rule, change):
            if (rule.order, anchor) not in woken:
                woken[rule.order, anchor] = [Wake(rule, None, change)]


def _reads(rule: Rule, change: Change) -> bool:
    """Whether the change touches what the rule reads (D-31); a record that came or went touches its own node."""
    fields = rule.reads.get(change.node)
    if change.changed is None:
        return rule.node == change.node or fields is not None
    return fields is not None and not fields.isdisjoint(change.changed)


def _born(round_: Round, rule: Rule, change: Change) -> None:
    """A record created live was not true before: its first truth is an edge (D-22a)."""
    truth = round_.truth(rule, change.ref)
    if truth.value is None:
        truth.value, truth.since = False, round_.now


def _affected(round_: Round, rule: Rule, change: Change) -> Iterable[Ref]:
    """The anchors whose verdict a change may touch: those below the nearest common ancestor."""
    join = round_.view.join
    if rule.node == change.node:
        return (change.ref,) if join.stands(rule.node, change.ref) else ()
    if rule.node == 0:
        return (join.main,) if join.main in join.shown else ()
    members = join.members[rule.node]
    if change.left:
        return sorted(members)
    common = join.tree.common(rule.node, change.node)
    start = round_.view.ancestor(change.node, change.ref, common)
    return sorted(members) if start is None else round_.view.below(rule.node, common, start)


def _wake_unknown(round_: Round, woken: Woken) -> None:
    for rule in round_.rules:
        if rule.remembers:
            truths = round_.memory.truths.get(rule.id, {})
            for anchor in round_.view.join.members[rule.node]:
                truth = truths.get(anchor)
                if truth is None or truth.unknown or truth.value is None:
                    woken.setdefault((rule.order, anchor), [Wake(rule, None)])


def _retry_waiting(round_: Round) -> Woken:
    """What an earlier round could not decide is woken first."""
    woken: Woken = {}
    if not round_.memory.waiting:
        return woken
    waiting, round_.memory.waiting = round_.memory.waiting, []
    for one in waiting:
        rule = round_.book.rule(one.rule)
        if rule is not None:
            woken.setdefault((rule.order, one.anchor), []).append(Wake(rule, one.event, waited=True))
    return woken


def _let_go(round_: Round, change: Change) -> None:
    """The old anchor loses a record that left (D-23): timers, fires, waiting events; the journey ends with its main."""
    for rule in round_.rules:
        if rule.node == change.node:
            firing.cancel(round_, rule, change.ref, "the record left the journey", whole=True)
    round_.memory.waiting = [one for one in round_.memory.waiting if one.anchor != change.ref]
    if change.node == 0:
        reason = next(iter(sorted(change.kinds & _GONE)), "gone")
        firing.cancel_all(round_, f"the journey ended: {reason}")
        round_.decide("ended", anchor=change.ref, reason=reason, chain=change.chain)


def _forget(round_: Round, change: Change) -> None:
    """Forget what was true of a record that left; the marks of ``once`` rules stay (D-21)."""
    for rule in round_.rules:
        if rule.node == change.node:
            if rule.repeat != "once":
                round_.memory.forget_truth(rule.id, change.ref)
            round_.memory.marks.pop(f"{rule.id}@{change.ref}", None)
            syncing.forget(round_.memory, rule, change.ref)


# -- triggers ------------------------------------------------------------------


def matches(rule: Rule, change: Change) -> bool:
    """Whether one of the rule's event triggers sees this change (D-11, D-12)."""
    return any(_matches(trigger, change) for trigger in rule.triggers)


def _matches(trigger: Any, change: Change) -> bool:
    match trigger:
        case EventTrigger(kind="edited" | "created_or_edited" as kind):
            edited = "edited" in change.kinds and _is_edit(trigger, change)
            return edited or (kind != "edited" and "created" in change.kinds)
        case EventTrigger(kind=kind):
            return kind in change.kinds
        case NamedTrigger(name=name):
            return f"signal:{name}" in change.kinds
        case FieldTrigger():
            return "edited" in change.kinds and any(_field_matches(trigger, change, name) for name in trigger.fields)
    return False


def _is_edit(trigger: EventTrigger, change: Change) -> bool:
    """Whether a change is more than what the system itself writes: modified times, roll-ups (D-11)."""
    return trigger.fields is None or bool(trigger.fields & (change.changed or frozenset()))


def _field_matches(trigger: FieldTrigger, change: Change, name: str) -> bool:
    """One save that changes three named fields fires once: any of them is enough (D-11)."""
    if name not in (change.changed or ()):
        return False
    part = trigger.part
    if not isinstance(part, FieldUpdated):
        return True
    after = (change.after or {}).get(name)
    before = (change.before or {}).get(name)
    given = part.model_fields_set
    return all((
        "from_" not in given or _is(before, part.from_),
        "to" not in given or _is(after, part.to),
        part.to_any_of is None or any(_is(after, value) for value in part.to_any_of),
        part.increased_by is None or _rise(before, after) >= part.increased_by,
        part.decreased_by is None or -_rise(before, after) >= part.decreased_by,
    ))  # fmt: skip


def _is(value: Value, wanted: Value) -> bool:
    """Whether a value is the one that a trigger names, texts compared as criteria compare them (D-113)."""
    if isinstance(value, str) and isinstance(wanted, str):
        return fold(value) == fold(wanted)
    return same(value, wanted)


def _rise(before: Value, after: Value) -> Any:
    was, now = to_number(before), to_number(after)
    return now - was if was is not None and now is not None else 0
