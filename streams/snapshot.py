"""A local copy of a changelog partition, so that a warm start reads a file and only the newest part from the broker.

The file holds what was committed, chunk after chunk, each with a checksum and the offset of the changelog up to which
it tells. It is a help, never the truth: a torn or foreign file is cut or thrown away, and the changelog fills the gap.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias
from zlib import crc32

import msgspec

from schemas.values import HOUR

Record: TypeAlias = tuple[bytes, bytes | None]

_MAGIC = b"RNK1"
_HEAD = struct.Struct(">4sIIqq")
_CHUNK = 50_000
REWRITE_FROM = 64 * 1024 * 1024
"""A file smaller than this is not worth rewriting, in bytes."""
MAX_AGE = 12 * HOUR
"""Older files are thrown away: the topic may have forgotten deletions that the file does not know of."""

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[list[Record]] = msgspec.msgpack.Decoder(list[Record])


class Chunk(NamedTuple):
    """Some records, and the changelog offset that follows the last of them."""

    records: Sequence[Record]
    end: int


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
            head = _HEAD.unpack(self._file.read(_HEAD.size))
            yield Chunk(_decoder.decode(self._file.read(head[1])), head[3])
        self.end = ends[-1][1] if ends else -1
        self._file.seek(0, os.SEEK_END)

    def append(self, records: Sequence[Record], end: int, now: int) -> None:
        """Note what was committed to the changelog, up to its offset ``end``.

        Raises:
            OSError: the disk is full; the file then tells less than it could, which is no harm.
        """
        body = _encoder.encode(records)
        self._file.write(_HEAD.pack(_MAGIC, len(body), crc32(body), end, now) + body)
        self._file.flush()
        self.end = end

    def rewrite(self, records: Iterable[Record], end: int, now: int) -> None:
        """Replace the file by the newest values alone.

        Raises:
            OSError: the disk is full; the file is as it was.
        """
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as file:
            for some in _pieces(records):
                body = _encoder.encode(some)
                file.write(_HEAD.pack(_MAGIC, len(body), crc32(body), end, now) + body)
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
            if magic != _MAGIC:
                return ends
            body = self._file.read(length)
            if len(body) < length or crc32(body) != check:
                return ends
            ends.append((self._file.tell(), end, at))


def _pieces(records: Iterable[Record]) -> Iterator[list[Record]]:
    piece: list[Record] = []
    for record in records:
        piece.append(record)
        if len(piece) == _CHUNK:
            yield piece
            piece = []
    if piece:
        yield piece
