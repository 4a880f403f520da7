"""The one-store oracle: all records in one place, joined by walking down from each main record (protocol, section 9).

It shares nothing with the stages but the book: what they must arrive at is computed anew from the records alone.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from rules.book import Book
from schemas.values import Image, Ref, Value, fold, id_of, tab_of

Members = Mapping[str, Mapping[Ref, Image]]
"""By alias the records at its node."""


class Law(NamedTuple):
    """What a rule means, said once more in Python: its workflow, the alias of its anchor, and when it holds."""

    workflow: str
    alias: str
    holds: Callable[[Members, Ref], bool]


class OneStore:
    """Every record that exists, and the journeys that follow from them."""

    def __init__(self, book: Book, laws: Mapping[str, Law] | None = None) -> None:
        self.book, self.laws = book, laws or {}
        self.records: dict[Ref, Image] = {}
        self.fires: list[tuple[str, Ref, Ref]] = []
        self._truths: dict[tuple[str, Ref, Ref], bool | None] = {}

    def put(self, ref: Ref, image: Image | None, *, born: bool = False) -> None:
        """A record has this image now, none if it is gone; what becomes true by it fires."""
        self.records.pop(ref, None)
        if image is not None:
            self.records[ref] = image
        self._follow(ref if born else "")

    def image(self, ref: Ref) -> Image:
        """The fields of a record that some workflow reads."""
        fields = self.book.read_fields[tab_of(ref)]
        return {name: value for name, value in self.records[ref].items() if name in fields}

    def journeys(self) -> list[Ref]:
        """The main records that exist."""
        return sorted(ref for ref in self.records if tab_of(ref) in self.book.trees)

    def members(self, main: Ref) -> list[set[Ref]]:
        """Per node of a journey's tree the records there."""
        tree = self.book.trees[tab_of(main)]
        found: list[set[Ref]] = [{main} & self.records.keys()]
        for node in tree.nodes[1:]:
            assert node.parent is not None
            edge = node.up
            near = {text for ref in found[node.parent] for text in self._texts(ref, edge.near_field, edge.folds)}
            found.append({ref for ref in self._of(node.tab) if near & self._texts(ref, edge.far_field, edge.folds)})
        return found

    def truths(self, main: Ref) -> Iterator[tuple[str, Ref, bool]]:
        """What every rule says of each of its anchors in a journey."""
        members = self.members(main)
        for workflow in self.book.workflows:
            if workflow.main_tab != tab_of(main) or main not in self.records:
                continue
            named = {alias: {ref: self.records[ref] for ref in members[node]} for alias, node in workflow.nodes.items()}
            for name, law in self.laws.items():
                if law.workflow == workflow.name:
                    for ref in sorted(named[law.alias]):
                        yield f"{workflow.name}/{name}", ref, law.holds(named, ref)

    def _of(self, tab: str) -> Iterator[Ref]:
        return (ref for ref in self.records if tab_of(ref) == tab)

    def _texts(self, ref: Ref, field: str, folds: bool) -> set[str]:
        value: Value = self.records[ref].get(field)
        values = value if isinstance(value, list) else [value]
        return {fold(str(one)) if folds else str(one) for one in values if one is not None and one != ""}

    def _follow(self, born: Ref) -> None:
        """An edge fires: false before, or created just now; any other first truth is a baseline (D-22a)."""
        before, self._truths = self._truths, {}
        for main in self.journeys():
            for rule, anchor, now in self.truths(main):
                was = before.get((rule, main, anchor), False if anchor == born else None)
                self._truths[rule, main, anchor] = now
                if now and was is False:
                    self.fires.append((rule, main, anchor))


def one(members: Mapping[Ref, Image], field: str) -> Value:
    """A field of the only record there, none if nobody is there."""
    return next((image.get(field) for image in members.values()), None)


def below(members: Members, alias: str, field: str, anchor: Ref) -> list[Image]:
    """The records of an alias whose lookup names the anchor."""
    return [image for image in members[alias].values() if image.get(field) == id_of(anchor)]
