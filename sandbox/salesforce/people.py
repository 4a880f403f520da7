"""Salesforce's users and groups as objects that can be queried, and its queues as groups."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sandbox.salesforce.errors import no_column
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.sobject import SYSTEM
from sandbox.store import Store
from schemas.metadata import Field, Team, User
from schemas.values import Value

_USER = (
    *(Field(name=name, type="text") for name in ("Name", "Username", "FirstName", "LastName", "Email", "UserType")),
    Field(name="IsActive", type="boolean"),
    Field(name="ManagerId", type="user", refers_to=("User",)),
)
_GROUP = tuple(Field(name=name, type="text") for name in ("Name", "DeveloperName", "Type", "Email"))
_MEMBER = (
    Field(name="GroupId", type="lookup", refers_to=("Group",)),
    Field(name="UserOrGroupId", type="lookup", refers_to=("User",)),
)


class People:
    """A read-only object over the users or teams of the seed."""

    def __init__(self, name: str, fields: Iterable[Field], read: Callable[[], Iterable[dict[str, Value]]]) -> None:
        self.name = name
        self.fields: Mapping[str, Field] = {"Id": SYSTEM["Id"]} | {field.name: field for field in fields}
        self._read = read

    def images(self) -> Iterable[dict[str, Value]]:
        """Every record."""
        return self._read()

    def field(self, name: str) -> Field:
        """A field by its name in any case. Raises RefusedError: INVALID_FIELD."""
        found = next((field for field in self.fields.values() if field.name.lower() == name.lower()), None)
        if found is None:
            raise no_column(name, self.name)
        return found

    def render(self, name: str, value: Value) -> Any:
        """A value as it is: texts, booleans and ids."""
        return value


def people(store: Store) -> dict[str, People]:
    """User, Group and GroupMember over a store."""
    known = store.metadata
    return {
        "User": People("User", _USER, lambda: map(_user, known.users)),
        "Group": People("Group", _GROUP, lambda: map(_group, known.teams)),
        "GroupMember": People("GroupMember", _MEMBER, lambda: _members(known.teams)),
    }


def _user(user: User) -> dict[str, Value]:
    first, _, last = user.name.rpartition(" ")
    return {
        "Id": user.id,
        "Name": user.name,
        "Username": user.email,
        "FirstName": first or None,
        "LastName": last,
        "Email": user.email,
        "UserType": "Standard",
        "IsActive": user.active,
        "ManagerId": user.manager or None,
    }


def _group(team: Team) -> dict[str, Value]:
    name = team.name.replace(" ", "_")
    return {"Id": team.id, "Name": team.name, "DeveloperName": name, "Type": "Queue", "Email": None}


def _members(teams: Iterable[Team]) -> Iterable[dict[str, Value]]:
    pairs = [(team.id, member) for team in teams for member in team.members]
    for number, (team_id, member) in enumerate(pairs, 1):
        yield {"Id": make_id("011", number), "GroupId": team_id, "UserOrGroupId": member}
