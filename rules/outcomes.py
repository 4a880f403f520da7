"""What becomes of a step once its commands are back: outputs, own writes, the failing-step policy (D-40 to D-48)."""

from rules import syncing, timing, unseen
from rules.book import Rule, Step
from rules.freshness import read_overtaken
from rules.rounds import Round
from rules.state import Failure, Fire, Sent
from schemas.commands import CHANGED_MEANWHILE, Applied, Outcome, Rejected, Uncertain
from schemas.decisions import DecisionKind

MOST_OVERTAKEN = 5
"""How often a step that insists reads again before it needs attention."""
_UNFINISHED = ("discarded", "cancelled", "alarm")


def note(round_: Round, rule: Rule, fire: Fire, step: Step, outcome: Outcome) -> None:
    """Take one outcome in; a failure waits until the other commands of the step are back."""
    match outcome:
        case Applied():
            _succeed(round_, rule, fire, step, outcome)
        case Rejected():
            sent = fire.sent.get(outcome.command_id, Sent(""))
            if rule.sync is not None and outcome.code == CHANGED_MEANWHILE:
                syncing.note_refused(round_, rule, fire, sent)
            fire.failures.append(Failure(outcome.code, f"{outcome.code}: {outcome.reason}", ref=sent.ref))
        case Uncertain():
            fire.failures.append(Failure("unknown", outcome.reason, uncertain=True))
    fire.sent.pop(outcome.command_id, None)


def conclude(round_: Round, rule: Rule, fire: Fire, step: Step) -> None:
    """All commands of the step are back: it is done, or what failed decides how the fire goes on (D-47)."""
    failures, fire.failures = fire.failures, []
    refused = [one for one in failures if not one.uncertain]
    final = next((one for one in refused if one.code != CHANGED_MEANWHILE), None)
    if final is not None:
        refuse(round_, rule, fire, step, final)
    elif refused:
        _overtaken(round_, rule, fire, step, refused)
    elif failures:
        _doubt(round_, rule, fire, step, failures[0])
    else:
        pass_step(fire)


def _succeed(round_: Round, rule: Rule, fire: Fire, step: Step, outcome: Applied) -> None:
    """Note the outputs and what was written: later steps see it before it comes back as a change (D-40, D-46)."""
    sent = fire.sent.get(outcome.command_id, Sent(""))
    unseen.note_written(round_, sent, outcome)
    if rule.sync is not None:
        syncing.note_written(round_, rule, fire, sent)
    if sent.ref:
        stored = {name: outcome.fields.get(name, value) for name, value in sent.fields.items()}
        fire.overlay[sent.ref] = {**fire.overlay.get(sent.ref, {}), **stored}
    outputs = {**sent.fields, **outcome.fields, "id": outcome.record_id, "url": outcome.url}
    for path, _ in fire.todo[: 1 + fire.merged]:
        give_outputs(round_, fire, rule.steps[path], outputs)
    round_.decide(
        "step", rule, fire.anchor, fire=fire.id, step=step.path, chain=fire.chain,
        reason="found there already" if outcome.duplicate else "applied",
        detail={"command": outcome.command_id, "record": outcome.record_id},
    )  # fmt: skip


def refuse(round_: Round, rule: Rule, fire: Fire, step: Step, failure: Failure) -> None:
    """The failing-step policy: fallback owner, continue, branch, or stop and ask for attention (D-47, D-48)."""
    if failure.code.startswith("owner") and getattr(step.action, "fallback", None) and not fire.fallback:
        fire.fallback = True
        return
    if step.action.on_error == "stop":
        ask_for_attention(round_, rule, fire, failure.reason)
        return
    round_.decide("failed", rule, fire.anchor, fire=fire.id, step=step.path, reason=failure.reason, chain=fire.chain)
    row = fire.todo[0][1]
    pass_step(fire)
    fire.todo[:0] = [(inner, row) for inner in step.blocks.get("on_error", ())]


def _overtaken(round_: Round, rule: Rule, fire: Fire, step: Step, failures: list[Failure]) -> None:
    """Somebody changed what the step writes before it did: ``conflict`` says what follows (D-44)."""
    policy = step.action.on_condition
    if policy == "ours" and fire.overtaken < MOST_OVERTAKEN:
        round_.decide(
            "step", rule, fire.anchor, fire=fire.id, step=step.path, chain=fire.chain,
            reason="changed meanwhile: read again, to write on what is there now",
        )  # fmt: skip
        read_overtaken(round_, rule, fire, [one.ref for one in failures])
    elif policy == "theirs":
        round_.decide(
            "step", rule, fire.anchor, fire=fire.id, step=step.path, chain=fire.chain,
            reason="gave way: the record was changed meanwhile",
        )  # fmt: skip
        pass_step(fire)
    else:
        refuse(round_, rule, fire, step, failures[0])


def _doubt(round_: Round, rule: Rule, fire: Fire, step: Step, failure: Failure) -> None:
    """An effect of unknown fate is skipped where the author says so, else somebody has to look (D-42)."""
    if getattr(step.action, "on_unknown", "ask") != "skip":
        ask_for_attention(round_, rule, fire, f"unknown whether it happened: {failure.reason}")
        return
    round_.decide(
        "step", rule, fire.anchor, fire=fire.id, step=step.path, chain=fire.chain,
        reason="unknown: the answer was lost, not repeated",
    )  # fmt: skip
    pass_step(fire)


def pass_step(fire: Fire) -> None:
    """The present step is over, and with it those whose writes went along with its own."""
    del fire.todo[: 1 + fire.merged]
    fire.fallback, fire.merged, fire.overtaken = False, 0, 0


def give_outputs(round_: Round, fire: Fire, step: Step, outputs: dict[str, object]) -> None:
    """Later steps and the timers that the fire has planned can use what a step gave (D-46)."""
    fire.outputs[step.name] = outputs
    for timer in round_.memory.timers.values():
        if timer.of == fire.id:
            timer.outputs = {**timer.outputs, step.name: outputs}


def ask_for_attention(round_: Round, rule: Rule, fire: Fire, reason: str) -> None:
    """The fire stops until an operator says how to go on."""
    fire.state, fire.merged = "attention", 0
    step = fire.todo[0][0] if fire.todo else ""
    round_.decide("failed", rule, fire.anchor, fire=fire.id, step=step, reason=reason, chain=fire.chain)


def end(round_: Round, fire: Fire, rule: Rule | None, kind: DecisionKind, reason: str = "") -> None:
    """The fire is over; one that did not run to its end takes its timers along."""
    round_.memory.fires.pop(fire.id, None)
    round_.decide(kind, rule, fire.anchor, fire=fire.id, reason=reason, chain=fire.chain)
    if kind in _UNFINISHED:
        timing.forget_wait(round_, fire.id)
        timing.cancel_of(round_, fire.id, reason)
