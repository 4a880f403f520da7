"""Tasks, events, calls and notes as records of Vtiger's modules.

Calendar holds tasks, Events all else that has a time, ModComments the notes. Fact: a recorded create of an event.
"""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

import msgspec

from connectors.answers import text
from connectors.fields import milliseconds
from connectors.tasks import CALL, TASK, Task, as_create, task_of
from connectors.vtiger.abilities import KEPT_IN
from connectors.vtiger.values import local_time
from schemas.commands import Command
from schemas.metadata import ConnectionMetadata
from schemas.values import HOUR

NOTE = "note"
"""The operation: ``fields`` are ``title`` and ``text``, ``record_id`` is the record that the note is on."""

_START = "09:00:00"


def create_activity(command: Command, metadata: ConnectionMetadata, zone: tzinfo) -> Command:
    """The create that a command ``task``, ``event`` or ``call`` is; times are the server's."""
    task = task_of(command)
    own = _task(command, task, zone) if command.operation == TASK else _event(command.operation, task, zone)
    link = "contact_id" if task.tab == "Contacts" else "parent_id"
    fields = {"subject": task.subject, **own, link: task.record_id, **task.rest}
    return as_create(command, KEPT_IN[command.operation], fields, metadata)


def _task(command: Command, task: Task, zone: tzinfo) -> Mapping[str, Any]:
    """Vtiger wants a day: without one it is the day of the plan."""
    day = task.due or datetime.fromtimestamp(command.planned_at // 1000, zone).date().isoformat()
    return {
        "activitytype": "Task", "taskstatus": "Not Started", "date_start": day, "time_start": _START, "due_date": day,
    }  # fmt: skip


def _event(operation: str, task: Task, zone: tzinfo) -> Mapping[str, Any]:
    start, end = (milliseconds(time) or 0 for time in (task.start, task.end))
    begins, ends = (local_time(at, zone).split(" ") for at in (start, end))
    return {
        "activitytype": "Call" if operation == CALL else "Meeting", "eventstatus": "Planned",
        "date_start": begins[0], "time_start": begins[1], "due_date": ends[0], "time_end": ends[1],
        "duration_hours": max(0, end - start) // HOUR,
    }  # fmt: skip


def create_note(command: Command, metadata: ConnectionMetadata) -> Command:
    """The create that a command ``note`` is: comments have no title, so it is their first line."""
    title, content = (text(command.fields.get(name)).strip() for name in ("title", "text"))
    fields = {"commentcontent": "\n".join(part for part in (title, content) if part), "related_to": command.record_id}
    created = as_create(command, KEPT_IN[NOTE], fields, metadata)
    return msgspec.structs.replace(created, record_id="")
