"""Playing a page: its files are written, its changes made, and its commands run; what they print is compared.

A block is played by the words after its language. A yaml, csv or liquid block with a path is that file; with a path
and ``shown`` it is a part of the file. A diff block with a path changes it; one of only ``+`` lines adds them at its
end. A console block holds ``$`` commands and what they print, where a line ``…`` stands for any lines.
``python -m tests.docs.console`` writes what the commands print now into the tutorial.
"""

import contextlib
import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from renkei.cli import app
from tests.docs.pages import DOCS, Block, blocks

TUTORIAL = DOCS / "tutorial.md"
ANY = "…"
_CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"\b[0-9a-f]{24}\b"), "ID"),
)


@dataclass(frozen=True)
class Said:
    """One command and what it printed."""

    command: str
    expected: str
    printed: str

    @property
    def holds(self) -> bool:
        """Whether it printed what the page says, times and ids left aside."""
        return matches(self.expected, self.printed)


def matches(expected: str, printed: str) -> bool:
    """Whether lines are as expected; ``…`` stands for any lines, times and ids for any others."""
    parts = [re.escape(settled(part)) for part in re.split(rf"^{ANY}\n", expected, flags=re.MULTILINE)]
    return re.fullmatch("(?:.*\n)*?".join(parts), settled(printed)) is not None


def settled(text: str) -> str:
    """A text without what differs from day to day."""
    text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    return text


def play(page: Path, folder: Path) -> Iterator[tuple[Block, list[Said]]]:
    """Play a page in an empty folder; the commands of each console block as they are run."""
    desk = _Desk(folder)
    for block in blocks(page):
        path, _, how = block.words.partition(" ")
        if block.language == "console":
            yield block, [desk.run(command, output) for command, output in _commands(block.text)]
        elif block.language == "diff":
            desk.change(path, block.text)
        elif how == "shown":
            desk.compare(path, block)
        elif path:
            desk.write(path, block.text)


def _commands(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


class _Desk:
    def __init__(self, folder: Path) -> None:
        self._here = folder

    def run(self, command: str, expected: str) -> Said:
        """Run ``cd`` or ``renkei``; nothing else is typed in a tutorial that runs everywhere."""
        words = shlex.split(command)
        if words[0] == "cd":
            self._here /= words[1]
            return Said(command, expected, "")
        assert words[0] == "renkei", command
        with contextlib.chdir(self._here):
            result = CliRunner(env={"COLUMNS": "100"}).invoke(app, words[1:])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(command, expected, result.output.lstrip("\n"))

    def write(self, path: str, text: str) -> None:
        (self._here / path).write_text(text, encoding="utf-8")

    def change(self, path: str, text: str) -> None:
        """Put the ``+`` lines where the ``-`` lines stand, or at the end."""
        file = self._here / path
        old = "".join(f"{line[1:]}\n" for line in text.splitlines() if line[:1] in "- ")
        new = "".join(f"{line[1:]}\n" for line in text.splitlines() if line[:1] in "+ ")
        found = file.read_text(encoding="utf-8")
        assert not old or found.count(old) == 1, f"{path} has not just once:\n{old}"
        file.write_text(found.replace(old, new) if old else found + new, encoding="utf-8")

    def compare(self, path: str, block: Block) -> None:
        found = (self._here / path).read_text(encoding="utf-8")
        assert block.text in found, f"{block.id}: this does not stand in {path}:\n{found}"


def rewritten(page: Path) -> str:
    """The text of a page with what its commands print now, blocks that still hold left alone."""
    lines = page.read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder:
        played = list(play(page, Path(folder)))
    for block, said in reversed(played):
        if not all(one.holds for one in said):
            new = "".join(f"$ {one.command}\n{one.printed}" for one in said).splitlines()
            lines[block.line - 1 : block.line - 1 + len(block.text.splitlines())] = new
    return "\n".join(line.rstrip() for line in lines) + "\n"


if __name__ == "__main__":
    TUTORIAL.write_text(rewritten(TUTORIAL), encoding="utf-8")
