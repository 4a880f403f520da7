"""Commands that no CRM is asked, because a name or an id in them would change the request's meaning."""

import msgspec
import pytest

from connectors.base import Connector
from tests.connectors.crms import SALESFORCE, VTIGER, ZOHO, command

CONNECTORS: tuple[Connector, ...] = (ZOHO, SALESFORCE, VTIGER)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"operation": "merge"}, "unknown_operation"),
        ({"operation": "delete", "record_id": "1,2"}, "bad_record_id"),
        ({"operation": "update", "record_id": "1/actions/convert"}, "bad_record_id"),
        ({"operation": "update", "record_id": ""}, "bad_record_id"),
        ({"operation": "upsert", "key": None}, "no_key"),
        ({"operation": "create", "key": ("id is not null or Name", "x")}, "bad_name"),
        ({"operation": "update", "fields": {"Name, (select": 1}}, "bad_name"),
        ({"operation": "link", "fields": {"relation": "../x", "to": "1"}}, "bad_link"),
    ],
)
def test_what_would_change_a_requests_meaning_is_refused(more: dict[str, object], code: str) -> None:
    for connector in CONNECTORS:
        refused = connector.refuse(msgspec.structs.replace(command(connector.kind, "update"), **more))
        assert refused is not None
        assert refused.code == code
