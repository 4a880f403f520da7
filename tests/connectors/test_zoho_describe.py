"""What Zoho says of its fields, in our words."""

from typing import Any

import pytest

from connectors.base import Request, Response
from connectors.zoho.describe import describe
from schemas.metadata import Field
from tests.connectors.crms import reply


def described(**row: Any) -> Field:
    def send(request: Request) -> Response:
        if request.path.endswith("/settings/fields"):
            return reply(200, {"fields": [{"api_name": "F", **row}]})
        return reply(200, {"modules": [{"api_name": "Deals", "plural_label": "商談"}]}) if "modules" in request.path \
            else reply(204)  # fmt: skip

    tab = describe("zoho", send, ["Deals"]).tabs["Deals"]
    assert tab.label == "商談"
    return tab.fields["F"]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"data_type": "text", "json_type": "string"}, "text"),
        ({"data_type": "text", "json_type": "jsonarray"}, "unknown"),
        ({"data_type": "textarea", "json_type": "string"}, "text"),
        ({"data_type": "currency", "json_type": "double"}, "number"),
        ({"data_type": "bigint", "json_type": "string"}, "number"),
        ({"data_type": "formula", "json_type": "double"}, "number"),
        ({"data_type": "formula", "json_type": "boolean"}, "boolean"),
        ({"data_type": "formula", "json_type": "string"}, "text"),
        ({"data_type": "rollup_summary", "json_type": "integer"}, "number"),
        ({"data_type": "multiselectpicklist", "json_type": "jsonarray"}, "multipicklist"),
        ({"data_type": "lookup", "json_type": "jsonobject"}, "lookup"),
        ({"data_type": "ownerlookup", "json_type": "jsonobject"}, "user"),
        ({"data_type": "multiselectlookup", "json_type": "jsonarray"}, "unknown"),
        ({"data_type": "subform", "json_type": "jsonarray"}, "unknown"),
        ({"data_type": "fileupload", "json_type": "jsonarray"}, "unknown"),
        ({"data_type": "something new", "json_type": "string"}, "unknown"),
        ({"data_type": "datetime", "json_type": "string"}, "datetime"),
    ],
)
def test_every_type_of_zohos_has_one_of_ours_or_is_left_alone(row: dict[str, Any], kind: str) -> None:
    assert described(**row).type == kind


@pytest.mark.parametrize(
    ("row", "writable"),
    [
        ({"data_type": "text"}, True),
        ({"data_type": "text", "read_only": True}, False),
        ({"data_type": "text", "operation_type": {"api_create": False, "api_update": False}}, False),
        ({"data_type": "text", "operation_type": {"api_create": True, "api_update": False}}, True),
        ({"data_type": "formula", "json_type": "double"}, False),
        ({"data_type": "autonumber"}, False),
    ],
)
def test_what_cannot_be_written_is_known(row: dict[str, Any], writable: bool) -> None:
    assert described(**row).writable is writable


def test_a_picklist_holds_what_records_hold_without_what_is_out_of_use() -> None:
    options = [
        {"display_value": "-None-", "actual_value": "-None-"},
        {"display_value": "Shown", "actual_value": "Kept", "type": "used"},
        {"display_value": "Old", "actual_value": "Old", "type": "unused"},
        {"display_value": "進行中"},
    ]
    assert described(data_type="picklist", pick_list_values=options).values == ("Kept", "進行中")


def test_a_lookup_names_one_module_or_several() -> None:
    one = {"lookup": {"module": {"api_name": "Accounts"}}}
    several = {"multi_module_lookup": {"modules": [{"api_name": "Deals"}, {"api_name": "Accounts"}]}}
    assert described(data_type="lookup", json_type="jsonobject", **one).refers_to == ("Accounts",)
    assert described(data_type="lookup", json_type="jsonobject", **several).refers_to == ("Deals", "Accounts")
