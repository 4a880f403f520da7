"""What no CRM is asked: commands without a target, and names or ids that would change a request's meaning."""

import re
from collections.abc import Collection

from connectors.answers import text
from connectors.fields import milliseconds
from connectors.tasks import ACTIVITIES, TASK, task_of
from schemas.commands import CHANGED_MEANWHILE, Command, Rejected

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_NEW = frozenset({"create", "upsert", *ACTIVITIES})
_LINKS = frozenset({"link", "unlink"})


def refusal(command: Command, operations: Collection[str]) -> Rejected | None:
    """Why a command for a CRM cannot be sent; none where its shape is right.

    Ids go into paths and lists, names into queries: anything but a plain word there is refused, never escaped.
    """
    operation = command.operation
    if operation not in operations:
        return rejected(command, "unknown_operation", f"this kind of connection knows no operation {operation!r}")
    if operation == "upsert" and not command.key:
        return rejected(command, "no_key", "upsert needs the key field and its value")
    if operation not in _NEW and not _ID.fullmatch(command.record_id):
        return rejected(command, "bad_record_id", f"{operation} needs the id of one record")
    if not all(_NAME.fullmatch(name) for name in _names(command)):
        return rejected(command, "bad_name", "a tab or field name is not a plain word")
    if operation in ACTIVITIES:
        return _activity_refusal(command)
    return _link_refusal(command) if operation in _LINKS else None


def rejected(command: Command, code: str, reason: str) -> Rejected:
    """A refusal of this command."""
    return Rejected(command_id=command.id, code=code, reason=reason)


def overtaken(command: Command) -> Rejected:
    """The refusal of a write on a condition: somebody changed the record first."""
    return rejected(command, CHANGED_MEANWHILE, "the record was changed since it was read (D-44)")


def _link_refusal(command: Command) -> Rejected | None:
    relation, to = command.fields.get("relation"), command.fields.get("to")
    if _NAME.fullmatch(text(relation)) and _ID.fullmatch(text(to)):
        return None
    reason = f"{command.operation} needs the fields `relation`, a name, and `to`, a record id"
    return rejected(command, "bad_link", reason)


def _activity_refusal(command: Command) -> Rejected | None:
    task, operation = task_of(command), command.operation
    if not task.subject.strip():
        return rejected(command, "no_subject", f"{operation} needs the field `subject`")
    if task.connection != command.connection or not (_NAME.fullmatch(task.tab) and _ID.fullmatch(task.record_id)):
        return rejected(command, "bad_about", f"{operation} needs in the field `about` a record of its own connection")
    if operation != TASK and any(milliseconds(one) is None for one in (task.start, task.end)):
        return rejected(command, "bad_time", f"{operation} needs the fields `start` and `end`: 2026-01-31T09:00:00Z")
    return None


def _names(command: Command) -> list[str]:
    key = [command.key[0]] if command.key else []
    return [command.tab.partition(":")[2], *command.fields, *key]
