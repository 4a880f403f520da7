"""A Vtiger with leads, deals and comments, which the examples' journey does not need."""

from typing import Any

_KEY: dict[str, Any] = {"cf_renkei_key": {"type": "text", "unique": True}}

SALES: dict[str, Any] = {
    "vtiger": {
        "integration_user": "19x8",
        "person": "19x2",
        "users": [
            {"id": "19x1", "name": "佐藤 花子", "email": "sato@example.com"},
            {"id": "19x2", "name": "鈴木 一郎", "email": "suzuki@example.com"},
            {"id": "19x7", "name": "山田 太郎", "email": "yamada@example.com", "active": False},
            {"id": "19x8", "name": "Renkei Integration", "email": "renkei@example.com"},
        ],
        "teams": [{"id": "20x21", "name": "Sales", "members": ["19x1", "19x2"]}],
        "tabs": {
            "Leads": {
                "fields": {
                    "firstname": {"type": "text"},
                    "lastname": {"type": "text", "mandatory": True},
                    "company": {"type": "text"},
                    "email": {"type": "text"},
                    "leadstatus": {"type": "picklist", "values": ["Hot", "Cold"]},
                    "annualrevenue": {"type": "number"},
                    "cf_news": {"type": "multipicklist", "values": ["News", "Events"]},
                    "cf_agreed": {"type": "boolean"},
                    "cf_called": {"type": "datetime"},
                    **_KEY,
                }
            },
            "Accounts": {
                "label": "Organizations",
                "fields": {"accountname": {"type": "text", "mandatory": True, "unique": True}, **_KEY},
            },
            "Contacts": {
                "fields": {
                    "firstname": {"type": "text"},
                    "lastname": {"type": "text", "mandatory": True},
                    "email": {"type": "text"},
                    "account_id": {"type": "lookup", "refers_to": ["Accounts"]},
                    **_KEY,
                }
            },
            "Potentials": {
                "label": "Opportunities",
                "fields": {
                    "potentialname": {"type": "text", "mandatory": True},
                    "closingdate": {"type": "date", "mandatory": True},
                    "sales_stage": {"type": "picklist", "mandatory": True},
                    "amount": {"type": "number"},
                    "related_to": {"type": "lookup", "refers_to": ["Accounts", "Contacts"]},
                    "contact_id": {"type": "lookup", "refers_to": ["Contacts"]},
                    **_KEY,
                },
            },
            "ModComments": {
                "label": "Comments",
                "fields": {
                    "commentcontent": {"type": "unknown", "mandatory": True},
                    "related_to": {"type": "lookup", "mandatory": True, "refers_to": ["Leads", "Accounts", "Contacts"]},
                    **_KEY,
                },
            },
        },
    }
}
"""The seed; its integration user is the administrator."""
