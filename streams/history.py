"""Reading a state file beside the process that writes it, and folding its log again up to a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from rules.book import Book
from rules.rounds import Limits
from rules.state import JourneyRules
from schemas import topics
from schemas.codec import Unpacker
from schemas.commands import Command
from schemas.decisions import Decision
from schemas.values import Ref
from streams import wire
from streams.embedded import FINGERPRINT, POSITION, Embedded
from streams.journeys import PartitionBook
from streams.journeystate import RULES, SEEN
from streams.stage import PARTITION_KEY, Stage
from streams.store import Entry, NewEntry, Store, StoreError

PAGE = 2_000
FLOW = "(topic = 'journeys' OR topic >= 'changes.' AND topic < 'changes/')"
"""The inputs of the fused flow, as ``Store.flow`` reads them."""

_unpack_rules: Unpacker[JourneyRules] = Unpacker(JourneyRules)
_unpack_book: Unpacker[PartitionBook] = Unpacker(PartitionBook)


def reading(file: Path) -> Store:
    """The state file for reading only; another process may be at work on it meanwhile.

    Raises:
        StoreError: there is none yet, or it cannot be read.
    """
    if not file.is_file():
        raise StoreError(f"there is no state yet: {file} is made when the project first runs. Type: renkei run")
    store = Store(file)
    store.database.execute("PRAGMA query_only = ON")
    store.database.execute("BEGIN")  # all that is read now is of one moment
    return store


def as_published(
    store: Store,
    book: Book,
    *,
    limits: Limits,
    channels: Mapping[str, str],
    more_stages: Sequence[Callable[[], Stage]] = (),
) -> tuple[Embedded, bool]:
    """The stages over a state that is only read, and whether the workflows have changed since it was written.

    Changed workflows are published in a scratch copy; the file itself stays as it is.
    """
    stale = store.note(FINGERPRINT) != book.fingerprint.encode()
    if stale:
        scratch = Store(":memory:")
        store.database.backup(scratch.database)
        store = scratch
    return Embedded(store, book, limits=limits, channels=channels, more_stages=more_stages), stale


def fold_until(  # noqa: PLR0913 - all that a runtime is opened with
    store: Store,
    book: Book,
    at: int,
    *,
    limits: Limits,
    channels: Mapping[str, str],
    more_stages: Sequence[Callable[[], Stage]] = (),
    history: bool = False,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Embedded:
    """The state as it was at a time: the recorded inputs up to then, folded again in a scratch store.

    What it decides is what was decided then, for workflows that have not changed since; its commands go nowhere.
    ``tell`` hears how many inputs of how many are done.
    """
    scratch = Embedded(
        Store(":memory:"), book, limits=limits, channels=channels, more_stages=more_stages, history=history
    )
    where = f"FROM log WHERE at <= ? AND {FLOW}"
    (total,) = store.database.execute(f"SELECT count(*) {where}", (at,)).fetchone()
    done = 0
    for page in _pages(store, at):
        with scratch.store.transaction():
            scratch.store.append(page)
        scratch.run()
        done += len(page)
        tell(done, total)
    scratch.run(at)
    return scratch


def _pages(store: Store, at: int) -> Iterator[list[NewEntry]]:
    after = 0
    while entries := store.flow(after, PAGE):
        after = entries[-1].seq
        yield [repeated(entry) for entry in entries if entry.at <= at]


def repeated(entry: Entry) -> NewEntry:
    """A message as it is put into the log once more."""
    return NewEntry(entry.topic, entry.key, entry.at, entry.value, entry.partition)


# -- the log ------------------------------------------------------------------


def backlog(store: Store) -> tuple[int, int]:
    """How many inputs the flow has taken, and how many wait for it."""
    position = int(store.note(POSITION) or 0)
    query = f"SELECT count(*) FILTER (WHERE seq <= ?), count(*) FILTER (WHERE seq > ?) FROM log WHERE {FLOW}"  # noqa: S608 - our own text
    taken, waiting = store.database.execute(query, (position, position)).fetchone()
    return int(taken), int(waiting)


def decisions_of(store: Store, journey: Ref, until: int | None = None) -> list[Decision]:
    """What was decided about one journey, oldest first."""
    query = "SELECT seq FROM log WHERE topic = ? AND key = ? AND (? IS NULL OR at <= ?) ORDER BY seq"
    rows = store.database.execute(query, (topics.DECISIONS, journey, until, until)).fetchall()
    return [wire.read_entry(entry) for (seq,) in rows if (entry := entry_at(store, seq)) is not None]


def entry_at(store: Store, seq: int) -> Entry | None:
    """One message of the log by its number."""
    row = store.database.execute("SELECT topic FROM log WHERE seq = ?", (seq,)).fetchone()
    return next(iter(store.read(row[0], seq - 1, 1)), None) if row is not None else None


def commands(store: Store) -> Iterator[Command]:
    """All commands of the log, per connection in order."""
    for topic in store.topics("commands."):
        for entry in store.read(topic):
            yield wire.read_entry(entry)


# -- the state ------------------------------------------------------------------


def journeys_with(store: Store, record: Ref) -> list[Ref]:
    """The journeys that hold an image of a record, shown in their join or only remembered."""
    query = "SELECT key FROM state WHERE stage = 'journeys' AND part = ? ORDER BY key"
    return [key for (key,) in store.database.execute(query, (SEEN + record,))]


def rules_of_journeys(store: Store) -> Iterator[tuple[Ref, JourneyRules]]:
    """What each journey remembers of its rules."""
    query = "SELECT key, content FROM state WHERE stage = 'journeys' AND part = ? ORDER BY key"
    for key, content in store.database.execute(query, (RULES,)):
        yield key, _unpack_rules(content)


def loaded_tabs(store: Store) -> frozenset[str]:
    """The tabs whose first load is complete, as the journeys have heard (D-04)."""
    query = "SELECT content FROM state WHERE stage = 'journeys' AND key = ?"
    row = store.database.execute(query, (PARTITION_KEY,)).fetchone()
    return frozenset(_unpack_book(bytes(row[0])).known) if row is not None else frozenset()
