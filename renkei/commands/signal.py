"""``renkei signal``: tell the journeys of a record of an outside event, or press a rule's button by hand."""

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from renkei.folder import Folder
from renkei.looking import looking
from renkei.moving import refuse_moved
from renkei.operating import operating
from renkei.options import (
    FolderArgument,
    JsonOption,
    LookBrokerOption,
    StateOption,
    command_of,
    looked_at,
    opened_folder,
    say_json,
    told,
)
from renkei.runner import wall_clock
from renkei.wiring import FILE
from rules.errors import refuse
from schemas import topics
from schemas.codec import pack
from schemas.messages import Signal
from schemas.values import Ref
from streams.explaining import records_called, shown_ref
from streams.history import journeys_with
from streams.store import NewEntry, Store

RecordArgument = Annotated[str, typer.Argument(metavar="RECORD", help="zoho.Deals/17, or a bare id.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The signal's name; `manual` starts manual rules.")]


def signal(
    record: RecordArgument,
    name: NameArgument,
    folder: FolderArgument = Path(),
    state: StateOption = None,
    broker: LookBrokerOption = "",
    as_json: JsonOption = False,
) -> None:
    """Send a signal to every journey in which a record stands; `renkei run` takes it at once."""
    hint = partial(command_of, folder=folder, broker=broker)
    with told(as_json):
        project = opened_folder(folder, state)
        edition = project.compile()
        edition.problems.refuse()
        there = looked_at(project, broker)
        with looking(project, edition.book, broker=there) as look:
            refs = records_called(look.flow, record)
            journeys = [(journey, ref) for ref in refs for journey in journeys_with(look.log, ref)]
        if not journeys:
            refuse(f"no journey holds the record '{record}'", f"See what there is: {hint('status')}")
        if there:
            send_there(project, there, name, journeys, wall_clock())
        else:
            send(project.state / FILE, name, journeys, wall_clock())
        if as_json:
            say_json({"signal": name, "journeys": [shown_ref(journey) for journey, _ in journeys]})
            return
        typer.echo(f"'{name}' was told to {', '.join(shown_ref(journey) for journey, _ in journeys)}.")
        typer.echo(f"Next: {hint(f'explain {record}')}")


def send(file: Path, name: str, journeys: list[tuple[Ref, Ref]], now: int) -> None:
    """Append the signal for each journey and record; a run that is going on takes it."""
    refuse_moved(file)
    store = Store(file)
    try:
        with store.transaction():
            first = store.last_seq()
            store.append(
                NewEntry(
                    topics.JOURNEYS, journey, now, pack(Signal(at=now, name=name, ref=ref, position=first + number))
                )
                for number, (journey, ref) in enumerate(journeys, start=1)
            )
    finally:
        store.close()


def send_there(folder: Folder, address: str, name: str, journeys: list[tuple[Ref, Ref]], now: int) -> None:
    """Send the signal for each journey and record; the streams take it. Microseconds name it apart from any other."""
    first = time.time_ns() // 1_000
    with operating(folder, address) as operator:
        operator.tell(
            (journey, Signal(at=now, name=name, ref=ref, position=first + number))
            for number, (journey, ref) in enumerate(journeys)
        )
