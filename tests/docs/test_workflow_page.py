"""Every workflow, part of one and template of the documentation compiles; what the pages call refused is refused."""

from typing import Any, Final, get_args

import pytest

from renkei.stories import EXPECTED_VERBS, STEP_VERBS, read_stories
from renkei.telling import tell
from rules import workflow_file
from rules.actions.registry import BUILT_IN, NOT_BUILT
from rules.publishing import Edition
from tests.docs.frame import PROJECT, compiled, framed, plain
from tests.docs.pages import DOCS, PAGES, Block, Row, blocks, codes, rows, text_of

PAGE: Final = DOCS / "workflow-file.md"
_YAML: Final = [one for page in PAGES for one in blocks(page, "yaml")]
PARTS: Final = [one for one in _YAML if one.words.partition(" ")[0] in ("keys", "rules", "rule", "actions")]
WHOLE: Final = [one for one in _YAML if not one.words]
REFUSED: Final = [one for one in _YAML if one.words == "refused"]
TEMPLATES: Final = [one for page in PAGES for one in blocks(page, "liquid") if "/" not in one.words]
LINES: Final = list(rows(PAGE, "Line"))
TRIGGERS: Final = list(rows(PAGE, "Trigger"))


def _id(one: Block | Row) -> str:
    return f"{one.page.name}:{one.line}"


def _sound(edition: Edition) -> Edition:
    assert not edition.problems.errors, edition.problems.render()
    return edition


@pytest.mark.parametrize("block", WHOLE, ids=_id)
def test_a_whole_workflow_compiles_and_its_stories_come_true(block: Block) -> None:
    edition = _sound(compiled(block.text))
    stories, problems = read_stories(edition.drafts[0], edition.book.workflows[0], PROJECT)
    assert not problems
    for story in stories:
        told = tell(story, edition.book.workflows[0], edition.book)
        assert not told.failed, (story.name, told)


@pytest.mark.parametrize("block", PARTS, ids=_id)
def test_a_part_of_a_workflow_compiles(block: Block) -> None:
    kind, _, alias = block.words.partition(" ")
    _sound(compiled(framed(kind, plain(block.text), alias or "deal")))


@pytest.mark.parametrize("block", REFUSED, ids=_id)
def test_a_mistake_is_told_in_the_words_of_the_page(block: Block) -> None:
    told = next(one for one in blocks(block.page, "problem") if one.line > block.line)
    assert compiled(block.text).problems.render() + "\n" == told.text


@pytest.mark.parametrize("block", TEMPLATES, ids=_id)
def test_a_template_of_the_pages_compiles(block: Block) -> None:
    action = {"notify": "team sales", "template": block.words}
    _sound(compiled(framed("actions", [action]), {block.words: block.text}))


@pytest.mark.parametrize("row", TRIGGERS, ids=_id)
def test_a_trigger_of_the_table_compiles(row: Row) -> None:
    (trigger,) = row.codes("Trigger")
    criteria = 'Stage is "Negotiation"' if trigger == "criteria_met" else None
    rule: dict[str, Any] = {"trigger": plain(f"one: {trigger}")["one"], **({"criteria": criteria} if criteria else {})}
    alias = "demo" if "Status" in trigger else "deal"
    _sound(compiled(framed("rule", rule, alias)))


@pytest.mark.parametrize("row", LINES, ids=_id)
def test_a_line_of_a_test_is_understood(row: Row) -> None:
    (line,) = row.codes("Line")
    story: dict[str, Any] = {"name": "story", "given": [], "when": [], "expect": []}
    for tab, record in (("deal", "D1"), ("contact", "K1")):
        story["given"].append({"create": tab, "id": record})
    story[row.cells["Under"].split(", ")[-1]].append(plain(f"one: {line}")["one"])
    rule = {"name": "large-deal", "trigger": "created", "actions": [{"notify": "team sales", "template": "deal-won"}]}
    edition = _sound(compiled({**framed("rules", [rule]), "tests": [story]}))
    _, problems = read_stories(edition.drafts[0], edition.book.workflows[0], PROJECT)
    assert not problems, [one.render() for one in problems]


# -- nothing is left out ------------------------------------------------------------------


def test_every_trigger_is_in_the_table_or_called_not_built() -> None:
    named = {key for row in TRIGGERS for code in row.codes("Trigger") for key in _keys(code)}
    kinds = set(get_args(workflow_file.EventKind))
    refused = {kind for kind in kinds if _is_refused(kind)}
    longer = {"becomes", "field_updated", "section_updated", "date", "schedule", "signal"}
    assert (kinds - refused) | longer <= named
    assert {*refused, "score"} <= set(_not_built())


def test_every_action_has_a_heading_and_an_example_or_is_called_not_built() -> None:
    for action in BUILT_IN:
        assert f"\n### {action.verb}\n" in text_of(PAGE)
    shown = {key for one in PARTS if one.words == "actions" for step in plain(one.text) for key in step}
    assert {action.verb for action in BUILT_IN} <= shown
    assert set(_not_built()) >= NOT_BUILT


def test_every_line_of_a_test_has_an_example() -> None:
    for verbs, under in ((STEP_VERBS, "when"), (EXPECTED_VERBS, "expect")):
        shown = {next(iter(plain(f"one: {code}")["one"])) for row in LINES if under in row.cells["Under"]
                 for code in row.codes("Line")}  # fmt: skip
        assert set(verbs) <= shown


def test_every_way_to_repeat_is_in_its_table() -> None:
    shown = {key for row in rows(PAGE, "`repeat`") for code in row.codes("`repeat`") for key in _keys(code)}
    assert {*get_args(workflow_file.Repeat), "when_value_changes"} <= shown


def _is_refused(kind: str) -> bool:
    criteria = "before.Paid is true" if kind in ("deleted", "merged") else "Paid is true"
    return bool(compiled(framed("rule", {"trigger": kind, "criteria": criteria})).problems.errors)


def _keys(code: str) -> list[str]:
    value = plain(f"one: {code}")["one"]
    return [str(key) for key in value] if isinstance(value, dict) else [str(value)]


def _not_built() -> list[str]:
    words = [code for row in rows(PAGE, "What") for code in codes(row.cells["What"])]
    return [word.strip("{}:").partition(":")[0] for word in words]
