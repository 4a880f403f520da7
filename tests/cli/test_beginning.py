"""A new project checks, tests and runs at once, without any CRM."""

import json
import sys
from pathlib import Path
from subprocess import run

import pytest

from tests.cli.door import renkei


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("new") / "journey"
    assert renkei("init", path).code == 0
    return path


def test_a_new_project_says_what_to_type_next(tmp_path: Path) -> None:
    answer = renkei("init", tmp_path / "new")
    assert answer.out.endswith(f"Next: renkei check {tmp_path / 'new'}\n")
    assert (tmp_path / "new" / ".gitignore").read_text() == ".renkei/\n"


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    answer = renkei("init", tmp_path)
    assert (answer.code, "not empty" in answer.err) == (1, True)
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]


def test_a_new_project_has_no_errors_and_says_that_mail_would_wait(new: Path) -> None:
    answer = renkei("check", new, "--json")
    assert answer.code == 0
    (problem,) = answer.json["problems"]
    assert "no connection of kind email" in problem["problem"]
    assert problem["severity"] == "warning"


def test_the_tests_of_a_new_project_pass(new: Path) -> None:
    answer = renkei("test", new)
    assert (answer.code, "2 passed, 0 failed." in answer.out) == (0, True)


def test_editors_find_the_schema_of_a_new_project(new: Path) -> None:
    first = (new / "workflows" / "first-orders.yaml").read_text().splitlines()[0]
    schema = new / "workflows" / first.partition("$schema=")[2]
    assert json.loads(schema.read_text())["title"] == "Renkei workflow"


def test_a_new_project_runs_offline_and_can_be_asked_what_came_of_it(new: Path) -> None:
    assert renkei("run", new, "--once", "--json").json["commands"] == 1
    status = renkei("status", new, "--json").json
    assert (status["journeys"], status["commands"], status["backlog"]) == (2, {"email": 1}, 0)
    assert "names no connection 'email'" in renkei("status", new).out
    small = renkei("explain", "shop.Orders/O2", new, "--json").json["explained"]["rules"][0]
    assert (small["reason"], small["why"]) == ("criterion_false", 'criterion 3 is false: customer.Level is "Gold"')
    large = renkei("explain", "O1", new, "--json").json["explained"]["rules"][0]
    assert large["reason"] == "fired"


def test_the_schema_can_be_printed_or_written(tmp_path: Path) -> None:
    printed = renkei("schema").out
    assert renkei("schema", "-o", tmp_path / "schema.json").code == 0
    assert (tmp_path / "schema.json").read_text() == printed


def test_a_diagram_is_drawn_as_text_or_as_a_picture(new: Path) -> None:
    assert 't0[["order<br/>shop.Orders"]]' in renkei("diagram", new).out
    assert renkei("diagram", new, "first-orders", "-f", "svg", "-o", new / "out.svg").code == 0
    assert (new / "out.svg").read_text().startswith("<svg")
    assert renkei("diagram", new, "--json").json["diagram"]["tabs"][0]["label"] == "shop.Orders"
    answer = renkei("diagram", new, "frist-orders")
    assert (answer.code, "Did you mean 'first-orders'?" in answer.err) == (1, True)


def test_a_command_loads_no_other_one() -> None:
    code = "from renkei.cli import main; sys.argv = ['renkei', 'schema', '--help']; main()"
    tell = "print([name for name in sys.modules if name.startswith('renkei.commands.')])"
    words = [sys.executable, "-c", f"import atexit, sys; atexit.register(lambda: {tell}); {code}"]
    ran = run(words, check=True, capture_output=True, text=True)
    assert ran.stdout.endswith("['renkei.commands.schema']\n")


def test_a_misspelled_command_is_answered_with_the_nearest() -> None:
    answer = renkei("statsu")
    assert (answer.code, "Did you mean 'status'" in answer.err) == (2, True)
