"""Tasks: what a command ``task`` asks for, and the create of a record that it is in a CRM (D-49)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from connectors.answers import text
from schemas.commands import Command
from schemas.metadata import ConnectionMetadata
from schemas.values import id_of, is_empty, tab_of

TASK = "task"
"""The operation, and the name of the tab that its commands are for: ``zoho:task``."""

_OWN = frozenset({"subject", "due", "about"})


class Task(NamedTuple):
    """What a command asks for: ``due`` is an ISO date or empty, ``tab`` and ``record_id`` are the record it is about.

    ``rest`` holds further fields in the words of the CRM; they win over what the connector would write.
    """

    subject: str
    due: str
    connection: str
    tab: str
    record_id: str
    rest: Mapping[str, Any]


def task_of(command: Command) -> Task:
    """What the command asks for; what it does not say is empty."""
    about = text(command.fields.get("about"))
    connection, _, tab = tab_of(about).partition(":")
    rest = {name: value for name, value in command.fields.items() if name not in _OWN}
    subject, due = text(command.fields.get("subject")), text(command.fields.get("due"))
    return Task(subject, due, connection, tab, id_of(about), rest)


def as_create(command: Command, tab: str, fields: Mapping[str, Any], metadata: ConnectionMetadata) -> Command:
    """The same command as the create of a record of this tab, empty fields left out.

    It keeps its key only where the tab is known to have the key field; without it an unanswered task stays unknown.
    """
    known = metadata.tabs.get(tab)
    keyed = command.key is not None and known is not None and command.key[0] in known.fields
    return msgspec.structs.replace(
        command, operation="create", tab=f"{command.connection}:{tab}",
        fields={name: value for name, value in fields.items() if not is_empty(value)},
        key=command.key if keyed else None,
    )  # fmt: skip
