"""One won deal from the log to the chat, run in a process in which the stranger's package is installed.

``python -m tests.stranger.scenario FOLDER`` reads the project in the folder and prints as JSON what came of it.
"""

import json
import sqlite3
import sys
from pathlib import Path

from connectors.base import Limits
from connectors.ledger import Ledger
from connectors.limits import Limiter
from connectors.registry import connect, installed
from connectors.worker import Worker
from renkei.folder import Folder, read_folder
from renkei.wiring import installed_stages
from rules.book import Book
from schemas.commands import Command, Outcome
from schemas.events import ChangeEvent
from schemas.messages import OutcomeOf
from streams import wire
from streams.embedded import Embedded
from streams.store import Store
from tests.connectors.fakes import NOW, ListSource


def opened(folder: Folder, book: Book, file: Path) -> Embedded:
    """The flow with the stages of installed packages."""
    return Embedded(Store(file), book, channels=folder.channels(), more_stages=installed_stages())


def deal(record_id: str, position: int, stage: str, amount: int = 500) -> ChangeEvent:
    """A change of a deal."""
    image = {"id": record_id, "Deal_Name": f"Deal {record_id}", "Stage": stage, "Amount": amount}
    return ChangeEvent(
        tab="zoho:Deals", record_id=record_id, op="create" if position == 1 else "update", after=image,
        committed_at=NOW + position, seen_at=NOW + position, source_position=position,
    )  # fmt: skip


def commands_of(flow: Embedded) -> list[Command]:
    """What the workflows want of the chat."""
    return [wire.read_entry(entry) for entry in flow.store.read("commands.chat")]


def sent(folder: Folder, commands: list[Command]) -> dict[str, Outcome]:
    """What became of the commands, from a worker over real HTTP."""
    connector, send, _ = connect(folder.settings.connections["chat"].settings("chat"), folder.credentials("chat"))
    source = ListSource(*commands)
    ledger = Ledger(sqlite3.connect(":memory:"), "chat")
    turn, now = None, NOW
    worker = Worker(connector, send, ledger, source, Limiter(Limits()))
    while turn is None or turn.idle_until is not None:
        turn = worker.turn(now)
        now = max(now, turn.idle_until or now)
    ledger.close()
    return source.settled


def main(path: Path) -> dict[str, object]:
    """The scenario; the flow is closed and opened in between, so the stage is restored from its rows."""
    folder = read_folder(path, {})
    edition = folder.compile()
    edition.problems.refuse()
    flow = opened(folder, edition.book, path / "state.db")
    flow.mark_loaded(["zoho:Deals"], NOW)
    flow.append([deal("1", 1, "Negotiation"), deal("2", 1, "Closed Won"), deal("1", 2, "Negotiation", 400)])
    flow.run()
    flow.store.close()
    flow = opened(folder, edition.book, path / "state.db")
    flow.append([deal("1", 3, "Negotiation", 300)])
    flow.run()
    commands = commands_of(flow)
    outcomes = sent(folder, commands)
    for command in commands:
        flow.tell(command.journey, OutcomeOf(at=NOW, fire=command.fire, outcome=outcomes[command.id]))
    flow.run()
    decisions = [wire.read_entry(entry) for entry in flow.store.read("decisions")]
    done = [f"{one.rule} {one.anchor}" for one in decisions if one.kind == "done"]
    return {
        "kinds": sorted(installed()), "stages": [stage().name for stage in installed_stages()],
        "actions": sorted(folder.project.actions), "done": done,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
