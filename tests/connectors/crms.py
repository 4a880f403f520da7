"""The three CRMs' connectors over one small metadata, and commands for them."""

from typing import Any

from connectors.base import Response
from connectors.salesforce import SalesforceConnector
from connectors.settings import ConnectionSettings
from connectors.vtiger import VtigerConnector
from connectors.zoho import ZohoConnector
from schemas.codec import to_json
from schemas.commands import Command
from schemas.metadata import ConnectionMetadata, Field, FieldType, Tab, Team, User

ANN, BOB, GONE, LOST, TEAM = "19x1", "19x2", "19x3", "19x4", "20x1"
USERS = (
    User(id=ANN, name="Ann Abe", email="ann@example.com", manager=BOB),
    User(id=BOB, name="Bob", email="bob@example.com"),
    User(id=GONE, name="Gone Away", email="gone@example.com", active=False, manager=ANN),
    User(id=LOST, name="Lost", email="lost@example.com", manager=GONE),
)
TEAMS = (Team(id=TEAM, name="Sales", members=(ANN, GONE)), Team(id="20x2", name="Nobody", members=(GONE,)))
OPERATIONS = ("create", "upsert", "update", "delete", "link", "read", "task")
TYPES: dict[str, FieldType] = {
    "Name": "text", "Amount": "number", "Account": "lookup", "Tags": "multipicklist", "Due": "datetime",
    "Open": "boolean", "Renkei_Key": "text",
}  # fmt: skip


def metadata(connection: str, **tabs: Tab) -> ConnectionMetadata:
    fields = {name: Field(name=name, type=kind) for name, kind in TYPES.items()}
    return ConnectionMetadata(
        connection=connection, tabs={"Deals": Tab(name="Deals", fields=fields), **tabs}, users=USERS, teams=TEAMS
    )


def settings_of(kind: str) -> ConnectionSettings:
    return ConnectionSettings(connection=kind, kind=kind, url="https://crm.example", user=ANN)


ZOHO = ZohoConnector(settings_of("zoho"), metadata("zoho"))
SALESFORCE = SalesforceConnector(settings_of("salesforce"), metadata("salesforce"))
VTIGER = VtigerConnector(settings_of("vtiger"), metadata("vtiger"))


def command(connection: str, operation: str, number: int = 1, **more: Any) -> Command:
    """A command on a deal; a target or a key where the operation needs one."""
    told: dict[str, Any] = {
        "id": f"c{number}",
        "fields": {"Name": "Big deal", "Amount": 5},
        "tab": f"{connection}:Deals",
    }
    if operation in {"create", "upsert", "task"}:
        told["key"] = ("Renkei_Key", f"c{number}")
    else:
        told["record_id"] = str(100 + number)
    told |= {"fields": {"to": "200", "relation": "Contacts"}} if operation == "link" else {}
    told |= {"fields": {}} if operation == "read" else {}
    told |= (
        {"tab": f"{connection}:task", "fields": task_fields(f"{connection}:Deals/17")} if operation == "task" else {}
    )
    return Command(connection=connection, operation=operation, **{**told, **more})


def task_fields(about: str, **more: object) -> dict[str, object]:
    return {"subject": "Call back", "due": "2026-01-31", "about": about, **more}


def reply(status: int, body: object = None, **headers: str) -> Response:
    return Response(status=status, headers=headers, body=b"" if body is None else to_json(body))
