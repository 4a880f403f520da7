"""What Salesforce says of its objects, fields, users, groups and queues."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.base import Request, Send
from connectors.capture import readable
from connectors.salesforce.values import API
from schemas.metadata import ConnectionMetadata, Field, FieldType, Tab, Team, User

_TYPES: Mapping[str, FieldType] = {
    "id": "id", "string": "text", "textarea": "text", "email": "text", "phone": "text", "url": "text",
    "encryptedstring": "text", "picklist": "picklist", "combobox": "picklist",
    "multipicklist": "multipicklist",
    "boolean": "boolean", "int": "number", "long": "number", "double": "number", "percent": "number",
    "currency": "number", "date": "date", "datetime": "datetime", "reference": "lookup",
}  # fmt: skip


def describe(connection: str, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
    """The metadata of these objects. Raises NotSent, NoAnswer or CaptureFailed."""
    members: dict[str, list[str]] = {}
    for row in _query(send, "SELECT GroupId, UserOrGroupId FROM GroupMember"):
        members.setdefault(row["GroupId"], []).append(row["UserOrGroupId"])
    groups = _query(send, "SELECT Id, Name, Type FROM Group")
    return ConnectionMetadata(
        connection=connection,
        tabs={tab: _tab(tab, send) for tab in tabs},
        users=tuple(_user(row) for row in _query(send, "SELECT Id, Name, Email, IsActive, ManagerId FROM User")),
        teams=tuple(
            Team(id=row["Id"], name=row.get("Name") or "", members=tuple(members.get(row["Id"], ())))
            for row in groups if row.get("Type") in {"Queue", "Regular"}
        ),
    )  # fmt: skip


def _tab(name: str, send: Send) -> Tab:
    response = send(Request(method="GET", path=f"{API}/sobjects/{name}/describe"))
    answer = readable(response, f"Salesforce's describe of {name}")
    fields = [_field(row) for row in answer.get("fields") or [] if row.get("type") not in {"address", "location"}]
    named = {field.name: field for field in fields if field.name != "Id"}
    return Tab(name=name, label=answer.get("label") or name, fields={"id": Field(name="id", type="id"), **named})


def _field(row: Mapping[str, Any]) -> Field:
    refers_to = tuple(row.get("referenceTo") or ())
    kind = _TYPES.get(row.get("type", ""), "unknown")
    writable = row.get("createable") is not False or row.get("updateable") is not False
    return Field(
        name=row["name"], type="user" if refers_to and set(refers_to) <= {"User", "Group"} else kind,
        label=row.get("label") or "", refers_to=refers_to,
        values=tuple(value["value"] for value in row.get("picklistValues") or [] if value.get("active",
        True)),
        restricted=row.get("restrictedPicklist") is not False,
        mandatory=writable and row.get("nillable") is False and row.get("defaultedOnCreate") is not True,
        writable=writable, unique=bool(row.get("unique") or row.get("externalId")),
        max_length=row.get("length") or None,
    )  # fmt: skip


def _user(row: Mapping[str, Any]) -> User:
    active = row.get("IsActive") is not False
    return User(
        id=row["Id"], name=row.get("Name") or "", email=row.get("Email") or "", active=active,
        manager=row.get("ManagerId") or "",
    )  # fmt: skip


def _query(send: Send, query: str) -> Iterator[dict[str, Any]]:
    request = Request(method="GET", path=f"{API}/query", params={"q": query})
    while True:
        answer = readable(send(request), "Salesforce's users and groups")
        yield from answer.get("records") or []
        following = answer.get("nextRecordsUrl")
        if answer.get("done") is not False or not following:
            return
        request = Request(method="GET", path=following)
