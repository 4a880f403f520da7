"""What docs/extending.md shows is what is installed and run here, letter by letter."""

import re
from pathlib import Path

import pytest

from connectors.base import Connector
from streams.faust_agents import Topics
from tests.stranger.test_chat import CHEER

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = [found[1].strip() for found in re.finditer(r"^```\w*\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)]
FILES = (
    "pyproject.toml",
    "renkei_chat/connector.py",
    "renkei_chat/action.py",
    "renkei_chat/stage.py",
    "renkei_chat/agents.py",
    "test_chat.py",
)


@pytest.mark.parametrize("name", FILES)
def test_the_page_shows_the_file_as_it_is(name: str) -> None:
    text = (HERE / name).read_text(encoding="utf-8").strip()
    # Installed, the package is imported by its own name; here it lies among the tests.
    assert text.replace("tests.stranger.renkei_chat", "renkei_chat") in BLOCKS


def test_the_page_shows_the_workflow_that_is_run() -> None:
    assert CHEER.strip() in BLOCKS


def test_the_page_names_the_topics_that_agents_may_ask_for() -> None:
    [table] = re.findall(r"\| `topics\.` \| Value \|\n(.*?)\n\n", PAGE, re.DOTALL)
    named = set(re.findall(r"^\| `(\w+)\(", table, re.MULTILINE))
    assert named == {name for name in vars(Topics) if not name.startswith("_")}


def test_the_page_names_members_that_a_connector_has() -> None:
    [table] = re.findall(r"\| Member \| For \|\n(.*?)\n\n", PAGE, re.DOTALL)
    named = re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.splitlines()))
    assert "find" in named
    assert all(hasattr(Connector, name) for name in named)
