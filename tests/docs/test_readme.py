"""What the first page shows is so: the demo prints it, the pictures are drawn by the program, the folders are there."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from renkei.cli import app
from rules.actions.registry import BUILT_IN
from tests.docs.console import matches
from tests.docs.pages import DOCS, HOME, blocks, codes, rows, text_of

README = HOME / "README.md"


def test_the_demo_prints_what_the_first_page_shows() -> None:
    (block,) = (one for one in blocks(README, "console") if one.words == "demo")
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 0
    assert matches(block.text, result.output), result.output


@pytest.mark.parametrize("example", ["customer_journey", "won_and_contracted"])
def test_a_picture_is_as_the_program_draws_it(example: str, tmp_path: Path) -> None:
    """If it draws better now: ``renkei diagram examples/… --format svg --output docs/pictures/….svg``."""
    drawn = tmp_path / "drawn.svg"
    CliRunner().invoke(app, ["diagram", str(HOME / "examples" / example), "--format", "svg", "--output", str(drawn)])
    kept = DOCS / "pictures" / f"{example.replace('_', '-')}.svg"
    assert drawn.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8")
    assert kept.name in text_of(README)


def test_every_folder_of_the_house_is_on_the_map() -> None:
    named = {code.rstrip("/") for row in rows(README, "Folder") for code in row.codes("Folder")}
    packages = {path.parent.name for path in HOME.glob("*/__init__.py")}
    assert packages <= named
    assert all((HOME / name).is_dir() for name in named)


def test_the_actions_are_counted_right() -> None:
    assert f"{len(BUILT_IN)} actions" in text_of(README)


def test_every_figure_is_one_that_is_measured() -> None:
    files = ("core.py", "crms/figures.py", "flow/figures.py", "join/figures.py")
    measured = "".join((HOME / "benchmarks" / name).read_text(encoding="utf-8") for name in files)
    named = [code for row in rows(README, "Figure") for code in codes(row.cells["Figure"])]
    assert named
    assert [name for name in named if f'"{name}"' not in measured] == []
