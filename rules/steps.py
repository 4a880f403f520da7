"""Compiling the actions of a rule: verbs to models, texts and criteria to closures, names checked."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from rules.abilities import refusals_of_asking
from rules.actions.base import ALIAS, TEMPLATE, WHO, Action, who_texts
from rules.actions.registry import NOT_BUILT
from rules.book import Step
from rules.criteria import Context, Criteria, CriteriaError, compile_criteria, compile_expression
from rules.document import Document, Path
from rules.errors import Place, Problem
from rules.project import Project
from rules.suggest import did_you_mean
from rules.tabs import fields_of
from rules.templates import Template, TemplateError, Text, compile_template, compile_text
from rules.trees import ID
from rules.validation import problem_in_text, problems_of
from rules.workflow_file import Steps, WorkflowFile

Read = tuple[str, str]
"""An alias and a field of it."""
T = TypeVar("T")


class MakesContext(Protocol):
    """Says what a text may name."""

    def __call__(self, own: str, steps: frozenset[str], *, changes: bool, seen_from: str) -> Context:
        """The names for a text whose bare names are fields of ``own``, after these steps."""
        ...


@dataclass
class Compiled:
    """What compiling the actions of one rule has found."""

    steps: dict[str, Step] = field(default_factory=dict)
    reads: set[Read] = field(default_factory=set)
    """What texts and templates read: a fire waits until these are known."""
    written: set[Read] = field(default_factory=set)
    conditions: set[Read] = field(default_factory=set)
    conditional: set[str] = field(default_factory=set)
    """The aliases that are written only if nobody has changed their record (D-44)."""
    trails: set[Read] = field(default_factory=set)
    """The fields of whose earlier values conditions ask."""


class StepCompiler:
    """Compiles the steps of one rule, all problems collected."""

    def __init__(
        self,
        file: WorkflowFile,
        document: Document,
        project: Project,
        context: MakesContext,
        own: str,
        *,
        changes: bool = False,
    ) -> None:
        self._file, self._document, self._project = file, document, project
        self._make_context, self._own = context, own
        self.changes = changes
        """Whether texts may ask what the waking event changed (D-117)."""
        self.problems: list[Problem] = []
        self.compiled = Compiled()

    def block(self, steps: Steps, at: Path, prefix: str, earlier: frozenset[str], bound: str = "") -> tuple[str, ...]:
        """Compile a list of actions; the paths of their steps in order. ``bound`` is what a ``for_each`` binds."""
        paths: list[str] = []
        for number, raw in enumerate(steps):
            path = f"{prefix}{number}"
            action = self._action(raw, (*at, number))
            if action is not None:
                self._step(action, raw, (*at, number), path, earlier, bound)
                earlier |= {action.name or action.default_name}
                paths.append(path)
        return tuple(paths)

    def _action(self, raw: Mapping[str, Any], at: Path) -> Action | None:
        verbs = [key for key in raw if key in self._project.actions]
        if len(verbs) != 1:
            self._tell_verb(raw, verbs, at)
            return None
        model = self._project.actions[verbs[0]]
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            self.problems.extend(problems_of(error, self._document, model, at))
            return None

    def _tell_verb(self, raw: Mapping[str, Any], verbs: list[str], at: Path) -> None:
        if verbs:
            self._tell(at, f"one action has two verbs: {' and '.join(verbs)}", "Make two actions of it.")
        elif later := [key for key in raw if key in NOT_BUILT]:
            self._tell((*at, later[0]), f"the action `{later[0]}` is not built yet", "", key=True)
        else:
            known = sorted(self._project.actions)
            first = next(iter(raw), "")
            hint = did_you_mean(str(first), known) or f"There are: {', '.join(known)}."
            self._tell((*at, first) if raw else at, f"unknown action '{first}'", hint, key=bool(raw))

    def _step(
        self, action: Action, raw: Mapping[str, Any], at: Path, path: str, earlier: frozenset[str], bound: str
    ) -> None:
        context = self._context(self._own, earlier, bound)
        self._check_names(action, at)
        self._check_single(action, context, at)
        texts = {source: self._text(source, raw, at, context) for source in action.texts()}
        criteria = {
            source: self._criteria(source, raw, at, context if alias is None else self._context(alias, earlier))
            for source, alias in action.conditions()
        }
        template = next((self._template(name, at, context) for _, name in action.marked(TEMPLATE)), None)
        self._check_writes(action, at)
        self.problems += refusals_of_asking(action, self._file, self._project, self._document, at)
        blocks = {
            name: self.block(steps, self._find_steps(raw, steps, at), f"{path}.{name}.", earlier, action.binds or bound)
            for name, steps in action.blocks()
        }
        found = self.compiled
        found.steps[path] = Step(
            path,
            action,
            {k: v for k, v in texts.items() if v},
            {k: v for k, v in criteria.items() if v},
            template,
            blocks,
        )
        for text in texts.values():
            found.reads |= set(text.reads) if text else set()
        for one in criteria.values():
            found.conditions |= set(one.reads) if one else set()
            found.trails |= set(one.trails) if one else set()
        if template is not None:
            found.reads |= set(template.reads)

    # -- texts --------------------------------------------------------------

    def _text(self, source: str, raw: Any, at: Path, context: Context) -> Text | None:
        zone = context.calendar.zone
        return self._try(
            lambda: compile_text(source, lambda part: compile_expression(part, context), zone),
            (*at, *_path_to(raw, source)),
        )

    def _criteria(self, source: str, raw: Any, at: Path, context: Context) -> Criteria | None:
        return self._try(lambda: compile_criteria(source, context), (*at, *_path_to(raw, source)))

    def _try(self, compile_: Callable[[], T], at: Path) -> T | None:
        try:
            return compile_()
        except (CriteriaError, TemplateError) as error:
            self.problems.append(problem_in_text(self._document, at, error))
            return None

    def _template(self, name: str, at: Path, context: Context) -> Template | None:
        source = self._project.templates.get(name)
        if source is None:
            known = sorted(self._project.templates)
            hint = did_you_mean(name, known) or f"Write it to templates/{name}.liquid."
            self._tell((*at, "template"), f"there is no template '{name}'", hint)
            return None
        many = [alias for alias, one in context.aliases.items() if not one.to_one]
        fields = {alias: fields_of(one.tab) for alias, one in context.aliases.items()}
        try:
            return compile_template(name, source, fields, steps=context.steps, to_many=many, zone=context.calendar.zone)
        except TemplateError as error:
            place = Place(f"templates/{name}.liquid", error.line, error.column)
            self.problems.append(Problem(error.problem, error.hint, place))
            return None

    def _context(self, own: str, earlier: frozenset[str], bound: str = "") -> Context:
        return self._make_context(own, earlier, changes=self.changes, seen_from=bound)

    # -- names --------------------------------------------------------------

    def _check_names(self, action: Action, at: Path) -> None:
        for key, alias in action.marked(ALIAS):
            if alias not in self._file.tabs:
                hint = did_you_mean(alias, list(self._file.tabs)) or f"There are: {', '.join(self._file.tabs)}."
                self._tell((*at, key), f"unknown tab '{alias}'", hint)
        for key, value in action.marked(WHO):
            for who in value if isinstance(value, list) else [value]:
                self._check_team(who, (*at, key))

    def _check_single(self, action: Action, context: Context, at: Path) -> None:
        """An action on one record must know which one it is."""
        for key, alias in action.single():
            if alias in context.aliases and not context.aliases[alias].to_one:
                problem = f"there can be several records of tab {alias}"
                self._tell((*at, key), problem, f"Say which: {action.for_several(alias)}.")

    def _check_team(self, who: str, at: Path) -> None:
        group, _, name = who.removeprefix("manager of ").partition(" ")
        if group == "team" and not who_texts(who) and name not in self._file.teams:
            hint = did_you_mean(name, list(self._file.teams)) or "Name it under `teams:`."
            self._tell(at, f"unknown team '{name}'", hint)

    def _check_writes(self, action: Action, at: Path) -> None:
        for alias, fields, _ in action.written():
            part = self._file.tabs.get(alias)
            if part is not None and action.on_condition is not None:
                self._check_condition(alias, part.module, (*at, "if_unmodified"))
            tab = self._project.tab(part.module.replace(".", ":", 1)) if part is not None else None
            for name in fields:
                self.compiled.written.add((alias, name))
                if tab is not None and name != ID and name not in tab.fields:
                    hint = did_you_mean(name, list(tab.fields))
                    self._tell((*at, "fields", name), f"unknown field '{name}' of {alias}", hint, key=True)
                elif tab is not None and name != ID:
                    self._check_value(tab.fields[name].values, action, name, at)

    def _check_condition(self, alias: str, module: str, at: Path) -> None:
        """Only what a CRM says of when a record was changed can be compared (D-44)."""
        self.compiled.conditional.add(alias)
        connection = module.partition(".")[0]
        if connection not in self._project.modified_fields:
            problem = f"{connection} does not say when a record was changed, so that `if_unmodified` cannot be asked"
            self._tell(at, problem, "Leave it out; a CRM connection can do it.", key=True)

    def _check_value(self, values: tuple[str, ...], action: Action, name: str, at: Path) -> None:
        """A picklist literal must be one of the stored values (D-114)."""
        given = getattr(action, "fields", {}).get(name)
        if values and isinstance(given, str) and "{{" not in given and given not in values:
            hint = did_you_mean(given, values) or f"It can be: {', '.join(values[:12])}."
            self._tell((*at, "fields", name), f"'{given}' is no value of the picklist {name}", hint)

    def _find_steps(self, raw: Mapping[str, Any], steps: Steps, at: Path) -> Path:
        return (*at, *_path_to(raw, steps))

    def _tell(self, at: Path, problem: str, hint: str = "", *, key: bool = False) -> None:
        self.problems.append(Problem(problem, hint, self._document.place(at, key=key)))


def _path_to(raw: Any, wanted: Any) -> Path:
    """Where a text or block stands inside an action; at the action itself where it is not written out."""
    return next(_paths(raw, wanted), ())


def _paths(raw: Any, wanted: Any) -> Iterator[Path]:
    if raw is wanted or (isinstance(wanted, str) and raw == wanted) or (isinstance(wanted, list) and raw == wanted):
        yield ()
    elif isinstance(raw, Mapping):
        for key, inner in raw.items():
            for path in _paths(inner, wanted):
                yield (key, *path)
    elif isinstance(raw, list):
        for number, inner in enumerate(raw):
            for path in _paths(inner, wanted):
                yield (number, *path)
