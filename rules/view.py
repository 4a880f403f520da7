"""How a rule sees its journey: from an anchor record up to the main record and down to every related tab."""

from collections.abc import Iterable, Mapping, MutableMapping, Set
from types import MappingProxyType
from typing import Any

import msgspec

from rules.book import Book, Workflow
from rules.criteria.scope import UNKNOWN, Mark, RelatedRow, Rows, Unknown
from rules.join import Join
from rules.state import Event
from rules.trees import ID, join_values
from schemas.metadata import ConnectionMetadata
from schemas.values import Image, Ref, Value, id_of

Overlay = Mapping[Ref, Mapping[str, Value]]
Several = Mapping[int, str]
"""Per node what several matches mean; nodes that are not in it take all (D-35)."""
NOTHING: Mapping[Any, Any] = MappingProxyType({})
ALL: Several = NOTHING
FAIL = "fail"
NO_FIELDS: frozenset[str] = frozenset()


class View(msgspec.Struct):
    """The joined state of one journey during one round of evaluation."""

    book: Book
    join: Join
    known_tabs: frozenset[str]
    open_keys: Set[str]
    """Wanted relation keys that have not answered in full."""
    _complete: dict[int, bool] = {}

    def complete(self, node: int) -> bool:
        """Whether all records of a node are here: its tab is loaded and its keys have answered (protocol 5)."""
        if not self.open_keys:
            return self.join.tree.tabs_above[node] <= self.known_tabs
        known = self._complete.get(node)
        if known is None:
            known = self._complete[node] = self._is_complete(node)
        return known

    def image(self, ref: Ref, overlay: Overlay) -> Image:
        """A shown record as it will be once the fire's own writes are in (D-40)."""
        image = self.join.shown[ref]
        if not overlay:
            return image
        written = overlay.get(ref)
        return {**image, **written} if written else image

    def ancestor(self, node: int, ref: Ref, above: int) -> Ref | None:
        """The record at ``above`` on whose branch a record hangs; the first by name where there are several."""
        nodes = self.join.tree.nodes
        while node != above:
            edge, parent = nodes[node].up, nodes[node].parent
            assert parent is not None
            image = self.join.shown.get(ref)
            if image is None:
                return None
            values = join_values(image, edge.far_field, edge.folds)
            found = self._near(parent, edge.near_field, edge.folds, values)
            if found is None:
                return None
            node, ref = parent, found
        return ref

    def below(self, node: int, start: int, ref: Ref, several: Several = ALL) -> list[Ref]:
        """All records at a node that hang below a record at ``start``, by name; those that ``several`` lets count."""
        if node == start:
            return [ref]
        way = self.join.tree.way(start, node)
        if start == 0 and (not several or several.keys().isdisjoint(way)):
            return sorted(self.join.members[node])
        found = {ref} & self.join.shown.keys()
        for step in way:
            found = {child for parent in found for child in self._counting(step, parent, several)}
        return sorted(found)

    def clashes(self, node: int, start: int, ref: Ref, several: Several) -> bool:
        """Whether on the way from a record to a node several match where ``several`` says that this fails (D-35)."""
        found = {ref} & self.join.shown.keys() if FAIL in several.values() else set()
        for step in self.join.tree.way(start, node) if found else ():
            below = [set(self._children(step, parent)) for parent in found]
            if several.get(step) == FAIL and any(len(children) > 1 for children in below):
                return True
            found = set().union(*below)
        return False

    def single(self, node: int, start: int, ref: Ref, several: Several = ALL) -> Ref | Unknown | None:
        """The one record at a node below a record at ``start``: none if absent, unknown if it has not answered."""
        if several and self.clashes(node, start, ref, several):
            return UNKNOWN
        for step in self.join.tree.way(start, node):
            if ref not in self.join.shown:
                return None
            if step in several and not self.complete(step):
                return UNKNOWN
            child = self._looked_up(step, ref) or min(self._counting(step, ref, several), default=None)
            if child is None:
                return None if self._names_nobody(step, ref) or self.complete(step) else UNKNOWN
            ref = child
        return ref

    def _looked_up(self, node: int, parent: Ref) -> Ref | None:
        """The common case of a child: the one record that the parent names by its id, if it is here."""
        edge = self.join.tree.nodes[node].up
        if edge.far_field != ID:
            return None
        value = self.join.shown[parent].get(edge.near_field)
        if type(value) is not str or not value:
            return None
        ref = f"{edge.far_tab}/{value}"
        return ref if ref in self.join.members[node] else None

    def _counting(self, node: int, parent: Ref, several: Several) -> Iterable[Ref]:
        """The records below one parent that count: all, or of several matches the oldest or none (D-35).

        Where several fail, ``clashes`` has been asked before.
        """
        how = several.get(node)
        if how is None:
            return self._children(node, parent)
        found = sorted(self._children(node, parent), key=_by_age)
        return found[:1] if how == "oldest" or len(found) == 1 else found if how == FAIL else ()

    def _names_nobody(self, node: int, ref: Ref) -> bool:
        edge = self.join.tree.nodes[node].up
        return not join_values(self.join.shown[ref], edge.near_field, edge.folds)

    def _children(self, node: int, parent: Ref) -> Iterable[Ref]:
        edge = self.join.tree.nodes[node].up
        members = self.join.members[node]
        for value in join_values(self.join.shown[parent], edge.near_field, edge.folds):
            for ref in self.join.holders(node, value):
                if ref in members:
                    yield ref

    def _near(self, parent: int, name: str, folds: bool, values: tuple[str, ...]) -> Ref | None:
        members = self.join.members[parent]
        if name == ID:
            tab = self.join.tree.nodes[parent].tab
            return next((ref for value in values if (ref := f"{tab}/{value}") in members), None)
        if parent == 0:
            return self.join.main if self.join.main in members else None
        return min(
            (ref for ref in members if set(values) & set(join_values(self.join.shown[ref], name, folds))),
            default=None,
        )

    def _is_complete(self, node: int) -> bool:
        place = self.join.tree.nodes[node]
        if place.tab not in self.known_tabs:
            return False
        if place.parent is None:
            return True
        if not self.complete(place.parent):
            return False
        return not any(key in self.open_keys for key in self.join.keys_of(node))


class JourneyScope(dict[str, Image | Unknown | None]):
    """The ``Scope`` of one rule on one anchor: what criteria, texts and templates read.

    It is the mapping of its own records, each found when first asked for.
    """

    __slots__ = (
        "_entered", "_event", "_node", "_outputs", "_overlay", "_view", "_workflow", "anchor", "marks", "now",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917 - a view has this many sides, and names cost time here
        self,
        view: View,
        workflow: Workflow,
        node: int,
        anchor: Ref,
        now: int,
        marks: MutableMapping[str, Mark] | None = None,
        event: Event | None = None,
        overlay: Overlay = NOTHING,
        outputs: Mapping[str, Mapping[str, Value]] = NOTHING,
    ) -> None:
        self._view = view
        self._workflow = workflow
        self._node = node
        self._overlay = overlay
        self._outputs = outputs
        self._entered: Mapping[int, Ref] = NOTHING
        self.anchor = anchor
        self.now = now
        self.marks: MutableMapping[str, Mark] = {} if marks is None else marks
        self._event = event

    @property
    def before(self) -> Image | None:
        """The anchor's image before the waking event."""
        return None if self._event is None else self._event.before

    @property
    def changed(self) -> frozenset[str]:
        """The anchor's fields that the waking event changed."""
        return NO_FIELDS if self._event is None else self._event.changed

    @property
    def created(self) -> bool:
        """Whether the waking event created the anchor."""
        return self._event is not None and "created" in self._event.kinds

    def __missing__(self, alias: str) -> Image | Unknown | None:
        found = self[alias] = self.find(alias)
        return found

    def find(self, alias: str) -> Image | Unknown | None:
        """The one record that an alias means here (D-33)."""
        node = self._workflow.nodes[alias]
        if node == self._node:
            # Of a record that has gone, texts show what was last known.
            shown = self.anchor in self._view.join.shown
            return self._view.image(self.anchor, self._overlay) if shown else self.before
        ref = self.ref_of(node)
        return self._view.image(ref, self._overlay) if isinstance(ref, str) else ref

    def ref_of(self, node: int) -> Ref | Unknown | None:
        """The one record at a node, seen from here; where this view was entered from one, it is that."""
        entered = self._entered.get(node)
        if entered is not None and entered in self._view.join.shown:
            return entered
        common, start = self._start(node)
        return None if start is None else self._view.single(node, common, start, self._workflow.several)

    def rows(self, alias: str) -> Rows:
        """All records of an alias below the nearest common ancestor, by name (D-32)."""
        view, overlay = self._view, self._overlay
        node = self._workflow.nodes[alias]
        common, start = self._start(node)
        complete = view.complete(node)
        if start is None:
            return Rows((), complete)
        several = self._workflow.several
        if several and view.clashes(node, common, start, several):
            return Rows((), False)
        refs = view.below(node, common, start, several)
        return Rows([RelatedRow(ref, view.image(ref, overlay)) for ref in refs], complete)

    def clash(self) -> str:
        """The tab of which several records match here where the file says that this fails; empty without one (D-35)."""
        workflow = self._workflow
        for alias, node in workflow.nodes.items():
            if workflow.several.get(node) == FAIL:
                common, start = self._start(node)
                if start is not None and self._view.clashes(node, common, start, workflow.several):
                    return alias
        return ""

    def _start(self, node: int) -> tuple[int, Ref | None]:
        """The nearest common ancestor with a node, and the record there on whose branch the anchor hangs."""
        if self._node == 0:
            return 0, self.anchor  # everything hangs below the main record
        common = self._view.join.tree.common(node, self._node)
        return common, self._view.ancestor(self._node, self.anchor, common)

    def at(self, alias: str, row: RelatedRow) -> "JourneyScope":
        """The view from one related record."""
        inner = JourneyScope(
            self._view, self._workflow, self._workflow.nodes[alias], row.ref, self.now, self.marks, self._event,
            self._overlay, self._outputs,
        )  # fmt: skip
        inner._entered = {**self._entered, self._node: self.anchor}
        return inner

    def metadata(self, alias: str) -> ConnectionMetadata | None:
        """Users and teams of the alias's connection."""
        return self._view.book.metadata.get(self._workflow.tabs[alias].partition(":")[0])

    def value_of_step(self, name: str, field: str) -> Value | Unknown:
        """An output of an earlier step (D-46); nothing if the step has not run."""
        return self._outputs.get(name, {}).get(field)


def _by_age(ref: Ref) -> tuple[int, str]:
    """CRM ids rise: the shortest and lowest is the oldest."""
    return len(id_of(ref)), id_of(ref)
