"""The one place that names topics (design, section 6)."""

from functools import lru_cache

RECORDS = "records"
RELATIONS = "relations"
JOURNEYS = "journeys"
OUTCOMES = "outcomes"
DECISIONS = "decisions"
PARKED = "parked"
WORKFLOWS = "workflows"
FLOW = "flow"
"""The host of a partition: its state holds all stages of all workspaces there."""
STAGES = (RECORDS, RELATIONS, JOURNEYS)
"""The three stages."""


@lru_cache(maxsize=1024)
def changes(tab: str) -> str:
    """The topic of a tab's change events: ``changes("zoho:Deals") == "changes.zoho.Deals"``."""
    return f"changes.{tab.replace(':', '.', 1)}"


def commands(connection: str) -> str:
    """The topic of the commands for one connection; its live lane where a broker carries it."""
    return f"commands.{connection}"


def bulk(connection: str) -> str:
    """The topic of the commands that may wait: a backlog here never delays the live lane (D-101)."""
    return f"commands.{connection}.bulk"


def ledger(connection: str) -> str:
    """The compacted topic that holds what became of each command of one connection."""
    return f"ledger.{connection}"


def positions(connection: str) -> str:
    """The compacted topic that holds how far each tab of a connection is captured."""
    return f"positions.{connection}"


def state(host: str) -> str:
    """The compacted topic that holds the state rows of a stage, or of the fused flow."""
    return f"{host}.state"
