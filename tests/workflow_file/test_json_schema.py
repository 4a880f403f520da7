"""The JSON Schema for editors says what the models say."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from rules.json_schema import ACTION, Json, json_schema
from rules.workflow_file import Steps, WorkflowFile


class Create(BaseModel):
    """Creates a related record.

    More words that an editor need not show.
    """

    model_config = ConfigDict(extra="forbid")
    create: str
    owner: str | None = None


class Branch(BaseModel):
    """Chooses."""

    model_config = ConfigDict(extra="forbid")
    branch: str
    then: Steps = []


SCHEMA: Any = json_schema(WorkflowFile, {"create": Create, "branch": Branch})


def every(node: Json, key: str) -> Iterator[Json]:
    if isinstance(node, dict):
        yield from ([node[key]] if key in node else [])
        for child in node.values():
            yield from every(child, key)
    elif isinstance(node, list):
        for child in node:
            yield from every(child, key)


def test_the_top_of_the_file_is_described() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "Renkei workflow"
    assert SCHEMA["required"] == ["workflow", "main_tab", "tabs"]
    assert SCHEMA["additionalProperties"] is False


def test_every_reference_leads_somewhere() -> None:
    references = {str(reference) for reference in every(SCHEMA, "$ref")}
    assert ACTION in references
    assert all(reference.removeprefix("#/$defs/") in SCHEMA["$defs"] for reference in references)


def test_steps_are_actions_told_apart_by_their_verb() -> None:
    assert SCHEMA["$defs"]["RulePart"]["properties"]["actions"]["items"] == {"$ref": ACTION}
    assert SCHEMA["$defs"]["ScheduledPart"]["properties"]["actions"]["items"] == {"$ref": ACTION}
    action = SCHEMA["$defs"]["action"]
    assert action["properties"]["create"] == {"description": "Creates a related record."}
    assert action["anyOf"] == [{"required": ["create"]}, {"required": ["branch"]}]
    assert action["allOf"][0] == {"if": {"required": ["create"]}, "then": {"$ref": "#/$defs/action.create"}}


def test_steps_inside_an_action_are_actions_too() -> None:
    assert SCHEMA["$defs"]["action.branch"]["properties"]["then"]["items"] == {"$ref": ACTION}


def test_the_lines_of_a_test_are_no_actions() -> None:
    assert SCHEMA["$defs"]["TestPart"]["properties"]["when"]["items"]["type"] == "object"


def test_a_key_that_may_be_left_out_is_not_offered_as_null() -> None:
    assert SCHEMA["$defs"]["action.create"]["properties"]["owner"] == {"type": "string"}
    assert {"type": "null"} not in [*every(SCHEMA, "anyOf")]
    assert SCHEMA["$defs"]["TabPart"]["properties"]["lookup"]["description"].startswith("alias.field")


def test_no_generated_titles_are_left() -> None:
    assert list(every(SCHEMA, "title")) == ["Renkei workflow"]


def test_the_schema_is_json_and_always_the_same() -> None:
    again = json_schema(WorkflowFile, {"create": Create, "branch": Branch})
    assert json.dumps(again) == json.dumps(SCHEMA)


def test_without_actions_steps_stay_open() -> None:
    plain: Any = json_schema(WorkflowFile)
    assert "action" not in plain["$defs"]
    assert plain["$defs"]["RulePart"]["properties"]["actions"]["items"]["type"] == "object"
