"""What an action sees while it plans: the journey from its anchor, the fire's own writes and outputs laid over it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, time

from rules import syncing, unseen
from rules.actions.base import Target, due_duration, who_named, who_texts
from rules.book import Rule, Step
from rules.criteria.scope import UNKNOWN, RelatedRow, Unknown, Verdict
from rules.durations import Duration
from rules.identity import action_id
from rules.recurrence_forms import read_clock
from rules.rounds import Round
from rules.state import Fire
from rules.templates import Rendered
from rules.templates.filters import text_of
from rules.trees import ID
from rules.view import JourneyScope, Overlay
from schemas.values import Image, Ref, Value, is_empty

ROW_SEPARATOR = "\x1f"  # between the rows that nested `for_each` bind; cannot occur in an alias or a CRM id


class PlanningStep:
    """The ``StepContext`` of one step of one fire."""

    def __init__(self, round_: Round, rule: Rule, fire: Fire, step: Step, row: str) -> None:
        self._round, self._rule, self._fire, self._step = round_, rule, fire, step
        self.now, self.anchor, self.fallback = round_.now, fire.anchor, fire.fallback
        self._row = row
        self._overlay = _laid_over(unseen.overlay(round_), fire.overlay)
        self._scope = self._scope_of(row)

    @property
    def command_id(self) -> str:
        """The id that the step's first command will have; few actions ask for it."""
        return action_id(self._fire.id, self._step.path, self._row, self._fire.attempt)

    def text(self, source: str) -> Value | Unknown:
        """The value of one of the action's texts."""
        return self._step.texts[source].value(self._scope)

    def holds(self, source: str, alias: str | None = None, row: RelatedRow | None = None) -> Verdict:
        """Whether one of the action's criteria holds, here or for one related record."""
        scope = self._scope if alias is None or row is None else self._scope.at(alias, row)
        return self._step.criteria[source].verdict(scope)

    def render(self) -> Rendered | Unknown:
        """The action's template, filled in."""
        assert self._step.template is not None
        return self._step.template.render(self._scope, {})

    def target(self, alias: str) -> Target:
        """Where an alias leads, and how a new record there is tied to the journey."""
        workflow = self._rule.workflow
        tab = workflow.tabs[alias]
        connection, _, name = tab.partition(":")
        known = self._round.book.metadata.get(connection)
        fields = frozenset(known.tabs[name].fields) if known and name in known.tabs else None
        return Target(alias, tab, self._link(workflow.nodes[alias]), fields)

    def one(self, alias: str) -> tuple[Ref, Image] | Unknown | None:
        """The one record that an alias means here."""
        ref = self._scope.ref_of(self._rule.workflow.nodes[alias])
        return (ref, self._round.view.image(ref, self._overlay)) if isinstance(ref, str) else ref

    def bound(self, alias: str) -> tuple[Ref, Image] | Unknown | None:
        """The record that an enclosing ``for_each`` binds, or the anchor, or the one related record."""
        return self.one(alias)

    def rows(self, alias: str) -> tuple[RelatedRow, ...] | Unknown:
        """All related records; unknown while some may be missing."""
        rows = self._scope.rows(alias)
        return tuple(rows.rows) if rows.complete else UNKNOWN

    def context_fields(self) -> Mapping[str, Value]:
        """The workflow's ``context:`` values by field name; those that are unknown or empty are left out."""
        return {path.partition(".")[2]: value for path, value in self._context_values()}

    def context_lines(self) -> tuple[str, ...]:
        """The same as lines of a message; a name that two tabs share is told with its tab."""
        values = list(self._context_values())
        names = Counter(path.partition(".")[2] for path, _ in values)
        return tuple(
            f"{path if names[name] > 1 else name}: {text_of(value)}"
            for path, value in values
            for name in [path.partition(".")[2]]
        )

    def _context_values(self) -> Iterator[tuple[str, Value]]:
        for path in self._rule.workflow.source.context:
            alias, _, name = path.partition(".")
            image = self._scope[alias]
            if isinstance(image, dict) and not is_empty(image.get(name)):
                yield path, image[name]

    def modified(self, record: Ref) -> int | Unknown | None:
        """When a record was last changed, as far as is known; one that was read again says so itself."""
        return unseen.modified(self._round, record, self._fire)

    def agreed(self) -> Mapping[str, Value]:
        """What both sides of a sync held when they were last alike."""
        return syncing.agreed(self._round, self._rule, self._fire.anchor)

    def who(self, source: str) -> str | Unknown | None:
        """A person or group as connectors resolve it."""
        texts = who_texts(source)
        return who_named(source, self._rule.workflow.teams, self.text(texts[0]) if texts else None)

    def channel(self, kind: str) -> str:
        """The connection of a kind of channel; the kind itself where the project names none."""
        return self._round.channels.get(kind, kind)

    def later(self, duration: str) -> int:
        """Now plus a duration in the workflow's calendar."""
        return self._rule.workflow.calendar.add(self.now, Duration.parse(duration))

    def due_day(self, source: str) -> Value:
        """The day of ``created + 1 day``."""
        duration = Duration.parse(due_duration(source))
        calendar = self._rule.workflow.calendar
        if duration.in_days:
            return calendar.add_days(calendar.day(self.now), duration).isoformat()
        return calendar.day(calendar.add(self.now, duration)).isoformat()

    def until(self, clock: str) -> int:
        """The next time the clock shows this in the workflow's zone."""
        calendar = self._rule.workflow.calendar
        moment: time = read_clock(clock)
        at = calendar.at_clock(calendar.day(self.now), moment)
        tomorrow = calendar.add_days(calendar.day(self.now), Duration(1, "days"))
        return at if at > self.now else calendar.at_clock(tomorrow, moment)

    def moment(self, day: str, clock: str) -> int:
        """When the clock shows this on a day, in the workflow's zone."""
        return self._rule.workflow.calendar.at_clock(date.fromisoformat(day), read_clock(clock))

    def day(self, at: int) -> str:
        """The day of an instant in the workflow's zone."""
        return self._rule.workflow.calendar.day(at).isoformat()

    def _scope_of(self, row: str) -> JourneyScope:
        """The view from the anchor, or from the records that enclosing ``for_each`` bind, the innermost last."""
        fire, view, overlay = self._fire, self._round.view, self._overlay
        scope = self._round.scope(self._rule, fire.anchor, event=fire.event, overlay=overlay, outputs=fire.outputs)
        for one in row.split(ROW_SEPARATOR) if row else ():
            alias, _, ref = one.partition("=")
            if ref in view.join.shown:
                scope = scope.at(alias, RelatedRow(ref, view.image(ref, overlay)))
        return scope

    def _link(self, node: int) -> tuple[str, Value | Unknown] | None:
        """The new record's field that names its parent; none if the parent names the record, or for the main tab."""
        place = self._round.view.join.tree.nodes[node]
        if place.parent is None or place.up.far_field == ID:
            return None
        near = self._scope.ref_of(place.parent)
        if not isinstance(near, str):
            return place.up.far_field, near
        return place.up.far_field, self._round.view.image(near, self._overlay).get(place.up.near_field)


def _laid_over(own: Overlay, written: Overlay) -> Overlay:
    """The values of our own writes over images: of earlier fires, and over these what this fire has seen and done."""
    if not own:
        return written
    return {record: {**own.get(record, {}), **written.get(record, {})} for record in {**own, **written}}
