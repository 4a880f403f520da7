"""What Salesforce can be asked to do."""

from schemas.abilities import Ability

MADE = {"Account": "Account", "Contact": "Contact", "Deal": "Opportunity"}
"""The objects of what a conversion makes, by the name in its outcome."""
KEPT_IN = {"note": "ContentNote", "task": "Task", "event": "Event", "call": "Task"}
"""The objects of records that are not called by the name of their object."""

_PLAIN = ("create", "update", "upsert", "delete", "link", "unlink", "tag", "untag", "submit", "approve", "read")

ABILITIES = {
    **{operation: Ability() for operation in _PLAIN},
    **{operation: Ability(makes={"": tab}, touches=False) for operation, tab in KEPT_IN.items()},
    "reject": Ability(words=("comment",)),
    "mail": Ability(touches=False),
    "convert": Ability(tabs=("Lead",), words=("account", "contact", "deal", "owner", "status"), makes=MADE),
}
