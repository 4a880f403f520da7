"""Which rules an edit may concern: all others need no look at all (D-31)."""

from functools import lru_cache
from typing import NamedTuple

from rules.book import Book, DueTrigger, EventTrigger, FieldTrigger, Rule

_ALL: frozenset[str] | None = None
_NONE: frozenset[str] = frozenset()
_REMEMBERED = 4096
"""How many kinds of edit are remembered: which fields of which tab change together repeats itself."""


class Concerned(NamedTuple):
    """What an edit may bring about at one node of a tree."""

    node: int
    rules: tuple[tuple[Rule, bool], ...]
    """The rules that may wake, in order, and whether each reads what has changed."""
    dated: tuple[Rule, ...]
    """Those that plan by dates."""


class Interest:
    """The rules that an edit of some fields may wake, by the nodes at which the record may stand."""

    def __init__(self, book: Book) -> None:
        self._nodes = {
            (main_tab, tab): ((0,) if tab == main_tab else ()) + tree.of_tab.get(tab, ())
            for main_tab, tree in book.trees.items()
            for tab in (main_tab, *tree.of_tab)
        }
        self._watching: dict[tuple[str, int], list[tuple[Rule, frozenset[str] | None]]] = {}
        for main_tab, rules in book.rules.items():
            for rule in rules:
                for node, names in _watched(rule).items():
                    self._watching.setdefault((main_tab, node), []).append((rule, names))
        self.concerned = lru_cache(_REMEMBERED)(self._concerned)

    def _concerned(self, main_tab: str, tab: str, changed: frozenset[str]) -> tuple[Concerned, ...]:
        """What may follow when a record of a tab gets other values in these fields and stays where it is."""
        found = (self._at(main_tab, node, changed) for node in self._nodes.get((main_tab, tab), ()))
        return tuple(concerned for concerned in found if concerned.rules)

    def _at(self, main_tab: str, node: int, changed: frozenset[str]) -> Concerned:
        watching = self._watching.get((main_tab, node), ())
        rules = [rule for rule, fields in watching if fields is None or not fields.isdisjoint(changed)]
        reading = tuple((rule, not rule.reads.get(node, _NONE).isdisjoint(changed)) for rule in rules)
        return Concerned(node, reading, tuple(rule for rule in rules if rule.follows_dates))


def _watched(rule: Rule) -> dict[int, frozenset[str] | None]:
    watched: dict[int, frozenset[str] | None] = dict(rule.reads)
    own = watched.get(rule.node, _NONE)
    for trigger in rule.triggers:
        if isinstance(trigger, EventTrigger) and trigger.kind in ("edited", "created_or_edited"):
            own = _ALL
        elif own is not None and isinstance(trigger, FieldTrigger):
            own |= trigger.fields
        elif own is not None and isinstance(trigger, DueTrigger):
            own |= {trigger.field}
    if own is not None:
        dates = {entry.date_field for entry in rule.scheduled if entry.date_field is not None}
        own |= rule.value_fields | dates
    watched[rule.node] = own
    return watched
