"""Vtiger's users and groups as modules that can be queried, retrieved and described."""

from collections.abc import Callable, Iterable, Mapping

from sandbox.vtiger.sessions import user_name
from schemas.metadata import ConnectionMetadata, Field
from schemas.values import Value

_USERS = ("user_name", "is_admin", "first_name", "last_name", "email1", "status", "reports_to_id")
_GROUPS = ("groupname", "description")


class Table:
    """A read-only module over the users or teams of the seed."""

    def __init__(
        self, name: str, number: int, names: Iterable[str], read: Callable[[], Iterable[dict[str, Value]]]
    ) -> None:
        self.name = name
        self.number = number
        texts = {one: Field(name=one, type="text", label=one) for one in names}
        self.fields: Mapping[str, Field] = {**texts, "id": Field(name="id", type="id", writable=False)}
        self._read = read

    def images(self) -> Iterable[dict[str, Value]]:
        """Every record."""
        return self._read()

    def render_value(self, name: str, value: Value) -> str | None:
        """A value as it is."""
        return "" if value is None else str(value)


def tables(metadata: ConnectionMetadata, admin: str) -> dict[str, Table]:
    """Users and Groups over the users and teams of a connection; one user is the administrator."""

    def users() -> Iterable[dict[str, Value]]:
        for user in metadata.users:
            yield {
                "id": user.id, "user_name": user_name(user), "is_admin": "on" if user.id == admin else "off",
                "first_name": "", "last_name": user.name, "email1": user.email,
                "status": "Active" if user.active else "Inactive", "reports_to_id": user.manager,
            }  # fmt: skip

    def groups() -> Iterable[dict[str, Value]]:
        for team in sorted(metadata.teams, key=lambda one: one.name):
            yield {"id": team.id, "groupname": team.name, "description": ""}

    return {"Users": Table("Users", 19, _USERS, users), "Groups": Table("Groups", 20, _GROUPS, groups)}
