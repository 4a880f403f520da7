"""The stories that a workflow file tells of itself under ``tests:``, read and checked before any is run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rules.book import Workflow
from rules.document import Document, Path
from rules.durations import Duration
from rules.errors import Place, Problem
from rules.project import Project
from rules.publishing import Draft
from rules.suggest import did_you_mean
from rules.trees import ID
from rules.workflow_file import TestPart
from schemas.values import parse_instant

RECORD_VERBS = ("create", "update", "delete")
STEP_VERBS = (*RECORD_VERBS, "signal", "advance", "at")
"""What can happen in a story: to a record, or to the clock."""
WRITES = ("create", "update", "upsert", "assign")
MESSAGES = ("notify", "email", "webhook", "task", "event", "call", "note")
DEEDS: Mapping[str, tuple[str, ...]] = {
    "delete": (), "link": ("relation",), "unlink": ("relation",), "tag": ("tags",), "untag": ("tags",), "convert": (),
    "transition": ("take",), "submit": (), "approve": (), "reject": (), "lock": (), "unlock": (),
}  # fmt: skip
"""What is asked of a CRM about one record beside writing its fields, with what a story can say of it."""
EXPECTED_VERBS = (*WRITES, *MESSAGES, *DEEDS, "fires", "nothing")
"""What a story can expect."""
_STEP_KEYS = {"signal": ("on", "id"), "advance": (), "at": ()}
_EXPECTED_KEYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(MESSAGES, ("times", "template", "subject")),
    **{verb: ("times", "id", *words) for verb, words in DEEDS.items()},
    "assign": ("times", "id", "owner"), "fires": ("times", "on"), "nothing": (),
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of a story: what happens or is expected, with its further keys and its place in the file."""

    verb: str
    subject: Any
    place: Place
    record_id: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """``times``, ``related_to``, ``template``, ``subject``, ``owner``, ``on``, and what a deed is about."""


@dataclass(frozen=True)
class Story:
    """One test of a workflow file."""

    name: str
    given: tuple[Line, ...]
    when: tuple[Line, ...]
    expect: tuple[Line, ...]


def read_stories(draft: Draft, workflow: Workflow, project: Project) -> tuple[tuple[Story, ...], list[Problem]]:
    """The stories of a workflow file, and what is wrong with them."""
    reader = _Reader(draft.document, workflow, project)
    stories = tuple(reader.story(part, ("tests", number)) for number, part in enumerate(draft.file.tests))
    return stories, reader.problems


class _Reader:
    def __init__(self, document: Document, workflow: Workflow, project: Project) -> None:
        self._document, self._workflow, self._project = document, workflow, project
        self._known: set[tuple[str, str]] = set()
        self.problems: list[Problem] = []

    def story(self, part: TestPart, at: Path) -> Story:
        self._known = set()
        return Story(
            part.name,
            tuple(self._steps(part.given, (*at, "given"))),
            tuple(self._steps(part.when, (*at, "when"))),
            tuple(self._expected(part.expect, (*at, "expect"))),
        )

    # -- what happens --------------------------------------------------------------

    def _steps(self, raw: list[dict[str, Any]], at: Path) -> Iterator[Line]:
        for number, one in enumerate(raw):
            verb = self._verb(one, STEP_VERBS, (*at, number))
            if verb in RECORD_VERBS:
                line = self._record_line(verb, one, (*at, number), ())
                self._follow(line, (*at, number))
                yield line
            elif verb:
                yield self._plain_line(verb, one, (*at, number))

    def _follow(self, line: Line, at: Path) -> None:
        """A story that edits what was never made is wrong; the same goes for one that names no id."""
        record = (str(line.subject), line.record_id)
        if not line.record_id:
            self._tell(at, f"`{line.verb}` needs the record's id", "Write `id: D1`; any text will do.")
        elif line.verb == "create":
            self._known.add(record)
        elif record not in self._known:
            hint = f"Begin with {{create: {line.subject}, id: {line.record_id}}} under `given:`."
            self._tell((*at, "id"), f"there is no {line.subject} {line.record_id} at this point of the story", hint)

    def _plain_line(self, verb: str, raw: dict[str, Any], at: Path) -> Line:
        self._refuse_more(raw, (verb, *_STEP_KEYS[verb]), at)
        line = Line(verb, raw[verb], self._document.place(at), str(raw.get("id", "")), options={"on": raw.get("on")})
        try:
            if verb == "advance":
                Duration.parse(str(line.subject)).elapsed()
            elif verb == "at":
                parse_instant(str(line.subject))
            else:
                self._check_alias(str(raw.get("on", self._workflow.source.main_tab)), (*at, "on"))
        except ValueError as error:
            self._tell((*at, verb), str(error))
        return line

    # -- what is expected --------------------------------------------------------------

    def _expected(self, raw: list[dict[str, Any]], at: Path) -> Iterator[Line]:
        for number, one in enumerate(raw):
            verb = self._verb(one, EXPECTED_VERBS, (*at, number))
            if verb in _EXPECTED_KEYS:
                yield self._expected_line(verb, one, (*at, number))
            elif verb:
                yield self._record_line(verb, one, (*at, number), ("times", "related_to"))

    def _expected_line(self, verb: str, raw: dict[str, Any], at: Path) -> Line:
        self._refuse_more(raw, (verb, *_EXPECTED_KEYS[verb]), at)
        if verb == "assign" or verb in DEEDS:
            self._check_alias(str(raw[verb]), (*at, verb))
        if verb == "fires":
            names = self._workflow.source.names()
            if raw[verb] not in names:
                self._tell((*at, verb), f"there is no rule called '{raw[verb]}'", did_you_mean(str(raw[verb]), names))
        if verb == "nothing" and raw[verb] is not True:
            self._tell((*at, verb), "`nothing` takes true", "Write {nothing: true}.")
        options = {key: raw[key] for key in _EXPECTED_KEYS[verb] if key in raw and key != "id"}
        self._check_times(options, at)
        return Line(verb, raw[verb], self._document.place(at), str(raw.get("id", "")), options=options)

    # -- both --------------------------------------------------------------

    def _verb(self, raw: dict[str, Any], verbs: tuple[str, ...], at: Path) -> str:
        """The verb of a line; empty, and told, if it has none of these. A field may be called like a verb."""
        first = next(iter(raw), "")
        found = first if first in verbs else next((key for key in raw if key in verbs), "")
        if not found:
            hint = did_you_mean(str(first), verbs) or f"A line begins with one of: {', '.join(verbs)}."
            self._tell((*at, first) if raw else at, f"unknown key '{first}'", hint, key=bool(raw))
        return found

    def _record_line(self, verb: str, raw: dict[str, Any], at: Path, options: tuple[str, ...]) -> Line:
        alias = str(raw[verb])
        if self._check_alias(alias, (*at, verb)):
            self._check_fields(alias, [key for key in raw if key not in (verb, ID, *options)], at)
        given = {key: raw[key] for key in options if key in raw}
        self._check_times(given, at)
        fields = {str(key): value for key, value in raw.items() if key not in (verb, ID, *options)}
        return Line(verb, alias, self._document.place(at), str(raw.get(ID, "")), fields, given)

    def _check_alias(self, alias: str, at: Path) -> bool:
        tabs = self._workflow.tabs
        if alias not in tabs:
            hint = did_you_mean(alias, list(tabs)) or f"There are: {', '.join(tabs)}."
            self._tell(at, f"unknown tab '{alias}'", hint)
        return alias in tabs

    def _check_fields(self, alias: str, names: list[str], at: Path) -> None:
        tab = self._project.tab(self._workflow.tabs[alias])
        for name in names:
            if tab is not None and name not in tab.fields:
                self._tell((*at, name), f"unknown field '{name}' of {alias}", did_you_mean(name, tab.fields), key=True)

    def _check_times(self, options: Mapping[str, Any], at: Path) -> None:
        times = options.get("times", 1)
        if isinstance(times, bool) or not isinstance(times, int) or times < 0:
            self._tell((*at, "times"), "`times` takes a whole number", "Write `times: 1`, or `times: 0` for never.")

    def _refuse_more(self, raw: dict[str, Any], keys: tuple[str, ...], at: Path) -> None:
        for key in raw:
            if key not in keys:
                hint = did_you_mean(str(key), keys) or f"Here may stand: {', '.join(keys)}."
                self._tell((*at, key), f"unknown key '{key}'", hint, key=True)

    def _tell(self, at: Path, problem: str, hint: str = "", *, key: bool = False) -> None:
        self.problems.append(Problem(problem, hint, self._document.place(at, key=key)))
