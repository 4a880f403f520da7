"""Fires: how one firing of a rule runs through its steps, commands out and outcomes in (D-40 to D-48)."""

from typing import Any

from rules import timing
from rules.actions.base import Do, Draft, Expand, Fail, Plan, Skip, Unready, WaitUntil
from rules.book import Rule, Step
from rules.conflicts import settle_conflicts
from rules.freshness import read_again, stale_records, take_read
from rules.guards import alternates, chain_of, refusal
from rules.identity import action_id, fire_id
from rules.planning import PlanningStep
from rules.rounds import Round
from rules.state import Event, Fire
from rules.templates import TemplateError
from schemas.commands import Applied, Command, Outcome, Rejected, Uncertain
from schemas.events import Chain
from schemas.values import Ref, ref

MAX_STEPS = 10_000  # of one fire in one round: a bound, not a limit that a sane workflow meets


def start(round_: Round, rule: Rule, anchor: Ref, epoch: str, event: Event | None) -> None:
    """Start a fire, unless a guard speaks against it (D-61, D-62)."""
    chain = chain_of(round_, rule, anchor, epoch, event)
    mark = f"{rule.id}@{anchor}"
    refused = refusal(round_, rule, anchor, chain, mark)
    if refused:
        round_.decide("suppressed", rule, anchor, reason=refused, chain=chain)
        return
    name = fire_id(rule.id, anchor, epoch)
    if name in round_.memory.fires:
        return
    truth = round_.truth(rule, anchor)
    truth.last_fired = round_.now
    truth.recent = [
        *(at for at in truth.recent if at > round_.now - round_.limits.breaker_window),
        round_.now,
    ]
    chain = Chain(chain.id, chain.hop, (*chain.fired, mark))
    round_.decide("fired", rule, anchor, fire=name, chain=chain, detail=_explained(round_, rule, anchor, event))
    timing.plan_scheduled(round_, rule, anchor, name, event, chain)
    if rule.top:
        fire = Fire(name, rule.id, anchor, chain, [(path, "") for path in rule.top], event, round_.now)
        if rule.fresh is not None and (reads := stale_records(round_, rule, anchor)):
            fire.state = "fresh"
            read_again(round_, rule, fire, reads)
        round_.memory.fires[name] = fire
        round_.started.append(name)


def start_scheduled(round_: Round, rule: Rule, anchor: Ref, fire: Fire) -> None:
    """Run the steps that a timer held back."""
    round_.memory.fires[fire.id] = fire
    round_.started.append(fire.id)


def run_started(round_: Round) -> None:
    """Run what the round started, in order, then settle conflicts between the writes (D-45)."""
    started, round_.started = round_.started, []
    held = _held(round_)
    for name in started:
        fire = round_.memory.fires.get(name)
        if fire is not None and held and held != name:
            fire.state = "held"  # an earlier fire of the journey needs attention: order is kept (D-47)
        elif fire is not None:
            run(round_, fire)
    for fire in list(round_.memory.fires.values()):
        if fire.state == "unready" and fire.id not in started:
            run(round_, fire)
    settle_conflicts(round_)


def run(round_: Round, fire: Fire) -> None:
    """Run a fire until it has to wait: for an outcome, for data, for a timer, or for nothing more."""
    if fire.state in ("fresh", "attention", "held", "waiting") or fire.awaits:
        return
    rule = round_.book.rule(fire.rule)
    if rule is None:
        _end(round_, fire, None, "discarded", "the rule is no longer published")
        return
    fire.state = "running"
    for _ in range(MAX_STEPS):
        if not fire.todo:
            _end(round_, fire, rule, "done", "")
            return
        path, row = fire.todo[0]
        step = rule.steps.get(path)
        if step is None:
            _end(round_, fire, rule, "discarded", "the step is no longer published")
            return
        if not _follow(round_, rule, fire, step, _plan(round_, rule, fire, step, row)):
            return
    _attention(round_, rule, fire, "the fire has too many steps")


def take_outcome(round_: Round, name: str, outcome: Outcome) -> None:
    """Go on with a fire whose command came back; a repeated or unknown outcome changes nothing."""
    fire = round_.memory.fires.get(name)
    if fire is None or outcome.command_id not in fire.awaits:
        return
    rule = round_.book.rule(fire.rule)
    if rule is None:
        _end(round_, fire, None, "discarded", "the rule is no longer published")
        return
    fire.awaits.remove(outcome.command_id)
    match outcome:
        case Applied():
            _applied(round_, rule, fire, outcome)
        case Rejected():
            _refused(round_, rule, fire, outcome.code, f"{outcome.code}: {outcome.reason}")
        case Uncertain():
            _uncertain(round_, rule, fire, outcome)
    if not fire.awaits and name in round_.memory.fires:
        run(round_, fire)
    settle_conflicts(round_)


def resume(round_: Round, name: str, how: str) -> None:
    """An operator's word on a fire that needs attention: retry, skip or stop (D-47); then go on with the held ones."""
    fire = round_.memory.fires.get(name)
    rule = round_.book.rule(fire.rule) if fire is not None else None
    if fire is None or rule is None or fire.state != "attention":
        return
    fire.state, fire.awaits = "running", []
    if how == "stop":
        _end(round_, fire, rule, "cancelled", "given up by an operator")
    else:
        fire.attempt += 1
        if how == "skip":
            fire.todo.pop(0)
        run(round_, fire)
    for other in list(round_.memory.fires.values()):
        if other.state == "held" and not _held(round_):
            other.state = "running"
            run(round_, other)
    settle_conflicts(round_)


def cancel(round_: Round, rule: Rule, anchor: Ref, reason: str, *, whole: bool = False) -> None:
    """Cancel what a rule has planned for an anchor, timers and waiting fires, at once and visibly (D-51)."""
    timing.cancel(round_, rule, anchor, reason, whole=whole)
    for fire in list(round_.memory.fires.values()):
        if fire.rule == rule.id and fire.anchor == anchor and fire.state == "waiting":
            _end(round_, fire, rule, "cancelled", reason)


# -- steps ------------------------------------------------------------------


def _plan(round_: Round, rule: Rule, fire: Fire, step: Step, row: str) -> Plan:
    context = PlanningStep(round_, rule, fire, step, row)
    try:
        return step.action.plan(context)
    except TemplateError as error:
        return Fail(error.problem)


def _follow(round_: Round, rule: Rule, fire: Fire, step: Step, plan: Plan) -> bool:
    """Do what the plan says; true if the fire can go on to its next step at once."""
    match plan:
        case Do(drafts):
            return _send(round_, rule, fire, step, drafts)
        case Skip(reason, outputs):
            round_.decide("step", rule, fire.anchor, fire=fire.id, step=step.path, reason=reason, chain=fire.chain)
            fire.outputs[step.name] = dict(outputs)
            fire.todo.pop(0)
            return True
        case Expand(block, rows):
            inner = [(path, f"{alias}={row}") for alias, row in rows or (("", ""),) for path in step.blocks[block]]
            row = fire.todo[0][1]
            fire.todo[:1] = inner if rows else [(path, row) for path, _ in inner]
            return True
        case WaitUntil(at):
            timing.plan_wait(round_, fire, step, at)
            fire.state = "waiting"
            return False
        case Unready():
            fire.state = "unready"
            return False
        case Fail(reason):
            _refused(round_, rule, fire, "cannot", reason)
            return fire.state == "running" and fire.id in round_.memory.fires


def _send(round_: Round, rule: Rule, fire: Fire, step: Step, drafts: tuple[Draft, ...]) -> bool:
    for draft in drafts:
        command = _command(rule, fire, step, draft, round_)
        alternating = alternates(round_, fire, draft)
        if alternating:
            round_.truth(rule, fire.anchor).quarantined = True
            _end(round_, fire, rule, "alarm", f"quarantined: {alternating} alternates between two values")
            return False
        fire.awaits.append(command.id)
        round_.commands.append(command)
    return False


def _command(rule: Rule, fire: Fire, step: Step, draft: Draft, round_: Round) -> Command:
    part = draft.part + ("#fallback" if fire.fallback else "")
    row = fire.todo[0][1]
    name = action_id(fire.id, step.path, row + part, fire.attempt)
    key_field = round_.book.key_fields.get(draft.connection)
    key = draft.key or ((key_field, name) if draft.keyed and key_field else None)
    return Command(
        id=name, connection=draft.connection, tab=draft.tab, operation=draft.operation, record_id=draft.record_id,
        fields=dict(draft.fields), key=key, owner=draft.owner, workflow=rule.workflow.name, rule=rule.name,
        anchor=fire.anchor, journey=round_.journey, fire=fire.id, step=step.path,
        chain=Chain(fire.chain.id, fire.chain.hop + 1, fire.chain.fired), planned_at=round_.now,
        priority=rule.order, on_unknown=draft.on_unknown, trigger_native=draft.trigger_native,
    )  # fmt: skip


def _applied(round_: Round, rule: Rule, fire: Fire, outcome: Applied) -> None:
    if fire.state == "fresh":
        if not take_read(round_, rule, fire, outcome):
            _end(round_, fire, rule, "discarded", "criteria no longer hold on what the CRMs say now (fresh)")
        return
    step = rule.steps.get(fire.todo[0][0]) if fire.todo else None
    name = step.name if step is not None else ""
    fire.outputs[name] = {"id": outcome.record_id, "url": outcome.url, **outcome.fields}
    if outcome.record_id and step is not None:
        _overlay(round_, fire, step, outcome)
    round_.decide(
        "step", rule, fire.anchor, fire=fire.id, step=fire.todo[0][0] if fire.todo else "", chain=fire.chain,
        reason="found there already" if outcome.duplicate else "applied",
        detail={"command": outcome.command_id, "record": outcome.record_id},
    )  # fmt: skip
    if not fire.awaits and fire.todo:
        fire.todo.pop(0)


def _overlay(round_: Round, fire: Fire, step: Step, outcome: Applied) -> None:
    """Later steps see what this one wrote before it comes back as a change (D-40)."""
    for alias, fields, creates in step.action.written():
        if not creates:
            rule = round_.book.rule(fire.rule)
            tab = rule.workflow.tabs[alias] if rule is not None else ""
            written = {name: outcome.fields[name] for name in fields if name in outcome.fields}
            record = ref(tab, outcome.record_id)
            fire.overlay[record] = {**fire.overlay.get(record, {}), **written}


def _refused(round_: Round, rule: Rule, fire: Fire, code: str, reason: str) -> None:
    """The failing-step policy: fallback owner, continue, branch, or stop and ask for attention (D-47, D-48)."""
    path, row = fire.todo[0] if fire.todo else ("", "")
    step = rule.steps.get(path)
    if step is None or fire.state == "fresh":
        _attention(round_, rule, fire, reason)
        return
    if code.startswith("owner") and getattr(step.action, "fallback", None) and not fire.fallback:
        fire.fallback = True
        return
    if fire.awaits:
        return  # the other commands of the step come back first; the last one decides
    if step.action.on_error == "stop":
        _attention(round_, rule, fire, reason)
        return
    round_.decide("failed", rule, fire.anchor, fire=fire.id, step=path, reason=reason, chain=fire.chain)
    fire.todo[:1] = [(inner, row) for inner in step.blocks.get("on_error", ())]


def _uncertain(round_: Round, rule: Rule, fire: Fire, outcome: Uncertain) -> None:
    path = fire.todo[0][0] if fire.todo else ""
    step = rule.steps.get(path)
    if step is not None and getattr(step.action, "on_unknown", "ask") == "skip":
        round_.decide(
            "step", rule, fire.anchor, fire=fire.id, step=path, chain=fire.chain,
            reason="unknown: the answer was lost, not repeated", detail={"command": outcome.command_id},
        )  # fmt: skip
        if not fire.awaits:
            fire.todo.pop(0)
        return
    _attention(round_, rule, fire, f"unknown whether it happened: {outcome.reason}")


def _attention(round_: Round, rule: Rule, fire: Fire, reason: str) -> None:
    fire.state = "attention"
    step = fire.todo[0][0] if fire.todo else ""
    round_.decide("failed", rule, fire.anchor, fire=fire.id, step=step, reason=reason, chain=fire.chain)


def _end(round_: Round, fire: Fire, rule: Rule | None, kind: Any, reason: str) -> None:
    round_.memory.fires.pop(fire.id, None)
    round_.decide(kind, rule, fire.anchor, fire=fire.id, reason=reason, chain=fire.chain)


def _held(round_: Round) -> str:
    """The fire that holds the journey because a step of it failed; empty if none does."""
    for fire in round_.memory.fires.values():
        rule = round_.book.rule(fire.rule)
        if fire.state == "attention" and rule is not None and rule.hold:
            return fire.id
    return ""


def _explained(round_: Round, rule: Rule, anchor: Ref, event: Event | None) -> dict[str, Any]:
    if rule.criteria is None:
        return {}
    return {"criteria": rule.criteria.explain(round_.scope(rule, anchor, event=event)).lines()}
