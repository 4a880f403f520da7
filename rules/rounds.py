"""One round: everything that one message changes in one journey, decided together (D-45)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from rules.book import Book, Rule
from rules.criteria.scope import Verdict
from rules.state import Event, JourneyRules, Truth
from rules.view import NOTHING, JourneyScope, Overlay, View
from schemas.commands import Command
from schemas.decisions import Decision, DecisionKind
from schemas.events import Chain
from schemas.values import HOUR, Image, Ref, Value


@dataclass(frozen=True)
class Limits:
    """Protective limits of the engine; each can be set in the project file."""

    hops: int = 10
    """CRM writes in one causal chain (D-61)."""
    fires_per_hour: int = 20
    """Fires of one rule on one record (D-62)."""
    breaker_window: int = HOUR
    grace: int = 24 * HOUR
    """How late a timer may run when nothing else is said (D-53), in milliseconds."""


class Change(msgspec.Struct, frozen=True):
    """What a message did to one record at one node of the journey's tree."""

    node: int
    ref: Ref
    kinds: frozenset[str] = frozenset()
    """What triggers see: created, edited, deleted, ...; empty for what only state rules see."""
    changed: frozenset[str] | None = None
    """The fields that differ; none stands for all: the record joined or left."""
    before: Image | None = None
    after: Image | None = None
    id: str = ""
    coalesced: bool = False
    left: bool = False
    chain: Chain | None = None


class Round(msgspec.Struct):
    """The journey as it stands after a message, what it remembers, and what the round decides."""

    book: Book
    limits: Limits
    journey: Ref
    memory: JourneyRules
    view: View
    now: int
    chain: Chain | None
    seen_at: Callable[[Ref], int]
    """When the newest image of a record was captured (D-36)."""
    channels: Mapping[str, str]
    """Per kind of channel (email, webhook) its connection."""
    commands: list[Command] = []
    decisions: list[Decision] = []
    started: list[str] = []
    recalendared: frozenset[str] = frozenset()
    """The workflows whose calendar has changed and whose timers are not planned again yet (D-56)."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules on this journey's main tab, in order."""
        return self.book.rules.get(self.view.join.tree.main_tab, ())

    def scope(
        self,
        rule: Rule,
        anchor: Ref,
        event: Event | None = None,
        overlay: Overlay = NOTHING,
        outputs: Mapping[str, Mapping[str, Value]] = NOTHING,
    ) -> JourneyScope:
        """What a rule sees from an anchor."""
        marks = self.memory.marks.get(f"{rule.id}@{anchor}") if self.memory.marks else None
        scope = JourneyScope(
            self.view, rule.workflow, rule.node, anchor, self.now, marks, event, overlay, outputs,
        )  # fmt: skip
        own = self.view.join.shown.get(anchor)
        if own is not None and not overlay:
            scope[rule.alias] = own
        return scope

    def verdict(self, rule: Rule, anchor: Ref, event: Event | None, overlay: Overlay = NOTHING) -> Verdict:
        """Whether the rule's criteria hold; unknown while its actions could not be planned either (D-04)."""
        if rule.criteria is None:
            verdict: Verdict = True
        else:
            scope = self.scope(rule, anchor, event, overlay)
            verdict = rule.criteria.verdict(scope)
            if scope.marks:
                self.memory.marks[f"{rule.id}@{anchor}"] = dict(scope.marks)
        if verdict is True:
            for node in rule.action_nodes:
                if not self.view.complete(node):
                    return None
        return verdict

    def truth(self, rule: Rule, anchor: Ref) -> Truth:
        """What is known of a rule on an anchor."""
        return self.memory.truth(rule.id, anchor)

    def decide(  # noqa: PLR0913 - an audit record has this many parts
        self,
        kind: DecisionKind,
        rule: Rule | None = None,
        anchor: Ref = "",
        *,
        reason: str = "",
        fire: str = "",
        step: str = "",
        chain: Chain | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Write down what was decided, and why."""
        self.decisions.append(
            Decision(
                kind=kind, at=self.now, journey=self.journey, workflow=rule.workflow.name if rule else "",
                rule=rule.name if rule else "", anchor=anchor, fire=fire, step=step, reason=reason, chain=chain,
                detail=detail or {},
            )
        )  # fmt: skip
