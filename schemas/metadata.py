"""What a CRM says of itself: tabs, fields, picklists, users and teams."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

FieldType = Literal[
    "id", "text", "number", "boolean", "date", "datetime", "picklist", "multipicklist", "lookup", "user", "unknown",
]  # fmt: skip


class Noun(BaseModel):
    """A frozen, strict model: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Field(Noun):
    """One field of a tab. ``number`` covers integers, decimals, percent and money; ``text`` covers mail, phone, url."""

    name: str
    type: FieldType = "unknown"
    label: str = ""
    values: tuple[str, ...] = ()
    """The stored values of a picklist; empty where the CRM does not restrict them."""
    restricted: bool = True
    """Whether the CRM refuses other values of a picklist than these."""
    refers_to: tuple[str, ...] = ()
    """The tabs that a lookup may name, without the connection."""
    mandatory: bool = False
    writable: bool = True
    unique: bool = False
    max_length: int | None = None
    native: str = ""
    """The CRM's own word for the type, where it says more than ours (Vtiger: integer, currency, email, ...)."""


class Tab(Noun):
    """One tab (module, object) of a connection."""

    name: str
    label: str = ""
    fields: dict[str, Field] = {}


class User(Noun):
    """One user of a connection."""

    id: str
    name: str = ""
    email: str = ""
    active: bool = True
    manager: str = ""
    """The id of the manager, if the CRM knows one."""
    roles: tuple[str, ...] = ()


class Team(Noun):
    """A group, queue or team: its members by user id."""

    id: str
    name: str
    members: tuple[str, ...] = ()


class ConnectionMetadata(Noun):
    """All that is known of one connection."""

    connection: str
    tabs: dict[str, Tab] = {}
    users: tuple[User, ...] = ()
    teams: tuple[Team, ...] = ()
