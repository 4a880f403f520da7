"""What Salesforce says of its objects, fields, users with their roles, groups and queues."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.answers import listed, text, whole
from connectors.base import Request, Send
from connectors.capture import CaptureFailed
from connectors.salesforce.answering import rows, told
from connectors.salesforce.values import API
from schemas.metadata import ConnectionMetadata, Field, FieldType, Tab, Team, User

_TYPES: Mapping[str, FieldType] = {
    "id": "id", "string": "text", "textarea": "text", "email": "text", "phone": "text", "url": "text",
    "encryptedstring": "text", "picklist": "picklist", "combobox": "picklist",
    "multipicklist": "multipicklist",
    "boolean": "boolean", "int": "number", "long": "number", "double": "number", "percent": "number",
    "currency": "number", "date": "date", "datetime": "datetime", "reference": "lookup",
}  # fmt: skip


_PEOPLE = "Salesforce's users and groups"
_USERS = "SELECT Id, Name, Email, IsActive, ManagerId FROM User"
_ROLES = "SELECT Id, UserRole.Name FROM User WHERE UserRoleId != null"


def describe(connection: str, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
    """The metadata of these objects. Raises NotSent, NoAnswer or CaptureFailed."""
    members: dict[str, list[str]] = {}
    for row in _query(send, "SELECT GroupId, UserOrGroupId FROM GroupMember", ("GroupId", "UserOrGroupId")):
        members.setdefault(row["GroupId"], []).append(row["UserOrGroupId"])
    groups = _query(send, "SELECT Id, Name, Type FROM Group")
    roles = _roles(send)
    return ConnectionMetadata(
        connection=connection,
        tabs={tab: _tab(tab, send) for tab in tabs},
        users=tuple(_user(row, roles) for row in _query(send, _USERS)),
        teams=tuple(
            Team(id=row["Id"], name=text(row.get("Name")), members=tuple(members.get(row["Id"], ())))
            for row in groups if text(row.get("Type")) in {"Queue", "Regular"}
        ),
    )  # fmt: skip


def _tab(name: str, send: Send) -> Tab:
    response = send(Request(method="GET", path=f"{API}/sobjects/{name}/describe"))
    what = f"Salesforce's describe of {name}"
    answer = told(response, what)
    found = rows(answer, "fields", what, ("name", "type"))
    fields = [_field(row) for row in found if row["type"] not in {"address", "location"}]
    named = {field.name: field for field in fields if field.name != "Id"}
    return Tab(name=name, label=text(answer.get("label")) or name, fields={"id": Field(name="id", type="id"), **named})


def _field(row: Mapping[str, Any]) -> Field:
    refers_to = tuple(name for name in listed(row.get("referenceTo")) if isinstance(name, str))
    kind = _TYPES.get(row["type"], "unknown")
    writable = row.get("createable") is not False or row.get("updateable") is not False
    return Field(
        name=row["name"], type="user" if refers_to and set(refers_to) <= {"User", "Group"} else kind,
        label=text(row.get("label")), refers_to=refers_to, values=tuple(_values(row)),
        restricted=row.get("restrictedPicklist") is not False,
        mandatory=writable and row.get("nillable") is False and row.get("defaultedOnCreate") is not True,
        writable=writable, unique=bool(row.get("unique") or row.get("externalId")),
        max_length=whole(row.get("length")) or None,
    )  # fmt: skip


def _values(row: Mapping[str, Any]) -> Iterator[str]:
    """The values of a picklist that may be chosen."""
    for value in listed(row.get("picklistValues")):
        if isinstance(value, dict) and isinstance(value.get("value"), str) and value.get("active", True):
            yield value["value"]


def _roles(send: Send) -> Mapping[str, str]:
    """The roles by user; none where the login may not read them, which ``permissions`` tells."""
    try:
        return {row["Id"]: text(_part(row.get("UserRole"), "Name")) for row in _query(send, _ROLES)}
    except CaptureFailed:
        return {}


def _part(row: object, name: str) -> object:
    return row.get(name) if isinstance(row, dict) else None


def _user(row: Mapping[str, Any], roles: Mapping[str, str]) -> User:
    active = row.get("IsActive") is not False
    return User(
        id=row["Id"], name=text(row.get("Name")), email=text(row.get("Email")), active=active,
        manager=text(row.get("ManagerId")), roles=(role,) if (role := roles.get(row["Id"], "")) else (),
    )  # fmt: skip


def _query(send: Send, query: str, wanted: Sequence[str] = ("Id",)) -> Iterator[dict[str, Any]]:
    request = Request(method="GET", path=f"{API}/query", params={"q": query})
    while True:
        answer = told(send(request), _PEOPLE)
        yield from rows(answer, "records", _PEOPLE, wanted)
        following = text(answer.get("nextRecordsUrl"))
        if answer.get("done") is not False or not following:
            return
        request = Request(method="GET", path=following)
