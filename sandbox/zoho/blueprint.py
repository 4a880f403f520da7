"""Blueprints: which transitions a record may take now, and taking one (fact sheet 8)."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import Request, Response

from sandbox.seed import BlueprintSeed, TransitionSeed
from sandbox.store import Row
from sandbox.zoho.desk import Desk, done, missing_field
from sandbox.zoho.errors import RefusedError, RowRefusedError
from sandbox.zoho.module import Module
from schemas.values import Value, is_empty

_FIRST_ID = 5725767000000007000


class Blueprints:
    """``/{module}/{id}/actions/blueprint``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Iterable[tuple[str, str, Any]]:
        """Method, path and endpoint."""
        return (
            ("GET", "/{module}/{record_id}/actions/blueprint", self.transitions),
            ("PUT", "/{module}/{record_id}/actions/blueprint", self.advance),
        )

    async def transitions(self, module: str, record_id: str) -> Response:
        """Where the record stands, and where it may go."""
        self._desk.allow(f"ZohoCRM.modules.{module}.READ")
        self._desk.charge(1)
        chosen = self._desk.module(module)
        row, blueprint = self._under_way(chosen, record_id)
        state = str(row.fields.get(blueprint.field))
        described = {
            "process_info": {
                "api_name": blueprint.field, "field_label": blueprint.field, "field_name": blueprint.field,
                "field_value": state, "column_name": blueprint.field, "is_continuous": False, "name": module,
                "id": str(_FIRST_ID - 1), "field_id": str(_FIRST_ID - 2),
                "current_picklist": {"colour_code": None, "id": str(_FIRST_ID - 3), "value": state},
            },
            "transitions": [_render(number, one) for number, one in blueprint.numbered() if state in one.at],
        }  # fmt: skip
        return self._desk.reply(200, {"blueprint": described})

    async def advance(self, request: Request, module: str, record_id: str) -> Response:
        """Take a transition."""
        self._desk.allow(f"ZohoCRM.modules.{module}.UPDATE")
        chosen = self._desk.module(module)
        [wish, *_] = self._desk.rows(await self._desk.body(request), "blueprint")
        if not isinstance(wish, Mapping) or not wish.get("transition_id"):
            raise missing_field("transition_id", json_path="$.blueprint[0].transition_id")
        with self._desk.store.lock:
            row, blueprint = self._under_way(chosen, record_id)
            taken = _wished(blueprint, row, wish)
            values = _values(chosen, taken, wish.get("data") or {})
            self._desk.store.update(module, row.id, {**values, blueprint.field: taken.to}, self._desk.robot)
        return self._desk.reply(200, done("transition updated successfully"))

    def _under_way(self, module: Module, record_id: str) -> tuple[Row, BlueprintSeed]:
        row, blueprint = self._desk.live(module, record_id), module.blueprint
        if blueprint is None or not any(row.fields.get(blueprint.field) in one.at for one in blueprint.transitions):
            raise RefusedError(400, "RECORD_NOT_IN_PROCESS", "record not in process")
        return row, blueprint


def _wished(blueprint: BlueprintSeed, row: Row, wish: Mapping[str, Any]) -> TransitionSeed:
    for number, one in blueprint.numbered():
        if str(_FIRST_ID + number) == str(wish["transition_id"]) and row.fields.get(blueprint.field) in one.at:
            return one
    details = {"api_name": "transition_id", "json_path": "$.blueprint[0].transition_id"}
    raise RefusedError(400, "INVALID_DATA", "invalid transition", details)


def _values(module: Module, taken: TransitionSeed, given: Mapping[str, Any]) -> dict[str, Value]:
    for name in taken.needs:
        if is_empty(given.get(name)):
            raise missing_field(name, json_path=f"$.blueprint[0].data.{name}")
    known = (name for name in given if name in module.columns and module.columns[name].writable)
    try:
        return {name: module.accept(name, given[name], f"$.blueprint[0].data.{name}") for name in known}
    except RowRefusedError as refused:
        raise refused.as_whole() from None


def _render(number: int, one: TransitionSeed) -> dict[str, Any]:
    return {
        "id": str(_FIRST_ID + number), "name": one.name, "next_field_value": one.to, "criteria_matched": True,
        "type": "manual", "data": {}, "fields": [], "next_transitions": [], "criteria_message": None,
        "execution_time": None, "percent_partial_save": 0.0,
    }  # fmt: skip
