"""Trees of tabs: which records belong to a journey, told by equalities between fields (stage protocol, section 1)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from schemas.values import Image, Ref, Value, fold

ID = "id"
_SEPARATOR = "\x1f"  # cannot occur in a tab, a field or a CRM id
_FOLDED = "~"  # marks a field whose values are folded at the key; cannot end a field name


@dataclass(frozen=True, slots=True)
class Edge:
    """One equality: the near record's field equals the far record's field. A lookup has far field ``id``."""

    near_field: str
    far_tab: str
    far_field: str

    @property
    def folds(self) -> bool:
        """Whether values match as criteria text does: ids are exact, everything else is folded (D-35, D-113)."""
        return ID not in (self.near_field, self.far_field)


@dataclass(frozen=True, slots=True)
class Node:
    """One place in a tree: a tab, reached from its parent by an edge. The root has neither."""

    id: int
    tab: str
    parent: int | None = None
    edge: Edge | None = None
    direct: bool = False
    """The edge leads from the main record's own id: the value is the journey, and no key is needed."""
    depth: int = 0

    @property
    def up(self) -> Edge:
        """The edge to the parent; only the root has none."""
        assert self.edge is not None
        return self.edge


@dataclass(frozen=True)
class Tree:
    """The merged tree of one main tab: the trees of all workflows on it, equal edges shared."""

    main_tab: str
    nodes: tuple[Node, ...]
    children: tuple[tuple[int, ...], ...]
    of_tab: dict[str, tuple[int, ...]] = field(repr=False)
    """Per tab its nodes, the root left out."""
    key_fields: dict[str, tuple[tuple[str, bool], ...]] = field(repr=False)
    """Per tab the fields by which relation keys index it, and whether their values fold."""
    edge_fields: dict[str, frozenset[str]] = field(repr=False)
    """Per tab all fields that stand on either side of an edge: a change of them may change membership."""

    direct_fields: dict[str, tuple[tuple[str, bool], ...]] = field(repr=False)
    """Per tab the fields of its direct edges, and whether their values fold."""

    @cached_property
    def _paths(self) -> tuple[tuple[int, ...], ...]:
        paths: list[tuple[int, ...]] = []
        for node in self.nodes:  # parents come first
            paths.append((*(paths[node.parent] if node.parent is not None else ()), node.id))
        return tuple(paths)

    @cached_property
    def _commons(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(_last_shared(one, other) for other in self._paths) for one in self._paths)

    @cached_property
    def _ways(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        return tuple(tuple(path[len(start) :] for path in self._paths) for start in self._paths)

    @cached_property
    def tabs_above(self) -> tuple[frozenset[str], ...]:
        """Per node its tab and those of the nodes above it."""
        return tuple(frozenset(self.nodes[one].tab for one in path) for path in self._paths)

    def way(self, start: int, node: int) -> tuple[int, ...]:
        """The nodes from below ``start`` down to ``node``, which hangs below it."""
        return self._ways[start][node]

    def path(self, node: int) -> tuple[int, ...]:
        """The nodes from the root down to this one."""
        return self._paths[node]

    def common(self, one: int, other: int) -> int:
        """The lowest node that is on the way to both."""
        return self._commons[one][other]

    def to_one(self, node: int, above: int) -> bool:
        """Whether at most one record stands at ``node`` for one record at ``above``: every edge is a lookup."""
        while node != above:
            step = self.nodes[node]
            if step.parent is None or step.up.far_field != ID:
                return False
            node = step.parent
        return True


class TreeBuilder:
    """Collects the edges of workflows into one tree per main tab."""

    def __init__(self, main_tab: str) -> None:
        self._nodes = [Node(0, main_tab)]

    def add(self, parent: int, edge: Edge) -> int:
        """The node that the edge leads to from ``parent``; an equal one is shared."""
        for node in self._nodes:
            if node.parent == parent and node.edge == edge:
                return node.id
        direct = parent == 0 and edge.near_field == ID
        depth = self._nodes[parent].depth + 1
        self._nodes.append(Node(len(self._nodes), edge.far_tab, parent, edge, direct, depth))
        return len(self._nodes) - 1

    def build(self) -> Tree:
        """The finished tree."""
        nodes = tuple(self._nodes)
        of_tab: dict[str, list[int]] = {}
        keys: dict[str, set[tuple[str, bool]]] = {}
        direct: dict[str, dict[tuple[str, bool], None]] = {}
        touched: dict[str, set[str]] = {}
        for node in nodes[1:]:
            assert node.parent is not None
            of_tab.setdefault(node.tab, []).append(node.id)
            if node.direct:
                direct.setdefault(node.tab, {})[(node.up.far_field, node.up.folds)] = None
            else:
                keys.setdefault(node.tab, set()).add((node.up.far_field, node.up.folds))
            touched.setdefault(node.tab, set()).add(node.up.far_field)
            touched.setdefault(nodes[node.parent].tab, set()).add(node.up.near_field)
        return Tree(
            main_tab=nodes[0].tab,
            nodes=nodes,
            children=tuple(tuple(n.id for n in nodes if n.parent == p.id) for p in nodes),
            of_tab={tab: tuple(ids) for tab, ids in of_tab.items()},
            key_fields={tab: tuple(sorted(fields)) for tab, fields in keys.items()},
            direct_fields={tab: tuple(pairs) for tab, pairs in direct.items()},
            edge_fields={tab: frozenset(fields - {ID}) for tab, fields in touched.items()},
        )


def _last_shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared = left
    return shared


def join_values(image: Image, name: str, folds: bool) -> tuple[str, ...]:
    """The texts under which a field takes part in equalities: none if empty, several for a multi-valued lookup."""
    value: Value = image.get(name)
    if value is None or value == "":
        return ()
    if type(value) is str:
        return (fold(value),) if folds else (value,)
    if isinstance(value, list):
        return tuple(dict.fromkeys(text for item in value for text in _one(item, folds)))
    return _one(value, folds)


def _one(value: Value, folds: bool) -> tuple[str, ...]:
    text = "" if value is None else str(value)
    if not text:
        return ()
    return (fold(text),) if folds else (text,)


def relation_key(tab: str, name: str, value: str, folds: bool = False) -> str:
    """The key of a relation: everyone whose field has this value. Shared by all trees that ask for it."""
    return f"{tab}{_SEPARATOR}{name}{_FOLDED if folds else ''}{_SEPARATOR}{value}"


def key_parts(key: str) -> tuple[str, str, str, bool]:
    """Tab, field and value of a relation key, and whether values are folded there."""
    tab, name, value = key.split(_SEPARATOR, 2)
    folds = name.endswith(_FOLDED)
    return tab, name.removesuffix(_FOLDED), value, folds


def at_home_with(key: str) -> str:
    """What a key of the flow shares its partition with: a relation key by id its record, any other key itself."""
    parts = key.split(_SEPARATOR, 2)
    return journey_ref(parts[0], parts[2]) if len(parts) == 3 and parts[1] == ID else key


def names_key(key: str, image: Image) -> bool:
    """Whether a record with this image belongs at the key."""
    _, name, value, folds = key_parts(key)
    return value in join_values(image, name, folds)


def named_keys(tab: str, fields: Iterable[tuple[str, bool]], image: Image) -> Iterator[str]:
    """The relation keys at which a record with this image is a member."""
    for name, folds in fields:
        for value in join_values(image, name, folds):
            yield relation_key(tab, name, value, folds)


def journey_ref(main_tab: str, value: str) -> Ref:
    """The journey that a direct edge's value names."""
    return f"{main_tab}/{value}"
