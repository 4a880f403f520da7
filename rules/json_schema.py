"""The shape of a workflow file as JSON Schema, so that editors complete and check it while it is written."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from pydantic import BaseModel

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

ACTION = "#/$defs/action"
_STORIES = frozenset({"given", "when", "expect"})
"""Keys whose steps are lines of a test, not actions."""


def json_schema(
    model: type[BaseModel],
    actions: Mapping[str, type[BaseModel]] | None = None,
    title: str = "Renkei workflow",
) -> dict[str, Json]:
    """JSON Schema (draft 2020-12) of a file model.

    ``actions`` are the models of the actions by verb: wherever the model holds steps, an editor offers the
    verbs and then the keys of the verb that was chosen.
    """
    root = _schema_of(model)
    parts = _parts(root)
    for verb, action in (actions or {}).items():
        parts |= _parts(part := _schema_of(action))
        parts[_name(verb)] = part
    if actions:
        parts["action"] = _choice(actions)
    whole: dict[str, Json] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    whole |= {**root, "title": title, "$defs": dict(sorted(parts.items()))}
    return _tidy(whole, _refer_to_actions) if actions else _tidy(whole, lambda key, value: value)


def _schema_of(model: type[BaseModel]) -> dict[str, Json]:
    return dict(model.model_json_schema(by_alias=True))


def _parts(schema: dict[str, Json]) -> dict[str, Json]:
    """Takes the named parts out of a schema."""
    parts = schema.pop("$defs", {})
    return parts if isinstance(parts, dict) else {}


def _name(verb: str) -> str:
    return f"action.{verb}"


def _choice(actions: Mapping[str, type[BaseModel]]) -> dict[str, Json]:
    """One action: the verb among its keys says which keys the others may be."""
    verbs: dict[str, Json] = {verb: {"description": _first_line(action)} for verb, action in actions.items()}
    return {
        "type": "object",
        "description": "One action; its verb is the key that says what it does.",
        "properties": verbs,
        "anyOf": [{"required": [verb]} for verb in actions],
        "allOf": [{"if": {"required": [verb]}, "then": {"$ref": f"#/$defs/{_name(verb)}"}} for verb in actions],
    }


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _refer_to_actions(key: str, value: Json) -> Json:
    """A list of open mappings is a list of actions, unless it is a test's story."""
    if key in _STORIES or not isinstance(value, dict) or value.get("type") != "array":
        return value
    items = value.get("items")
    is_open = isinstance(items, dict) and items.get("type") == "object" and "properties" not in items
    return {**value, "items": {"$ref": ACTION}} if is_open else value


def _tidy(schema: dict[str, Json], change: Callable[[str, Json], Json]) -> dict[str, Json]:
    """The schema without what only repeats a name, and with each property changed once."""
    return {key: _tidied(key, value, change) for key, value in schema.items()}


def _tidied(key: str, value: Json, change: Callable[[str, Json], Json]) -> Json:
    if isinstance(value, list):
        return [_tidied("", item, change) for item in value]
    if not isinstance(value, dict):
        return value
    if key in ("properties", "$defs"):
        return {name: change(name, _tidied("", part, change)) for name, part in value.items()}
    return _plain(_tidy(value, change))


def _plain(part: dict[str, Json]) -> dict[str, Json]:
    """One part without its generated title, its empty default and its null: absent keys are just left out."""
    kept = {key: value for key, value in part.items() if key != "title" and (key, value) != ("default", None)}
    members = kept.get("anyOf")
    if isinstance(members, list) and {"type": "null"} in members:
        others = [member for member in members if member != {"type": "null"}]
        del kept["anyOf"]
        if len(others) == 1 and isinstance(others[0], dict):
            return {**others[0], **kept}
        kept["anyOf"] = others
    return kept
