"""What a criteria text may name: tabs by alias, formulas, earlier steps; and the calendar of its dates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from schemas.metadata import Tab

if TYPE_CHECKING:
    from rules.calendars import Calendar
    from rules.criteria.compile import Expression


@dataclass(frozen=True)
class AliasContext:
    """One tab of the workflow as criteria see it."""

    tab: Tab | None = None
    """Its metadata; none where the CRM has not been asked, then its names are not checked."""
    to_one: bool = True
    """Whether the alias means one record from where the anchor stands."""
    single: frozenset[str] | None = None
    """The aliases that mean one record from a row of this tab; none where that is not checked."""


@dataclass(frozen=True)
class Context:
    """All names of one place in a workflow file."""

    own: str
    """The alias of the anchor's tab: a bare name is one of its fields."""
    aliases: Mapping[str, AliasContext]
    calendar: "Calendar"
    formulas: Mapping[str, "str | Expression"] = field(default_factory=dict)
    changes_allowed: bool = True
    """Whether a waking event with a before image is at hand (D-117)."""
    steps: frozenset[str] | None = frozenset()
    """The steps of the fire that came before; none where they are not checked."""
    teams: Mapping[str, str] = field(default_factory=dict)
    """Team names of the workflow file, and how the CRM calls each."""
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    """What one unit of each currency is worth in one common currency: for ``currency(…)`` only (D-115)."""
