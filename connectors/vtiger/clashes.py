"""Vtiger's unique rule: it says that a record is a double, but not of which field; the metadata tells.

A module has one rule over all its unique fields together: a double agrees with another record in every one of them. So
where the key is part of the rule the other record is our own; where it is not, it is somebody else's.
"""

from connectors.checks import rejected
from connectors.vtiger.surface import DUPLICATE
from schemas.commands import Command, Outcome, RetryLater
from schemas.metadata import ConnectionMetadata


def clash(command: Command, metadata: ConnectionMetadata, creates: bool) -> Outcome:
    """What the refusal of a double means: our own record, which the next lookup finds, or a final refusal."""
    tab = metadata.tabs.get(command.tab.partition(":")[2])
    unique = [name for name, field in tab.fields.items() if field.unique] if tab else []
    if creates and command.key is not None and (command.key[0] in unique or not unique):
        return RetryLater(command_id=command.id, reason=DUPLICATE)
    fields = f": another record has the same {' and '.join(unique)}" if unique else ""
    return rejected(command, DUPLICATE, f"{DUPLICATE}{fields}")
