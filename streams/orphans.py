"""Records that hang on no journey, and main records whose lookups lead nowhere (D-10)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rules.trees import ID, join_values
from schemas.values import Ref, tab_of
from streams.embedded import Embedded
from streams.journeystate import Journey


@dataclass(frozen=True)
class Dangling:
    """A main record whose lookup or match is empty, or names a record that is not there (D-35)."""

    record: Ref
    field: str
    tab: str
    why: Literal["empty", "names nobody"]

    @property
    def words(self) -> str:
        """What is wrong with the field; one field may be looked up in several tabs."""
        return "is empty" if self.why == "empty" else f"names nobody in {_name(self.tab)}"


@dataclass(frozen=True)
class Orphans:
    """``loose``: per tab the records that no main record reaches. ``dangling``: lookups that lead nowhere."""

    loose: Mapping[str, tuple[Ref, ...]]
    dangling: tuple[Dangling, ...]

    def counts(self) -> dict[str, int]:
        """How many of what, in words: ``zoho.Demos without a journey``."""
        found = {f"{_name(tab)} without a journey": len(refs) for tab, refs in self.loose.items()}
        for one in self.dangling:
            label = f"{_name(tab_of(one.record))} whose {one.field} {one.words}"
            found[label] = found.get(label, 0) + 1
        return found


def orphans(flow: Embedded) -> Orphans:
    """What hangs on nothing. A record whose own tab or key has not answered yet is not counted (D-04)."""
    standing: set[Ref] = set()
    dangling: list[Dangling] = []
    for key in flow.journeys.states.names():
        journey = flow.journeys.states.get(key)
        if journey is not None:
            standing.update(ref for members in journey.join.members for ref in members)
            dangling += _dangling(flow, journey)
    return Orphans(_loose(flow, standing), tuple(dangling))


def _loose(flow: Embedded, standing: set[Ref]) -> dict[str, tuple[Ref, ...]]:
    joined = {tab for tree in flow.book.trees.values() for tab in (tree.main_tab, *tree.of_tab)}
    found: dict[str, list[Ref]] = {}
    for ref in flow.records.states.names():
        if tab_of(ref) not in joined or ref in standing:
            continue
        state = flow.records.states.get(ref)
        if state is not None and state.image is not None:
            found.setdefault(tab_of(ref), []).append(ref)
    return {tab: tuple(refs) for tab, refs in sorted(found.items())}


def _dangling(flow: Embedded, journey: Journey) -> Iterator[Dangling]:
    image = journey.join.shown.get(journey.main)
    if image is None:
        return
    view = flow.journeys.view(journey)
    for node in journey.tree.children[0]:
        edge = journey.tree.nodes[node].up
        if edge.near_field == ID:
            continue  # its children may be none: they are the ones that hang on it
        if not join_values(image, edge.near_field, edge.folds):
            yield Dangling(journey.main, edge.near_field, edge.far_tab, "empty")
        elif not journey.join.members[node] and view.complete(node):
            yield Dangling(journey.main, edge.near_field, edge.far_tab, "names nobody")


def _name(tab: str) -> str:
    return tab.replace(":", ".", 1)
