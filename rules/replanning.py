"""Planning again what hangs on a calendar, once another calendar is published for the workflow (D-56).

What is pending moves; what has run, or was discarded, is over: a calendar makes nothing happen twice.
"""

from rules import evaluation, firing, timing
from rules.actions.control import Wait
from rules.book import DueTrigger, RecurringTrigger, Rule
from rules.due import DuePlan, due_again, next_due
from rules.identity import derived
from rules.rounds import Round
from rules.state import Timer
from rules.ticking import DUES_KEPT
from rules.timing import DATE, SCHEDULE, SCHEDULED, WAIT, date_value, decide_timer, due_of
from schemas.values import Ref, format_instant

CHANGED = "the calendar changed"


def replan(round_: Round) -> None:
    """Plan again what the recalendared workflows have planned; each timer that moves is told (D-56)."""
    rules = [rule for rule in round_.rules if rule.workflow.name in round_.recalendared]
    for rule in rules:
        for anchor in sorted(round_.view.join.members[rule.node]):
            if rule.timed and (rule.remembers or rule.leaves_pending):
                evaluation.evaluate(round_, anchor, evaluation.Wake(rule, None))  # it also plans the next wake (D-59)
            _follow_triggers(round_, rule, anchor)
    for rule in rules:
        for timer in sorted(round_.memory.timers.values(), key=lambda timer: (timer.planned, timer.anchor, timer.id)):
            if timer.rule == rule.id and round_.view.join.stands(rule.node, timer.anchor):
                _follow_timer(round_, rule, timer)
    firing.run_started(round_)


# -- what was planned from when it was planned ------------------------------------------


def _follow_timer(round_: Round, rule: Rule, timer: Timer) -> None:
    if timer.kind == SCHEDULED:
        _follow_scheduled(round_, rule, timer)
    elif timer.kind == WAIT and (due := _wait_due(round_, rule, timer)) is not None and due != timer.planned:
        timer.due = timer.planned = due
        decide_timer(round_, "replanned", rule, timer, CHANGED)


def _follow_scheduled(round_: Round, rule: Rule, timer: Timer) -> None:
    """Move a scheduled action; one in the past follows the rule of moved dates (D-53, D-54)."""
    entry = rule.scheduled[timer.entry] if timer.entry < len(rule.scheduled) else None
    if entry is None or (entry.date_field is None and timer.base is None):
        return  # no longer published, or planned by a version that did not keep the base
    due = timing.entry_due(round_, rule, timer, entry)
    if (due or 0) == timer.planned:
        return
    if timer.ran or (timer.due is None and timer.planned):
        # It ran, or its time had passed: only its date may wake it again (D-53), so it must not look moved later on.
        timer.planned = due or 0
        return
    del round_.memory.timers[timer.id]
    decide_timer(round_, "replanned", rule, timer, CHANGED)
    timing.plan_entry(round_, rule, timer, due)


def _wait_due(round_: Round, rule: Rule, timer: Timer) -> int | None:
    """When a step that waits for business time goes on; none for other steps, and where its beginning is not known."""
    fire = round_.memory.fires.get(timer.fire)
    step = rule.steps.get(fire.todo[0][0]) if fire is not None and fire.todo else None
    action = step.action if step is not None else None
    if not isinstance(action, Wait) or action.business_time is None or timer.base is None:
        return None
    return due_of(timer.base, DuePlan(action.business_time), rule)


# -- triggers in time ------------------------------------------------------------------


def _follow_triggers(round_: Round, rule: Rule, anchor: Ref) -> None:
    for number, trigger in enumerate(rule.triggers):
        if isinstance(trigger, DueTrigger):
            _follow_date(round_, rule, number, trigger, anchor)
        elif isinstance(trigger, RecurringTrigger):
            _follow_recurring(round_, rule, number, trigger, anchor)


def _follow_date(round_: Round, rule: Rule, number: int, trigger: DueTrigger, anchor: Ref) -> None:
    """Move what a date trigger has pending; without anything pending it is planned as for a record that came.

    The epoch of such a fire is the planned instant, and by the new calendar the same date is another instant. So it
    is not enough to look whether that one has run: an occurrence runs once, by the calendar of its day.
    """
    timer = round_.memory.timers.get(derived(DATE, rule.id, number, anchor))
    base = date_value(round_, anchor, trigger.field)
    if base is not None and timer is not None:
        due = due_again(base, trigger.plan, rule.workflow.calendar, timer.planned)
        if due is not None and due != timer.planned:
            _note_done(round_, rule, trigger, anchor, due)
            _move_date(round_, rule, trigger, timer, due)
    elif base is not None and trigger.plan.repeat == "none" and _dues_done(round_, rule, anchor):
        due = due_of(base, trigger.plan, rule)
        if due is not None:
            _mark_done(round_, rule, anchor, due)
    else:
        timing.plan_date(round_, rule, number, trigger, anchor)


def _note_done(round_: Round, rule: Rule, trigger: DueTrigger, anchor: Ref, pending: int) -> None:
    """What comes before the pending occurrence had its turn by the former calendar, whatever this one says."""
    base, calendar = date_value(round_, anchor, trigger.field), rule.workflow.calendar
    assert base is not None
    due = next_due(base, trigger.plan, calendar, round_.now - round_.limits.grace - 1)
    while due is not None and due < pending:
        _mark_done(round_, rule, anchor, due)
        due = next_due(base, trigger.plan, calendar, due)


def _mark_done(round_: Round, rule: Rule, anchor: Ref, due: int) -> None:
    truth = round_.truth(rule, anchor)
    if due not in truth.done_dues:
        truth.done_dues = [*truth.done_dues, due][-DUES_KEPT:]


def _dues_done(round_: Round, rule: Rule, anchor: Ref) -> list[int]:
    truth = round_.memory.truths.get(rule.id, {}).get(anchor)
    return truth.done_dues if truth is not None else []


def _move_date(round_: Round, rule: Rule, trigger: DueTrigger, timer: Timer, due: int) -> None:
    """Move a date trigger; into the past it runs within grace, or is discarded visibly (D-53)."""
    timer.due = timer.planned = due
    timer.epoch = str(due)
    decide_timer(round_, "replanned", rule, timer, CHANGED)
    if due in _dues_done(round_, rule, timer.anchor) or due < round_.now - round_.limits.grace:
        decide_timer(round_, "discarded", rule, timer, f"its time {format_instant(due)} has passed")
        timing.plan_date(round_, rule, timer.entry, trigger, timer.anchor)  # its next repetition, if it has one


def _follow_recurring(round_: Round, rule: Rule, number: int, trigger: RecurringTrigger, anchor: Ref) -> None:
    """Plan the next time that the new calendar gives. It is later than now, and so than all that have run (D-58)."""
    name = derived(SCHEDULE, rule.id, number, anchor)
    timer = round_.memory.timers.get(name)
    if timer is not None and timer.planned <= round_.now:
        return  # it is about to run, late
    round_.memory.timers.pop(name, None)
    timing.plan_next(round_, rule, number, trigger, anchor, round_.now)
    moved = round_.memory.timers.get(name)
    if timer is not None and moved is None:
        decide_timer(round_, "cancelled", rule, timer, f"{CHANGED}, and gives it no further time")
    elif timer is not None and moved is not None and moved.planned != timer.planned:
        decide_timer(round_, "replanned", rule, moved, CHANGED)
