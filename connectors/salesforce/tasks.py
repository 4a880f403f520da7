"""Tasks, events and calls as records of Salesforce's objects Task and Event.

Facts: the vendor's pages on the objects Task (a call is one of the subtype Call) and Event.
"""

from collections.abc import Mapping
from typing import Any

from connectors.salesforce.abilities import KEPT_IN
from connectors.tasks import CALL, EVENT, Task, as_create, task_of
from schemas.commands import Command
from schemas.metadata import ConnectionMetadata

_PEOPLE = ("003", "00Q")
"""How ids of contacts and leads begin; those stand in ``WhoId``."""


def create_activity(command: Command, metadata: ConnectionMetadata) -> Command:
    """The create that a command is."""
    task = task_of(command)
    link = "WhoId" if task.record_id.startswith(_PEOPLE) else "WhatId"
    fields = {**_own(command.operation, task), link: task.record_id, **task.rest}
    return as_create(command, KEPT_IN[command.operation], fields, metadata)


def _own(operation: str, task: Task) -> Mapping[str, Any]:
    if operation == EVENT:
        return {"Subject": task.subject, "StartDateTime": task.start, "EndDateTime": task.end}
    call = {"TaskSubtype": "Call"} if operation == CALL else {}
    return {"Subject": task.subject, "ActivityDate": task.due or task.day, "Status": "Not Started", **call}
