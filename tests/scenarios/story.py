"""Scenario files as typed models: a story in the words of an author, read from YAML."""

import textwrap
from collections.abc import Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.registry import kind_of
from connectors.settings import ConnectionSettings
from rules.book import Book
from rules.calendar_config import CalendarConfig, calendar_of
from rules.errors import Problem
from rules.project import Project
from rules.publishing import Edition, compile_files
from rules.rounds import Limits
from rules.source import read_yaml
from schemas.abilities import Abilities
from schemas.metadata import ConnectionMetadata

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"

Fields = dict[str, Any]


class Part(BaseModel):
    """A part of a scenario: closed to keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Given(Part):
    """What the project around the workflow has."""

    calendars: dict[str, CalendarConfig] = {}
    templates: dict[str, str] = {}
    metadata: dict[str, dict[str, Any]] = {}
    key_fields: dict[str, str] = {}
    kinds: dict[str, str] = {}
    """The kinds of connections: what is asked of them is checked."""
    may_delete: dict[str, list[str]] = {}
    modified_fields: dict[str, str] = {}
    limits: dict[str, int] = {}


class Expected(Part):
    """What must be so after a step; commands and decisions are those since the last expectation."""

    commands: list[dict[str, Any]] | None = None
    """Exactly these, in any order."""
    fires: dict[str, int] | None = None
    """How often each rule has fired so far; rules that are not named have not."""
    decisions: list[dict[str, Any]] = []
    """These are among them."""
    timers: list[dict[str, str]] | None = None
    """Exactly these wait."""


class Step(Part):
    """One thing that happens, or an expectation."""

    create: str | None = None
    update: str | None = None
    delete: str | None = None
    undelete: str | None = None
    merge: str | None = None
    load: str | None = None
    crm_has: str | None = None
    with_: Fields = Field({}, alias="with")
    loaded: str | list[str] | None = None
    again: str | None = None
    """The same change event of a record arrives once more."""
    signal: str | None = None
    on: str = ""
    advance: str | None = None
    at: str | None = None
    outage: str | None = None
    """Time in which nothing runs, not even timers."""
    crm_refuses: str | None = None
    code: str = "invalid"
    crm_accepts: str | None = None
    answer: Literal["applied", "rejected", "uncertain"] | None = None
    to: str = ""
    resume: Literal["retry", "skip", "stop"] | None = None
    expect: Expected | None = None


class Scenario(Part):
    """A whole file."""

    scenario: str
    decides: list[str]
    why: str = ""
    starts: str = "2026-01-05T09:00:00Z"
    workflow: Any = None
    second_workflow: Any = None
    third_workflow: Any = None
    example: str | None = None
    """The folder of an example whose workflows and templates are used as they are."""
    project: Given = Given()
    not_loaded: list[str] = []
    answers: Literal["at once", "by hand"] = "at once"
    refused: list[str] | None = None
    """The workflow cannot be published; each of these is told."""
    warned: list[str] = []
    steps: list[Step] = []


class Story:
    """A scenario with its workflows compiled."""

    def __init__(self, path: Path) -> None:
        document = read_yaml(path.read_bytes(), path.name)
        self.name = path.stem
        self.scenario = Scenario.model_validate(document.value)
        given = self.scenario.project
        self.files: dict[str, str] = {}
        templates = dict(given.templates)
        for key in ("workflow", "second_workflow", "third_workflow"):
            if getattr(self.scenario, key) is not None:
                self.files[f"{path.stem}-{key}.yaml"] = _block(document.lines, key)
        if self.scenario.example is not None:
            folder = EXAMPLES / self.scenario.example
            self.files |= {one.name: one.read_text() for one in (folder / "workflows").glob("*.yaml")}
            templates |= {one.stem: one.read_text() for one in (folder / "templates").glob("*.liquid")}
        self.project = Project(
            calendars={name: calendar_of(one, name) for name, one in given.calendars.items()},
            metadata={name: _metadata(name, one) for name, one in given.metadata.items()},
            templates=templates,
            key_fields=given.key_fields,
            abilities={name: _abilities(name, kind) for name, kind in given.kinds.items()},
            may_delete=given.may_delete,
            modified_fields=given.modified_fields,
        )
        self.edition: Edition = compile_files(self.files, self.project)

    @property
    def book(self) -> Book:
        """The published book. Raises WorkflowError where the workflow is refused."""
        self.edition.problems.refuse()
        return self.edition.book

    @property
    def limits(self) -> Limits:
        """The engine's limits in this story."""
        return Limits(**self.scenario.project.limits)

    @property
    def problems(self) -> list[Problem]:
        """Errors and warnings of publishing."""
        return list(self.edition.problems)


@cache
def story(path: Path) -> Story:
    """The story of a file, compiled once."""
    return Story(path)


def _block(lines: Sequence[str], key: str) -> str:
    """The text of one block of the file, exactly as it is written there."""
    start = lines.index(f"{key}:") + 1
    inside = takewhile(lambda line: not line.strip() or line[0] in " #", lines[start:])
    return textwrap.dedent("\n".join(inside))


def _abilities(connection: str, kind: str) -> Abilities:
    known = kind_of(kind).abilities(ConnectionSettings(connection=connection, kind=kind))
    assert known is not None, f"nobody knows what a connection of kind {kind} can do"
    return known


def _metadata(connection: str, tabs: dict[str, Any]) -> ConnectionMetadata:
    """``Deals: {Stage: picklist [A, B]}`` in short, or whole fields; with ``users`` and ``teams`` beside the tabs."""
    people = {key: tabs[key] for key in ("users", "teams") if key in tabs}
    known = {
        name: {"name": name, "fields": {field: {"name": field, **_field(kind)} for field, kind in fields.items()}}
        for name, fields in tabs.items()
        if name not in people
    }
    return ConnectionMetadata.model_validate({"connection": connection, "tabs": known, **people})


def _field(kind: str | dict[str, Any]) -> dict[str, Any]:
    return {"type": kind} if isinstance(kind, str) else kind
