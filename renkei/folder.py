"""A project folder: ``renkei.yaml``, ``workflows/``, ``templates/``, and what was learned of the connections."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path

import pydantic

from connectors.credentials import Credentials, credentials
from connectors.registry import UnknownConnector, kind_of
from connectors.settings import SettingsError
from connectors.tokens import Shelf, shelf_at
from connectors.vaults import place_of
from renkei.settings import FILE, ProjectFile
from renkei.tables import declared_tab
from rules.actions.base import Action
from rules.actions.registry import registry
from rules.calendar_config import calendar_of
from rules.calendars import Calendar
from rules.errors import NOWHERE, Problem, Problems, WorkflowError, refuse
from rules.project import Project
from rules.publishing import Edition, compile_files
from rules.source import read_yaml
from rules.validation import validate
from schemas.abilities import Abilities
from schemas.metadata import ConnectionMetadata, Tab, Team, User

STATE = ".renkei"
CREDENTIALS = "credentials.yaml"


@dataclass(frozen=True)
class Folder:
    """A project folder that was read. ``metadata`` is what is known of its connections."""

    path: Path
    settings: ProjectFile
    metadata: Mapping[str, ConnectionMetadata] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    state_folder: Path | None = None
    """Another place for the state than the project's own."""
    clock: Callable[[], float] = field(default=time.time, repr=False)
    """The seconds by which tokens end and logins are counted."""

    @property
    def state(self) -> Path:
        """Where the project keeps what it learns and does."""
        return self.state_folder or self.path / STATE

    def credentials(self, connection: str) -> Credentials:
        """The secrets of a connection: environment, credentials file, and the place that its settings name.

        Raises:
            CredentialError: a place is not there, or not private.
        """
        place = place_of(self.settings.connections[connection].secrets, self.settings.project)
        return credentials(connection, self.environment, self.state / CREDENTIALS, place)

    def shelf(self, connection: str) -> Shelf:
        """Where the token of a connection is kept for all processes of this project on this machine."""
        return shelf_at((self.state / "tokens" / f"{connection}.json").absolute(), self.clock)

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The workflow files by name."""
        paths = sorted((self.path / "workflows").glob("*.yaml"))
        return {path.relative_to(self.path).as_posix(): path.read_bytes() for path in paths}

    @cached_property
    def project(self) -> Project:
        """What workflows may rely on here."""
        templates = {path.stem: _text(path) for path in sorted((self.path / "templates").glob("*.liquid"))}
        return Project(
            connections=frozenset(self.settings.connections),
            metadata=self.metadata,
            calendars=self._calendars(),
            rates={code: Decimal(str(rate)) for code, rate in self.settings.rates.items()},
            templates=templates,
            actions=registry(installed_actions()),
            key_fields={name: one.key_field for name, one in self.settings.connections.items() if one.key_field},
            abilities=self._abilities(),
            may_delete={name: one.may_delete for name, one in self.settings.connections.items()},
            modified_fields=self._modified_fields(),
        )

    def compile(self) -> Edition:
        """All workflow files compiled together, with every problem."""
        if not self.files:
            place = replace(NOWHERE, file=str(self.path / "workflows"))
            problem = Problem("there is no workflow file", "Write one, or start with `renkei init DIR`.", place)
            return replace(compile_files({}, self.project), problems=Problems((problem,)))
        return compile_files(self.files, self.project)

    def channels(self) -> dict[str, str]:
        """Per kind of channel the first connection of it."""
        found: dict[str, str] = {}
        for name, one in self.settings.connections.items():
            found.setdefault(one.kind, name)
        return found

    def people(self, connection: str) -> ConnectionMetadata:
        """Everyone whom mails may reach: the users and teams of all connections, and the project's own teams."""
        users = {user.id: user for one in self.metadata.values() for user in one.users}
        teams = {
            team.name: team for one in reversed(list(self.metadata.values())) for team in one.teams if team.members
        }
        for name, addresses in self.settings.teams.items():
            users |= {address: User(id=address, email=address) for address in addresses}
            teams[name] = Team(id=name, name=name, members=tuple(addresses))
        return ConnectionMetadata(connection=connection, users=tuple(users.values()), teams=tuple(teams.values()))

    def _abilities(self) -> dict[str, Abilities]:
        """What each connection can do, as far as its kind tells; settings that are wrong are told by who uses them."""
        found: dict[str, Abilities] = {}
        for name, one in self.settings.connections.items():
            with suppress(UnknownConnector, SettingsError, pydantic.ValidationError):
                told = kind_of(one.kind).abilities(one.settings(name))
                found |= {} if told is None else {name: told}
        return found

    def _modified_fields(self) -> dict[str, str]:
        """Per connection the field that tells when a record was changed, where its kind is installed and has one."""
        found: dict[str, str] = {}
        for name, one in self.settings.connections.items():
            with suppress(UnknownConnector):  # told by `renkei check`
                if told := kind_of(one.kind).modified_field:
                    found[name] = told
        return found

    def _calendars(self) -> dict[str, Calendar]:
        calendars: dict[str, Calendar] = {}
        for name, config in self.settings.calendars.items():
            try:
                calendars[name] = calendar_of(config, name)
            except ValueError as error:
                refuse(f"calendar '{name}': {error}", place=replace(NOWHERE, file=FILE))
        return calendars


def read_folder(path: Path, environment: Mapping[str, str] | None = None) -> Folder:
    """The project in a folder, with the metadata that was learned before.

    Raises:
        WorkflowError: there is no ``renkei.yaml``, or it is wrong.
    """
    file = path / FILE
    if not file.is_file():
        place = replace(NOWHERE, file=str(file))
        refuse("there is no project here", "Name its folder, or make one: renkei init DIR", place)
    settings = validate(ProjectFile, read_yaml(file.read_bytes(), FILE))
    folder = Folder(path, settings, environment=os.environ if environment is None else environment)
    return replace(folder, metadata={**_declared(folder), **_learned(folder)})


def with_metadata(folder: Folder, learned: Mapping[str, ConnectionMetadata]) -> Folder:
    """The folder knowing more of its connections; it is kept for the next time."""
    target = folder.state / "metadata"
    target.mkdir(parents=True, exist_ok=True)
    for name, metadata in learned.items():
        fresh = target / f"{name}.new"
        fresh.write_text(metadata.model_dump_json(indent=1), encoding="utf-8")
        fresh.replace(target / f"{name}.json")
    return replace(folder, metadata={**folder.metadata, **learned})


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        refuse("this is not UTF-8 text", "Save the file with the encoding UTF-8.", replace(NOWHERE, file=str(path)))


def _learned(folder: Folder) -> dict[str, ConnectionMetadata]:
    found: dict[str, ConnectionMetadata] = {}
    for base in (folder.path / "metadata", folder.state / "metadata"):
        for path in sorted(base.glob("*.json")):
            try:
                found[path.stem] = ConnectionMetadata.model_validate_json(path.read_bytes())
            except pydantic.ValidationError:
                place = replace(NOWHERE, file=str(path))
                raise WorkflowError(
                    Problems(
                        (Problem("this is no metadata of a connection", "Remove it; `renkei check` asks anew.", place),)
                    )
                ) from None
    return found


def _declared(folder: Folder) -> dict[str, ConnectionMetadata]:
    """What the settings themselves say: the columns of CSV files whose types are given."""
    found: dict[str, ConnectionMetadata] = {}
    for name, connection in folder.settings.connections.items():
        tabs: dict[str, Tab] = {}
        for file in connection.files:
            if file.tab is not None:
                tabs[file.tab] = declared_tab(folder.path / file.path, file)
        if tabs:
            found[name] = ConnectionMetadata(connection=name, tabs=tabs)
    return found


def installed_actions() -> list[type[Action]]:
    """The actions of installed packages."""
    return [point.load() for point in sorted(entry_points(group="renkei.actions"), key=lambda point: point.name)]
