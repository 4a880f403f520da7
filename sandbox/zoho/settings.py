"""What Zoho says of itself: modules, fields, users and groups."""

from typing import Any

from sandbox.zoho.module import TAG, Module
from schemas.metadata import Field, Team, User

STANDARD = frozenset({
    "Accounts", "Contacts", "Deals", "Leads", "Tasks", "Notes", "Events", "Calls", "Campaigns", "Products",
    "Quotes", "Sales_Orders", "Purchase_Orders", "Invoices", "Cases", "Solutions", "Vendors", "Price_Books",
})  # fmt: skip

_TYPES = {
    "id": ("bigint", "string"), "text": ("text", "string"), "unknown": ("textarea", "string"),
    "number": ("double", "double"), "boolean": ("boolean", "boolean"), "date": ("date", "string"),
    "datetime": ("datetime", "string"), "picklist": ("picklist", "string"),
    "multipicklist": ("multiselectpicklist", "jsonarray"), "lookup": ("lookup", "jsonobject"),
    "user": ("ownerlookup", "jsonobject"),
}  # fmt: skip


def module_entry(module: Module, number: int) -> dict[str, Any]:
    """A module in ``/settings/modules``."""
    label = module.tab.label or module.name
    allowed = dict.fromkeys(("api_supported", "creatable", "editable", "deletable", "viewable", "visible"), True)
    return {
        "api_name": module.name,
        "module_name": module.name if module.name in STANDARD else f"CustomModule{number}",
        "singular_label": label.removesuffix("s"),
        "plural_label": label,
        "id": str(5725767000000002000 + number),
        "generated_type": "default" if module.name in STANDARD else "custom",
        "convertable": module.name == "Leads",
        "isBlueprintSupported": module.blueprint is not None,
        "modified_time": None,
        **allowed,
    }


def related_list_entry(module: Module, number: int) -> dict[str, Any]:
    """A related list in ``/settings/related_lists``."""
    label = module.tab.label or module.name
    return {
        "id": str(5725767000000005000 + number), "sequence_number": str(number), "display_label": label,
        "api_name": module.name, "name": label, "action": None, "href": f"{module.name}/{{ENTITYID}}/related",
        "module": {"api_name": module.name, "id": str(5725767000000002000 + number)}, "type": "default",
    }  # fmt: skip


def field_entry(module: Module, field: Field, number: int) -> dict[str, Any]:
    """A field in ``/settings/fields``."""
    data_type, json_type = _TYPES[field.type]
    if field.type == "user" and field.name != "Owner":
        data_type = "userlookup"
    return {
        "id": str(5725767000000003000 + number),
        "api_name": field.name,
        "field_label": field.label or field.name,
        "data_type": data_type,
        "json_type": json_type,
        "length": field.max_length or 255,
        "system_mandatory": field.mandatory,
        "read_only": not field.writable,
        "visible": True,
        "custom_field": module.name not in STANDARD,
        "unique": {"case_sensitive": "false"} if field.unique else {},
        "external": None,
        "pick_list_values": [_option(value, index) for index, value in enumerate(field.values, 1)],
        "lookup": _lookup(field),
        "multi_module_lookup": _modules(field),
        "decimal_place": 2 if field.type == "number" else None,
        "operation_type": dict.fromkeys(("web_update", "api_create", "web_create", "api_update"), field.writable),
    }


def tag_entry(module: Module) -> dict[str, Any]:
    """The field of tags, which says that it is a text and holds a list."""
    entry = field_entry(module, Field(name=TAG, type="text", label="Tag"), 999)
    return {**entry, "json_type": "jsonarray", "length": 2000}


def user_entry(user: User) -> dict[str, Any]:
    """A user in ``/users``."""
    first, _, last = user.name.rpartition(" ")
    role = user.roles[0] if user.roles else "Standard"
    entry: dict[str, Any] = {
        "id": user.id,
        "full_name": user.name,
        "first_name": first or None,
        "last_name": last,
        "email": user.email,
        "status": "active" if user.active else "disabled",
        "role": {"name": role, "id": "5725767000000026005"},
        "profile": {"name": "Standard", "id": "5725767000000026014"},
    }
    return entry | ({"Reporting_To": {"id": user.manager}} if user.manager else {})


def group_entry(team: Team) -> dict[str, Any]:
    """A group in ``/settings/user_groups``; the fact sheet does not confirm this shape."""
    sources = [{"type": "users", "source": {"id": member}} for member in team.members]
    return {"id": team.id, "name": team.name, "description": None, "sources": sources}


def _option(value: str, number: int) -> dict[str, Any]:
    return {
        "id": str(5725767000000004000 + number),
        "display_value": value,
        "actual_value": value,
        "reference_value": value,
        "sequence_number": number,
        "type": "used",
    }


def _lookup(field: Field) -> dict[str, Any]:
    if field.type != "lookup" or len(field.refers_to) != 1:
        return {}
    return {"module": {"api_name": field.refers_to[0]}, "display_label": field.label or field.name}


def _modules(field: Field) -> dict[str, Any]:
    """The modules of a lookup that may name records of several (``What_Id``)."""
    if field.type != "lookup" or len(field.refers_to) < 2:
        return {}
    return {
        "api_name": field.name,
        "display_label": field.label,
        "modules": [{"api_name": one} for one in field.refers_to],
    }
