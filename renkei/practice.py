"""A project on the practice range: its connections led to the sandbox, and people who do what a story says."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from renkei.folder import Folder, read_folder
from renkei.settings import ConnectionPart
from rules.durations import Duration
from rules.source import read_yaml
from rules.validation import validate
from sandbox.server import Crm, Sandbox
from schemas.values import parse_instant

CRMS = frozenset({"zoho", "salesforce", "vtiger"})


class Step(BaseModel):
    """One thing that a person does, some time after the step before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: str | None = None
    by: str = Field("", description="The mail address of a user of the CRM.")
    create: str | None = Field(None, description="connection.Tab")
    update: str | None = Field(None, description="connection.Tab")
    id: str | None = None
    where: dict[str, Any] = Field({}, description="Field values by which the record is found.")
    fields: dict[str, Any] = {}
    as_: str | None = Field(None, alias="as", description="Names the record for later steps, as $name.")

    @property
    def tab(self) -> str:
        """The tab that the person works in, as connection.Tab."""
        return self.create or self.update or ""


class Story(BaseModel):
    """What happens in a demo, and when it begins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    starts: str
    steps: list[Step]


def read_story(path: Path) -> Story:
    """The story of a file. Raises WorkflowError where it is wrong."""
    return validate(Story, read_yaml(path.read_bytes(), path.name))


def on_the_range(path: Path, sandbox: Sandbox, state: Path) -> Folder:
    """The project of a folder with its CRMs and its mail in the sandbox, and its state kept elsewhere."""
    folder = read_folder(path, environment=_environment(sandbox, read_folder(path)))
    connections = {name: _led(part, sandbox) for name, part in folder.settings.connections.items()}
    settings = folder.settings.model_copy(update={"connections": connections})
    return replace(folder, settings=settings, state_folder=state, clock=lambda: sandbox.clock.now() / 1000)


class Player:
    """Plays a story in the sandbox; the clock moves with it."""

    def __init__(self, story: Story, sandbox: Sandbox, folder: Folder) -> None:
        self._story, self._sandbox = story, sandbox
        self._kinds = {name: part.kind for name, part in folder.settings.connections.items()}
        self._names: dict[str, str] = {}
        sandbox.clock.set(max(parse_instant(story.starts), sandbox.clock.now()))

    def play(self) -> Iterator[Step]:
        """Each step once it is done."""
        for step in self._story.steps:
            if step.after:
                self._sandbox.clock.advance(Duration.parse(step.after).elapsed())
            record_id = self._do(step)
            if step.as_:
                self._names[step.as_] = record_id
            yield step

    def _do(self, step: Step) -> str:
        connection, _, tab = step.tab.partition(".")
        crm = self._sandbox.crm(self._kinds[connection])
        fields = self._filled(step.fields)
        user = _user(self._sandbox, crm, step.by)
        if step.create:
            return crm.insert(tab, fields, user)
        record_id = self._filled({"id": step.id})["id"] if step.id else self._found(crm, tab, step.where)
        crm.update(tab, record_id, fields, user)
        return str(record_id)

    def _found(self, crm: Crm, tab: str, where: Mapping[str, Any]) -> str:
        wanted = self._filled(where)
        for record in crm.records(tab):
            if all(record.get(name) == value for name, value in wanted.items()):
                return str(record["id"])
        raise LookupError(f"the story finds no record of {crm.kind} {tab} with {', '.join(wanted)} as it says")

    def _filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self._names[value[1:]] if isinstance(value, str) and value.startswith("$") else value
            for name, value in values.items()
        }


def _led(part: ConnectionPart, sandbox: Sandbox) -> ConnectionPart:
    """The connection as it is on the practice range."""
    if part.kind == "email":
        return part.model_copy(update={"url": f"smtp://{sandbox.mail.host}:{sandbox.mail.port}", "allow_private": True})
    if part.kind not in CRMS:
        return part
    crm = sandbox.crm(part.kind)
    user = getattr(sandbox.seed, part.kind).integration_user
    led = {"url": crm.url, "login_url": crm.url, "web_url": crm.url, "allow_private": True, "user": user}
    return part.model_copy(update={**led, "poll": "1 second"})


def _environment(sandbox: Sandbox, folder: Folder) -> dict[str, str]:
    """The sandbox's credentials as the environment would give them."""
    found: dict[str, str] = {}
    for name, part in folder.settings.connections.items():
        if part.kind in CRMS:
            for key, value in sandbox.crm(part.kind).credentials.items():
                found[f"RENKEI_{name.upper()}_{key.upper()}"] = value
    return found


def _user(sandbox: Sandbox, crm: Crm, mail: str) -> str:
    users = getattr(sandbox.seed, crm.kind).users
    return next((user.id for user in users if mail and user.email == mail), "")
