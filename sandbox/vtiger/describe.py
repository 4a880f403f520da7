"""What Vtiger says of its modules: listtypes and describe."""

from collections.abc import Iterable
from typing import Any

from sandbox.vtiger.entity import Entity
from sandbox.vtiger.native import NATIVE
from sandbox.vtiger.tables import Table
from schemas.metadata import Field


def list_types(sources: Iterable[Entity | Table], kinds: Iterable[str] | None = None) -> dict[str, Any]:
    """The result of ``listtypes``: all modules, or those with a field of one of these types."""
    wanted = None if kinds is None else set(kinds)
    every = [one for one in sources if wanted is None or (_has(one, wanted) and isinstance(one, Entity))]
    information = {
        source.name: {
            "isEntity": source.entity,
            "label": _label(source),
            "singular": _label(source).removesuffix("s") if source.entity else source.name,
        }
        for source in every
    }
    return {"types": [source.name for source in every], "information": information}


def describe(source: Entity | Table) -> dict[str, Any]:
    """The result of ``describe``: the seed's own where it has one."""
    if source.described is not None:
        return dict(source.described)
    entity = isinstance(source, Entity)
    allowed = dict.fromkeys(("createable", "updateable", "deleteable", "retrieveable"), True)
    duplicates = {"allowDuplicates": False} if source.entity else {}
    labels = source.label_fields if isinstance(source, Entity) else tuple(source.fields)[:1]
    return {
        "label": _label(source),
        "name": source.name,
        **allowed,
        "fields": [_field(field, entity) for field in source.fields.values()],
        "idPrefix": str(source.number),
        "isEntity": source.entity,
        **duplicates,
        "labelFields": ",".join(labels),
    }


def _has(source: Entity | Table, wanted: set[str]) -> bool:
    return bool(wanted & set(source.kinds.values()))


def _label(source: Entity | Table) -> str:
    return (source.tab.label if isinstance(source, Entity) else "") or source.name


def _field(field: Field, entity: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": field.name,
        "label": field.label or field.name,
        "mandatory": field.mandatory,
        "type": _type(field),
        "nullable": not field.mandatory and field.type != "id",
        "editable": field.writable and field.type != "id",
        "default": "",
    }
    return body if field.type == "id" or not entity else {**body, "isunique": field.unique}


def _type(field: Field) -> dict[str, Any]:
    name = NATIVE[field.type]
    if name in ("picklist", "multipicklist"):
        options = [{"label": value, "value": value} for value in field.values]
        return {
            "name": name,
            "picklistValues": options,
            "defaultValue": field.values[0] if field.values else "",
        }
    if name == "reference":
        return {"name": name, "refersTo": list(field.refers_to)}
    return {"name": name, "format": "yyyy-mm-dd"} if name == "date" else {"name": name}
