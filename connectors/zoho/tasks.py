"""A task as a record of Zoho's module Tasks."""

from connectors.tasks import as_create, task_of
from schemas.commands import Command
from schemas.metadata import ConnectionMetadata

TAB = "Tasks"


def create_task(command: Command, metadata: ConnectionMetadata) -> Command:
    """The create that a command ``task`` is: people stand in ``Who_Id``, all else in ``What_Id`` with its module."""
    task = task_of(command)
    link = "Who_Id" if task.tab == "Contacts" else "What_Id"
    fields = {
        "Subject": task.subject, "Due_Date": task.due, "Status": "Not Started",
        link: {"id": task.record_id}, "$se_module": task.tab, **task.rest,
    }  # fmt: skip
    return as_create(command, TAB, fields, metadata)
