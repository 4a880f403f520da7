"""Compiling the triggers of a rule: which events, dates and times wake it (D-11 to D-13)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rules.book import (
    CompiledTrigger,
    DueTrigger,
    EventTrigger,
    FieldTrigger,
    NamedTrigger,
    RecurringTrigger,
    StateTrigger,
    Workflow,
)  # fmt: skip
from rules.document import Document, Path
from rules.due import DuePlan
from rules.errors import Problem, Severity
from rules.project import Project
from rules.recurrence import Recurrence
from rules.suggest import did_you_mean
from rules.trees import ID
from rules.workflow_file import (
    Becomes,
    DateTrigger,
    FieldUpdated,
    ScheduleTrigger,
    ScoreTrigger,
    SectionUpdated,
    SignalTrigger,
    Trigger,
)  # fmt: skip

NOT_YET = "is not built yet"
_UNBUILT = {
    "called": "Use a trigger of the record itself.",
    "converted": "Use `becomes:` with the field that tells of the conversion.",
}


class TriggerCompiler:
    """Compiles triggers one by one. ``problems`` holds what is wrong; ``reads`` the fields that are watched."""

    def __init__(self, workflow: Workflow, document: Document, project: Project) -> None:
        self._workflow, self._document, self._project = workflow, document, project
        self.problems: list[Problem] = []
        self.reads: set[tuple[str, str]] = set()
        self._makers: Mapping[type, Callable[[str, Any, Path], CompiledTrigger | None]] = {
            str: self._event,
            Becomes: lambda alias, trigger, at: StateTrigger(),
            FieldUpdated: self._field,
            SectionUpdated: self._section,
            DateTrigger: self._date,
            ScheduleTrigger: self._schedule,
            SignalTrigger: lambda alias, trigger, at: NamedTrigger(trigger.signal),
            ScoreTrigger: self._score,
        }

    def compile(self, alias: str, trigger: Trigger, at: Path) -> CompiledTrigger | None:
        """One trigger; none if it is wrong, which is then among the problems."""
        try:
            return self._makers[type(trigger)](alias, trigger, at)
        except ValueError as error:
            self._tell(at, str(error))
            return None

    def fields(self, alias: str, names: Iterable[str], at: Path) -> frozenset[str]:
        """Fields of the rule's own tab, checked and watched."""
        tab = self._project.tab(self._workflow.tabs[alias])
        found = frozenset(names)
        for name in sorted(found):
            self.reads.add((alias, name))
            if tab is not None and name not in tab.fields and name != ID:
                module = self._workflow.source.tabs[alias].module
                hint = did_you_mean(name, list(tab.fields))
                self._tell(at, f"unknown field '{name}' of {alias} ({module})", hint)
        return found

    # -- by kind --------------------------------------------------------------

    def _event(self, alias: str, kind: str, at: Path) -> CompiledTrigger | None:
        if kind in _UNBUILT:
            self._tell(at, f"the trigger `{kind}` {NOT_YET}", _UNBUILT[kind])
            return None
        if kind == "criteria_met":
            return StateTrigger()
        if kind == "manual":
            return NamedTrigger(kind)
        return EventTrigger(kind, self._edit_fields(alias, at) if "edited" in kind else None)

    def _edit_fields(self, alias: str, at: Path) -> frozenset[str] | None:
        """The fields whose change is an edit: those that people can write (D-11)."""
        tab = self._project.tab(self._workflow.tabs[alias])
        if tab is None:
            problem = "the fields of this tab are not known: only changes of fields that some workflow reads are seen"
            self._tell(at, problem, "Let `renkei check` read the CRM's metadata, or name `field_updated:`.", "warning")
            return None
        return self.fields(alias, (name for name, field in tab.fields.items() if field.writable), at)

    def _field(self, alias: str, trigger: FieldUpdated, at: Path) -> CompiledTrigger:
        names = trigger.field_updated if isinstance(trigger.field_updated, list) else [trigger.field_updated]
        if "to" in trigger.model_fields_set:
            hint = f"A record that is created with this value is only seen by `becomes: {names[0]} is …` (D-119)."
            self._tell(at, "`field_updated` with `to` fires on edits only", hint, "warning")
        fields = self.fields(alias, names, at)
        for key, value in (("from", trigger.from_), ("to", trigger.to)):
            self._check_value(alias, fields, value, (*at, key))
        for number, value in enumerate(trigger.to_any_of or ()):
            self._check_value(alias, fields, value, (*at, "to_any_of", number))
        return FieldTrigger(fields, trigger)

    def _check_value(self, alias: str, fields: frozenset[str], value: object, at: Path) -> None:
        """A picklist literal must be one of the stored values (D-114)."""
        tab = self._project.tab(self._workflow.tabs[alias])
        if tab is None or not isinstance(value, str) or not value:
            return
        for name in sorted(fields & tab.fields.keys()):
            values = tab.fields[name].values
            if values and value not in values:
                hint = did_you_mean(value, values) or f"It can be: {', '.join(values[:12])}."
                self._tell(at, f"'{value}' is no value of the picklist {name}", hint)

    def _section(self, alias: str, trigger: SectionUpdated, at: Path) -> CompiledTrigger | None:
        sections = self._workflow.source.sections
        names = sections.get(trigger.section_updated)
        if names is None:
            hint = did_you_mean(trigger.section_updated, list(sections)) or "Name it under `sections:`."
            self._tell(at, f"unknown section '{trigger.section_updated}'", hint)
            return None
        return FieldTrigger(self.fields(alias, names, at), trigger)

    def _date(self, alias: str, trigger: DateTrigger, at: Path) -> CompiledTrigger:
        self.fields(alias, [trigger.date], at)
        form = {"field": trigger.date, "before": trigger.before, "after": trigger.after, "at": trigger.at}
        return DueTrigger(trigger.date, DuePlan.parse({**form, "repeat": trigger.repeat}), trigger.repeat)

    def _schedule(self, alias: str, trigger: ScheduleTrigger, at: Path) -> CompiledTrigger:
        return RecurringTrigger(Recurrence.parse(trigger.schedule), trigger.catch_up)

    def _score(self, alias: str, trigger: ScoreTrigger, at: Path) -> None:
        self._tell(at, f"the trigger `score` {NOT_YET}", "Use a criterion on the field that holds the score.")

    def _tell(self, at: Path, problem: str, hint: str = "", severity: Severity = "error") -> None:
        self.problems.append(self._document.problem(at, problem, hint, severity))
