"""A Salesforce with leads and opportunities, which the examples' journey does not need."""

from typing import Any

BOSS, SELLER = "0055g0000000001AAA", "0055g0000000002AAA"
_KEY = {"type": "text", "unique": True}
SEED: dict[str, Any] = {
    "salesforce": {
        "integration_user": "0055g0000000008AAA",
        "users": [
            {"id": BOSS, "name": "佐藤 花子", "email": "sato@example.com"},
            {"id": SELLER, "name": "鈴木 一郎", "email": "suzuki@example.com"},
            {"id": "0055g0000000008AAA", "name": "Renkei", "email": "renkei@example.com"},
        ],
        "teams": [{"id": "00G5g0000000001EAA", "name": "Sales", "members": [SELLER]}],
        "tabs": {
            "Account": {"fields": {"Name": {"type": "text", "mandatory": True}, "Renkei_Key__c": _KEY}},
            "Contact": {
                "fields": {
                    "LastName": {"type": "text", "mandatory": True, "max_length": 80},
                    "Email": {"type": "text"},
                    "AccountId": {"type": "lookup", "refers_to": ["Account"]},
                }
            },
            "Opportunity": {
                "fields": {"Name": {"type": "text"}, "AccountId": {"type": "lookup", "refers_to": ["Account"]}}
            },
            "Lead": {
                "fields": {
                    "LastName": {"type": "text", "mandatory": True},
                    "Company": {"type": "text"},
                    "Email": {"type": "text"},
                    "Rating": {"type": "picklist", "values": ["Hot", "Cold"]},
                    "Revenue": {"type": "number"},
                    "Status": {"type": "text"},
                    "IsConverted": {"type": "boolean", "writable": False},
                    **{
                        f"Converted{name}Id": {"type": "lookup", "refers_to": [name], "writable": False}
                        for name in ("Account", "Contact", "Opportunity")
                    },
                }
            },
        },
    }
}
"""The seed."""
