"""Files read in lines: positions, lines that are too long, and what of their content can be written down."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from connectors.base import NotSent
from connectors.capture import TIE_BITS

LONGEST_LINE = 2**20
"""Bytes; a longer line is a bad line."""

_FURTHEST: Final[int] = 2 ** (63 - TIE_BITS)
"""Milliseconds from 1970 that a source position reaches, both ways: from 1692 to 2247."""


class Position(msgspec.Struct, omit_defaults=True):
    """How far a file was read."""

    offset: int = 0
    line: int = 0
    loaded: bool = False
    """Whether an event that belongs to no first load was told already."""


def opened(path: Path) -> BinaryIO:
    """The file, open for reading. Raises NotSent if it cannot be read."""
    try:
        return path.open("rb")
    except OSError as error:
        raise NotSent(f"cannot read {path.name}: {error.strerror}") from None


class RawLine(msgspec.Struct, frozen=True):
    """One line with its end, if it has one; of a line that is too long there is no content."""

    content: bytes | None
    size: int
    whole: bool


def next_line(stream: BinaryIO, longest: int) -> RawLine | None:
    """The next line, none at the end; of a line that is too long only the size, read in pieces."""
    content = stream.readline(longest + 1)
    return whole_line(stream, content, longest) if content else None


def whole_line(stream: BinaryIO, content: bytes, longest: int) -> RawLine:
    """The line that begins with what was read already."""
    whole = content.endswith(b"\n")
    if whole or len(content) <= longest:
        return RawLine(content, len(content), whole)
    size = len(content)
    while not whole and (piece := stream.readline(longest)):
        size += len(piece)
        whole = piece.endswith(b"\n")
    return RawLine(None, size, whole)


def reachable(at: int) -> bool:
    """Whether a time (milliseconds) can be a source position."""
    return abs(at) < _FURTHEST


def fits(values: Iterable[Any]) -> bool:
    """Whether all whole numbers can be written down (``schemas.codec``)."""
    for value in values:
        if (type(value) is int and value.bit_length() > 63) or (type(value) is list and not fits(value)):
            return False
    return True
