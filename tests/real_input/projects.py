"""Project folders for these tests, run to rest by the commands a person types, and what their logs hold."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from examples.crm_sales.convert import convert
from renkei.commands.run import run_to_rest
from renkei.folder import Folder, read_folder
from renkei.wiring import FILE, locked
from schemas import topics
from schemas.codec import from_json
from schemas.commands import Command
from schemas.decisions import Decision
from streams import wire
from streams.store import Entry, Store
from tests.real_input.seller import SOURCE

EXAMPLE = Path(__file__).parents[2] / "examples" / "crm_sales"


def seller(target: Path, most: int | None = None) -> Folder:
    """The example as a project of its own, with the history of all deals or the first ``most``."""
    shutil.copytree(EXAMPLE, target, ignore=shutil.ignore_patterns("events", ".renkei", "__pycache__"))
    convert(SOURCE, target / "events", most)
    return read_folder(target)


def project(target: Path, files: Mapping[str, str | bytes]) -> Path:
    """A folder with these files."""
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return target


def run(folder: Folder) -> dict[str, int]:
    """Run a project to rest; what was done, by name."""
    edition = folder.compile()
    edition.problems.refuse()
    with locked(folder.state) as file:
        return run_to_rest(folder, edition.book, file, quiet=True)


class Log:
    """What a project's log holds."""

    def __init__(self, folder: Folder) -> None:
        store = Store(folder.state / FILE)
        self.entries: dict[str, list[Entry]] = {topic: store.read(topic) for topic in store.topics()}
        store.close()

    @property
    def commands(self) -> list[Command]:
        """All commands, in order."""
        entries = [one for topic, found in self.entries.items() if topic.startswith("commands.") for one in found]
        return [wire.read_entry(entry) for entry in sorted(entries, key=lambda entry: entry.seq)]

    @property
    def decisions(self) -> list[Decision]:
        """All decisions, in order."""
        return [wire.read_entry(entry) for entry in self.entries.get(topics.DECISIONS, [])]

    @property
    def parked(self) -> list[dict[str, object]]:
        """What was parked, in order."""
        return [from_json(entry.value) for entry in self.entries.get(topics.PARKED, [])]

    def bytes_of(self, *prefixes: str) -> list[tuple[str, str, int, bytes]]:
        """Topic, key, time and bytes of the messages of some topics, each topic in order."""
        return [
            (topic, one.key, one.at, one.value)
            for topic, found in sorted(self.entries.items())
            if topic.startswith(prefixes)
            for one in found
        ]
