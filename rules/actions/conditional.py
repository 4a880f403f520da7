"""Writes on a condition: compare and set, by the time at which a record was last changed (D-44)."""

from collections.abc import Iterable
from dataclasses import replace

from rules.actions.base import Do, Draft, Fail, Plan, StepContext, Unready
from rules.criteria.scope import Unknown
from schemas.values import ref


def unless_changed(step: StepContext, drafts: Iterable[Draft]) -> Plan:
    """These updates, each only if its record was not changed since it was last seen."""
    found: list[Draft] = []
    for draft in drafts:
        seen = step.modified(ref(draft.tab, draft.record_id))
        if isinstance(seen, Unknown):
            return Unready()
        if seen is None:
            return Fail(f"it is not known when this record of {draft.tab} was last changed (if_unmodified)")
        found.append(replace(draft, if_unmodified=seen))
    return Do(tuple(found))
