"""Nouns to write down: any that hypothesis finds, and one of 14 fields as a CRM tells them."""

from decimal import Decimal
from typing import Any, get_args

from hypothesis import strategies as st

from schemas.commands import (
    Applied,
    Command,
    CommandRank,
    Lane,
    OnUnknown,
    Outcome,
    Rejected,
    Report,
    RetryLater,
    Uncertain,
)
from schemas.decisions import Decision, DecisionKind
from schemas.events import Chain, ChangeEvent, Operation
from schemas.values import Amount

LONGS = st.integers(-(2**63), 2**63 - 1)
INTS = st.integers(-(2**31), 2**31 - 1)
TEXTS = st.text(max_size=20) | st.sampled_from(["", "契約", "🎌 Renkei", "\x00", '"\\', "null"])
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False).map(Amount)
SCALARS = st.none() | st.booleans() | st.integers() | st.integers(-(10**60), 10**60) | AMOUNTS | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=8)
FIELDS = st.dictionaries(TEXTS, VALUES, max_size=6)
CHAINS = st.none() | st.builds(Chain, TEXTS, INTS, st.lists(TEXTS, max_size=3).map(tuple))

EVENTS = st.builds(
    ChangeEvent, tab=TEXTS, record_id=TEXTS, op=st.sampled_from(get_args(Operation)), after=st.none() | FIELDS,
    committed_at=LONGS, seen_at=LONGS, source_position=LONGS, changed_fields=st.lists(TEXTS, max_size=3).map(tuple),
    actor=TEXTS, origin=CHAINS, load=st.booleans(), coalesced=st.booleans(), partial=st.booleans(), into=TEXTS,
    client=TEXTS,
)  # fmt: skip
COMMANDS = st.builds(
    Command, id=TEXTS, connection=TEXTS, tab=TEXTS, operation=TEXTS, record_id=TEXTS, fields=FIELDS,
    key=st.none() | st.tuples(TEXTS, TEXTS), owner=TEXTS, workflow=TEXTS, rule=TEXTS, anchor=TEXTS, journey=TEXTS,
    fire=TEXTS, step=TEXTS, chain=CHAINS, planned_at=LONGS, priority=INTS,
    on_unknown=st.sampled_from(get_args(OnUnknown)), trigger_native=st.booleans(), if_unmodified=st.none() | LONGS,
    lane=st.sampled_from(get_args(Lane)), rank=st.none() | st.sampled_from(get_args(CommandRank)),
)  # fmt: skip
OUTCOMES: st.SearchStrategy[Outcome] = (
    st.builds(Applied, command_id=TEXTS, record_id=TEXTS, url=TEXTS, fields=FIELDS, duplicate=st.booleans())
    | st.builds(Rejected, command_id=TEXTS, code=TEXTS, reason=TEXTS)
    | st.builds(RetryLater, command_id=TEXTS, reason=TEXTS, after=st.floats(allow_nan=False))
    | st.builds(Uncertain, command_id=TEXTS, reason=TEXTS)
)
REPORTS = st.builds(
    Report, at=LONGS, connection=TEXTS, journey=TEXTS, fire=TEXTS, outcome=OUTCOMES, chain=CHAINS,
)  # fmt: skip
DECISIONS = st.builds(
    Decision, kind=st.sampled_from(get_args(DecisionKind)), at=LONGS, journey=TEXTS, workflow=TEXTS, rule=TEXTS,
    anchor=TEXTS, fire=TEXTS, step=TEXTS, reason=TEXTS, chain=CHAINS, detail=FIELDS,
)  # fmt: skip


def report(outcome: Outcome) -> Report:
    """What a worker says of a command."""
    return Report(at=1, connection="zoho", journey="zoho:Deals/1", fire="f", outcome=outcome)


DEAL = ChangeEvent(
    tab="zoho:Deals", record_id="3652397000001234567", op="update",
    after={
        "id": "3652397000001234567", "Deal_Name": "年間契約 🎌", "Stage": "Closed Won", "Amount": Amount("1250000.50"),
        "Probability": 90, "Closing_Date": "2026-03-31", "Account_Name": "3652397000000998877", "Paid": False,
        "Owner": "3652397000000123456", "Modified_Time": "2026-01-31T09:00:00Z", "Tags": ["partner", ["urgent"]],
        "Created_Time": "2025-11-02T01:12:13Z", "Lead_Source": "", "Next_Step": None,
    },
    committed_at=1_769_850_000_000, seen_at=1_769_850_001_234, source_position=1_769_850_000_000 << 20,
    changed_fields=("Stage", "Amount"), actor="3652397000000123456", origin=Chain("c1", 2, ("w/r@zoho:Deals/1",)),
)  # fmt: skip
SECRET = "canary-5ecret"


def spelled(value: Any) -> Any:
    """A value with its types, so that ``True`` is not 1; a number is what it is worth, exactly."""
    if isinstance(value, dict):
        return {name: spelled(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [spelled(one) for one in value]
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return "number", value
    return type(value).__name__, value
