"""Fires: how one firing of a rule runs through its steps, commands out and outcomes in (D-40 to D-48)."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import msgspec

from rules import timing, unseen
from rules.actions.base import Do, Draft, Expand, Fail, Plan, Skip, Unready, WaitUntil
from rules.book import Rule, Step
from rules.calendars import CalendarError
from rules.conflicts import settle_conflicts
from rules.freshness import read_again, stale_records, take_overtaken, take_read
from rules.guards import alternates, chain_of, refusal
from rules.identity import action_id, fire_id
from rules.lanes import lane_of
from rules.outcomes import ask_for_attention, conclude, end, give_outputs, note, pass_step, refuse
from rules.planning import ROW_SEPARATOR, PlanningStep
from rules.rounds import Round
from rules.state import Event, Failure, Fire, Sent
from rules.templates import TemplateError
from schemas.commands import Applied, Command, CommandRank, Outcome, RetryLater
from schemas.events import Chain
from schemas.messages import Resume
from schemas.values import Ref, ref

MAX_STEPS = 10_000  # of one fire in one round: a bound, not a limit that a sane workflow meets
_STOPPED = ("fresh", "overtaken", "attention", "held", "waiting")


def start(
    round_: Round, rule: Rule, anchor: Ref, epoch: str, event: Event | None, *, rank: CommandRank = "rule"
) -> None:
    """Start a fire, unless a guard speaks against it (D-61, D-62); of some ranks it may wait (D-101)."""
    chain = chain_of(round_, rule, anchor, epoch, event)
    mark = f"{rule.id}@{anchor}"
    refused = refusal(round_, rule, anchor, chain, mark)
    if refused:
        round_.decide("suppressed", rule, anchor, reason=refused, chain=chain)
        return
    name = fire_id(rule.id, round_.journey, anchor, epoch)
    if name in round_.memory.fires:
        return
    truth = round_.truth(rule, anchor)
    truth.last_fired = round_.now
    since = round_.now - round_.limits.breaker_window
    truth.recent = [at for at in truth.recent if at > since] + [round_.now]
    chain = Chain(chain.id, chain.hop, (*chain.fired, mark))
    round_.decide("fired", rule, anchor, fire=name, chain=chain, detail=_explained(round_, rule, anchor, event))
    bulk = rank in ("schedule", "bulk")
    timing.plan_scheduled(round_, rule, anchor, name, event, chain, bulk=bulk)
    if rule.top:
        todo = [(path, "") for path in rule.top]
        start_fire(
            round_, Fire(name, rule.id, anchor, chain, todo, event, round_.now, state="new", bulk=bulk, rank=rank)
        )


def start_fire(round_: Round, fire: Fire) -> None:
    """Let a fire run with this round."""
    round_.memory.fires[fire.id] = fire
    round_.started.append(fire.id)


def run_started(round_: Round) -> None:
    """Run what the round started, in order, and what waited for data; then settle conflicts (D-45)."""
    if not round_.memory.fires:
        return
    started, round_.started = round_.started, []
    for name in started:
        if (fire := round_.memory.fires.get(name)) is not None:
            _run_unless_held(round_, fire)
    _run_those(round_, ("unready", "held"), but=started)
    _settle(round_)


def _run_those(round_: Round, states: Collection[str], *, but: Collection[str] = ()) -> None:
    """Run the fires that are in one of these states, but for some by their ids."""
    for fire in list(round_.memory.fires.values()):
        if fire.state in states and fire.id not in but:
            _run_unless_held(round_, fire)


def run(round_: Round, fire: Fire) -> None:
    """Run a fire until it has to wait: for an outcome, for data, for a timer, or for nothing more."""
    if fire.state in _STOPPED or fire.awaits:
        return
    rule = round_.book.rule(fire.rule)
    if rule is None or any(path not in rule.steps for path, _ in fire.todo[:1]):
        end(round_, fire, rule, "discarded", "the rule or this step of it is no longer published")
        return
    first = fire.state == "new" and fire.scheduled < 0
    if first and rule.fresh is not None and (records := stale_records(round_, rule, fire.anchor)):
        read_again(round_, rule, fire, records)
        return
    fire.state = "running"
    for _ in range(MAX_STEPS):
        if not fire.todo:
            end(round_, fire, rule, "done")
            return
        step = rule.steps[fire.todo[0][0]]
        if not _follow(round_, rule, fire, step, _plan(round_, rule, fire, step)):
            return
    ask_for_attention(round_, rule, fire, "the fire has too many steps")


def take_outcome(round_: Round, name: str, outcome: Outcome) -> None:
    """Go on with a fire whose command came back; a repeated, unknown or postponed outcome changes nothing."""
    fire = round_.memory.fires.get(name)
    if fire is None or outcome.command_id not in fire.awaits or isinstance(outcome, RetryLater):
        return
    rule = round_.book.rule(fire.rule)
    step = rule.steps.get(fire.todo[0][0]) if rule is not None else None
    if rule is None or step is None:
        end(round_, fire, rule, "discarded", "the rule or this step of it is no longer published")
        return
    fire.awaits.remove(outcome.command_id)
    if fire.state in ("fresh", "overtaken"):
        _take_read(round_, rule, fire, outcome)
    else:
        note(round_, rule, fire, step, outcome)
        if not fire.awaits:
            conclude(round_, rule, fire, step)
    if not fire.awaits and name in round_.memory.fires:
        run(round_, fire)
    if not fire.awaits:
        _run_those(round_, ("unready",))  # a write on a condition waits for others of its record (D-44)
    _settle(round_)


def resume(round_: Round, word: Resume) -> None:
    """An operator's word on a fire that needs attention: retry, skip, done or stop (D-47); then the held ones go on."""
    fire, how = round_.memory.fires.get(word.fire), word.how
    rule = round_.book.rule(fire.rule) if fire is not None else None
    if fire is None or rule is None or fire.state != "attention":
        return
    # A fire that failed while it read again does so again, unless the operator skips just that.
    fire.state = "new" if fire.reads and how == "retry" else "running"
    fire.awaits, fire.sent, fire.attempt = [], {}, fire.attempt + 1
    fire.rank, fire.bulk = "interactive", False  # a person waits for it now
    if how == "stop":
        end(round_, fire, rule, "cancelled", "given up by an operator")
    else:
        if word.applied is not None and fire.todo:
            fire.sent = {word.applied.command_id: Sent(word.record, word.applied.fields)}
            note(round_, rule, fire, rule.steps[fire.todo[0][0]], word.applied)
        if how in ("skip", "done") and not fire.reads:
            pass_step(fire)
        fire.reads = {}
        run(round_, fire)
    run_started(round_)


def cancel(round_: Round, rule: Rule, anchor: Ref, reason: str, *, whole: bool = False) -> None:
    """Cancel what a rule has planned for an anchor, timers and waiting fires, at once and visibly (D-51)."""
    timing.cancel(round_, rule, anchor, reason, whole=whole)
    for fire in list(round_.memory.fires.values()):
        if fire.rule == rule.id and fire.anchor == anchor and (whole or fire.state == "waiting"):
            end(round_, fire, rule, "cancelled", reason)


def cancel_all(round_: Round, reason: str) -> None:
    """The journey is over: cancel every fire and every timer of it (D-98)."""
    for fire in list(round_.memory.fires.values()):
        end(round_, fire, round_.book.rule(fire.rule), "cancelled", reason)
    for rule in round_.rules:
        for anchor in {timer.anchor: None for timer in round_.memory.timers.values() if timer.rule == rule.id}:
            timing.cancel(round_, rule, anchor, reason, whole=True)


def _run_unless_held(round_: Round, fire: Fire) -> None:
    """An earlier fire of the journey that needs attention holds the later ones, so that order is kept (D-47)."""
    holder = _holder(round_)
    if holder and holder != fire.id:
        fire.state = "held" if fire.state == "new" else fire.state
        return
    if fire.state == "held":
        fire.state = "new"
    run(round_, fire)


def _settle(round_: Round) -> None:
    """Settle conflicts; a fire of whose step nothing is left goes on with the next one."""
    while len(round_.commands) > 1 and (freed := settle_conflicts(round_)):
        for fire in freed:
            pass_step(fire)
            run(round_, fire)


# -- steps ------------------------------------------------------------------


def _plan(round_: Round, rule: Rule, fire: Fire, step: Step) -> Plan:
    try:
        return step.action.plan(PlanningStep(round_, rule, fire, step, fire.todo[0][1]))
    except TemplateError as error:
        return Fail(error.problem)
    except CalendarError as error:
        return Fail(str(error))


def _follow(round_: Round, rule: Rule, fire: Fire, step: Step, plan: Plan) -> bool:
    """Do what the plan says; true if the fire can go on to its next step at once."""
    match plan:
        case Do(drafts, told):
            if told:
                round_.decide("step", rule, fire.anchor, fire=fire.id, step=step.path, reason=told, chain=fire.chain)
            _send(round_, rule, fire, step, drafts)
            return False
        case Skip(reason, outputs):
            round_.decide("step", rule, fire.anchor, fire=fire.id, step=step.path, reason=reason, chain=fire.chain)
            give_outputs(round_, fire, step, dict(outputs))
            pass_step(fire)
            return True
        case Expand(block, rows):
            row = fire.todo[0][1]
            outer = f"{row}{ROW_SEPARATOR}" if row else ""
            bound = [f"{outer}{alias}={ref}" for alias, ref in rows] or [row]
            fire.todo[:1] = [(path, one) for one in bound for path in step.blocks[block]]
            return True
        case WaitUntil(at):
            timing.plan_wait(round_, fire, step, at)
            fire.state = "waiting"
            return False
        case Unready():
            fire.state = "unready"
            return False
        case Fail(reason):
            refuse(round_, rule, fire, step, Failure("cannot", reason))
            return fire.state == "running"


def _send(round_: Round, rule: Rule, fire: Fire, step: Step, drafts: tuple[Draft, ...]) -> None:
    if len(drafts) == 1 and _can_go_along(step):
        drafts = (_with_following(round_, rule, fire, drafts[0]),)
    for draft in drafts:
        command = _command(round_, rule, fire, step, draft)
        alternating = alternates(round_, fire, draft)
        if alternating:
            round_.truth(rule, fire.anchor).quarantined = True
            end(round_, fire, rule, "alarm", f"quarantined: {alternating} alternates between two values")
            return
        fire.awaits.append(command.id)
        target, written = _target(draft), dict(draft.written)
        before = unseen.held(round_, target, written)
        fire.sent[command.id] = Sent(target, written, command.lane, before, command.if_unmodified)
        round_.commands.append(command)


def _with_following(round_: Round, rule: Rule, fire: Fire, draft: Draft) -> Draft:
    """Consecutive updates of one record are one write; the later ones see the earlier ones' values (D-40)."""
    record = ref(draft.tab, draft.record_id)
    for path, row in fire.todo[1:]:
        step = rule.steps.get(path)
        if step is None or not _can_go_along(step) or any("steps." in source for source in step.texts):
            break
        seen = {**fire.overlay, record: {**fire.overlay.get(record, {}), **draft.fields}}
        ahead = msgspec.structs.replace(fire, overlay=seen, todo=[(path, row)])
        plan = _plan(round_, rule, ahead, step)
        if not isinstance(plan, Do) or [one.part_of(draft) for one in plan.drafts] != [True]:
            break
        draft = replace(draft, fields={**draft.fields, **plan.drafts[0].fields})
        fire.merged += 1
    return draft


def _can_go_along(step: Step) -> bool:
    return step.action.verb in ("update", "link", "unlink") and step.action.on_error == "stop"


def _command(round_: Round, rule: Rule, fire: Fire, step: Step, draft: Draft) -> Command:
    part = draft.part + ("#fallback" if fire.fallback else "")
    name = action_id(fire.id, step.path, fire.todo[0][1] + part, fire.attempt)
    key_field = round_.book.key_fields.get(draft.connection)
    key = draft.key or ((key_field, name) if draft.keyed and key_field else None)
    return Command(
        id=name, connection=draft.connection, tab=draft.tab, operation=draft.operation, record_id=draft.record_id,
        fields=dict(draft.fields), key=key, owner=draft.owner, workflow=rule.workflow.name, rule=rule.name,
        anchor=fire.anchor, journey=round_.journey, fire=fire.id, step=step.path,
        chain=Chain(fire.chain.id, fire.chain.hop + 1, fire.chain.fired), planned_at=round_.now,
        priority=rule.order, on_unknown=draft.on_unknown, trigger_native=draft.trigger_native,
        lane=lane_of(round_, fire, _target(draft)), rank=fire.rank, if_unmodified=draft.if_unmodified,
    )  # fmt: skip


def _target(draft: Draft) -> Ref:
    return ref(draft.tab, draft.record_id) if draft.record_id else ""


def _take_read(round_: Round, rule: Rule, fire: Fire, outcome: Outcome) -> None:
    """Take one record in that was read again; once all are here the fire goes on.

    One that has not begun asks first whether its criteria still hold (D-36).
    """
    if not isinstance(outcome, Applied):
        fire.awaits = []
        ask_for_attention(round_, rule, fire, f"could not read again ({fire.state}): {outcome.reason}")
    elif fire.state == "overtaken":
        take_overtaken(fire, outcome)
    elif not take_read(round_, rule, fire, outcome):
        truth = round_.truth(rule, fire.anchor)
        truth.discarded, truth.last_fired = truth.discarded + 1, None  # it did not happen: a once-mark is not used up
        end(round_, fire, rule, "discarded", "criteria no longer hold on what the CRMs say now (fresh)")


def _holder(round_: Round) -> str:
    """The fire that holds the journey because a step of it failed; empty if none does."""
    for fire in round_.memory.fires.values():
        rule = round_.book.rule(fire.rule)
        if fire.state == "attention" and rule is not None and rule.hold:
            return fire.id
    return ""


def _explained(round_: Round, rule: Rule, anchor: Ref, event: Event | None) -> dict[str, Any]:
    if rule.criteria is None:
        return {}
    records = round_.scope(rule, anchor, event=event)
    observed = {
        f"{alias}.{name}": image.get(name) for alias, name in rule.observed if isinstance(image := records[alias], dict)
    }
    return {"criteria": rule.criteria.text, "observed": observed}
