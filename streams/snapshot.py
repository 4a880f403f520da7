"""A local copy of a changelog partition, so that a warm start reads a file and only the newest part from the broker.

The file holds what was committed, chunk after chunk, each with a checksum and the offset of the changelog up to which
it tells. It is a help, never the truth: a torn or foreign file is cut or thrown away, and the changelog fills the gap.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeAlias
from zlib import crc32

import msgspec

from schemas.values import HOUR
from streams.changelog import Group

Record: TypeAlias = tuple[bytes, bytes | None]

_RECORDS, _GROUP = b"RNK1", b"RNK2"
"""How a chunk begins: one of records as they were committed, and one of rows grouped by key."""
_HEAD = struct.Struct(">4sIIqq")
_NOT_YET = -1
"""The offset of a chunk that tells nothing without those behind it: a file that is torn there is thrown away."""
MAX_AGE = 12 * HOUR
"""Older files are thrown away: the topic may have forgotten deletions that the file does not know of."""

_encoder = msgspec.msgpack.Encoder()
_records: msgspec.msgpack.Decoder[list[Record]] = msgspec.msgpack.Decoder(list[Record])
_group: msgspec.msgpack.Decoder[Group] = msgspec.msgpack.Decoder(Group)
Chunk: TypeAlias = Sequence[Record] | Group


class Snapshot:
    """The file of one host and partition."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it; its folder must exist.

        Raises:
            OSError: the file cannot be written.
        """
        self.path = path
        self._file: BinaryIO = path.open("a+b")
        self.end = -1
        """The changelog offset up to which the file tells; -1 for an empty one."""

    def read(self, now: int, earliest: int, latest: int) -> Iterator[Chunk]:
        """The chunks in order, as far as they are whole. A file of another or a younger topic is emptied.

        ``earliest`` and ``latest`` are the first and the next offset of the changelog partition, ``now`` milliseconds.
        """
        ends = self._ends()
        if ends and (ends[-1][1] > latest or ends[-1][1] < earliest or ends[-1][2] < now - MAX_AGE):
            ends = []
        self._file.truncate(ends[-1][0] if ends else 0)
        self._file.seek(0)
        for _ in ends:
            magic, length, *_ = _HEAD.unpack(self._file.read(_HEAD.size))
            body = self._file.read(length)
            yield _group.decode(body) if magic == _GROUP else _records.decode(body)
        self.end = ends[-1][1] if ends else -1
        self._file.seek(0, os.SEEK_END)

    def append(self, records: Sequence[Record], end: int, now: int) -> None:
        """Note what was committed to the changelog, up to its offset ``end``.

        Raises:
            OSError: the disk is full; the file then tells less than it could, which is no harm.
        """
        self._file.write(_framed(_RECORDS, records, end, now))
        self._file.flush()
        self.end = end

    def rewrite(self, groups: Iterable[Group], notes: Iterable[Record], end: int, now: int) -> None:
        """Replace the file by the newest values alone, grouped, so that they are read at once.

        Raises:
            OSError: the disk is full; the file is as it was.
        """
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as file:
            for group in groups:
                file.write(_framed(_GROUP, group, _NOT_YET, now))
            file.write(_framed(_RECORDS, list(notes), end, now))
        self._file.close()
        fresh.replace(self.path)
        self._file = self.path.open("a+b")
        self.end = end

    @property
    def size(self) -> int:
        """The length of the file in bytes."""
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Let go of the file; what a full disk did not take is given up."""
        with suppress(OSError):
            self._file.close()

    def _ends(self) -> list[tuple[int, int, int]]:
        """Per whole chunk: where it ends in the file, its changelog offset and when it was written."""
        ends: list[tuple[int, int, int]] = []
        self._file.seek(0)
        while True:
            head = self._file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return ends
            magic, length, check, end, at = _HEAD.unpack(head)
            if magic not in (_RECORDS, _GROUP):
                return ends
            body = self._file.read(length)
            if len(body) < length or _checksum(magic, body) != check:
                return ends
            ends.append((self._file.tell(), end, at))


def _framed(magic: bytes, content: Chunk, end: int, now: int) -> bytes:
    body = _encoder.encode(content)
    return _HEAD.pack(magic, len(body), _checksum(magic, body), end, now) + body


def _checksum(magic: bytes, body: bytes) -> int:
    """It tells how a chunk begins, too: one kind is never read as the other."""
    return crc32(body, 1 if magic == _GROUP else 0)
