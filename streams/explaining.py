"""Why each rule fired, or did not fire, for a record (D-103): read from the stages as they stand, changing nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rules import syncing
from rules.actions.base import ALIAS
from rules.blame import blamed
from rules.book import (
    CompiledTrigger,
    DueTrigger,
    EventTrigger,
    FieldTrigger,
    NamedTrigger,
    RecurringTrigger,
    Rule,
    Step,
)  # fmt: skip
from rules.criteria.scope import Verdict
from rules.rounds import Round
from rules.state import Fire, Timer
from schemas.decisions import Decision
from schemas.values import Ref, format_instant, id_of, tab_of
from streams.embedded import Embedded
from streams.history import decisions_of, journeys_with
from streams.journeystate import Journey
from streams.store import Store

Reason = Literal[
    "fired", "criterion_false", "already_true", "once_mark", "chain_guard", "quarantined", "overruled", "unknown",
    "trigger_not_matched", "not_due", "other_anchor",
]  # fmt: skip
SHOWN_DECISIONS = 8
SHOWN_RECORDS = 5
_SUPPRESSED: tuple[tuple[str, Reason], ...] = (
    ("once-mark", "once_mark"), ("chain guard", "chain_guard"), ("quarantined", "quarantined"),
    ("overruled", "overruled"),
)  # fmt: skip


@dataclass(frozen=True)
class Way:
    """How one tab of the workflow is reached from the anchor, and who stands there."""

    alias: str
    by: str
    records: tuple[Ref, ...]
    complete: bool


@dataclass(frozen=True)
class RuleExplained:
    """One rule on one anchor record of one journey."""

    rule: str
    journey: Ref
    anchor: Ref
    reason: Reason
    why: str
    verdict: Verdict = None
    since: int | None = None
    """Since when the verdict is what it is, where that is remembered (milliseconds)."""
    criteria: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()
    decisions: tuple[Decision, ...] = ()
    timers: tuple[Timer, ...] = ()
    fires: tuple[Fire, ...] = ()
    steps: Mapping[str, str] = field(default_factory=dict)
    """What each step of the rule does, by its path: ``convert lead``."""


@dataclass(frozen=True)
class RecordExplained:
    """What all rules make of one record. ``note`` says why there is nothing to tell."""

    record: Ref
    journeys: tuple[Ref, ...] = ()
    rules: tuple[RuleExplained, ...] = ()
    note: str = ""


def records_called(flow: Embedded, name: str) -> list[Ref]:
    """The known records that a person means by ``zoho.Deals/17``, ``zoho:Deals/17`` or a bare ``17``."""
    names = flow.records.states.names()
    if "/" not in name:
        return [ref for ref in names if id_of(ref) == name]
    tab, _, record_id = name.partition("/")
    ref = f"{tab if ':' in tab else tab.replace('.', ':', 1)}/{record_id}"
    return [ref] if ref in names else []


def explain_record(flow: Embedded, log: Store, record: Ref, now: int, only: str = "") -> RecordExplained:
    """Every rule anchored on the record, or only one, in every journey in which it stands, as of ``now``.

    ``only`` is ``workflow/rule`` or the rule's bare name. ``log`` holds the decisions; those up to ``now`` count.
    """
    found: list[RuleExplained] = []
    standing: list[Ref] = []
    for key in journeys_with(flow.store, record):
        journey = flow.journeys.states.get(key)
        if journey is None or not any(record in members for members in journey.join.members):
            continue
        standing.append(key)
        decisions = decisions_of(log, key, now)
        round_ = flow.journeys.round_of(key, journey)
        round_.now = now
        found += _rules(round_, journey, record, decisions, only)
    return RecordExplained(record, tuple(standing), tuple(found), _note(flow, record, standing, found, only))


def _note(flow: Embedded, record: Ref, standing: list[Ref], found: list[RuleExplained], only: str) -> str:
    if found:
        return ""
    if only and not any(_is_called(rule, only) for rule in flow.book.all_rules()):
        return f"there is no rule called {only}"
    state = flow.records.states.get(record)
    if state is not None and state.image is None:
        return "the record is deleted: its journey has ended"
    if not standing:
        return "no journey: the record is reached from no main record, so it starts no rule (an orphan, D-10)"
    return "no rule is anchored on this record" + (f" and called {only}" if only else "")


def _rules(
    round_: Round, journey: Journey, record: Ref, decisions: Sequence[Decision], only: str
) -> Iterator[RuleExplained]:
    members = journey.join.members
    for rule in round_.rules:
        if only and not _is_called(rule, only):
            continue
        if record in members[rule.node]:
            yield _explained(round_, rule, record, decisions)
        elif only:
            yield _elsewhere(rule, journey, record)


def _is_called(rule: Rule, name: str) -> bool:
    return name in (rule.id, rule.name)


def _elsewhere(rule: Rule, journey: Journey, record: Ref) -> RuleExplained:
    """The rule that was asked for looks at other records of the journey."""
    anchors = sorted(journey.join.members[rule.node])
    there = ", ".join(shown_ref(one) for one in anchors[:SHOWN_RECORDS]) or "none yet"
    why = f"the rule is about {rule.alias} records; in this journey: {there}"
    return RuleExplained(rule.id, journey.main, record, "other_anchor", why)


def _explained(round_: Round, rule: Rule, anchor: Ref, decisions: Sequence[Decision]) -> RuleExplained:
    mine = [one for one in decisions if (one.workflow, one.rule, one.anchor) == (rule.workflow.name, rule.name, anchor)]
    verdict = syncing.verdict(round_, rule, anchor, None)
    memory = round_.memory
    truth = memory.truths.get(rule.id, {}).get(anchor)
    reason, why = _reason(round_, rule, anchor, verdict, mine)
    criteria = rule.criteria.explain(round_.scope(rule, anchor)).lines() if rule.criteria is not None else []
    criteria += syncing.told(round_, rule, anchor)
    return RuleExplained(
        rule.id, round_.journey, anchor, reason, why, verdict,
        since=truth.since if truth is not None and truth.value is not None else None,
        criteria=tuple(criteria),
        ways=tuple(_ways(round_, rule, anchor)),
        decisions=tuple(mine[-SHOWN_DECISIONS:]),
        timers=tuple(one for one in memory.timers.values() if (one.rule, one.anchor) == (rule.id, anchor)),
        fires=tuple(one for one in memory.fires.values() if (one.rule, one.anchor) == (rule.id, anchor)),
        steps={path: step_words(step) for path, step in rule.steps.items()},
    )  # fmt: skip


def step_words(step: Step) -> str:
    """What a step does in two words: its verb, and the alias of the tab that it acts on, if it acts on one."""
    alias = next((alias for _, alias in step.action.marked(ALIAS)), "")
    return f"{step.action.verb} {alias}".strip()


# -- the reason ------------------------------------------------------------------


def _reason(
    round_: Round, rule: Rule, anchor: Ref, verdict: Verdict, decisions: Sequence[Decision]
) -> tuple[Reason, str]:
    """The reason of D-103 that holds now; what was decided last speaks before what could be."""
    last = next((one for one in reversed(decisions) if one.kind in ("fired", "suppressed")), None)
    if last is not None and last.kind == "suppressed":
        suppressed: Reason = next((one for word, one in _SUPPRESSED if last.reason.startswith(word)), "chain_guard")
        return suppressed, f"{last.reason} ({format_instant(last.at)})"
    if last is not None:
        return "fired", f"fired {format_instant(last.at)} (fire {last.fire})"
    if verdict is None or any((one.rule, one.anchor) == (rule.id, anchor) for one in round_.memory.waiting):
        return "unknown", "; ".join(_unknown(round_, rule)) or "something that it reads is not known yet"
    if verdict is False:
        return "criterion_false", _false(round_, rule, anchor)
    return _no_edge(round_, rule, anchor)


def _false(round_: Round, rule: Rule, anchor: Ref) -> str:
    if rule.sync is not None:
        return f"{rule.sync.left} and {rule.sync.right} are alike in all that is synced, or one of them is not there"
    assert rule.criteria is not None
    part = next(one for one in rule.workflow.source.rules[rule.alias] if one.name == rule.name)
    parts = blamed(part.criteria, rule.criteria.explain(round_.scope(rule, anchor)))
    return "; ".join(f"criterion {one.row} is false: {one.text}" if one.row else f"false: {one.text}" for one in parts)


def _unknown(round_: Round, rule: Rule) -> Iterator[str]:
    view = round_.view
    for node in sorted({*rule.reads, *rule.action_nodes}):
        place = view.join.tree.nodes[node]
        name = place.tab.replace(":", ".", 1)
        if place.tab not in view.known_tabs:
            yield f"the first load of {name} is not complete"
        elif not view.complete(node):
            yield f"it is not known yet which records of {name} belong here"


def _no_edge(round_: Round, rule: Rule, anchor: Ref) -> tuple[Reason, str]:
    truth = round_.memory.truths.get(rule.id, {}).get(anchor)
    if rule.on_state and truth is not None and truth.value:
        since = f"since {format_instant(truth.since)}" if truth.since > 0 else "from the start"
        return "already_true", f"no edge: already true {since}, when it was first known (baseline)"
    if rule.on_state:
        return "unknown", "the criteria hold now; the rule looks at them with the next message or timer"
    dues = [one.due for one in round_.memory.timers.values() if (one.rule, one.anchor) == (rule.id, anchor) and one.due]
    if dues:
        return "not_due", f"its time has not come: due {format_instant(min(dues))}"
    waits = " or ".join(trigger_words(trigger) for trigger in rule.triggers)
    return "trigger_not_matched", f"trigger not matched: it waits for {waits}"


def trigger_words(trigger: CompiledTrigger) -> str:
    """A trigger as a person says it."""
    match trigger:
        case EventTrigger(kind=kind):
            return f"`{kind}`"
        case FieldTrigger(fields=fields):
            return f"an edit of {', '.join(sorted(fields))} that matches"
        case DueTrigger(field=name):
            return f"the date in {name}"
        case RecurringTrigger():
            return "the next time of its schedule"
        case NamedTrigger(name=name):
            return f"the signal `{name}`"
    return "its criteria to become true"


# -- the ways ------------------------------------------------------------------


def _ways(round_: Round, rule: Rule, anchor: Ref) -> Iterator[Way]:
    """The tabs that the rule looks at beside its own, how each is reached, and who stands there."""
    workflow, tree = rule.workflow, round_.view.join.tree
    aliases = {node: alias for alias, node in workflow.nodes.items()}
    scope = round_.scope(rule, anchor)
    for alias, node in workflow.nodes.items():
        place = tree.nodes[node]
        if node == rule.node or node not in {*rule.reads, *rule.action_nodes}:
            continue
        if place.edge is None or place.parent is None:
            by = "the main record"
        else:
            by = f"{alias}.{place.edge.far_field} = {aliases.get(place.parent, '?')}.{place.edge.near_field}"
        rows, complete = scope.rows(alias)
        yield Way(alias, by, tuple(row.ref for row in rows), complete)


def shown_ref(record: Ref) -> str:
    """A record as people write it: ``zoho.Deals/17``."""
    return f"{tab_of(record).replace(':', '.', 1)}/{id_of(record)}"
