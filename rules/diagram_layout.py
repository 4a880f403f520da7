"""Where the boxes of a diagram stand: columns by distance from the main tab, sizes by their text."""

import unicodedata
from collections import defaultdict
from dataclasses import dataclass

from rules.diagram import Diagram, DiagramRule, DiagramTab

MARGIN = 24
HEADER = 46
"""Height of the part of a box that holds alias and name."""
ROW = 20
"""Height of one rule in a box."""
SPACE = 30
"""Between the boxes of a column."""
TITLE = 40
MIN_WIDTH, MAX_WIDTH = 130, 400
MIN_GAP, MAX_LABEL = 90, 200
PADDING = 12
LEGEND_SIGN, LEGEND_LINE, LEGEND_SPACE = 18, 30, 20


@dataclass(frozen=True, slots=True)
class Box:
    """A tab with its place in pixels and the rules that are listed in it."""

    tab: DiagramTab
    rules: tuple[DiagramRule, ...]
    column: int
    x: int
    y: int
    width: int

    @property
    def height(self) -> int:
        """Header and rules."""
        return HEADER + (len(self.rules) * ROW + 8 if self.rules else 0)

    @property
    def right(self) -> int:
        """The x of the right side."""
        return self.x + self.width

    def row(self, index: int) -> int:
        """The y of the middle of a rule's row."""
        return self.y + HEADER + index * ROW + ROW // 2


@dataclass(frozen=True, slots=True)
class Layout:
    """All boxes by alias, and the size of the whole picture."""

    boxes: dict[str, Box]
    width: int
    height: int


def place(diagram: Diagram) -> Layout:
    """The boxes of a diagram in columns from left to right, each column centred."""
    columns = _columns(diagram)
    sizes = {tab.alias: Box(tab, _rules_of(diagram, tab), 0, 0, 0, _width(diagram, tab)) for tab in diagram.tabs}
    height = max((_column_height([sizes[alias] for alias in column]) for column in columns), default=0)
    boxes: dict[str, Box] = {}
    x = MARGIN
    for number, column in enumerate(columns):
        members = [sizes[alias] for alias in column]
        boxes |= _stacked(members, number, x, TITLE + MARGIN + (height - _column_height(members)) // 2)
        x += max(box.width for box in members) + _gap(diagram, column)
    right = max((box.right for box in boxes.values()), default=0)
    # Room on the right for the arrows that come back, below for the legend.
    width = max(right + 60, text_width(diagram.title, 17) + 2 * MARGIN, _legend_width(diagram)) + MARGIN
    return Layout(boxes, width, TITLE + 2 * MARGIN + height + 36)


def text_width(text: str, size: int = 13) -> int:
    """Pixels that a text takes, on the safe side: wide characters a square, others three fifths of one."""
    fifths = sum(5 if unicodedata.east_asian_width(char) in "WFA" else 3 for char in text)
    return (fifths * size + 4) // 5


def fitted(text: str, pixels: int, size: int = 13) -> str:
    """The text, cut with … where it is wider than the pixels given."""
    if text_width(text, size) <= pixels:
        return text
    kept = text
    while kept and text_width(kept + "…", size) > pixels:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def signs(diagram: Diagram) -> tuple[tuple[str, str], ...]:
    """The kinds of lines in a diagram and what the legend says of them."""
    acts = any(act.tab for rule in diagram.rules for act in rule.acts)
    return (*((("relation", "belongs to"),) if diagram.edges else ()), *((("act", "a rule writes"),) if acts else ()))


def _legend_width(diagram: Diagram) -> int:
    connections = {tab.connection for tab in diagram.tabs}
    texts = [LEGEND_SIGN + text_width(name, 12) + LEGEND_SPACE for name in connections]
    return MARGIN + sum(texts) + sum(LEGEND_LINE + text_width(words, 12) + LEGEND_SPACE for _, words in signs(diagram))


def _rules_of(diagram: Diagram, tab: DiagramTab) -> tuple[DiagramRule, ...]:
    return tuple(rule for rule in diagram.rules if rule.tab == tab.alias)


def _columns(diagram: Diagram) -> list[list[str]]:
    """Aliases by distance from the main tab, children in the order of their parents; strays begin again."""
    near: dict[str, list[str]] = defaultdict(list)
    for edge in diagram.edges:
        near[edge.near].append(edge.far)
        near[edge.far].append(edge.near)
    known = {tab.alias for tab in diagram.tabs}
    starts = sorted(diagram.tabs, key=lambda tab: not tab.main)  # stable: file order after the main tab
    columns: list[list[str]] = []
    seen: set[str] = set()
    for start in starts:
        level, number = [start.alias] if start.alias not in seen else [], 0
        while level:
            seen.update(level)
            columns += [[]] if number == len(columns) else []
            columns[number] += level
            nexts = dict.fromkeys(other for alias in level for other in near[alias])
            level, number = [other for other in nexts if other in known - seen], number + 1
    return columns


def _width(diagram: Diagram, tab: DiagramTab) -> int:
    texts = [text_width(tab.alias, 15), text_width(tab.label, 12)]
    texts += [text_width(rule.summary, 12) for rule in _rules_of(diagram, tab)]
    return min(MAX_WIDTH, max(MIN_WIDTH, max(texts) + 2 * PADDING))


def _column_height(boxes: list[Box]) -> int:
    return sum(box.height for box in boxes) + SPACE * (len(boxes) - 1)


def _stacked(boxes: list[Box], column: int, x: int, y: int) -> dict[str, Box]:
    placed = {}
    for box in boxes:
        placed[box.tab.alias] = Box(box.tab, box.rules, column, x, y, box.width)
        y += box.height + SPACE
    return placed


def _gap(diagram: Diagram, column: list[str]) -> int:
    """The space to the right of a column: the labels of the relations that leave it must fit."""
    labels = (text_width(edge.label, 11) for edge in diagram.edges if edge.near in column)
    return max(MIN_GAP, min(MAX_LABEL, max(labels, default=0)) + 60)
