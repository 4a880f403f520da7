"""Which edits some rule may care about: everything else needs no evaluation at all (D-31)."""

from collections.abc import Iterable

from rules.book import Book, DueTrigger, EventTrigger, FieldTrigger, Rule
from rules.trees import Tree

_ALL: frozenset[str] | None = None


class Interest:
    """Per tree and node the fields whose edit may wake a rule; none stands for every field."""

    def __init__(self, book: Book) -> None:
        self._fields: dict[str, list[frozenset[str] | None]] = {}
        for main_tab, tree in book.trees.items():
            fields: list[frozenset[str] | None] = [frozenset() for _ in tree.nodes]
            for rule in book.rules.get(main_tab, ()):
                for node, names in _watched(rule).items():
                    fields[node] = _ALL if names is None or fields[node] is None else fields[node] | names  # type: ignore[operator]
            self._fields[main_tab] = fields

    def touches(self, tree: Tree, nodes: Iterable[int], changed: frozenset[str]) -> bool:
        """Whether an edit of these fields, of a record that stands at these nodes, may wake a rule."""
        watched = self._fields[tree.main_tab]
        for node in nodes:
            fields = watched[node]
            if fields is None or not fields.isdisjoint(changed):
                return True
        return False


def _watched(rule: Rule) -> dict[int, frozenset[str] | None]:
    watched: dict[int, frozenset[str] | None] = dict(rule.reads)
    own = watched.get(rule.node, frozenset())
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
