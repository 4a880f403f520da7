"""The front door as a person uses it: commands are typed, and what is printed is read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner

from renkei.cli import app
from renkei.options import opened_folder
from renkei.wiring import FILE
from schemas.metadata import ConnectionMetadata, Field, FieldType, Tab, Team, User
from streams.embedded import Embedded
from streams.store import Store
from streams.testing import Driver, embedded

CRM = "project: shop\nconnections:\n  zoho: {kind: zoho, url: 'https://crm.example.com', key_field: Renkei_Key}\n"
TABS = """
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
  account: {module: zoho.Accounts, lookup: deal.Account}
  demo: {module: zoho.Demos, related_to: deal, by: Deal}
"""


class Answer(NamedTuple):
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What was printed as one JSON document."""
        return json.loads(self.out)


def renkei(*words: object) -> Answer:
    """Type a command. A traceback fails the test: what a person can mend is told in words."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def project(path: Path, rules: str, *, settings: str = CRM, tabs: str = TABS, name: str = "w") -> Path:
    """A project folder with one workflow file."""
    (path / "workflows").mkdir(parents=True, exist_ok=True)
    (path / "renkei.yaml").write_text(settings, encoding="utf-8")
    (path / "workflows" / f"{name}.yaml").write_text(f"workflow: {name}\n{tabs}{rules}", encoding="utf-8")
    return path


def knows(path: Path, tabs: Mapping[str, Mapping[str, FieldType]], **people: Any) -> None:
    """Let the project know what its CRM holds."""
    metadata = ConnectionMetadata(
        connection="zoho",
        tabs={
            tab: Tab(name=tab, fields={name: Field(name=name, type=kind) for name, kind in fields.items()})
            for tab, fields in tabs.items()
        },
        **people,
    )
    (path / "metadata").mkdir()
    (path / "metadata" / "zoho.json").write_text(metadata.model_dump_json(), encoding="utf-8")


ANN = User(id="U1", name="Ann", email="ann@example.com", roles=("Manager",))
BOB = User(id="U2", name="Bob", email="bob@example.com", active=False)
SALES = Team(id="T1", name="Sales", members=("U1",))


def crm_of(path: Path, *, loaded: bool = True) -> Driver:
    """The CRM of a project, played over the project's own state. Close its store before typing commands that write."""
    folder = opened_folder(path)
    folder.state.mkdir(exist_ok=True)
    edition = folder.compile()
    edition.problems.refuse()
    runtime = embedded(edition.book, Store(folder.state / FILE), folder.settings.limits.limits())
    return Driver(edition.book, runtime, loaded=loaded)


def store_of(crm: Driver) -> Store:
    """The state file under a played CRM."""
    assert isinstance(crm.runtime, Embedded)
    return crm.runtime.store
