"""What a message made different in a journey, as rules see it: who joined, who was edited, who left.

A move inside a node is told too, since rules may look from one record up or down to another (D-23).
"""

from collections.abc import Iterator

from rules.join import LOADED
from rules.rounds import Change
from schemas.messages import Answer, Fact
from schemas.values import Image, Ref, changed_fields, tab_of
from streams.journeystate import Amended, Journey

_EDITED, _NOTHING = frozenset({"edited"}), frozenset[str]()
_KIND_OF_LEAVING = {"delete": "deleted", "merge": "merged", "convert": "converted"}


def changes_of(journey: Journey, edits: list[tuple[Ref, Image, Image]], message: Fact | Answer) -> list[Change]:
    """What rules see of a settled message: who joined, who was edited, who left."""
    joined, left = journey.join.take_memberships()
    fact = message if isinstance(message, Fact) else None
    changes = [_leaving(journey, node, ref, image, fact) for node, ref, image in left]
    changes += [_joining(journey, node, ref, fact) for node, ref in joined]
    came = set(joined)
    for ref, before, after in edits:
        fields = changed_fields(before, after)
        if fields:
            changes += [
                _edit(journey, node, ref, fields, before, after, fact)
                for node, members in enumerate(journey.join.members)
                if ref in members and (node, ref) not in came
            ]
            changes += _moved(journey, ref, before, after, came)
    return changes


def _moved(journey: Journey, ref: Ref, before: Image, after: Image, came: set[tuple[int, Ref]]) -> Iterator[Change]:
    """Nobody came or went, and yet who hangs below whom has changed in a branch of the tree.

    To the rules it is as if somebody, nobody by name, had left each node there: all that read it look again (D-23).
    """
    nodes = journey.tree.nodes
    branches: set[int] = set()
    for node in journey.tree.of_tab.get(tab_of(ref), ()):
        edges = [nodes[node].up, *(nodes[child].up for child in journey.tree.children[node])]
        names = [edges[0].far_field, *(edge.near_field for edge in edges[1:])]
        stays = ref in journey.join.members[node] and (node, ref) not in came
        if stays and any(before.get(name) != after.get(name) for name in names):
            branches.add(journey.tree.path(node)[1])
    for place in nodes[1:]:
        if journey.tree.path(place.id)[1] in branches:
            yield Change(place.id, "", before=before, left=True)


def _joining(journey: Journey, node: int, ref: Ref, fact: Fact | None) -> Change:
    seen = journey.seen[ref]
    assert seen.image is not None
    own = fact if fact is not None and fact.ref == ref else None
    near = journey.join.near_time(node, seen.image)
    kinds: set[str] = set()
    if own is not None and own.op == "undelete" and not own.load:
        kinds.add("undeleted")
    elif seen.born is not None and not seen.load and (near is None or seen.born >= near):
        kinds.add("created")
    elif node != 0 and ((near is not None and near > LOADED) or (own is not None and not own.load)):
        kinds.add("linked")
    chain = fact.chain if fact is not None else None
    return Change(node, ref, frozenset(kinds), None, None, seen.image, f"{ref}@{seen.position}", chain=chain)


def edit(node: int, fact: Fact, amended: Amended) -> Change:
    """What rules see of a record that its own Fact edits where it stands."""
    return Change(
        node, fact.ref, _NOTHING if fact.load else _EDITED, amended.fields, amended.before, fact.image,
        f"{fact.ref}@{fact.position}", fact.coalesced, False, fact.chain,
    )  # fmt: skip


def _edit(
    journey: Journey, node: int, ref: Ref, fields: frozenset[str], before: Image, after: Image, fact: Fact | None
) -> Change:
    """The same of any record that stays where it is with other values."""
    own = fact if fact is not None and fact.ref == ref else None
    kinds = _EDITED if own is not None and not own.load else _NOTHING
    return Change(
        node, ref, kinds, fields, before, after, f"{ref}@{journey.seen[ref].position}",
        own is not None and own.coalesced, chain=fact.chain if fact is not None else None,
    )  # fmt: skip


def _leaving(journey: Journey, node: int, ref: Ref, image: Image, fact: Fact | None) -> Change:
    own = fact if fact is not None and fact.ref == ref else None
    kinds: frozenset[str] = frozenset()
    if own is not None and not own.load:
        kinds = frozenset({_KIND_OF_LEAVING.get(own.op, "unlinked")})
    elif journey.main in journey.join.shown and fact is not None and not fact.load:
        kinds = frozenset({"unlinked"})
    position = journey.seen[ref].position if ref in journey.seen else 0
    chain = fact.chain if fact is not None else None
    return Change(node, ref, kinds, None, image, None, f"{ref}@{position}", left=True, chain=chain)
