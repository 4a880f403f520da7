"""The join of one journey: which records stand at which node of the tree, kept up to date record by record.

Membership is a function of the images held here, never a message (stage protocol, section 1). Per node it keeps how
many near records name each value; a value named for the first time lets its records in, and named no more takes them
out, down the tree. The tree is finite, so a cycle in the data ends at its depth.
"""

from collections.abc import Iterable, Iterator

from rules.trees import ID, Node, Tree, join_values, relation_key
from schemas.values import Image, Ref, tab_of

LOADED = -1
"""The time of a near record that a first load brought: everything was born after it."""

Membership = tuple[int, Ref]


class Join:
    """The records shown in one journey and their places."""

    def __init__(self, tree: Tree, main: Ref) -> None:
        self.tree = tree
        self.main = main
        self.shown: dict[Ref, Image] = {}
        self.members: list[dict[Ref, None]] = [{} for _ in tree.nodes]
        self.wanted: list[dict[str, int]] = [{} for _ in tree.nodes]
        self.since: list[dict[str, int]] = [{} for _ in tree.nodes]
        """Per node and value: when the near record came to name it, or LOADED."""
        self.keys: dict[str, int] = {}
        """The relation keys that the join wants, and by how many (node, value) pairs."""
        self._touched_keys: dict[str, None] = {}
        self._was: dict[Membership, Image | None] = {}
        """Per membership touched since the last settling: the image by which it stood, or none."""
        self._index: dict[tuple[str, str, bool], dict[str, dict[Ref, None]]] = {}
        self._gone: dict[tuple[int, str], int] = {}
        """While a record is replaced: since when the values were named that its old image named."""

    def put(self, ref: Ref, image: Image, at: int) -> None:
        """Let a record into the join, wherever its image belongs."""
        self.shown[ref] = image
        tab = tab_of(ref)
        for key, values in self._indexed(tab, image):
            entry = self._index.setdefault(key, {})
            for value in values:
                entry.setdefault(value, {})[ref] = None
        if ref == self.main:
            self._enter(0, ref, image, at)
        for node in self.tree.of_tab.get(tab, ()):
            if self._belongs(node, image):
                self._enter(node, ref, image, at)

    def take_out(self, ref: Ref) -> None:
        """Take a record out of the join, with the image by which it came in."""
        self._remove(ref)
        self._gone.clear()

    def replace(self, ref: Ref, image: Image, at: int) -> None:
        """Give a record its newer image; it moves only if a field on an edge changed."""
        old = self.shown[ref]
        if all(old.get(field) == image.get(field) for field in self.tree.edge_fields.get(tab_of(ref), ())):
            self.shown[ref] = image
            return
        self._remove(ref)
        self.put(ref, image, at)
        self._gone.clear()

    def recall_since(self, since: list[dict[str, int]]) -> None:
        """Take the times at which values came to be named as they were before a restart."""
        self.since = [
            {value: at for value, at in kept.items() if value in wanted}
            for kept, wanted in zip(since, self.wanted, strict=True)
        ]

    def stands(self, node: int, ref: Ref) -> bool:
        """Whether a record stands at a node. At the root stands the main record alone, as soon as it is shown."""
        return ref in self.members[node] if node else ref == self.main and ref in self.shown

    def take_memberships(self) -> tuple[list[Membership], list[tuple[int, Ref, Image]]]:
        """Who joined and who left since the last call, net; leavers with the image by which they stood."""
        touched, self._was = self._was, {}
        joined = [pair for pair, was in touched.items() if was is None and pair[1] in self.members[pair[0]]]
        left = [
            (*pair, was) for pair, was in touched.items() if was is not None and pair[1] not in self.members[pair[0]]
        ]
        return joined, left

    def take_keys(self) -> tuple[list[str], list[str]]:
        """The keys whose want may have changed since the last call: those wanted now, and those that are not."""
        touched, self._touched_keys = self._touched_keys, {}
        return [key for key in touched if key in self.keys], [key for key in touched if key not in self.keys]

    def holders(self, node: int, value: str) -> Iterable[Ref]:
        """The shown records whose far field has the value that the node's edge asks for."""
        edge = self.tree.nodes[node].up
        if edge.far_field == ID:
            ref = f"{edge.far_tab}/{value}"
            return (ref,) if ref in self.shown else ()
        return self._index.get((edge.far_tab, edge.far_field, edge.folds), {}).get(value, ())

    def keys_of(self, node: int) -> Iterator[str]:
        """The relation keys that the node wants now; none for a direct edge."""
        place = self.tree.nodes[node]
        if place.edge is not None and not place.direct:
            for value in self.wanted[node]:
                yield _key(place, value)

    def near_time(self, node: int, image: Image) -> int | None:
        """When a near record came to name this record at the node; LOADED if a first load brought it."""
        edge = self.tree.nodes[node].edge
        if edge is None:
            return None
        times = self.since[node]
        return min(
            (times[value] for value in join_values(image, edge.far_field, edge.folds) if value in times),
            default=None,
        )

    def _remove(self, ref: Ref) -> None:
        image = self.shown[ref]
        tab = tab_of(ref)
        if ref == self.main:
            self._exit(0, ref, image)
        for node in self.tree.of_tab.get(tab, ()):
            if ref in self.members[node]:
                self._exit(node, ref, image)
        for key, values in self._indexed(tab, image):
            for value in values:
                del self._index[key][value][ref]
                if not self._index[key][value]:
                    del self._index[key][value]
        del self.shown[ref]

    def _indexed(self, tab: str, image: Image) -> Iterator[tuple[tuple[str, str, bool], tuple[str, ...]]]:
        seen: set[tuple[str, bool]] = set()
        for node in self.tree.of_tab.get(tab, ()):
            edge = self.tree.nodes[node].up
            field = (edge.far_field, edge.folds)
            if edge.far_field != ID and field not in seen:
                seen.add(field)
                yield (tab, *field), join_values(image, *field)

    def _belongs(self, node: int, image: Image) -> bool:
        edge = self.tree.nodes[node].up
        wanted = self.wanted[node]
        return any(value in wanted for value in join_values(image, edge.far_field, edge.folds))

    def _enter(self, node: int, ref: Ref, image: Image, at: int) -> None:
        if ref in self.members[node]:
            return
        self.members[node][ref] = None
        self._was.setdefault((node, ref), None)
        for child in self.tree.children[node]:
            edge = self.tree.nodes[child].up
            for value in join_values(image, edge.near_field, edge.folds):
                self._want(child, value, at)

    def _want(self, node: int, value: str, at: int) -> None:
        count = self.wanted[node].get(value, 0)
        self.wanted[node][value] = count + 1
        if count:
            return
        self.since[node][value] = self._gone.pop((node, value), at)
        self._count_key(node, value, 1)
        for ref in sorted(self.holders(node, value)):  # in an order that survives a restart
            self._enter(node, ref, self.shown[ref], at)

    def _exit(self, node: int, ref: Ref, image: Image) -> None:
        del self.members[node][ref]
        self._was.setdefault((node, ref), image)
        for child in self.tree.children[node]:
            edge = self.tree.nodes[child].up
            for value in join_values(image, edge.near_field, edge.folds):
                self._unwant(child, value)

    def _unwant(self, node: int, value: str) -> None:
        count = self.wanted[node][value] - 1
        if count:
            self.wanted[node][value] = count
            return
        del self.wanted[node][value]
        self._gone[(node, value)] = self.since[node].pop(value)
        self._count_key(node, value, -1)
        for ref in sorted(self.holders(node, value)):
            if ref in self.members[node] and not self._belongs(node, self.shown[ref]):
                self._exit(node, ref, self.shown[ref])

    def _count_key(self, node: int, value: str, by: int) -> None:
        place = self.tree.nodes[node]
        if place.direct:
            return
        key = _key(place, value)
        self._touched_keys[key] = None
        count = self.keys.get(key, 0) + by
        if count:
            self.keys[key] = count
        else:
            del self.keys[key]


def _key(place: Node, value: str) -> str:
    return relation_key(place.tab, place.up.far_field, value, place.up.folds)
