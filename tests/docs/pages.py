"""The pages of the documentation as data: their fenced blocks, their tables and their links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HOME = Path(__file__).parents[2]
DOCS = HOME / "docs"
PAGES = tuple(
    HOME / name
    for name in (
        "README.md", "docs/tutorial.md", "docs/workflow-file.md", "docs/criteria.md", "docs/project.md",
        "docs/commands.md", "docs/contracts.md", "docs/connections.md", "docs/sync.md",
    )
)  # fmt: skip
LINKING = (
    *PAGES,
    *(
        HOME / name
        for name in (
            "docs/extending.md",
            "docs/operations.md",
            "docs/scaling.md",
            "docs/decisions.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
        )
    ),
)
"""All pages whose links are followed."""

_FENCE = re.compile(r"^```(\S*) ?(.*)$")
_CODE = re.compile(r"`((?:[^`\\]|\\.)+)`|``\s?(.+?)\s?``")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words after it, its text, and the line where its text begins."""

    page: Path
    line: int
    language: str
    words: str
    text: str

    @property
    def id(self) -> str:
        """Where it stands, as test names show it."""
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Row:
    """One row of a table, by the headings of its columns."""

    page: Path
    line: int
    cells: dict[str, str]

    def codes(self, heading: str) -> list[str]:
        """What stands in backticks in one cell."""
        return codes(self.cells[heading])


@cache
def text_of(page: Path) -> str:
    """The text of a page."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str = "") -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [one for one in _blocks(page) if language in ("", one.language)]


@cache
def _blocks(page: Path) -> tuple[Block, ...]:
    found: list[Block] = []
    opened: tuple[int, str, str] | None = None
    inside: list[str] = []
    for number, line in enumerate(text_of(page).splitlines(), 1):
        fence = _FENCE.match(line)
        if fence is None:
            inside.append(line)
        elif opened is None:
            opened, inside = (number + 1, fence[1], fence[2].strip()), []
        else:
            found.append(Block(page, *opened, "\n".join(inside) + "\n"))
            opened = None
    assert opened is None, f"{page.name}: the block of line {opened} is not closed"
    return tuple(found)


def rows(page: Path, heading: str) -> list[Row]:
    """The rows of all tables whose first column has this heading."""
    return list(_rows(page, heading))


def _rows(page: Path, heading: str) -> Iterator[Row]:
    names: list[str] | None = None
    for number, line in enumerate(text_of(page).splitlines(), 1):
        cells = _cells(line)
        if cells is None:
            names = None
        elif names is None:
            names = cells
        elif names[0] == heading and not set("".join(cells)) <= set("-: "):
            assert len(cells) == len(names), f"{page.name}:{number}: {len(cells)} cells below {len(names)} headings"
            yield Row(page, number, dict(zip(names, cells, strict=True)))


def _cells(line: str) -> list[str] | None:
    if not line.startswith("|"):
        return None
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def codes(text: str) -> list[str]:
    """What stands in backticks, a pipe of a table written as ``\\|``."""
    return [(one or other).replace("\\|", "|") for one, other in _CODE.findall(text)]


def links(page: Path) -> list[str]:
    """The targets of all links of a page, those inside blocks left out."""
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return _LINK.findall(prose)


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page make."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
