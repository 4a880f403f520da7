"""What an author reads when a workflow file does not have the shape that is asked for."""

import json
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from rules.document import Document, Path
from rules.errors import Problem, Problems, WorkflowError
from rules.source import read_yaml
from rules.validation import validate
from rules.workflow_file import WorkflowFile


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Create(Part):
    create: str
    fields: dict[str, str] = {}
    unless_exists: bool = False


class Notify(Part):
    notify: str
    template: str


def verb(value: object) -> str | None:
    return next((key for key in ("create", "notify") if isinstance(value, dict) and key in value), None)


Action = Annotated[Annotated[Create, Tag("create")] | Annotated[Notify, Tag("notify")], Discriminator(verb)]


class Becomes(Part):
    becomes: str


class OnDate(Part):
    date: str
    before: str | None = None
    repeat: Literal["none", "monthly", "yearly"] = "none"


class Rule(Part):
    name: str = Field(pattern=r"^[\w-]+$", description="A name that never changes.")
    trigger: Literal["created", "edited"] | Becomes | OnDate | list[Literal["created", "edited"] | Becomes]
    criteria: str | dict[int | str, str] | None = None
    repeat: Literal["once", "every_time"] | dict[Literal["when_value_changes"], list[str]] | None = None
    actions: list[Action] = []
    priority: int = Field(0, ge=0, le=100)
    teams: list[str] = Field(default=[], max_length=2)


class File(Part):
    workflow: str
    rules: dict[str, list[Rule]] = {}


def problem_of_rule(written: str) -> Problem:
    """The one problem of a rule with this line in it."""
    needed = {"name": "a", "trigger": "created"}
    lines = [written, *(f"{key}: {value}" for key, value in needed.items() if not written.startswith(key))]
    text = "workflow: w\nrules:\n  deal:\n    - " + "\n      ".join(lines) + "\n"
    with pytest.raises(WorkflowError) as refused:
        validate(File, read_yaml(text, "w.yaml"))
    (problem,) = refused.value.problems
    return problem


@pytest.mark.parametrize(
    ("written", "problem", "hint", "column"),
    [
        ("nmae: b", "unknown key 'nmae'", "Did you mean 'name'?", 7),
        ("zzz: b", "unknown key 'zzz'",
         "Known here: name, trigger, criteria, repeat, actions, priority, teams.", 7),
        ("name: 3", "expected text, found a whole number", "Put it in quotes.", 13),
        ("name: a b", "'a b' has not the form that is asked for here",
         "A name holds letters, digits, '_', '-' and '.', and no spaces.", 13),
        ("name:", "expected text, found nothing", "", 7),
        ("trigger: creatd", "'creatd' is not known here", "Did you mean 'created'?", 16),
        ("trigger: zzz", "'zzz' is not known here", "Known here: created, edited.", 16),
        ("trigger: 7", "expected text or keys with values or a list, found a whole number", "", 16),
        ("trigger: {becoms: x}", "unknown key 'becoms'", "Did you mean 'becomes'?", 17),
        ("trigger: {becomes: 5}", "expected text, found a whole number", "Put it in quotes.", 26),
        ("trigger: {date: D, befor: 3d}", "unknown key 'befor'", "Did you mean 'before'?", 26),
        ("trigger: {date: D, repeat: dayly}", "'dayly' is not known here",
         "Known here: none, monthly, yearly.", 34),
        ("trigger: {}", "this does not say what it is", "Write one of the keys 'becomes' or 'date'.", 7),
        ("trigger: [created, edted]", "'edted' is not known here", "Did you mean 'edited' or 'created'?", 26),
        ("trigger: [created, {becomes: [x]}]", "expected text, found a list", "", 27),
        ("criteria: {1: 5}", "expected text, found a whole number", "Put it in quotes.", 21),
        ("criteria: [x]", "expected text or keys with values, found a list", "", 7),
        ("repeat: onec", "'onec' is not known here", "Did you mean 'once'?", 15),
        ("repeat: {when_value_change: [A]}", "unknown key 'when_value_change'",
         "Did you mean 'when_value_changes'?", 16),
        ("repeat: {when_value_changes: A}", "expected a list, found text", "", 36),
        ("actions: {create: x}", "expected a list, found keys with values", "", 7),
        ("actions: [create]", "this does not say what it is",
         "Known here: create, fields, unless_exists, notify, template.", 17),
        ("actions: [{creat: x}]", "this does not say what it is", "Did you mean 'create'?", 17),
        ("actions: [{create: x, feilds: {}}]", "unknown key 'feilds'", "Did you mean 'fields'?", 29),
        ("actions: [{create: x, template: t}]", "unknown key 'template'",
         "Known here: create, fields, unless_exists.", 29),
        ("actions: [{create: x, fields: {Name: 5}}]", "expected text, found a whole number",
         "Put it in quotes.", 44),
        ("actions: [{create: [x]}]", "expected text, found a list", "", 18),
        ("actions: [{notify: x}]", "the key 'template' is missing", "Add `template: …`.", 17),
        ("actions: [{create: x, unless_exists: yes}]", "expected true or false, found text",
         "Write true or false without quotes.", 44),
        ("priority: high", "expected a whole number, found text", "", 17),
        ("priority: 1.5", "expected a whole number, found a number", "", 17),
        ("priority: -1", "this must be at least 0", "", 17),
        ("priority: 101", "this must be at most 100", "", 17),
        ("teams: [a, b, c]", "at most 2 items are allowed here", "", 7),
    ],
)  # fmt: skip
def test_a_wrong_line_is_told_in_one_problem(written: str, problem: str, hint: str, column: int) -> None:
    if written == "nmae: b":
        written = "name: a\n      nmae: b"
        column, line = 7, 5
    else:
        line = 4
    told = problem_of_rule(written)
    assert (told.problem, told.hint, told.line, told.column) == (problem, hint, line, column)


def test_a_missing_key_is_told_at_the_mapping_that_lacks_it() -> None:
    with pytest.raises(WorkflowError) as refused:
        validate(File, read_yaml("workflow: w\nrules:\n  deal:\n    - trigger: created\n", "w.yaml"))
    (problem,) = refused.value.problems
    assert problem.problem == "the key 'name' is missing"
    assert problem.hint == "Add `name: …`. A name that never changes."
    assert (problem.line, problem.where) == (4, "rules.deal[0]")


def test_all_wrong_lines_are_told_together_in_the_order_of_the_file() -> None:
    text = "workflow: [w]\nruls: {}\nrules:\n  deal:\n    - name: a\n      trigger: 5\n    - 7\n"
    with pytest.raises(WorkflowError) as refused:
        validate(File, read_yaml(text, "w.yaml"))
    assert [problem.line for problem in refused.value.problems] == [1, 2, 6, 7]


def test_a_part_of_a_file_is_validated_by_its_own_model() -> None:
    document = read_yaml("actions:\n  - {create: demo, feilds: {}}\n", "w.yaml")
    path: Path = ("actions", 0)
    with pytest.raises(WorkflowError) as refused:
        validate(Create, document, path)
    (problem,) = refused.value.problems
    assert (problem.line, problem.column, problem.where) == (2, 20, "actions[0].feilds")
    assert problem.hint == "Did you mean 'fields'?"


class Low(Part):
    limit: int = Field(le=5)
    note: int = 0


class High(Part):
    limit: int = Field(ge=50)
    note: str = ""


class Either(Part):
    one: Low | High


def test_where_two_kinds_are_equally_near_the_first_one_speaks() -> None:
    with pytest.raises(WorkflowError) as refused:
        validate(Either, read_yaml("one: {limit: 20}\n", "w.yaml"))
    assert [problem.problem for problem in refused.value.problems] == ["this must be at most 5"]


def test_a_good_file_becomes_its_model() -> None:
    text = "workflow: w\nrules: {deal: [{name: a, trigger: {becomes: x}, criteria: {1: a, pattern: '1'}}]}\n"
    file = validate(File, read_yaml(text, "w.yaml"))
    assert file.rules["deal"][0].trigger == Becomes(becomes="x")
    assert file.rules["deal"][0].criteria == {1: "a", "pattern": "1"}


def test_no_words_of_the_library_reach_the_author() -> None:
    rule = "{name: 1, trigger: {}, actions: 7, priority: x, teams: {a: 1}}"
    text = f"workflow: 1.5\nrules: {{deal: [{rule}, 3, null]}}\n"
    with pytest.raises(WorkflowError) as refused:
        validate(File, read_yaml(text, "w.yaml"))
    told = refused.value.problems.render().lower()
    assert not any(word in told for word in ("pydantic", "input", "http", "dictionary", "_type", "validation"))


def test_what_a_validator_says_is_told_at_its_mapping() -> None:
    tabs = "  deal: {module: zoho.Deals}\n  demo: {module: zoho.Demos, by: Deal}\n"
    text = "workflow: w\nmain_tab: deal\ntabs:\n" + tabs
    with pytest.raises(WorkflowError) as refused:
        validate(WorkflowFile, read_yaml(text, "w.yaml"))
    (problem,) = refused.value.problems
    assert problem.problem == "`related_to` and `by` go together"
    assert (problem.line, problem.column, problem.where) == (5, 3, "tabs.demo")


keys = st.sampled_from(["workflow", "rules", "deal", "name", "trigger", "becomes", "date", "actions", "create", "zz"])
leaves = st.sampled_from([None, True, 3, "x", "created", "once"])
shapes = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))
rules = st.dictionaries(st.sampled_from([*Rule.model_fields, "zz"]), shapes, max_size=6)


@settings(max_examples=150, deadline=None)
@given(shapes | rules.map(lambda rule: {"workflow": "w", "rules": {"deal": [rule]}}))
def test_any_shape_is_accepted_or_refused_in_words(shape: object) -> None:
    document = read_yaml(json.dumps(shape), "w.yaml")
    for problem in _problems_of(document):
        assert problem.problem
        assert problem.line == 1
        assert problem.render()


def _problems_of(document: Document) -> Problems:
    try:
        validate(File, document)
    except WorkflowError as refused:
        return refused.problems
    return Problems()
