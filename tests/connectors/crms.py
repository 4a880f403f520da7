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

ANN, BOB, GONE, TEAM = "19x1", "19x2", "19x3", "20x1"
USERS = (
    User(id=ANN, name="Ann Abe", email="ann@example.com"),
    User(id=BOB, name="Bob", email="bob@example.com"),
    User(id=GONE, name="Gone Away", email="gone@example.com", active=False),
)
TEAMS = (Team(id=TEAM, name="Sales", members=(ANN, GONE)), Team(id="20x2", name="Nobody", members=(GONE,)))
TYPES: dict[str, FieldType] = {
    "Name": "text", "Amount": "number", "Account": "lookup", "Tags": "multipicklist", "Due": "datetime",
    "Open": "boolean", "Renkei_Key": "text",
}  # fmt: skip


def metadata(connection: str) -> ConnectionMetadata:
    fields = {name: Field(name=name, type=kind) for name, kind in TYPES.items()}
    return ConnectionMetadata(
        connection=connection, tabs={"Deals": Tab(name="Deals", fields=fields)}, users=USERS, teams=TEAMS
    )


def _settings(kind: str) -> ConnectionSettings:
    return ConnectionSettings(connection=kind, kind=kind, url="https://crm.example", user=ANN)


ZOHO = ZohoConnector(_settings("zoho"), metadata("zoho"))
SALESFORCE = SalesforceConnector(_settings("salesforce"), metadata("salesforce"))
VTIGER = VtigerConnector(_settings("vtiger"), metadata("vtiger"))


def command(connection: str, operation: str, number: int = 1, **more: Any) -> Command:
    """A command on a deal; a target or a key where the operation needs one."""
    told: dict[str, Any] = {"id": f"c{number}", "fields": {"Name": "Big deal", "Amount": 5}}
    if operation in {"create", "upsert"}:
        told["key"] = ("Renkei_Key", f"c{number}")
    else:
        told["record_id"] = str(100 + number)
    told |= {"fields": {"to": "200", "relation": "Contacts"}} if operation == "link" else {}
    return Command(connection=connection, tab=f"{connection}:Deals", operation=operation, **{**told, **more})


def reply(status: int, body: object = None, **headers: str) -> Response:
    return Response(status=status, headers=headers, body=b"" if body is None else to_json(body))
