"""What Zoho CRM can be asked to do."""

from schemas.abilities import Ability

MADE = {"Account": "Accounts", "Contact": "Contacts", "Deal": "Deals"}
"""The modules of what a conversion makes, by the name in its outcome."""
KEPT_IN = {"note": "Notes", "task": "Tasks", "event": "Events", "call": "Calls"}
"""The modules of records that are not called by the name of their module."""

_PLAIN = (
    "create", "update", "upsert", "delete", "assign", "link", "unlink", "tag", "untag", "lock", "unlock", "transition",
    "read",
)  # fmt: skip

ABILITIES = {
    **{operation: Ability() for operation in _PLAIN},
    **{operation: Ability(makes={"": tab}, touches=False) for operation, tab in KEPT_IN.items()},
    "mail": Ability(touches=False),
    "convert": Ability(tabs=("Leads",), words=("account", "contact", "deal", "owner"), makes=MADE),
}
