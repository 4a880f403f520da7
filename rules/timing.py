"""Timers of a journey: scheduled actions, date and schedule triggers, waits, and criteria that wake themselves.

Timers are part of the journey's state and are looked at when a Tick is read, so topic order alone decides.
"""

from datetime import date

from rules.book import DueTrigger, RecurringTrigger, Rule, Scheduled, Step
from rules.calendars import CalendarError
from rules.due import DuePlan, due_at, next_due
from rules.identity import derived
from rules.rounds import Change, Round
from rules.state import Event, Fire, Timer
from schemas.decisions import DecisionKind
from schemas.events import Chain
from schemas.values import Ref, Value, format_instant, parse_date, parse_instant

SCHEDULED, WAKE, DATE, SCHEDULE, WAIT = "scheduled", "wake", "date", "schedule", "wait"


def plan_scheduled(
    round_: Round, rule: Rule, anchor: Ref, fire: str, event: Event | None, chain: Chain, *, bulk: bool
) -> None:
    """Plan the scheduled actions of a fire (D-50, D-54)."""
    for entry in rule.scheduled:
        if not _makes_room(round_, rule, anchor, entry):
            continue
        timer = Timer(
            id=derived("timer", fire, entry.number), kind=SCHEDULED, due=None, rule=rule.id, anchor=anchor,
            fire=derived("scheduled", fire, entry.number), entry=entry.number, chain=chain, event=event, of=fire,
            base=round_.now if entry.date_field is None else None, bulk=bulk,
        )  # fmt: skip
        plan_entry(round_, rule, timer, entry_due(round_, rule, timer, entry))


def plan_wake(round_: Round, rule: Rule, anchor: Ref) -> None:
    """Plan the next instant at which the verdict can change with no edit (D-59)."""
    assert rule.criteria is not None
    name = derived(WAKE, rule.id, anchor)
    at = rule.criteria.wakes(round_.scope(rule, anchor))
    if at is None:
        round_.memory.timers.pop(name, None)
    else:
        round_.memory.timers[name] = Timer(id=name, kind=WAKE, due=at, rule=rule.id, anchor=anchor, planned=at)


def plan_wait(round_: Round, fire: Fire, step: Step, at: int) -> None:
    """Plan the end of a ``wait`` step."""
    name = derived(WAIT, fire.id, step.path, fire.todo[0][1])
    round_.memory.timers[name] = Timer(
        id=name, kind=WAIT, due=at, rule=fire.rule, anchor=fire.anchor, fire=fire.id, planned=at, base=round_.now
    )


def follow_dates(round_: Round, rule: Rule, change: Change) -> None:
    """Plan again what hangs on a date field of the rule's own record that a change moved (D-53).

    Where the calendar is another one, all is planned again once everything is joined (D-56).
    """
    if rule.node == change.node and not change.left and rule.workflow.name not in round_.recalendared:
        _follow_triggers(round_, rule, change)
        _follow_scheduled(round_, rule, change)


def cancel(round_: Round, rule: Rule, anchor: Ref, reason: str, *, whole: bool = False) -> None:
    """Cancel what a rule has planned for an anchor, visibly (D-51); with ``whole`` its triggers' timers too."""
    for timer in list(round_.memory.timers.values()):
        if timer.rule != rule.id or timer.anchor != anchor:
            continue
        if timer.kind == SCHEDULED and (whole or rule.scheduled[timer.entry].cancel_on_exit):
            del round_.memory.timers[timer.id]
            if not timer.ran:
                decide_timer(round_, "cancelled", rule, timer, reason)
        elif whole and timer.kind in (DATE, SCHEDULE, WAKE):
            del round_.memory.timers[timer.id]


def forget_wait(round_: Round, fire: str) -> None:
    """Forget the end of a ``wait`` step of a fire that is over."""
    for timer in list(round_.memory.timers.values()):
        if timer.kind == WAIT and timer.fire == fire:
            del round_.memory.timers[timer.id]


def cancel_of(round_: Round, fire: str, reason: str) -> None:
    """Cancel the scheduled actions that a fire planned and that have not run."""
    for timer in list(round_.memory.timers.values()):
        rule = round_.book.rule(timer.rule)
        if timer.of == fire:
            del round_.memory.timers[timer.id]
            if rule is not None and not timer.ran:
                decide_timer(round_, "cancelled", rule, timer, reason)


# -- scheduled actions ------------------------------------------------------------------


def _makes_room(round_: Round, rule: Rule, anchor: Ref, entry: Scheduled) -> bool:
    """Which of several timers of one entry is kept (B.3, ``keep``)."""
    others = [
        timer
        for timer in round_.memory.timers.values()
        if timer.kind == SCHEDULED and timer.rule == rule.id and timer.anchor == anchor
        and timer.entry == entry.number and not timer.ran
    ]  # fmt: skip
    if entry.keep == "first" and others:
        return False
    if entry.keep == "latest":
        for timer in others:
            del round_.memory.timers[timer.id]
            decide_timer(round_, "cancelled", rule, timer, "replaced by a later fire")
    return True


def entry_due(round_: Round, rule: Rule, timer: Timer, entry: Scheduled) -> int | None:
    """When a scheduled action is due; none while its date field is empty, or where nobody knows its base."""
    if entry.date_field is not None:
        return _date_due(round_, rule, timer.anchor, entry.date_field, entry.plan)
    return None if timer.base is None else due_of(timer.base, entry.plan, rule)


def plan_entry(round_: Round, rule: Rule, timer: Timer, due: int | None) -> None:
    """Take the timer into the journey; one whose time has passed runs now or is skipped (D-53, D-54)."""
    timer.planned = due or 0
    timer.due = due
    late = due is not None and due < round_.now
    if late and due is not None:
        lateness = rule.scheduled[timer.entry].lateness
        if lateness.verdict(due, round_.now, round_.limits.grace) == "skip":
            timer.due = None
            decide_timer(round_, "discarded", rule, timer, f"its time {format_instant(due)} has passed")
            if rule.scheduled[timer.entry].date_field is not None:
                round_.memory.timers[timer.id] = timer  # the date may move again
            return
        timer.due = round_.now
    round_.memory.timers[timer.id] = timer
    if due is not None:
        decide_timer(round_, "planned", rule, timer, "its time has passed, within grace" if late else "")


def _follow_scheduled(round_: Round, rule: Rule, change: Change) -> None:
    for timer in list(round_.memory.timers.values()):
        if timer.kind != SCHEDULED or timer.rule != rule.id or timer.anchor != change.ref:
            continue
        entry = rule.scheduled[timer.entry] if timer.entry < len(rule.scheduled) else None
        if entry is None or entry.date_field is None or not _touches(change, entry.date_field):
            continue
        due = _date_due(round_, rule, change.ref, entry.date_field, entry.plan)
        if due == timer.planned or (timer.ran and (due is None or due <= round_.now)):
            continue
        del round_.memory.timers[timer.id]
        timer.ran = False
        decide_timer(round_, "replanned", rule, timer, f"{entry.date_field} moved")
        plan_entry(round_, rule, timer, due)


# -- triggers in time ------------------------------------------------------------------


def _follow_triggers(round_: Round, rule: Rule, change: Change) -> None:
    for number, trigger in enumerate(rule.triggers):
        if isinstance(trigger, DueTrigger) and _touches(change, trigger.field):
            _follow_date(round_, rule, number, trigger, change)
        elif isinstance(trigger, RecurringTrigger) and change.changed is None:
            plan_next(round_, rule, number, trigger, change.ref, round_.now)


def _follow_date(round_: Round, rule: Rule, number: int, trigger: DueTrigger, change: Change) -> None:
    """Plan a date trigger anew; what a moved date does to it is told, also when its new time has passed (G8)."""
    before = round_.memory.timers.get(derived(DATE, rule.id, number, change.ref))
    timer = plan_date(round_, rule, number, trigger, change.ref)
    if change.changed is None:
        return
    if timer is not None and (before is None or before.planned != timer.planned):
        late = "its time has passed, within grace" if timer.planned < round_.now else f"{trigger.field} moved"
        decide_timer(round_, "replanned" if before is not None else "planned", rule, timer, late)
    elif timer is None and (passed := _passed(round_, rule, trigger, change.ref)) is not None:
        detail = {"due": format_instant(passed)}
        reason = f"its time {format_instant(passed)} has passed"
        round_.decide("discarded", rule, change.ref, reason=reason, detail=detail)
    elif timer is None and before is not None:
        decide_timer(round_, "cancelled", rule, before, f"{trigger.field} is empty")


def plan_date(round_: Round, rule: Rule, number: int, trigger: DueTrigger, anchor: Ref) -> Timer | None:
    """Plan a date trigger from its field's value; a date that has passed fires within grace (D-53, D-54)."""
    name = derived(DATE, rule.id, number, anchor)
    round_.memory.timers.pop(name, None)
    base = date_value(round_, anchor, trigger.field)
    if base is None:
        return None
    calendar = rule.workflow.calendar
    due = next_due(base, trigger.plan, calendar, round_.now - round_.limits.grace - 1)
    if due is not None and due in round_.truth(rule, anchor).done_dues:
        due = next_due(base, trigger.plan, calendar, due)
    if due is None:
        return None
    timer = Timer(id=name, kind=DATE, due=due, rule=rule.id, anchor=anchor, epoch=str(due), entry=number, planned=due)
    round_.memory.timers[name] = timer
    return timer


def _passed(round_: Round, rule: Rule, trigger: DueTrigger, anchor: Ref) -> int | None:
    """The time of a date trigger that is over and was never run; none if there is none."""
    base = date_value(round_, anchor, trigger.field)
    due = due_of(base, trigger.plan, rule) if base is not None else None
    return due if due is not None and due not in round_.truth(rule, anchor).done_dues else None


def plan_next(round_: Round, rule: Rule, number: int, trigger: RecurringTrigger, anchor: Ref, after: int) -> None:
    """Plan the next time of a schedule trigger, unless one is planned (D-58)."""
    name = derived(SCHEDULE, rule.id, number, anchor)
    due = trigger.recurrence.next_after(after, rule.workflow.calendar)
    if due is not None and name not in round_.memory.timers:
        round_.memory.timers[name] = Timer(
            id=name, kind=SCHEDULE, due=due, rule=rule.id, anchor=anchor, epoch=str(due), entry=number, planned=due
        )


def _touches(change: Change, field: str) -> bool:
    return change.changed is None or field in change.changed


def _date_due(round_: Round, rule: Rule, anchor: Ref, field: str, plan: DuePlan) -> int | None:
    base = date_value(round_, anchor, field)
    return None if base is None else due_of(base, plan, rule)


def due_of(base: int | date, plan: DuePlan, rule: Rule) -> int | None:
    """When a plan is due; none where the calendar does not reach (a date such as 9999-12-31)."""
    try:
        return due_at(base, plan, rule.workflow.calendar)
    except CalendarError:
        return None


def date_value(round_: Round, anchor: Ref, field: str) -> int | date | None:
    """A date without a zone, or an instant; none if the field is empty or holds no date."""
    value: Value = round_.view.join.shown.get(anchor, {}).get(field)
    if not isinstance(value, str) or not value:
        return None
    try:
        return parse_date(value) if len(value) == len("2026-01-31") else parse_instant(value)
    except ValueError:
        return None


def decide_timer(round_: Round, kind: DecisionKind, rule: Rule, timer: Timer, reason: str) -> None:
    """Write down what became of a timer."""
    due = {"due": format_instant(timer.planned)} if timer.planned else {}
    round_.decide(kind, rule, timer.anchor, fire=timer.fire, reason=reason, chain=timer.chain, detail=due)
