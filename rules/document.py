"""A workflow file that was read: its plain values, and where in the text each of them stands."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from rules.errors import Place, Problem, Severity
from rules.scalars import Scalar

Plain: TypeAlias = "Scalar | list[Plain] | dict[str | int, Plain]"
Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the top of the file: ``("rules", "deal", 1, "trigger")``."""

_WINDOW = 110
"""Characters of a long source line that an excerpt shows."""


class Position(NamedTuple):
    """A place in the text; both count from 1, columns in characters."""

    line: int
    column: int


class Span(NamedTuple):
    """A stretch of the text, the end excluded."""

    start: Position
    end: Position


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the file with its place; an alias shares the node of its anchor.

    ``style`` is how a scalar is written: empty for plain, else ``'``, ``"``, ``|`` or ``>``. ``size`` and
    ``height`` count the values below, aliases expanded, this one included.
    """

    value: Plain
    span: Span
    style: str = ""
    children: Mapping[str | int, "Node"] | None = None
    keys: Mapping[str | int, Span] | None = None
    size: int = 1
    height: int = 1

    def child(self, step: str | int) -> "Node | None":
        """The value at a key or list position, or none."""
        return self.children.get(step) if self.children else None


@dataclass(frozen=True, slots=True)
class Document:
    """One file: ``value`` is plain Python, fractions exact, with the position of each part.

    A path that does not exist has the position of the nearest value above it that does.
    """

    name: str
    lines: tuple[str, ...]
    root: Node

    @property
    def value(self) -> Plain:
        """The whole file as dicts, lists and scalars. Not to be written into."""
        return self.root.value

    def node(self, path: Path) -> Node | None:
        """The value at a path, or none."""
        found: Node | None = self.root
        for step in path:
            found = found.child(step) if found else None
        return found

    def position(self, path: Path) -> Position:
        """Where the value at a path begins."""
        return self._nearest(path).span.start

    def key_position(self, path: Path) -> Position:
        """Where the key of the value at a path begins; of a list item, the item."""
        return self._key_span(path).start

    def excerpt(self, position: Position, length: int = 1) -> str:
        """The source line of a position and a line with ``length`` carets below it; no line, no text."""
        if not 1 <= position.line <= len(self.lines):
            return ""
        return caret(self.lines[position.line - 1], position.column, length)

    def place(self, path: Path, key: bool = False) -> Place:
        """The place of the value at a path, or of its key."""
        return self._place(self._key_span(path) if key else self._nearest(path).span, path)

    def place_in_text(self, path: Path, source: str, start: int, end: int) -> Place:
        """The place of ``source[start:end]`` inside the text at a path; ``source`` is all of it or a part.

        Falls back to the whole text where the spot cannot be told for sure.
        """
        node = self._nearest(path)
        span = self._span_in_text(node, source, start, end) or node.span
        return self._place(span, path)

    def problem(self, path: Path, problem: str, hint: str = "", severity: Severity = "error") -> Problem:
        """A problem with the value at a path."""
        return Problem(problem, hint, self.place(path), severity)

    def _nearest(self, path: Path) -> Node:
        found = (self.node(path[:length]) for length in range(len(path), -1, -1))
        return next((node for node in found if node is not None), self.root)

    def _key_span(self, path: Path) -> Span:
        parent = self.node(path[:-1]) if path else None
        span = parent.keys.get(path[-1]) if parent and parent.keys else None
        return span or self._nearest(path).span

    def _place(self, span: Span, path: Path) -> Place:
        excerpt = self.excerpt(span.start, self._length(span))
        return Place(self.name, span.start.line, span.start.column, where(path), excerpt)

    def _length(self, span: Span) -> int:
        """Characters of a span on its first line."""
        (line, column), (last, end) = span
        if line != last:
            end = len(self.lines[line - 1].rstrip()) + 1 if line <= len(self.lines) else column
        return max(1, end - column)

    def _span_in_text(self, node: Node, source: str, start: int, end: int) -> Span | None:
        base = node.value.find(source) if isinstance(node.value, str) else -1
        if base < 0 or not isinstance(node.value, str):
            return None
        wanted = _written(node.value[base + start : base + end], node.style)
        before = _written(node.value[: base + start], node.style)
        raw = self._raw(node.span)
        # The same words before it and as many in all: then the n-th here is the n-th there.
        if not wanted.strip() or raw.count(wanted) != _written(node.value, node.style).count(wanted):
            return None
        at = _nth(raw, wanted, before.count(wanted))
        return Span(_forward(node.span.start, raw[:at]), _forward(node.span.start, raw[: at + len(wanted)]))

    def _raw(self, span: Span) -> str:
        (first, column), (last, end) = span
        lines = list(self.lines[first - 1 : last])
        if last <= len(self.lines):
            lines[-1] = lines[-1][: end - 1]
        return "\n".join(lines)[column - 1 :]


def where(path: Iterable[str | int]) -> str:
    """A path as people write it: ``rules.deal[1].trigger``; list items count from 0."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and not set(step) & set(' .[]"'):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def caret(line: str, column: int, length: int) -> str:
    """A source line without its indentation, carets under ``length`` characters from ``column`` (from 1).

    Long lines are cut around the spot; wide characters get two carets; the unprintable is shown as ``�``.
    """
    text = "".join(_printable(char) for char in line.rstrip())
    start = max(len(text) - len(text.lstrip()), column - _WINDOW // 2 if len(text) > _WINDOW else 0)
    start = min(start, column - 1)
    shown = text[start : start + _WINDOW]
    if start and text[:start].strip():
        shown = "…" + shown[1:]
    before, marked = shown[: column - 1 - start], shown[column - 1 - start :][:length]
    return f"{shown}\n{' ' * _width(before)}{'^' * max(1, _width(marked))}"


def _printable(char: str) -> str:
    if char == "\t":
        return " "
    return char if char.isprintable() or char == "\u3000" else "�"


def _width(text: str) -> int:
    """Terminal columns of a text: two for wide characters, none for combining ones."""
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") - bool(unicodedata.combining(char)) for char in text)


def _written(text: str, style: str) -> str:
    """Text as it stands in the file between its quotes."""
    if style == "'":
        return text.replace("'", "''")
    if style == '"':
        return text.replace("\\", "\\\\").replace('"', '\\"')
    return text


def _nth(text: str, part: str, n: int) -> int:
    """Where the n-th (from 0) non-overlapping occurrence of a part begins."""
    at = text.find(part)
    for _ in range(n):
        at = text.find(part, at + len(part))
    return at


def _forward(position: Position, text: str) -> Position:
    breaks = text.count("\n")
    if not breaks:
        return Position(position.line, position.column + len(text))
    return Position(position.line + breaks, len(text) - text.rindex("\n"))
