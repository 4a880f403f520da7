"""Whatever is wrong with a project is told in words with exit code 1, never with a traceback."""

import json
from pathlib import Path

import pytest

from renkei.wiring import locked
from tests.cli.door import CRM, TABS, project, renkei

RULES = "rules:\n  deal:\n    - name: a\n      trigger: created\n      actions: [{webhook: 'https://example.org'}]\n"
COMMANDS = ("check", "test", "status", "diagram", "parked", "unknown")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_without_a_project(tmp_path: Path, command: str) -> None:
    answer = renkei(command, tmp_path)
    assert (answer.code, "there is no project here" in answer.err) == (1, True)
    assert "renkei init" in answer.err


@pytest.mark.parametrize("command", ["status", "parked", "unknown"])
def test_a_project_that_never_ran_has_no_state_and_none_is_made(tmp_path: Path, command: str) -> None:
    answer = renkei(command, project(tmp_path, RULES))
    assert (answer.code, "Type: renkei run" in answer.err) == (1, True)
    assert not (tmp_path / ".renkei").exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("project: [", "renkei.yaml:1:"),
        ("", "the file is empty"),
        ("project: x\nconections: {}\n", "Did you mean 'connections'?"),
        ("project: x\nconnections: {zoho: {kind: zohoo}}\n", "no connector of kind 'zohoo'"),
        ("project: x\nconnections: {zoho: {kind: zoho, poll: often}}\n", "'often' is no duration"),
        ("project: x\nconnections: {zoho: {kind: zoho}}\ncalendars: {c: {timezone: Mars}}\n", "calendar 'c'"),
        ("project: x\nconnections: {zoho: {kind: file, files: [{path: no.csv, tab: Deals}]}}\n", "cannot read no.csv"),
        ("a: &a [x, x, x]\nb: &b [*a, *a, *a]\nproject: *b\n", "renkei.yaml"),
    ],
)
def test_wrong_settings(tmp_path: Path, settings: str, told: str) -> None:
    answer = renkei("check", project(tmp_path, RULES, settings=settings), "--offline")
    assert (answer.code, told in answer.err) == (1, True), answer


@pytest.mark.parametrize(
    ("rules", "tabs", "told"),
    [
        ("rules: {deal: [{name: a}]}\n", TABS, "the key 'trigger' is missing"),
        (RULES, TABS.replace("zoho.Deals", "zohoo.Deals"), "unknown connection 'zohoo'"),
        (RULES, TABS.replace("lookup: deal.Account", "related_to: demo, by: X").replace("to: deal", "to: account"),
         "hang on each other in a circle"),
        (RULES + "bomb: &a [x, x]\nmore: [" + "*a, " * 2000 + "*a]\n", TABS, "aliases"),
        (RULES.replace("webhook: 'https://example.org'", "notify: team x, template: loop"), TABS, "include"),
        ("\tx", TABS, "w.yaml:"),
    ],
)  # fmt: skip
def test_wrong_workflows(tmp_path: Path, rules: str, tabs: str, told: str) -> None:
    path = project(tmp_path, rules, tabs=tabs)
    (path / "templates").mkdir()
    (path / "templates" / "loop.liquid").write_text("Subject: x\n\n{% include 'loop' %}")
    answer = renkei("check", path, "--offline")
    assert (answer.code, told in answer.out) == (1, True), answer


def test_files_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = project(tmp_path, RULES)
    (path / "workflows" / "x.yaml").write_bytes(b"\xff\xfe")
    assert "this is not UTF-8 text" in renkei("check", path, "--offline").out
    (path / "workflows" / "x.yaml").unlink()
    (path / "templates").mkdir()
    (path / "templates" / "x.liquid").write_bytes(b"\xff\xfe")
    assert "this is not UTF-8 text" in renkei("check", path, "--offline").err


def test_a_project_without_workflows_says_how_to_begin(tmp_path: Path) -> None:
    (tmp_path / "renkei.yaml").write_text(CRM)
    answer = renkei("check", tmp_path, "--offline")
    assert (answer.code, "there is no workflow file" in answer.out) == (1, True)


def test_refusals_are_json_too(tmp_path: Path) -> None:
    answer = renkei("check", tmp_path, "--json")
    assert (answer.code, answer.json["ok"], answer.err) == (1, False, "")
    assert answer.json["problems"][0]["problem"] == "there is no project here"
    assert renkei("status", project(tmp_path, RULES), "--json").json["ok"] is False


def test_a_second_process_on_the_same_state_is_refused(tmp_path: Path) -> None:
    path = project(tmp_path, RULES)
    with locked(path / ".renkei"):
        answer = renkei("unknown", path, "retry", "x")
    assert (answer.code, "another renkei is at work" in answer.err) == (1, True)


def test_a_state_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    path = project(tmp_path, RULES)
    (path / ".renkei").write_text("a file is in the way")
    for words in (("parked", path, "retry", "all"), ("status", path)):
        answer = renkei(*words)
        assert (answer.code, ".renkei" in answer.err) == (1, True)


def test_a_state_file_that_is_none_is_told(tmp_path: Path) -> None:
    path = project(tmp_path, RULES)
    (path / ".renkei").mkdir()
    (path / ".renkei" / "renkei.db").write_bytes(b"no database" * 1000)
    for command in ("status", "parked", "unknown"):
        answer = renkei(command, path)
        assert (answer.code, "cannot use the state file" in answer.err) == (1, True), answer


def test_metadata_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = project(tmp_path, RULES)
    (path / "metadata").mkdir()
    (path / "metadata" / "zoho.json").write_text(json.dumps({"tabs": 7}))
    assert "this is no metadata of a connection" in renkei("check", path, "--offline").err


def test_wrong_usage_ends_with_two() -> None:
    assert renkei("explain").code == 2
    assert renkei("diagram", "--format", "png").code == 2
