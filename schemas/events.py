"""Change events: what a CRM says happened to one record."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from schemas.values import Ref, ref

Operation = Literal["create", "update", "delete", "undelete", "merge", "convert"]


class Chain(msgspec.Struct, frozen=True, array_like=True):
    """The causal chain that a message belongs to: which rules already fired on the way here (D-60).

    ``fired`` holds ``workflow/rule@anchor`` marks in order; ``hop`` counts the CRM writes between them.
    """

    id: str
    hop: int = 0
    fired: tuple[str, ...] = ()


class Extra(msgspec.Struct, frozen=True):
    """What a newer release wrote into a message that this one does not know: kept, and written again with the noun."""

    schema: str
    """The Avro schema that the message was written by, as JSON."""
    fields: dict[str, Any]


class ChangeEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One change of one record, the same for every CRM (D-01).

    ``after`` is the record's image (none for a delete); with ``partial`` it holds only some fields. Times are
    milliseconds since the epoch. ``source_position`` rises with every change of a record. ``load`` marks a record
    found by a first load: it sets the baseline and fires nothing (D-82).
    """

    tab: str
    record_id: str
    op: Operation
    after: dict[str, Any] | None = None
    committed_at: int
    seen_at: int
    source_position: int
    changed_fields: tuple[str, ...] = ()
    actor: str = ""
    origin: Chain | None = None
    load: bool = False
    coalesced: bool = False
    partial: bool = False
    into: str = ""
    """The record id that took over, for a merge or a conversion."""
    client: str = ""
    """The program that made the change, as it named itself; empty where the CRM does not tell."""
    extra: Extra | UnsetType = UNSET

    @property
    def ref(self) -> Ref:
        """The record that changed."""
        return ref(self.tab, self.record_id)
