"""Tasks, events and calls: what a command asks for, and the create of a record that it is in a CRM (D-49)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from connectors.answers import text
from schemas.commands import Command
from schemas.metadata import ConnectionMetadata
from schemas.values import id_of, is_empty, tab_of

TASK = "task"
"""The operation, and the name of the tab that its commands are for: ``zoho:task``."""
EVENT, CALL = "event", "call"
"""The same for time that is planned with a customer."""
ACTIVITIES = frozenset({TASK, EVENT, CALL})

_OWN = frozenset({"subject", "due", "about", "start", "end", "day"})


class Task(NamedTuple):
    """What a command asks for: ``due`` is an ISO date or empty, ``tab`` and ``record_id`` are the record it is about.

    ``rest`` holds further fields in the words of the CRM; they win over what the connector would write. Events and
    calls have ``start`` and ``end``, ISO instants, and the ``day`` of their start where the workflow is.
    """

    subject: str
    due: str
    connection: str
    tab: str
    record_id: str
    rest: Mapping[str, Any]
    start: str = ""
    end: str = ""
    day: str = ""


def task_of(command: Command) -> Task:
    """What the command asks for; what it does not say is empty."""
    about = text(command.fields.get("about"))
    connection, _, tab = tab_of(about).partition(":")
    rest = {name: value for name, value in command.fields.items() if name not in _OWN}
    subject, due, *times = (text(command.fields.get(name)) for name in ("subject", "due", "start", "end", "day"))
    return Task(subject, due, connection, tab, id_of(about), rest, *times)


def as_create(command: Command, tab: str, fields: Mapping[str, Any], metadata: ConnectionMetadata) -> Command:
    """The same command as the create of a record of this tab, empty fields left out.

    It keeps its key only where the tab is known to have the key field; without it an unanswered one stays unknown.
    """
    known = metadata.tabs.get(tab)
    keyed = command.key is not None and known is not None and command.key[0] in known.fields
    return msgspec.structs.replace(
        command, operation="create", tab=f"{command.connection}:{tab}",
        fields={name: value for name, value in fields.items() if not is_empty(value)},
        key=command.key if keyed else None,
    )  # fmt: skip
