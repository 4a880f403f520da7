"""Guards against loops at run time: chains, hops, the hourly breaker, alternating values (D-60 to D-64)."""

from rules.actions.base import Draft
from rules.book import Rule
from rules.identity import derived
from rules.rounds import Round
from rules.state import Event, Fire
from schemas.events import Chain
from schemas.values import Ref, same


def chain_of(round_: Round, rule: Rule, anchor: Ref, epoch: str, event: Event | None) -> Chain:
    """The chain that a fire belongs to: the waking message's, or a new one that starts here (D-60, D-64)."""
    known = event.chain if event is not None else round_.chain
    if known is not None and rule.sync is not None and f"{rule.id}@{anchor}" in known.fired:
        known = None  # what our own write brought is alike: that the two differ is the work of somebody else (D-64)
    return known or Chain(derived("chain", event.id if event is not None else f"{rule.id}@{anchor} {epoch}"))


def refusal(round_: Round, rule: Rule, anchor: Ref, chain: Chain, mark: str) -> str:
    """Why a fire is suppressed; empty if nothing speaks against it (D-61, D-62)."""
    truth = round_.truth(rule, anchor)
    if truth.quarantined:
        return "quarantined: the breaker stopped this rule for this record"
    if mark in chain.fired:
        return "chain guard: it fired already in this chain"
    if chain.hop >= round_.limits.hops:
        round_.decide("alarm", rule, anchor, reason=f"chain of {chain.hop} hops stopped", chain=chain)
        return f"chain guard: {chain.hop} hops"
    recent = [at for at in truth.recent if at > round_.now - round_.limits.breaker_window]
    if len(recent) >= round_.limits.fires_per_hour:
        truth.quarantined = True
        round_.decide("alarm", rule, anchor, reason=f"quarantined: {len(recent)} fires within the hour", chain=chain)
        return "quarantined: the breaker stopped this rule for this record"
    return ""


def alternates(round_: Round, fire: Fire, draft: Draft) -> str:
    """The field that our own chain turns back and forth, A to B to A, within the breaker's window (D-62)."""
    if draft.operation != "update" or not draft.record_id:
        return ""
    for name, value in draft.fields.items():
        place = f"{draft.tab}/{draft.record_id}/{name}"
        since = round_.now - round_.limits.breaker_window
        past = [entry for entry in round_.memory.written.get(place, []) if entry[0] > since]
        round_.memory.written[place] = [*past, (round_.now, value)][-3:]
        if fire.chain.hop and len(past) >= 2 and same(past[-2][1], value) and not same(past[-1][1], value):
            return name
    return ""
