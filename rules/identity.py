"""Derived names: the same cause and parts always give the same id, so a replay plans nothing new (D-41)."""

import hashlib

_SEPARATOR = "\x1f"  # cannot occur in a CRM id; a plain "-" would let ("a-b", "c") and ("a", "b-c") collide


def derived(*parts: object) -> str:
    """The id of these parts: 24 characters that are always the same for the same parts."""
    return hashlib.sha256(_SEPARATOR.join(map(str, parts)).encode()).hexdigest()[:24]


def fire_id(rule: str, journey: str, anchor: str, epoch: str) -> str:
    """The id of a fire: rule (with its workflow), anchor in its journey, and epoch (D-41).

    A record reached by two paths belongs to both journeys, and fires in each (D-10).
    """
    return derived("fire", rule, journey, anchor, epoch)


def action_id(fire: str, path: str, part: str, attempt: int) -> str:
    """The id of one command of a fire. An operator's retry is a new command."""
    return derived("action", fire, path, part, attempt) if attempt else derived("action", fire, path, part)
