"""Commands: what a connector is asked to do, and the four outcomes of having tried."""

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from schemas.events import Chain, Extra

CommandOperation = str
"""create, update, upsert, delete, link, email, webhook, or what a stranger's connector names."""

CHANGED_MEANWHILE = "changed_meanwhile"
"""The code by which connectors refuse a write whose condition does not hold (D-44)."""

OnUnknown = Literal["retry", "skip", "ask"]
Lane = Literal["live", "bulk"]
"""Whether a command goes before those that may wait (D-101)."""
CommandRank = Literal["interactive", "rule", "schedule", "bulk"]
"""Whose a command is: a person's who waits, a rule's, the clock's, a backlog's; in order of worth (D-101)."""


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One effect that a fire calls for; its id is derived, so a replay plans nothing new (D-41).

    ``tab`` is ``connection:Tab`` (``mail:messages`` for mail). ``record_id`` names the target of a write, ``fields``
    the new values. A ``key`` is the name and value of the field by which an upsert, or a create that may have
    happened already, is found again (D-42). ``owner`` is resolved by the connector: ``user:…``, ``team:…``.
    """

    id: str
    connection: str
    tab: str
    operation: CommandOperation
    record_id: str = ""
    fields: dict[str, Any] = {}
    key: tuple[str, str] | None = None
    owner: str = ""
    workflow: str = ""
    rule: str = ""
    anchor: str = ""
    journey: str = ""
    fire: str = ""
    step: str = ""
    chain: Chain | None = None
    planned_at: int = 0
    priority: int = 0
    on_unknown: OnUnknown = "retry"
    trigger_native: bool = True
    lane: Lane = "live"
    rank: CommandRank | None = None
    """None where its writer does not say: a rule's in the live lane, a backlog's in the bulk lane."""
    if_unmodified: int | None = None
    """The record's modified time seen, in milliseconds; the write is refused when it has moved (D-44)."""
    extra: Extra | UnsetType = UNSET


class Applied(msgspec.Struct, frozen=True, tag="applied", kw_only=True):
    """The effect is in the CRM, now or already before."""

    command_id: str
    record_id: str = ""
    url: str = ""
    fields: dict[str, Any] = {}
    """What the CRM says it stored, with its modified time where it tells one."""
    duplicate: bool = False
    """The effect was found already there: nothing was written this time."""


class Rejected(msgspec.Struct, frozen=True, tag="rejected", kw_only=True):
    """The CRM refused, and will refuse again: retrying is useless (D-47)."""

    command_id: str
    code: str
    reason: str


class RetryLater(msgspec.Struct, frozen=True, tag="retry_later", kw_only=True):
    """Nothing was written; the same request may succeed after ``after`` seconds."""

    command_id: str
    reason: str
    after: float = 0.0


class Uncertain(msgspec.Struct, frozen=True, tag="uncertain", kw_only=True):
    """The request left and no readable answer came: look the effect up, never repeat blindly (D-42)."""

    command_id: str
    reason: str


Outcome: TypeAlias = Applied | Rejected | RetryLater | Uncertain


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one command, on its way back to the journey that planned it.

    ``at`` is when it was reported, in milliseconds; ``chain`` the command's own.
    """

    at: int
    connection: str
    journey: str
    fire: str
    outcome: Outcome
    chain: Chain | None = None
    extra: Extra | UnsetType = UNSET
