"""Reading a workflow file: YAML 1.2 without its traps, bounded in size, with the position of every value.

Tags, merge keys, duplicate keys and several documents are refused; aliases are few and count in full.
"""

from collections.abc import Iterator
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.reader import ReaderError

from rules.document import Document, Node, Path, Plain, Position, Span
from rules.errors import Place, Problem, Problems, WorkflowError, refuse
from rules.scalars import Refusal, resolve
from rules.syntax import explain_syntax

__all__ = ["Document", "Path", "Plain", "Position", "read_yaml"]

MAX_BYTES = 1_000_000
MAX_LINE = 100_000
"""Characters of one line."""
MAX_DEPTH = 40
MAX_ALIASES = 20
MAX_LINES = 20_000
MAX_VALUES = 10_000
"""Keys and values of one file, each alias counted as what it stands for."""
MAX_PROBLEMS = 50
"""Problems told at once; a file with more is not read to its end."""


def read_yaml(text: str | bytes, name: str) -> Document:
    """The file as plain values with positions; ``name`` is what messages call it.

    Takes text, or bytes in UTF-8. At most 1 MB, 40 levels, 20 aliases and 10 000 values.

    Raises:
        WorkflowError: with everything that is wrong with it as YAML; beyond a syntax error nothing is read.
    """
    content = _decoded(text, name).removeprefix("\ufeff")
    lines = tuple(content.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    _check_size(content, lines, name)
    composer = _Composer(YAML(typ="safe", pure=True).parse(content), name, lines)
    try:
        root = composer.document()
    except YAMLError as error:
        composer.stop(*_syntax_problem(error, content))
    if composer.problems:
        raise WorkflowError(Problems.of(composer.problems))
    return Document(name, lines, root)


def _decoded(text: str | bytes, name: str) -> str:
    size = len(text) if isinstance(text, bytes) else len(text[: MAX_BYTES + 1].encode(errors="surrogatepass"))
    if size > MAX_BYTES:
        refuse(
            f"the file is larger than {MAX_BYTES // 1_000_000} MB",
            "Split it into several workflows.",
            Place(name),
        )
    if isinstance(text, str):
        return text
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        refuse("this is not UTF-8 text", "Save the file with the encoding UTF-8.", Place(name, line, 1))


def _check_size(content: str, lines: tuple[str, ...], name: str) -> None:
    if len(lines) > MAX_LINES:
        refuse(f"the file has more than {MAX_LINES} lines", "Split it into several workflows.", Place(name))
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            problem = f"this line has {len(line)} characters, at most {MAX_LINE} are read"
            refuse(problem, "Write each key on a line of its own.", Place(name, number, 1))
    if not content.strip():
        refuse("the file is empty", "Start with `workflow: <name>`.", Place(name, 1, 1))


class _Composer:
    """Builds nodes from parser events; counts what an expanded file would hold, so nothing is expanded."""

    def __init__(self, events: Iterator[Event], name: str, lines: tuple[str, ...]) -> None:
        self.problems: list[Problem] = []
        self._events = events
        self._blank = Document(name, lines, Node(None, Span(Position(1, 1), Position(1, 1))))
        self._anchors: dict[str, Node | None] = {}  # none: still being read
        self._aliases = 0
        self._values = 0

    def document(self) -> Node:
        """The root of the only document."""
        next(self._events)  # the start of the stream
        start = next(self._events)
        if isinstance(start, StreamEndEvent):
            self.stop("the file is empty", "Start with `workflow: <name>`.", Span(Position(1, 1), Position(1, 2)))
        if isinstance(start, DocumentStartEvent) and (start.version or start.tags):
            self._tell("'%' directives are not read", "Remove the line.", _span(start))
        root = self._node(next(self._events), depth=1)
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, StreamEndEvent):
            hint = "Put each workflow into a file of its own, and remove the line `---`."
            self.stop("a second document begins here", hint, _span(after))
        return root

    def stop(self, problem: str, hint: str, span: Span) -> NoReturn:
        """Refuses the file here and now, with what was found before."""
        self._add(problem, hint, span)
        raise WorkflowError(Problems.of(self.problems))

    def _tell(self, problem: str, hint: str, span: Span) -> None:
        self._add(problem, hint, span)
        if len(self.problems) >= MAX_PROBLEMS:
            raise WorkflowError(Problems.of(self.problems))

    def _add(self, problem: str, hint: str, span: Span) -> None:
        (line, column), end = span
        length = end.column - column if end.line == line else 1
        excerpt = self._blank.excerpt(span.start, max(1, length))
        self.problems.append(Problem(problem, hint, Place(self._blank.name, line, column, excerpt=excerpt)))

    def _node(self, event: Event, depth: int) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        self._count(1, event, depth)
        self._check_tag(event)
        anchor = event.anchor if isinstance(event, NodeEvent) else None
        if anchor is not None:
            self._open(anchor, event)
        node = self._fresh(event, depth)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _fresh(self, event: Event, depth: int) -> Node:
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(event, depth)
        return self._mapping(event, depth)

    def _scalar(self, event: ScalarEvent) -> Node:
        if event.style:
            return Node(event.value, _span(event), event.style)
        value = resolve(event.value)
        if isinstance(value, Refusal):
            self._tell(value.problem, value.hint, _span(event))
            value = None
        return Node(value, _span(event))

    def _sequence(self, start: Event, depth: int) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        values: list[Plain] = [item.value for item in items]
        return _collection(values, Span(_start(start), _end(event)), dict(enumerate(items)), None)

    def _mapping(self, start: Event, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        keys: dict[str | int, Span] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._key(event, depth, keys)
            value = self._node(next(self._events), depth + 1)
            if key is not None:
                children[key], keys[key] = value, _span(event)
        values: dict[str | int, Plain] = {key: child.value for key, child in children.items()}
        return _collection(values, Span(_start(start), _end(event)), children, keys)

    def _key(self, event: Event, depth: int, earlier: dict[str | int, Span]) -> str | int | None:
        """The key, or none where it is refused."""
        node = self._node(event, depth + 1)
        key, span = node.value, _span(event)
        if isinstance(event, ScalarEvent) and not event.style and key == "<<":
            self._tell("the merge key '<<' is not read", "Write the fields out where they belong.", span)
        elif isinstance(key, bool) or not isinstance(key, str | int) or isinstance(event, AliasEvent):
            self._tell("a key must be text or a whole number", 'Put the key in quotes: "…".', span)
        elif (first := _same_key(key, earlier)) is not None:
            hint = f"It stands already in line {first.start.line}: keep one of them."
            self._tell(f"the key '{key}' is written twice", hint, span)
        else:
            return key
        return None

    def _alias(self, event: AliasEvent, depth: int) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            hint = "Write the values out, or split the file."
            self.stop(f"more than {MAX_ALIASES} aliases (`*name`)", hint, _span(event))
        node = self._anchors.get(event.anchor)
        if node is None:
            how = "stands inside itself" if event.anchor in self._anchors else "names no anchor"
            hint = f"Write `&{event.anchor}` before a value further up, or write the value out."
            self.stop(f"the alias '*{event.anchor}' {how}", hint, _span(event))
        self._count(node.size, event, depth + node.height - 1)
        return node

    def _open(self, anchor: str, event: Event) -> None:
        if anchor in self._anchors:
            self._tell(f"the anchor '&{anchor}' is written twice", "Give one of them another name.", _span(event))
        self._anchors[anchor] = None

    def _count(self, values: int, event: Event, depth: int) -> None:
        self._values += values
        if depth > MAX_DEPTH:
            self.stop(f"more than {MAX_DEPTH} levels inside each other", "Write it flatter.", _span(event))
        if self._values > MAX_VALUES:
            hint = "Split it into several workflows; an alias counts as all that it stands for."
            self.stop(f"the file holds more than {MAX_VALUES} values", hint, _span(event))

    def _check_tag(self, event: Event) -> None:
        if isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag is not None:
            hint = "Remove the word that begins with '!': a value's type is told by how it is written."
            self._tell("YAML tags are not read", hint, _span(event))


def _collection(value: Plain, span: Span, children: dict[str | int, Node], keys: dict[str | int, Span] | None) -> Node:
    size = 1 + len(keys or ()) + sum(child.size for child in children.values())
    height = 1 + max((child.height for child in children.values()), default=0)
    return Node(value, span, "", children, keys, size, height)


def _same_key(key: str | int, earlier: dict[str | int, Span]) -> Span | None:
    """Where the key stands already; ``1`` and ``"1"`` are the same to a reader."""
    other = int(key) if isinstance(key, str) and key.isdecimal() and len(key) < 30 else str(key)
    return earlier.get(key) or earlier.get(other)


def _start(event: Event) -> Position:
    return Position(event.start_mark.line + 1, event.start_mark.column + 1)


def _end(event: Event) -> Position:
    return Position(event.end_mark.line + 1, event.end_mark.column + 1)


def _span(event: Event) -> Span:
    return Span(_start(event), _end(event))


def _syntax_problem(error: YAMLError, content: str) -> tuple[str, str, Span]:
    """What the parser stumbled over, in the words of someone who never saw a grammar."""
    if isinstance(error, ReaderError):
        before = content[: error.position]
        at = Position(before.count("\n") + 1, error.position - before.rfind("\n"))
        hint = "Delete it; it may be invisible in your editor."
        return "a character that cannot be printed", hint, Span(at, at)
    if not isinstance(error, MarkedYAMLError):
        return *explain_syntax("", ""), Span(Position(1, 1), Position(1, 1))
    problem, hint = explain_syntax(error.problem or "", error.context or "")
    mark = error.problem_mark or error.context_mark
    # What was opened and never closed is found where it was opened, not where the parser gave up.
    if error.context_mark and error.context_mark.line != mark.line and "block" not in (error.context or ""):
        mark = error.context_mark
    at = Position(mark.line + 1, mark.column + 1)
    return problem, hint, Span(at, at)
