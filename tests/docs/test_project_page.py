"""What the page on the project folder shows is accepted by the program."""

from typing import Final

import pytest

from connectors.credentials import credentials
from connectors.file import read_event
from connectors.registry import installed
from renkei.settings import ProjectFile
from rules.calendar_config import calendar_of
from rules.source import read_yaml
from rules.validation import validate
from schemas.events import ChangeEvent
from tests.docs.pages import DOCS, Block, blocks, rows, text_of

PAGE: Final = DOCS / "project.md"
SETTINGS: Final = [one for one in blocks(PAGE, "yaml") if one.words == "settings"]


@pytest.mark.parametrize("block", SETTINGS, ids=lambda block: block.id)
def test_settings_are_accepted(block: Block) -> None:
    found = validate(ProjectFile, read_yaml(block.text, "renkei.yaml"))
    for name, part in found.connections.items():
        assert part.settings(name).kind in installed()
    for name, calendar in found.calendars.items():
        calendar_of(calendar, name)


def test_the_credentials_file_is_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    (block,) = (one for one in blocks(PAGE, "yaml") if one.words == "credentials")
    file = tmp_path_factory.mktemp("credentials") / "credentials.yaml"
    file.touch(0o600)
    file.write_text(block.text)
    for name in ("client_id", "client_secret", "refresh_token"):
        assert credentials("zoho", {}, file).get(name)


def test_the_lines_of_a_file_are_change_events() -> None:
    (block,) = blocks(PAGE, "json")
    for number, line in enumerate(block.text.splitlines(), 1):
        assert isinstance(read_event(line.encode(), number, None), ChangeEvent)


def test_every_kind_of_connection_is_named() -> None:
    named = {row.cells["Kind"] for row in rows(PAGE, "Kind")} | {"file"}
    ours = {"zoho", "salesforce", "vtiger", "email", "webhook", "file"}
    assert named == ours
    assert all(f"kind: {kind}" in text_of(PAGE) or f"`{kind}`" in text_of(PAGE) for kind in ours)
