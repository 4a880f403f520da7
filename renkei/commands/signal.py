"""``renkei signal``: tell the journeys of a record of an outside event, or press a rule's button by hand."""

from pathlib import Path
from typing import Annotated

import typer

from renkei.looking import looking
from renkei.moving import refuse_moved
from renkei.options import FolderArgument, JsonOption, StateOption, command_of, opened_folder, say_json, told
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
    as_json: JsonOption = False,
) -> None:
    """Send a signal to every journey in which a record stands; `renkei run` takes it at once."""
    with told(as_json):
        project = opened_folder(folder, state)
        edition = project.compile()
        edition.problems.refuse()
        with looking(project, edition.book) as look:
            refs = records_called(look.flow, record)
            journeys = [(journey, ref) for ref in refs for journey in journeys_with(look.log, ref)]
        if not journeys:
            refuse(f"no journey holds the record '{record}'", f"See what there is: {command_of('status', folder)}")
        send(project.state / FILE, name, journeys, wall_clock())
        if as_json:
            say_json({"signal": name, "journeys": [shown_ref(journey) for journey, _ in journeys]})
            return
        typer.echo(f"'{name}' was told to {', '.join(shown_ref(journey) for journey, _ in journeys)}.")
        typer.echo(f"Next: {command_of(f'explain {record}', folder)}")


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
