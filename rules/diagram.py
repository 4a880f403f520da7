"""A workflow as a picture: what is drawn, and the same as Mermaid text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DiagramTab:
    """A box: one tab by its alias, with its name in the CRM below."""

    alias: str
    label: str = ""
    connection: str = ""
    main: bool = False


@dataclass(frozen=True, slots=True)
class DiagramEdge:
    """A relation, from the tab nearer to the main tab to the one further away."""

    near: str
    far: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class DiagramAct:
    """What a rule does: its verb, and the alias of the tab that it acts on, if it acts on one."""

    verb: str
    tab: str = ""


@dataclass(frozen=True, slots=True)
class DiagramRule:
    """A rule, drawn in the box of the tab that wakes it, with arrows to the tabs that it acts on."""

    name: str
    tab: str
    acts: tuple[DiagramAct, ...] = ()

    @property
    def summary(self) -> str:
        """The rule in one line: ``ask-for-demo: create demo, notify``."""
        acts = (f"{act.verb} {act.tab}".strip() for act in self.acts)
        return ": ".join(part for part in (self.name, ", ".join(acts)) if part)


@dataclass(frozen=True, slots=True)
class Diagram:
    """All that is drawn of one workflow, in file order."""

    title: str
    tabs: tuple[DiagramTab, ...]
    edges: tuple[DiagramEdge, ...] = ()
    rules: tuple[DiagramRule, ...] = ()

    @property
    def connections(self) -> tuple[str, ...]:
        """The connections in the order in which they get their colours."""
        return tuple(sorted({tab.connection for tab in self.tabs}))


PALETTE = (
    ("#e3f0fd", "#2166ac"), ("#e6f4e6", "#2f7d32"), ("#fdf0dc", "#b26a00"),
    ("#f3e8f7", "#7b3f98"), ("#fde7e7", "#b3353a"), ("#e4f5f4", "#00766c"),
)  # fmt: skip
"""Fill and line per connection, readable for colour-blind eyes by their lightness."""


def colours(diagram: Diagram) -> dict[str, tuple[str, str]]:
    """Fill and line of each connection; more connections than colours share them."""
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(diagram.connections)}


def mermaid(diagram: Diagram) -> str:
    """The diagram as a Mermaid flowchart: relations as lines, rules as dotted arrows, or as notes."""
    nodes = {tab.alias: f"t{index}" for index, tab in enumerate(diagram.tabs)}
    lines = ["---", f'title: "{_text(diagram.title)}"', "---", "flowchart LR"]
    lines += [f"  {nodes[tab.alias]}{_box(tab)}" for tab in diagram.tabs]
    lines += [
        f"  {nodes[edge.near]} ---{_label(edge.label)} {nodes[edge.far]}"
        for edge in diagram.edges
        if edge.near in nodes and edge.far in nodes
    ]
    for index, rule in enumerate(diagram.rules):
        if rule.tab in nodes:
            lines += _rule_lines(rule, f"r{index}", nodes)
    return "\n".join([*lines, *_classes(diagram, nodes)]) + "\n"


def _rule_lines(rule: DiagramRule, note: str, nodes: dict[str, str]) -> list[str]:
    source = nodes[rule.tab]
    arrows = [
        f"  {source} -.->{_label(f'{rule.name}: {act.verb}')} {nodes[act.tab]}" for act in rule.acts if act.tab in nodes
    ]
    if arrows:
        return arrows
    return [f'  {note}>"{_text(rule.summary)}"]', f"  {source} -.- {note}"]


def _classes(diagram: Diagram, nodes: dict[str, str]) -> list[str]:
    lines = []
    for index, (connection, (fill, line)) in enumerate(colours(diagram).items()):
        members = ",".join(nodes[tab.alias] for tab in diagram.tabs if tab.connection == connection)
        lines += [
            f"  classDef c{index} fill:{fill},stroke:{line},color:#1b1b1b",
            f"  class {members} c{index}",
        ]
    return lines


def _box(tab: DiagramTab) -> str:
    text = _text(tab.alias) + (f"<br/>{_text(tab.label)}" if tab.label else "")
    return f'[["{text}"]]' if tab.main else f'["{text}"]'


def _label(text: str) -> str:
    return f'|"{_text(text)}"|' if text else ""


def _text(text: str) -> str:
    """Text that Mermaid takes as text: its own signs as entity codes."""
    plain = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    for sign, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;")):
        plain = plain.replace(sign, code)
    return plain
