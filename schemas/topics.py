"""The one place that names topics."""

RELATIONS = "relations"
JOURNEYS = "journeys"
DECISIONS = "decisions"
PARKED = "parked"


def changes(tab: str) -> str:
    """The topic of a tab's change events: ``changes("zoho:Deals") == "changes.zoho.Deals"``."""
    return f"changes.{tab.replace(':', '.', 1)}"


def commands(connection: str) -> str:
    """The topic of the commands for one connection."""
    return f"commands.{connection}"
