"""Decisions: the audit record of everything that fired, and of everything that did not (D-100, D-103)."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from schemas.events import Chain, Extra

DecisionKind = Literal[
    "fired", "suppressed", "unknown", "ended",
    "planned", "replanned", "cancelled", "discarded",
    "step", "done", "failed", "alarm", "orphan",
]  # fmt: skip


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing decided about one rule and one anchor record, with the reason in words.

    ``reason`` of what did not fire is one of D-103: already true since, once-mark, chain guard, unknown, trigger not
    matched, and so on. ``detail`` holds what explains it further: operands, versions, command ids, times.
    """

    kind: DecisionKind
    at: int
    journey: str
    workflow: str = ""
    rule: str = ""
    anchor: str = ""
    fire: str = ""
    step: str = ""
    reason: str = ""
    chain: Chain | None = None
    detail: dict[str, Any] = {}
    extra: Extra | UnsetType = UNSET
