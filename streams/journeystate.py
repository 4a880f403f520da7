"""The state of one journey: the newest images, the keys it wants, and the join that follows from both."""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, Self

import msgspec

from rules.join import LOADED, Join
from rules.state import JourneyRules
from rules.trees import Tree, join_values, named_keys
from schemas.codec import Unpacker, pack
from schemas.messages import Fact, Row
from schemas.values import DAY, MINUTE, Image, Ref, changed_fields, id_of, tab_of
from streams.stage import Changed, Rows

FLOOR_TTL = DAY
"""How long the version of a record that is not shown is remembered (protocol, section 6)."""
CREDIT_TTL = 15 * MINUTE
"""How long a record may be believed on credit before its key is asked again."""
NO_FIELDS: frozenset[str] = frozenset()
HEAD, RULES, SEEN = "h", "r", "s\x1f"


class Seen(msgspec.Struct, array_like=True):
    """The newest image of a record, shown in the join or only remembered."""

    version: int
    home: int
    image: dict[str, Any] | None
    at: int
    position: int
    born: int | None = None
    load: bool = False
    shown: bool = False
    listed: list[str] = []
    """The wanted keys that have listed it."""


class Want(msgspec.Struct, array_like=True):
    """A relation key that the journey asked: under which number, and whether the answer is complete."""

    seek: int
    done: bool = False
    as_of: dict[int, int] = {}
    credit: int | None = None
    """Since when a record is shown that names the key and that the key has not listed."""


class Head(msgspec.Struct, array_like=True):
    """What a journey keeps beside images and rules."""

    now: int = 0
    seek: int = 0
    want: dict[str, Want] = {}
    floors: dict[Ref, int] = {}
    since: list[dict[str, int]] = []
    """Per node and value: when the near record came to name it (``Join.since``)."""


class Amended(msgspec.Struct, frozen=True):
    """What a record was before an edit that moved it nowhere, and the fields that differ."""

    tab: str
    before: Image
    fields: frozenset[str]


class Settled(NamedTuple):
    """What settling brought about."""

    edits: list[tuple[Ref, Image, Image]]
    """The records whose image was replaced, with the old and the new one."""
    asks: list[tuple[str, int, bool]]
    """The keys to seek (true) or to unseek, by seek number."""
    closed: bool
    """Whether a node ceased to want a key that had not answered: it may be known now."""


_unpack_head: Unpacker[Head] = Unpacker(Head)
_unpack_rules: Unpacker[JourneyRules] = Unpacker(JourneyRules)
_unpack_seen: Unpacker[Seen] = Unpacker(Seen)


class Journey:
    """One journey in memory. ``take`` and ``settle`` are the protocol's; rules are decided elsewhere."""

    floor_ttl: ClassVar[int] = FLOOR_TTL

    def __init__(self, tree: Tree, main: Ref) -> None:
        self.tree = tree
        self.main = main
        self.head = Head()
        self.rules = JourneyRules()
        self.seen: dict[Ref, Seen] = {}
        self.join = Join(tree, main)
        self.open_keys: set[str] = set()
        self._naming: dict[str, set[Ref]] = {}
        self._changed: dict[Ref, None] = {}
        self._has_credit = False
        self.head_changed = self.rules_changed = True
        """Whether these rows have to be written; ``now`` alone is told by the images' times."""

    # -- the protocol --------------------------------------------------------------

    def take(self, record: Fact | Row, at: int, *, load: bool = False) -> bool:
        """Take a newer image; newest wins, an equal version is a second path. True if it was newer."""
        ref = record.ref
        old = self.seen.get(ref)
        if old is not None and not self._is_newer(record, old):
            if record.born is not None and old.born is None and record.version == old.version:
                old.born = record.born
                self._changed[ref] = None
            return False
        born = record.born if record.born is not None or old is None else old.born
        seen = Seen(record.version, record.home, record.image, at, record.position, born, load)
        if old is not None:
            seen.shown, seen.listed = old.shown, old.listed
            self._unname(ref, old.image)
        self.seen[ref] = seen
        self._name(ref, seen.image)
        self._changed[ref] = None
        return True

    def amend(self, fact: Fact) -> Amended | None:
        """Take a newer image of a shown record that moves nowhere: the same as ``take`` and ``settle``, at once.

        Returns the image before and the fields that differ, or none where the change needs the whole way.
        """
        ref, image = fact.ref, fact.image
        seen = self.seen.get(ref)
        if seen is None or image is None or not seen.shown or not self._is_newer(fact, seen):
            return None
        before = seen.image
        assert before is not None
        tab = tab_of(ref)
        edges = self.tree.edge_fields.get(tab, NO_FIELDS)
        if fact.previous == seen.version:
            fields = frozenset(fact.old)
            moves = not edges.isdisjoint(fields)
        else:
            fields = changed_fields(before, image)
            moves = any(before.get(name) != image.get(name) for name in edges)
        if moves:
            return None
        seen.version, seen.home, seen.position, seen.load = fact.version, fact.home, fact.position, fact.load
        seen.at, seen.image = fact.at, image
        if fact.born is not None:
            seen.born = fact.born
        self.join.shown[ref] = image
        self._changed[ref] = None
        if fact.at < self.head.now:
            self.head_changed = True  # the image does not tell what time it is
        return Amended(tab, before, fields)

    def is_current(self, key: str, seek: int) -> bool:
        """Whether a key speaks under the subscription that runs now, not under an earlier one."""
        want = self.head.want.get(key)
        return want is not None and want.seek == seek

    def list_at(self, key: str, ref: Ref, here: bool) -> None:
        """Note that a key has listed a record, or says that it is no longer there."""
        seen = self.seen.get(ref)
        if seen is None or here == (key in seen.listed):
            return
        seen.listed = [*seen.listed, key] if here else [one for one in seen.listed if one != key]
        self._changed[ref] = None

    def naming(self, key: str) -> list[Ref]:
        """The records held here whose newest image names the key."""
        return sorted(self._naming.get(key, ()))

    def trusted(self, ref: Ref, at: int) -> bool:
        """Whether a record may take part in the join: some key vouches for its image (protocol, section 5)."""
        seen = self.seen[ref]
        image = seen.image
        if image is None:
            return False
        tab = tab_of(ref)
        if ref == self.main or self._is_direct(tab, image):
            return True
        for key in named_keys(tab, self.tree.key_fields.get(tab, ()), image):
            want = self.head.want.get(key)
            if want is not None and (key in seen.listed or self._on_credit(seen, want, at)):
                return True
        return False

    def settle(self, touched: list[Ref], at: int) -> Settled:
        """Follow what the touched records bring about, until nothing changes."""
        edits: dict[Ref, Image] = {}
        asks: list[tuple[str, int, bool]] = []
        closed = False
        while touched:
            for ref in touched:
                self._show(ref, at, edits)
            touched = []
            wanted, unwanted = self.join.take_keys()
            closed = closed or not self.open_keys.isdisjoint([*wanted, *unwanted])
            asks += [(key, self._ask(key), True) for key in wanted if key not in self.head.want]
            for key in unwanted:
                want = self.head.want.pop(key, None)
                if want is not None:
                    asks.append((key, want.seek, False))
                    self.open_keys.discard(key)
                    touched.extend(self._forget_key(key))
        replaced = [(ref, old, self.join.shown[ref]) for ref, old in edits.items() if ref in self.join.shown]
        return Settled(replaced, asks, closed)

    def answered(self, key: str) -> list[Ref]:
        """Note that a key's answer is complete; what names it has to be looked at again."""
        self.head.want[key].done = True
        self.open_keys.discard(key)
        return self.naming(key)

    def ask_again(self, now: int) -> list[tuple[str, int]]:
        """Ask keys anew that have vouched on credit for too long (protocol, section 6)."""
        asked: list[tuple[str, int]] = []
        for key, want in self.head.want.items():
            if want.credit is None or not want.done:
                continue
            if not any(self.seen[ref].shown and key not in self.seen[ref].listed for ref in self.naming(key)):
                want.credit = None
            elif want.credit <= now - CREDIT_TTL:
                self.head.seek += 1
                for ref in self.naming(key):
                    self.list_at(key, ref, False)
                want.seek, want.done, want.credit, want.as_of = self.head.seek, False, None, {}
                self.open_keys.add(key)
                asked.append((key, want.seek))
        self._has_credit = any(want.credit is not None for want in self.head.want.values())
        return asked

    def forget_floors(self, now: int) -> None:
        """Forget what is not shown and older than anything that can still arrive."""
        for ref in [ref for ref, since in self.head.floors.items() if since < now - self.floor_ttl]:
            del self.head.floors[ref]
            seen = self.seen.pop(ref, None)
            if seen is not None:
                self._unname(ref, seen.image)
                self._changed[ref] = None

    def seen_at(self, ref: Ref) -> int:
        """When the newest image of a record was captured."""
        return self.seen[ref].at

    @property
    def due(self) -> int | None:
        """When the journey next needs a Tick."""
        if not self._has_credit:
            return self.rules.next_due if self.rules.timers else None
        credits = [want.credit + CREDIT_TTL for want in self.head.want.values() if want.credit is not None]
        timers = self.rules.next_due
        return min([*credits, timers] if timers is not None else credits, default=None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        rules = self.rules
        return not (self.seen or self.head.want or rules.fires or rules.timers or rules.waiting or rules.truths)

    @property
    def parts(self) -> Iterator[str]:
        """The rows that may have been written of it."""
        yield HEAD
        yield RULES
        yield from (SEEN + ref for ref in self.seen.keys() | self._changed.keys())

    # -- rows --------------------------------------------------------------

    @classmethod
    def read(cls, tree: Tree, main: Ref, rows: Rows) -> Self:
        """A journey from its stored rows; the join is rebuilt from the shown images."""
        journey = cls(tree, main)
        for part, content in rows.items():
            if part == HEAD:
                journey.head = _unpack_head(content)
            elif part == RULES:
                journey.rules = _unpack_rules(content)
            else:
                journey.seen[part.removeprefix(SEEN)] = _unpack_seen(content)
        journey._rebuild()
        journey.head.now = max([journey.head.now, *(seen.at for seen in journey.seen.values())])
        journey.head_changed = journey.rules_changed = False
        return journey

    def take_changed(self, key: str) -> list[Changed]:
        """The rows to write since the last call."""
        rows: list[Changed] = []
        for ref in self._changed:
            seen = self.seen.get(ref)
            rows.append(Changed(key, SEEN + ref, pack(seen) if seen is not None else None))
        self._changed.clear()
        if self.head_changed:
            self.head.since = self.join.since
            rows.append(Changed(key, HEAD, None if self.is_empty else pack(self.head)))
        if self.rules_changed:
            rows.append(Changed(key, RULES, None if self.is_empty else pack(self.rules), self.due))
        self.head_changed = self.rules_changed = False
        return rows

    # -- inside --------------------------------------------------------------

    def _rebuild(self) -> None:
        self.open_keys = {key for key, want in self.head.want.items() if not want.done}
        self._has_credit = any(want.credit is not None for want in self.head.want.values())
        for ref, seen in sorted(self.seen.items()):
            self._name(ref, seen.image)
            if seen.shown and seen.image is not None:
                self.join.put(ref, seen.image, LOADED if seen.load else seen.at)
        self.join.recall_since(self.head.since or self.join.since)
        self.join.take_keys()
        self.join.take_memberships()

    def _show(self, ref: Ref, at: int, edits: dict[Ref, Image]) -> None:
        seen = self.seen.get(ref)
        if seen is None:
            return
        show = self.trusted(ref, at)
        held = self.join.shown.get(ref)
        if show and held is None:
            assert seen.image is not None
            self.join.put(ref, seen.image, LOADED if seen.load else seen.at)
        elif show and held is not seen.image:
            assert held is not None
            assert seen.image is not None
            edits.setdefault(ref, held)
            self.join.replace(ref, seen.image, LOADED if seen.load else seen.at)
        elif not show and held is not None:
            self.join.take_out(ref)
            seen.born = None
        if show != seen.shown:
            seen.shown = show
            self._changed[ref] = None
        if show:
            self.head.floors.pop(ref, None)
        else:
            self.head.floors.setdefault(ref, at)

    def _is_newer(self, record: Fact | Row, old: Seen) -> bool:
        return record.version > old.version

    def _on_credit(self, seen: Seen, want: Want, at: int) -> bool:
        """Whether an image counts though its key has not listed it."""
        if not want.done:
            return seen.shown  # it moves inside the journey
        if not self._is_news(seen, want):
            return False
        want.credit = want.credit if want.credit is not None else at
        self._has_credit = True
        return True

    def _is_news(self, seen: Seen, want: Want) -> bool:
        """Whether the key had not heard of this version when it answered, and so will tell."""
        return seen.version > want.as_of.get(seen.home, -1)

    def _ask(self, key: str) -> int:
        self.head.seek += 1
        self.head.want[key] = Want(self.head.seek, as_of={})
        self.open_keys.add(key)
        return self.head.seek

    def _forget_key(self, key: str) -> list[Ref]:
        named = self.naming(key)
        for ref in list(self.seen):
            if key in self.seen[ref].listed:
                self.list_at(key, ref, False)
        return [ref for ref in named if self.seen[ref].shown]

    def _is_direct(self, tab: str, image: Image) -> bool:
        main = id_of(self.main)
        return any(main in join_values(image, *field) for field in self.tree.direct_fields.get(tab, ()))

    def _name(self, ref: Ref, image: Image | None) -> None:
        tab = tab_of(ref)
        fields = self.tree.key_fields.get(tab)
        if image is not None and fields:
            for key in named_keys(tab, fields, image):
                self._naming.setdefault(key, set()).add(ref)

    def _unname(self, ref: Ref, image: Image | None) -> None:
        tab = tab_of(ref)
        fields = self.tree.key_fields.get(tab)
        if image is not None and fields:
            for key in named_keys(tab, fields, image):
                self._naming[key].discard(ref)
                if not self._naming[key]:
                    del self._naming[key]
