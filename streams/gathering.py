"""The state of one workspace as the partitions of a broker hold it, gathered into one store to be looked at.

A fused workspace is on one partition. One that is spread is on all of them, each with its own keys; only what a
partition remembers of itself stands on each, and is put together here.
"""

from collections.abc import Iterable, Iterator, Mapping

from schemas.codec import Unpacker, pack
from streams import journeys, relations
from streams.changelog import Restored, StoredStage
from streams.embedded import FINGERPRINT
from streams.stage import PARTITION_KEY, Changed
from streams.store import Store

_unpack_journeys: Unpacker[journeys.PartitionBook] = Unpacker(journeys.PartitionBook)
_unpack_relations: Unpacker[relations.PartitionBook] = Unpacker(relations.PartitionBook)


def gather(found: Mapping[int, Restored], workspace: str) -> Store:
    """A store in memory with all rows of a workspace; stages that are opened on it see what those on the broker see."""
    store = Store(":memory:")
    known: list[frozenset[str]] = []
    calendars: dict[str, str] = {}
    with store.transaction():
        for restored in found.values():
            for name, stored in _stages(restored, workspace):
                store.write((name, row) for row in _rows(stored))
                if name == "journeys":
                    known.append(_known(stored))
                    calendars |= _calendars(stored)
            if workspace in restored.fingerprints:
                store.set_note(FINGERPRINT, restored.fingerprints[workspace].encode())
        if len(known) > 1:
            everywhere = journeys.PartitionBook(sorted(frozenset.intersection(*known)), {}, calendars)
            store.write([("journeys", Changed(PARTITION_KEY, "", pack(everywhere)))])
    return store


def barriers(found: Mapping[int, Restored], workspace: str) -> Iterator[tuple[int, str, int]]:
    """The tabs whose first load is not told on yet, by partition, with how many answers each waits for."""
    for number, restored in found.items():
        for name, stored in _stages(restored, workspace):
            row = stored.rows.get(PARTITION_KEY, {}).get("")
            if name == "relations" and row is not None:
                for one in _unpack_relations(row).barriers:
                    yield number, one.tab, len(one.waits_for)


def _stages(restored: Restored, workspace: str) -> Iterable[tuple[str, StoredStage]]:
    return ((name, stored) for (name, owner), stored in restored.stages.items() if owner == workspace)


def _rows(stored: StoredStage) -> Iterator[Changed]:
    for key, parts in stored.rows.items():
        for part, content in parts.items():
            yield Changed(key, part, content, stored.due_rows.get((key, part)))


def _known(stored: StoredStage) -> frozenset[str]:
    row = stored.rows.get(PARTITION_KEY, {}).get("")
    return frozenset(_unpack_journeys(row).known) if row is not None else frozenset()


def _calendars(stored: StoredStage) -> dict[str, str]:
    row = stored.rows.get(PARTITION_KEY, {}).get("")
    return _unpack_journeys(row).calendars if row is not None else {}
