"""What a connection can be asked to do, so that a workflow that asks for more is refused before it runs."""

from collections.abc import Mapping

import msgspec

CONVERTED = ("Account", "Contact", "Deal")
"""What a conversion makes or joins: the fields of its outcome, in every CRM (D-93)."""


class Ability(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of commands, as one connection knows it."""

    tabs: tuple[str, ...] = ()
    """The tabs that it is for, without the connection; empty: all."""
    words: tuple[str, ...] = ()
    """The fields of its commands that the CRM understands, where that is not the same everywhere; empty: all."""
    makes: Mapping[str, str] = {}
    """The tabs of the records that it makes, by the field of the outcome that names them; ``""``: its record id."""
    touches: bool = True
    """Whether the record that it is about changes by it."""


Abilities = Mapping[str, Ability]
"""What a connection can do, by operation."""
