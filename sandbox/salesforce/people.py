"""Salesforce's users, roles and groups as objects that can be queried, and its queues as groups."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sandbox.salesforce.errors import no_column
from sandbox.salesforce.ids import PREFIXES, make_id
from sandbox.salesforce.sobject import SYSTEM
from sandbox.store import Store
from schemas.metadata import Field, Team, User
from schemas.values import Value

_USER = (
    *(Field(name=name, type="text") for name in ("Name", "Username", "FirstName", "LastName", "Email", "UserType")),
    Field(name="IsActive", type="boolean"),
    Field(name="ManagerId", type="user", refers_to=("User",)),
    Field(name="UserRoleId", type="lookup", refers_to=("UserRole",)),
)
_ROLE = tuple(Field(name=name, type="text") for name in ("Name", "DeveloperName"))
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
    """User, UserRole, Group and GroupMember over a store."""
    known = store.metadata
    return {
        "User": People("User", _USER, lambda: _users(known.users)),
        "UserRole": People("UserRole", _ROLE, lambda: map(_role, _role_ids(known.users).items())),
        "Group": People("Group", _GROUP, lambda: map(_group, known.teams)),
        "GroupMember": People("GroupMember", _MEMBER, lambda: _members(known.teams)),
    }


def _role_ids(users: Iterable[User]) -> dict[str, str]:
    """The id of every role by its name."""
    names = sorted({role for user in users for role in user.roles})
    return {name: make_id(PREFIXES["UserRole"], number) for number, name in enumerate(names, 1)}


def _role(named: tuple[str, str]) -> dict[str, Value]:
    name, role_id = named
    return {"Id": role_id, "Name": name, "DeveloperName": name.replace(" ", "_")}


def _users(users: Iterable[User]) -> Iterator[dict[str, Value]]:
    role_ids = _role_ids(users)
    return (_user(one, role_ids) for one in users)


def _user(user: User, role_ids: Mapping[str, str]) -> dict[str, Value]:
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
        "UserRoleId": role_ids[user.roles[0]] if user.roles else None,
    }


def _group(team: Team) -> dict[str, Value]:
    name = team.name.replace(" ", "_")
    return {"Id": team.id, "Name": team.name, "DeveloperName": name, "Type": "Queue", "Email": None}


def _members(teams: Iterable[Team]) -> Iterable[dict[str, Value]]:
    pairs = [(team.id, member) for team in teams for member in team.members]
    for number, (team_id, member) in enumerate(pairs, 1):
        yield {"Id": make_id("011", number), "GroupId": team_id, "UserOrGroupId": member}
