"""What happens when a Tick is read: the timers due by then run, in an order that is always the same."""

from rules import evaluation, firing
from rules.book import DueTrigger, RecurringTrigger, Rule
from rules.due import Lateness
from rules.identity import derived
from rules.outcomes import pass_step
from rules.rounds import Round
from rules.state import Fire, Timer
from rules.timing import DATE, SCHEDULE, SCHEDULED, WAIT, WAKE, decide_timer, plan_date, plan_next
from schemas.events import Chain
from schemas.values import MINUTE, format_instant

DUES_KEPT = 16
_LATENESS = Lateness()


def run_due(round_: Round) -> None:
    """Run every timer that is due by now, in order of due time, rule, anchor and epoch."""
    while due := _next_due(round_):
        del round_.memory.timers[due.id]
        rule = round_.book.rule(due.rule)
        if rule is not None:
            _RUN[due.kind](round_, rule, due)
        firing.run_started(round_)


def _next_due(round_: Round) -> Timer | None:
    due = [timer for timer in round_.memory.timers.values() if timer.due is not None and timer.due <= round_.now]
    return min(due, key=lambda timer: (timer.due, timer.rule, timer.anchor, timer.epoch, timer.id), default=None)


def _run_scheduled(round_: Round, rule: Rule, timer: Timer) -> None:
    if timer.entry >= len(rule.scheduled):
        return
    entry = rule.scheduled[timer.entry]
    if entry.lateness.verdict(timer.due or 0, round_.now, round_.limits.grace) == "skip":
        decide_timer(round_, "discarded", rule, timer, f"late: due {format_instant(timer.due or 0)}")
        return
    verdict = round_.verdict(rule, timer.anchor, timer.event) if entry.recheck else True
    if verdict is None:
        timer.due = round_.now + MINUTE  # something is not loaded yet (D-04): ask again
        round_.memory.timers[timer.id] = timer
        return
    if not verdict or timer.anchor not in round_.view.join.members[rule.node]:
        decide_timer(round_, "discarded", rule, timer, "criteria no longer hold at the due time")
        return
    # A date that moved after it ran makes another fire; one that moved before has not run yet (D-41).
    name = derived(timer.fire, timer.planned) if entry.date_field is not None else timer.fire
    fire = Fire(
        name, rule.id, timer.anchor, timer.chain or Chain(name), [(path, "") for path in entry.steps],
        timer.event, round_.now, outputs=dict(timer.outputs), scheduled=entry.number, state="new",
        bulk=timer.bulk, rank="schedule",
    )  # fmt: skip
    decide_timer(round_, "fired", rule, timer, "a scheduled action is due")
    if entry.again_if_moved:
        timer.ran, timer.due = True, None
        round_.memory.timers[timer.id] = timer
    firing.start_fire(round_, fire)


def _run_date(round_: Round, rule: Rule, timer: Timer) -> None:
    trigger = rule.triggers[timer.entry]
    if not isinstance(trigger, DueTrigger) or timer.anchor not in round_.view.join.members[rule.node]:
        return
    truth = round_.truth(rule, timer.anchor)
    truth.done_dues = [*truth.done_dues, timer.planned][-DUES_KEPT:]
    if _LATENESS.verdict(timer.planned, round_.now, round_.limits.grace) == "skip":
        decide_timer(round_, "discarded", rule, timer, f"late: due {format_instant(timer.planned)}")
    else:
        _fire_timed(round_, rule, timer)
    plan_date(round_, rule, timer.entry, trigger, timer.anchor)


def _run_schedule(round_: Round, rule: Rule, timer: Timer) -> None:
    """Fire for the planned instant, or after an outage for what ``catch_up`` says (D-58)."""
    trigger = rule.triggers[timer.entry]
    if not isinstance(trigger, RecurringTrigger) or timer.anchor not in round_.view.join.members[rule.node]:
        return
    for planned in _caught_up(round_, rule, trigger, timer.planned):
        timer.epoch, timer.planned = str(planned), planned
        _fire_timed(round_, rule, timer)
    plan_next(round_, rule, timer.entry, trigger, timer.anchor, round_.now)


def _caught_up(round_: Round, rule: Rule, trigger: RecurringTrigger, planned: int) -> tuple[int, ...]:
    """Which of the planned instants up to now are run; more than one, or a late one, is an outage."""
    calendar, recurrence = rule.workflow.calendar, trigger.recurrence
    if trigger.catch_up == "all":
        return (planned, *recurrence.between(planned, round_.now, calendar))
    last = recurrence.last_between(planned, round_.now, calendar)
    if trigger.catch_up == "none" and (last is not None or round_.now - planned > round_.limits.grace):
        return ()
    return (planned if last is None else last,)


def _fire_timed(round_: Round, rule: Rule, timer: Timer) -> None:
    fired = round_.truth(rule, timer.anchor).last_fired
    if rule.repeat == "once" and fired is not None:
        decide_timer(round_, "suppressed", rule, timer, f"once-mark: fired {format_instant(fired)}")
        return
    verdict = round_.verdict(rule, timer.anchor, None)
    if verdict:
        firing.start(round_, rule, timer.anchor, f"due {timer.epoch}", None, rank="schedule")
    else:
        reason = "unknown: related data is not loaded" if verdict is None else "criteria do not hold at the due time"
        decide_timer(round_, "discarded", rule, timer, reason)


def _run_wake(round_: Round, rule: Rule, timer: Timer) -> None:
    if round_.view.join.stands(rule.node, timer.anchor):
        evaluation.evaluate(round_, timer.anchor, evaluation.Wake(rule, None, by_clock=True))


def _run_wait(round_: Round, rule: Rule, timer: Timer) -> None:
    fire = round_.memory.fires.get(timer.fire)
    if fire is not None and fire.state == "waiting":
        fire.state, fire.rank = "running", "schedule"
        pass_step(fire)
        firing.run(round_, fire)


_RUN = {SCHEDULED: _run_scheduled, WAKE: _run_wake, DATE: _run_date, SCHEDULE: _run_schedule, WAIT: _run_wait}
