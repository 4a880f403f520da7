"""What Vtiger can be asked to do: the open source edition cannot do all that the cloud can."""

from schemas.abilities import Abilities, Ability

MADE = {"Account": "Accounts", "Contact": "Contacts", "Deal": "Potentials"}
"""The modules of what a conversion makes, by the name in its outcome."""
KEPT_IN = {"note": "ModComments", "task": "Calendar", "event": "Events", "call": "Events"}
"""The modules of records that are not called by the name of their module."""

CLOUD_ONLY = {
    "unlink": "webservice.php cannot take a link away: clear the lookup field with an update",
    "tag": "webservice.php cannot write tags: keep a mark in a field instead",
    "untag": "webservice.php cannot write tags: keep a mark in a field instead",
}
"""What only the cloud knows, and what to do on the open source edition."""

_PLAIN = ("create", "update", "upsert", "delete", "link", "read")


def abilities(cloud: bool) -> Abilities:
    """Those of a surface."""
    return {
        **{operation: Ability() for operation in (*_PLAIN, *(CLOUD_ONLY if cloud else ()))},
        **{operation: Ability(makes={"": tab}, touches=False) for operation, tab in KEPT_IN.items()},
        "convert": Ability(tabs=("Leads",), words=("account", "contact", "deal", "owner"), makes=MADE),
    }
