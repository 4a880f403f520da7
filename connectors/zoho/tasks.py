"""Tasks, events and calls as records of Zoho's modules.

Facts: the vendor's articles on the Events API and the Calls API.
"""

from collections.abc import Mapping
from typing import Any

from connectors.tasks import CALL, EVENT, Task, as_create, task_of
from connectors.zoho.abilities import KEPT_IN
from schemas.commands import Command
from schemas.metadata import ConnectionMetadata


def create_activity(command: Command, metadata: ConnectionMetadata) -> Command:
    """The create that a command is: people stand in ``Who_Id``, all else in ``What_Id`` with its module."""
    task = task_of(command)
    link = "Who_Id" if task.tab == "Contacts" else "What_Id"
    fields = {**_own(command.operation, task), link: {"id": task.record_id}, "$se_module": task.tab, **task.rest}
    return as_create(command, KEPT_IN[command.operation], fields, metadata)


def _own(operation: str, task: Task) -> Mapping[str, Any]:
    start, end = (time.replace("Z", "+00:00") for time in (task.start, task.end))
    if operation == EVENT:
        return {"Event_Title": task.subject, "Start_DateTime": start, "End_DateTime": end}
    if operation == CALL:  # one that is still to be made: its length is asked for when it was
        return {"Subject": task.subject, "Call_Type": "Outbound", "Call_Start_Time": start}
    return {"Subject": task.subject, "Due_Date": task.due, "Status": "Not Started"}
