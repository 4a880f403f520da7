"""A task as a record of Vtiger's module Calendar, which it shares with events; a note as one of ModComments."""

from datetime import datetime, tzinfo

import msgspec

from connectors.answers import text
from connectors.tasks import as_create, task_of
from schemas.commands import Command
from schemas.metadata import ConnectionMetadata

TAB = "Calendar"
NOTES = "ModComments"
NOTE = "note"
"""The operation: ``fields`` are ``title`` and ``text``, ``record_id`` is the record that the note is on."""

_START = "09:00:00"


def create_task(command: Command, metadata: ConnectionMetadata, zone: tzinfo) -> Command:
    """The create that a command ``task`` is. Vtiger wants a day: without one it is the day of the plan."""
    task = task_of(command)
    day = task.due or datetime.fromtimestamp(command.planned_at // 1000, zone).date().isoformat()
    fields = {
        "subject": task.subject, "activitytype": "Task", "taskstatus": "Not Started",
        "date_start": day, "time_start": _START, "due_date": day,
        "contact_id" if task.tab == "Contacts" else "parent_id": task.record_id, **task.rest,
    }  # fmt: skip
    return as_create(command, TAB, fields, metadata)


def create_note(command: Command, metadata: ConnectionMetadata) -> Command:
    """The create that a command ``note`` is: comments have no title, so it is their first line."""
    title, content = (text(command.fields.get(name)).strip() for name in ("title", "text"))
    fields = {"commentcontent": "\n".join(part for part in (title, content) if part), "related_to": command.record_id}
    created = as_create(command, NOTES, fields, metadata)
    return msgspec.structs.replace(created, record_id="")
