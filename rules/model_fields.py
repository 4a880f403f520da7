"""Which keys a place of a workflow file may have, found by walking along the models."""

import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo

Located = tuple[str | int, ...]
"""A pydantic location: keys, list positions, and the labels of the union members that were tried."""


def fields_at(model: type[BaseModel], location: Located) -> dict[str, str]:
    """The keys that may stand at a location and their descriptions; several models there give all their keys.

    Labels of union members narrow the choice, others are passed over. Unknown places have no keys.
    """
    kinds: list[object] = [model]
    for step in location:
        kinds = _step(kinds, step)
    models = (kind for kind in _members(kinds) if _is_model(kind))
    return {key: field.description or "" for one in models for key, field in _keys(one)}


def _step(kinds: list[object], step: str | int) -> list[object]:
    members = [pair for kind in kinds for pair in _labelled(kind)]
    named = [kind for label, kind in members if label == step]
    if named and len(members) > 1:
        return named
    below = [child for _, kind in members for child in _below(kind, step)]
    return below or [kind for _, kind in members]


def _members(kinds: Iterable[object]) -> list[object]:
    return [kind for one in kinds for _, kind in _labelled(one)]


def _labelled(kind: object) -> Iterator[tuple[str, object]]:
    """The members of a union with the labels of locations; anything else is its own member."""
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *notes = get_args(kind)
        tag = next((note.tag for note in notes if isinstance(note, Tag)), None)
        for label, member in _labelled(inner):
            yield tag or label, member
    elif origin is Union or isinstance(kind, types.UnionType):
        for member in get_args(kind):
            yield from _labelled(member)
    elif kind is not type(None):
        yield getattr(kind, "__name__", ""), kind


def _below(kind: object, step: str | int) -> Iterator[object]:
    if _is_model(kind):
        yield from (field.annotation for key, field in _keys(kind) if key == step)
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        yield arguments[1]
    elif get_origin(kind) in (list, tuple) and isinstance(step, int):
        yield arguments[0]


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _keys(model: object) -> Iterator[tuple[str, FieldInfo]]:
    """A model's keys as they stand in the file."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            yield field.alias or name, field
