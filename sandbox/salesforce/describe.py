"""What Salesforce says of its objects: the global list and the description of one."""

from collections.abc import Iterable
from typing import Any

from sandbox.salesforce.ids import PREFIXES
from sandbox.salesforce.people import People
from sandbox.salesforce.sobject import SYSTEM, SObject
from schemas.metadata import Field

_TYPES = {
    "id": "id", "text": "string", "unknown": "textarea", "number": "double", "boolean": "boolean",
    "date": "date", "datetime": "datetime", "picklist": "picklist", "multipicklist": "multipicklist",
    "lookup": "reference", "user": "reference",
}  # fmt: skip


def global_describe(tables: Iterable[SObject | People], version: str) -> dict[str, Any]:
    """``GET /sobjects``."""
    return {
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": [summary(table, version) for table in tables],
    }


def summary(table: SObject | People, version: str) -> dict[str, Any]:
    """One object in the global list."""
    base = f"/services/data/{version}/sobjects/{table.name}"
    writable = isinstance(table, SObject)
    return {
        "name": table.name,
        "label": (table.tab.label if isinstance(table, SObject) else "") or table.name,
        "keyPrefix": table.prefix if isinstance(table, SObject) else PREFIXES[table.name],
        "custom": table.name.endswith("__c"),
        "createable": writable,
        "updateable": writable,
        "deletable": writable,
        "queryable": True,
        "replicateable": writable,
        "triggerable": writable,
        "urls": {"sobject": base, "describe": f"{base}/describe", "rowTemplate": f"{base}/{{ID}}"},
    }


def describe(table: SObject | People, version: str) -> dict[str, Any]:
    """``GET /sobjects/{name}/describe``."""
    fields = [_field(field) for field in table.fields.values()]
    return {**summary(table, version), "fields": fields, "childRelationships": [], "recordTypeInfos": []}


def _field(field: Field) -> dict[str, Any]:
    system = field.name in SYSTEM
    kind = _TYPES[field.type]
    return {
        "name": field.name,
        "label": field.label or field.name,
        "type": kind,
        "length": 18 if kind in ("id", "reference") else field.max_length or (255 if kind == "string" else 0),
        "precision": 18 if kind == "double" else 0,
        "scale": 2 if kind == "double" else 0,
        "nillable": not field.mandatory and not system and kind != "boolean",
        "createable": field.writable,
        "updateable": field.writable,
        "unique": field.unique,
        "externalId": field.unique and field.name.endswith("__c"),
        "idLookup": field.unique or kind == "id",
        "custom": field.name.endswith("__c"),
        "calculated": False,
        "autoNumber": False,
        "defaultedOnCreate": system or kind == "boolean",
        "restrictedPicklist": bool(field.values) and field.restricted,
        "picklistValues": [_option(value) for value in field.values],
        "referenceTo": list(field.refers_to),
        "relationshipName": _relationship(field) if kind == "reference" else None,
        "polymorphicForeignKey": len(field.refers_to) > 1,
        "compoundFieldName": None,
        "soapType": f"xsd:{kind}" if kind in ("boolean", "date", "double", "string") else "xsd:string",
    }


def _option(value: str) -> dict[str, Any]:
    return {"value": value, "label": value, "active": True, "defaultValue": False, "validFor": None}


def _relationship(field: Field) -> str:
    return field.name.removesuffix("__c") + "__r" if field.name.endswith("__c") else field.name.removesuffix("Id")
