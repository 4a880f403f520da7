"""A task as a record of Salesforce's object Task."""

from connectors.tasks import as_create, task_of
from schemas.commands import Command
from schemas.metadata import ConnectionMetadata

TAB = "Task"
_PEOPLE = ("003", "00Q")
"""How ids of contacts and leads begin; those stand in ``WhoId``."""


def create_task(command: Command, metadata: ConnectionMetadata) -> Command:
    """The create that a command ``task`` is."""
    task = task_of(command)
    fields = {
        "Subject": task.subject, "ActivityDate": task.due, "Status": "Not Started",
        "WhoId" if task.record_id.startswith(_PEOPLE) else "WhatId": task.record_id, **task.rest,
    }  # fmt: skip
    return as_create(command, TAB, fields, metadata)
