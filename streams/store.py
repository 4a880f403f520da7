"""The embedded log and state: one SQLite file, topics as rows in one order, state by stage, key and part.

What is written inside ``transaction`` is in the file together or not at all. Offsets are the numbers of the log, so
they rise within every partition, and the order in which several topics were interleaved is the order of the file.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from weakref import finalize

import msgspec

from streams.stage import Changed

FORMAT = "1"
PATIENCE = 30.0
"""Seconds that a connection waits for the others of its file."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL,
    value BLOB NOT NULL, upstream TEXT NOT NULL DEFAULT '', up_offset INTEGER NOT NULL DEFAULT 0,
    up_index INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS log_by_topic ON log (topic, partition, seq);
CREATE TABLE IF NOT EXISTS state (
    stage TEXT NOT NULL, partition INTEGER NOT NULL, key TEXT NOT NULL, part TEXT NOT NULL, content BLOB NOT NULL,
    due INTEGER, PRIMARY KEY (stage, partition, key, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


class StoreError(RuntimeError):
    """The state file cannot be used; the message says what to do."""


class Origin(NamedTuple):
    """Where a message came from: its upstream partition, the offset there, and its place among that input's outputs."""

    upstream: str = ""
    offset: int = 0
    number: int = 0


NO_ORIGIN = Origin()


class NewEntry(msgspec.Struct, frozen=True):
    """A message to append."""

    topic: str
    key: str
    at: int
    value: bytes
    partition: int = 0
    origin: Origin = NO_ORIGIN


class Entry(msgspec.Struct, frozen=True):
    """A message of the log."""

    seq: int
    topic: str
    partition: int
    key: str
    at: int
    value: bytes
    origin: Origin = NO_ORIGIN


class Stored(NamedTuple):
    """The state rows of one partition: by stage, key and part; and by stage and key when a Tick is needed."""

    rows: dict[str, dict[str, dict[str, bytes]]]
    dues: dict[str, dict[str, int]]


class Store:
    """One connection to the file; each thread opens its own. It is closed at the latest when nobody holds it."""

    def __init__(self, path: Path | str) -> None:
        """Open the file, or make it.

        Raises:
            StoreError: the folder cannot be written, or the file is not ours or of another format.
        """
        self.path = str(path)
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=PATIENCE)
            finalize(self, _let_go, self._db)
            _use_wal(self._db)
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot use the state file {self.path}: {error}. Check that its folder exists and can be written, "
                "or name another one with --state."
            ) from None
        found = self.note("format")
        if found is None:
            self.set_note("format", FORMAT.encode())
        elif found.decode() != FORMAT:
            raise StoreError(f"the state file {self.path} has format {found.decode()}; this version reads {FORMAT}")

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is committed together, or not at all.

        Raises:
            StoreError: the disk is full or the file cannot be written; nothing of it happened.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._rollback()
            raise StoreError(f"could not write {self.path}: {error}. Nothing was half-applied; try again.") from None
        except BaseException:
            self._rollback()
            raise

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    # -- log --------------------------------------------------------------

    def append(self, entries: Iterable[NewEntry]) -> None:
        """Append messages in order; call it inside ``transaction``."""
        self._db.executemany(
            "INSERT INTO log (topic, partition, key, at, value, upstream, up_offset, up_index)"
            " VALUES (?,?,?,?,?,?,?,?)",
            [(one.topic, one.partition, one.key, one.at, one.value, *one.origin) for one in entries],
        )

    def flow(self, after: int, limit: int) -> list[Entry]:
        """The next inputs of the fused flow, in the one order of the log: change events, and what journeys read.

        They have no origin: nothing comes into the fused flow from another partition.
        """
        rows = self._db.execute(
            "SELECT seq, topic, partition, key, at, value FROM log"
            " WHERE seq > ? AND (topic = 'journeys' OR topic >= 'changes.' AND topic < 'changes/')"
            " ORDER BY seq LIMIT ?",
            (after, limit),
        )
        return [Entry(*row) for row in rows]

    def read(self, topic: str, after: int = 0, limit: int = -1, *, partition: int | None = None) -> list[Entry]:
        """Messages of one topic in order, of all partitions or one."""
        any_partition = -1 if partition is None else partition
        rows = self._db.execute(
            "SELECT seq, topic, partition, key, at, value, upstream, up_offset, up_index FROM log"
            " WHERE topic = ? AND (? < 0 OR partition = ?) AND seq > ? ORDER BY seq LIMIT ?",
            (topic, any_partition, any_partition, after, limit),
        )
        return [_entry(row) for row in rows]

    def topics(self, prefix: str = "") -> list[str]:
        """The names of the topics that hold something."""
        rows = self._db.execute("SELECT DISTINCT topic FROM log ORDER BY topic")
        return [name for (name,) in rows if name.startswith(prefix)]

    def count(self, topic: str) -> int:
        """How many messages a topic holds."""
        (count,) = self._db.execute("SELECT count(*) FROM log WHERE topic = ?", (topic,)).fetchone()
        return int(count)

    def last_at(self) -> int:
        """The time of the newest message; 0 for an empty log."""
        row = self._db.execute("SELECT at FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        return int(row[0]) if row is not None else 0

    def last_seq(self) -> int:
        """The number of the newest message; 0 for an empty log."""
        (last,) = self._db.execute("SELECT max(seq) FROM log").fetchone()
        return int(last or 0)

    # -- state --------------------------------------------------------------

    def stored(self, partition: int = 0) -> Stored:
        """All state rows of one partition."""
        rows: dict[str, dict[str, dict[str, bytes]]] = {}
        dues: dict[str, dict[str, int]] = {}
        query = "SELECT stage, key, part, content, due FROM state WHERE partition = ?"
        for stage, key, part, content, due in self._db.execute(query, (partition,)):
            rows.setdefault(stage, {}).setdefault(key, {})[part] = content
            if due is not None:
                dues.setdefault(stage, {})[key] = due
        return Stored(rows, dues)

    def write(self, changed: Iterable[tuple[str, Changed]], partition: int = 0) -> None:
        """Write the rows of stages that changed; call it inside ``transaction``.

        Of a row that is deleted and written anew the new content counts.
        """
        kept: list[tuple[str, int, str, str, bytes, int | None]] = []
        gone: list[tuple[str, int, str, str]] = []
        for stage, row in changed:
            if row.content is None:
                gone.append((stage, partition, row.key, row.part))
            else:
                kept.append((stage, partition, row.key, row.part, row.content, row.due))
        self._db.executemany("DELETE FROM state WHERE stage = ? AND partition = ? AND key = ? AND part = ?", gone)
        self._db.executemany(
            "INSERT INTO state VALUES (?,?,?,?,?,?)"
            " ON CONFLICT DO UPDATE SET content = excluded.content, due = excluded.due",
            kept,
        )

    def drop(self, stage: str, part_prefix: str = "") -> None:
        """Forget the rows of a stage, or those parts of it that begin so; call it inside ``transaction``."""
        self._db.execute("DELETE FROM state WHERE stage = ? AND substr(part, 1, ?) = ?",
                         (stage, len(part_prefix), part_prefix))  # fmt: skip

    def note(self, name: str) -> bytes | None:
        """A named value: positions, fingerprints."""
        row = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row is not None else None

    def set_note(self, name: str, value: bytes) -> None:
        """Keep a named value."""
        self._db.execute("INSERT OR REPLACE INTO notes VALUES (?,?)", (name, value))

    @property
    def database(self) -> sqlite3.Connection:
        """The connection, for tables that others keep in the same file (the effect ledger)."""
        return self._db


def _entry(row: tuple[int, str, int, str, int, bytes, str, int, int]) -> Entry:
    return Entry(*row[:6], Origin(*row[6:]))


def _let_go(database: sqlite3.Connection) -> None:
    with suppress(sqlite3.ProgrammingError):  # of a thread that is not this one
        database.close()


def _use_wal(database: sqlite3.Connection) -> None:
    """Let readers and a writer share the file; tried until nobody else opens it, for here SQLite itself never waits."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
