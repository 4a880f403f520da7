"""What a workflow may rely on: connections and their metadata, calendars, templates, actions."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from rules.actions.base import Action
from rules.actions.registry import registry
from rules.calendars import Calendar
from schemas.abilities import Abilities
from schemas.metadata import ConnectionMetadata, Tab


@dataclass(frozen=True)
class Project:
    """Everything around the workflow files of a project folder, already read."""

    connections: frozenset[str] | None = None
    """The names of the connections; none where they are not checked."""
    metadata: Mapping[str, ConnectionMetadata] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    """What one unit of each currency is worth in one common currency (D-115)."""
    templates: Mapping[str, str] = field(default_factory=dict)
    """Template texts by name."""
    actions: Mapping[str, type[Action]] = field(default_factory=registry)
    key_fields: Mapping[str, str] = field(default_factory=dict)
    """Per connection the field that carries our key (D-42)."""
    abilities: Mapping[str, Abilities] = field(default_factory=dict)
    """Per connection what it can be asked to do; one that is not named is not checked."""
    may_delete: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Per connection the tabs from which workflows may delete records (D-49); no others."""
    modified_fields: Mapping[str, str] = field(default_factory=dict)
    """Per connection the field that says when a record was last changed (D-44)."""

    def tab(self, tab: str) -> Tab | None:
        """The metadata of ``connection:Tab``, if it is known."""
        connection, _, name = tab.partition(":")
        known = self.metadata.get(connection)
        return known.tabs.get(name) if known is not None else None
