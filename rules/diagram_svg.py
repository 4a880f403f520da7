"""A diagram as one self-contained SVG file, the same bytes for the same workflow."""

from collections.abc import Iterator
from html import escape

from rules.diagram import Diagram, DiagramEdge, DiagramRule, colours
from rules.diagram_layout import (
    HEADER,
    LEGEND_LINE,
    LEGEND_SIGN,
    LEGEND_SPACE,
    MARGIN,
    MAX_LABEL,
    MIN_GAP,
    PADDING,
    TITLE,
    Box,
    Layout,
    fitted,
    place,
    signs,
    text_width,
)

_FONT = "'Noto Sans','Noto Sans CJK JP','Hiragino Sans','Yu Gothic','Segoe UI',Helvetica,Arial,sans-serif"
_STYLE = f"""\
text{{font-family:{_FONT};fill:#1b1b1b}}
.title{{font-size:17px;font-weight:600}} .alias{{font-size:15px;font-weight:600}}
.small{{font-size:12px}}
.label{{font-size:11px;fill:#555;stroke:#fff;stroke-width:4px;stroke-linejoin:round;paint-order:stroke}}
.relation{{fill:none;stroke:#777;stroke-width:1.5}}
.act{{fill:none;stroke:#c0392b;stroke-width:1.3;stroke-dasharray:5 3;marker-end:url(#tip)}}"""
_TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0,0 L8,4 L0,8 z" fill="#c0392b"/></marker>'
)


def svg(diagram: Diagram) -> str:
    """The diagram as SVG: tabs as boxes coloured by connection, relations as lines, actions as arrows."""
    layout = place(diagram)
    size = f'width="{layout.width}" height="{layout.height}" viewBox="0 0 {layout.width} {layout.height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{_safe(diagram.title)}</title>",
        f"<style>{_STYLE}</style><defs>{_TIP}</defs>",
        f'<rect width="{layout.width}" height="{layout.height}" fill="#ffffff"/>',
        _text(MARGIN, TITLE, diagram.title, "title"),
        *_relations(diagram, layout),
        *_arrows(diagram, layout),
        *_labels(diagram, layout),  # above all lines, so that none runs through them
        *(_box(box, *colours(diagram)[box.tab.connection]) for box in layout.boxes.values()),
        *_legend(diagram, layout),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _relations(diagram: Diagram, layout: Layout) -> Iterator[str]:
    for _, near, far in _ends(diagram, layout):
        start, end = near.y + HEADER // 2, far.y + HEADER // 2
        ahead = far.column > near.column
        line = _curve(near.right, start, far.x, end) if ahead else _bow(near.right, start, far.right, end)
        yield f'<path class="relation" d="{line}"/>'


def _labels(diagram: Diagram, layout: Layout) -> Iterator[str]:
    """The label of each relation, above its end at the far box."""
    for edge, near, far in _ends(diagram, layout):
        ahead = far.column > near.column
        x, anchor = (far.x - 8, "end") if ahead else (far.right + 8, "start")
        label = fitted(edge.label, MAX_LABEL, 11)
        yield _text(x, far.y + HEADER // 2 - 5, label, "label", edge.label, anchor)


def _ends(diagram: Diagram, layout: Layout) -> Iterator[tuple[DiagramEdge, Box, Box]]:
    boxes = layout.boxes
    return (
        (edge, boxes[edge.near], boxes[edge.far]) for edge in diagram.edges if {edge.near, edge.far} <= boxes.keys()
    )


def _arrows(diagram: Diagram, layout: Layout) -> Iterator[str]:
    for box in layout.boxes.values():
        for index, rule in enumerate(box.rules):
            targets = dict.fromkeys(act.tab for act in rule.acts if act.tab in layout.boxes)
            for alias in targets:
                yield _arrow(rule, box, box.row(index), layout.boxes[alias])


def _arrow(rule: DiagramRule, source: Box, y: int, target: Box) -> str:
    end = target.y + HEADER - 10
    if target.column > source.column:
        line = _curve(source.right, y, target.x, end)
    elif target.column < source.column:
        line = _curve(source.x, y, target.right, end)
    else:
        line = _bow(source.right, y, target.right, end)
    title = f"<title>{_safe(rule.summary)}</title>"
    return f'<path class="act" d="{line}">{title}</path>'


def _curve(x: int, y: int, to_x: int, to_y: int) -> str:
    """A line between two columns that leaves and arrives level."""
    bend = MIN_GAP // 2 if to_x > x else -MIN_GAP // 2
    return f"M{x},{y} C{x + bend},{y} {to_x - bend},{to_y} {to_x},{to_y}"


def _bow(x: int, y: int, to_x: int, to_y: int) -> str:
    """A line out to the right and back."""
    out = max(x, to_x) + 44
    return f"M{x},{y} C{out},{y} {out},{to_y} {to_x},{to_y}"


def _box(box: Box, fill: str, line: str) -> str:
    tab, inner = box.tab, box.width - 2 * PADDING
    stroke = 3 if tab.main else 1.5
    shape = f'x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6"'
    parts = [
        f'<rect {shape} fill="{fill}" stroke="{line}" stroke-width="{stroke}"/>',
        _text(box.x + PADDING, box.y + 20, fitted(tab.alias, inner, 15), "alias", tab.alias),
        _text(box.x + PADDING, box.y + 37, fitted(tab.label, inner, 12), "small", tab.label),
    ]
    if box.rules:
        y = box.y + HEADER
        parts.append(f'<path d="M{box.x},{y} H{box.right}" stroke="{line}" stroke-width="0.7"/>')
    for index, rule in enumerate(box.rules):
        text = fitted(rule.summary, inner, 12)
        parts.append(_text(box.x + PADDING, box.row(index) + 4, text, "small", rule.summary))
    return "".join(parts)


def _legend(diagram: Diagram, layout: Layout) -> Iterator[str]:
    """What the lines mean, then the colours of the connections."""
    x, y = MARGIN, layout.height - MARGIN
    for style, words in signs(diagram):
        yield f'<path class="{style} sign" d="M{x},{y - 4} h24"/>' + _text(x + LEGEND_LINE, y, words, "small")
        x += LEGEND_LINE + text_width(words, 12) + LEGEND_SPACE
    for connection, (fill, line) in colours(diagram).items():
        sign = f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{fill}" stroke="{line}"/>'
        yield sign + _text(x + LEGEND_SIGN, y, connection, "small")
        x += LEGEND_SIGN + text_width(connection, 12) + LEGEND_SPACE


def _text(x: int, y: int, shown: str, style: str, whole: str = "", anchor: str = "start") -> str:
    """A text; where it was cut, the whole of it appears under the pointer."""
    if not shown:
        return ""
    title = f"<title>{_safe(whole)}</title>" if whole and whole != shown else ""
    at = f'x="{x}" y="{y}"' + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return f'<text {at} class="{style}">{title}{_safe(shown)}</text>'


def _safe(text: str) -> str:
    """Text for XML: its signs escaped, what XML cannot hold replaced."""
    return escape("".join(char if char.isprintable() or char == "\u3000" else "\ufffd" for char in text))
