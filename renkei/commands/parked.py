"""``renkei parked`` and ``renkei unknown``: what waits for a person, and the person's word on it."""

from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn, get_args

import msgspec
import typer

from connectors.kafka_archive import Archive
from renkei.doubts import Doubt, Word, decide, doubts
from renkei.folder import Folder
from renkei.mirror import mirrored
from renkei.operating import operating, parked_there
from renkei.options import (
    Hint,
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
from renkei.wiring import FILE, locked
from schemas.values import format_instant
from streams.explaining import shown_ref
from streams.history import reading
from streams.parking import Parked, parked_messages, try_again
from streams.store import Store

Words = Annotated[list[str] | None, typer.Argument(metavar="[DIR] [WHAT TO DO]", show_default=False)]

Record = Annotated[
    str, typer.Option("--record", metavar="ID", help="With done: the record that it made, for later steps.")
]

_GONE = "the broker no longer has it: what wrote it has to write again"


class _Asked(NamedTuple):
    folder: Path
    verb: str = ""
    what: str = ""
    record: str = ""


def parked(
    words: Words = None, state: StateOption = None, broker: LookBrokerOption = "", as_json: JsonOption = False
) -> None:
    """List messages that could not be taken: [DIR]. Take them again: [DIR] retry NUMBER, or [DIR] retry all."""
    asked = _asked(words, ("retry",), "a number or a place of the list, or all")
    hint = partial(command_of, folder=asked.folder, broker=broker)
    with told(as_json):
        project = opened_folder(asked.folder, state)
        there = looked_at(project, broker)
        if asked.verb:
            again = _again_there(project, there, asked, hint) if there else _again_here(project, asked, hint)
            _tell_again(again, hint("status" if there else "run"), as_json)
            return
        found = _parked_there(project, there) if there else _parked_here(project)
    following = hint("parked") + " retry all" if found else hint("status")
    if as_json:
        say_json({"parked": found, "next": following})
        return
    for one in found:
        name = "" if one.place else f"{one.number or '-':>8}  "
        typer.echo(f"{name}{format_instant(one.at)}  {one.where}\n{'':10}{one.why}\n{'':10}{one.how}")
    typer.echo(f"{len(found)} parked." if found else "Nothing is parked.")
    typer.echo(f"Next: {following}")


class _Again(NamedTuple):
    """How many were put in again, and those that could not be."""

    retried: int
    left: list[Parked]


def _parked_here(project: Folder) -> list[Parked]:
    store = reading(project.state / FILE)
    try:
        return parked_messages(store)
    finally:
        store.close()


def _parked_there(project: Folder, address: str) -> list[Parked]:
    prefix = project.settings.kafka.prefix
    with Archive(address, prefix) as archive:
        return parked_there(archive, prefix)


def _again_here(project: Folder, asked: _Asked, hint: Hint) -> _Again:
    with locked(project.state) as file:
        store = Store(file)
        try:
            chosen = _chosen(parked_messages(store), asked, hint)
            return _Again(try_again(store, chosen), [one for one in chosen if not one.number])
        finally:
            store.close()


def _again_there(project: Folder, address: str, asked: _Asked, hint: Hint) -> _Again:
    prefix = project.settings.kafka.prefix
    with Archive(address, prefix) as archive, operating(project, address) as operator:
        chosen = _chosen(parked_there(archive, prefix), asked, hint)
        done = operator.put_again(archive, chosen, wall_clock())
    left = [one for one in chosen if one not in done]
    gone = [msgspec.structs.replace(one, how=_GONE) if one.place else one for one in left]
    return _Again(len(chosen) - len(left), gone)


def _chosen(waiting: list[Parked], asked: _Asked, hint: Hint) -> list[Parked]:
    chosen = [one for one in waiting if asked.what in ("all", str(one.number), one.place or None)]
    if not chosen and asked.what != "all":
        _end_with(f"nothing is parked under {asked.what}. See the list: {hint('parked')}")
    return chosen


def _tell_again(again: _Again, following: str, as_json: bool) -> None:
    if as_json:
        say_json({"retried": again.retried, "left": again.left, "next": following})
        return
    typer.echo(f"{again.retried} put into the log again.")
    _print_left(again.left)
    typer.echo(f"Next: {following}")


def _print_left(lines: list[Parked]) -> None:
    for one in lines:
        typer.echo(f"left: {one.where}: {one.how}")


def unknown(
    words: Words = None,
    record: Record = "",
    state: StateOption = None,
    broker: LookBrokerOption = "",
    as_json: JsonOption = False,
) -> None:
    """List commands whose effect nobody can tell: [DIR]. Decide: [DIR] retry ID, [DIR] skip ID, or [DIR] done ID."""
    asked = _asked(words, get_args(Word), "the id of a command of the list")._replace(record=record)
    if record and asked.verb != "done":
        raise typer.BadParameter("--record says which record a command has made: it goes with `done ID`")
    hint = partial(command_of, folder=asked.folder, broker=broker)
    with told(as_json):
        project = opened_folder(asked.folder, state)
        there = looked_at(project, broker)
        found = _unknown_there(project, there, asked, hint) if there else _unknown_here(project, asked, hint)
    following = hint("status" if there else "run") if asked.verb else _after(found, hint)
    if as_json:
        say_json({"unknown": [_as_json(one) for one in found], "next": following})
        return
    for one in found:
        _print_doubt(one)
    typer.echo(f"{len(found)} of unknown effect." if found else "Every command has a known effect.")
    typer.echo(f"Next: {following}")


def _unknown_here(project: Folder, asked: _Asked, hint: Hint) -> list[Doubt]:
    """What is unknown, after the word that was asked for."""
    if asked.verb:
        with locked(project.state) as file:
            doubt, word = _decided(doubts(project, file), asked, hint)
            decide(file, doubt, word, wall_clock(), asked.record)
    reading(project.state / FILE).close()
    return doubts(project, project.state / FILE)


def _unknown_there(project: Folder, address: str, asked: _Asked, hint: Hint) -> list[Doubt]:
    """The same on a broker."""
    with mirrored(project, address) as mirror:
        found = mirror.doubts()
        if not asked.verb:
            return found
        doubt, word = _decided(found, asked, hint)
        with operating(project, address) as operator:
            operator.decide(mirror, doubt, word, wall_clock(), asked.record)
    return [one for one in found if one is not doubt]


def _decided(found: list[Doubt], asked: _Asked, hint: Hint) -> tuple[Doubt, Word]:
    doubt = next((one for one in found if one.command.id == asked.what), None)
    if doubt is None:
        _end_with(f"no command {asked.what} is of unknown effect. See the list: {hint('unknown')}")
    return doubt, "retry" if asked.verb == "retry" else "skip" if asked.verb == "skip" else "done"


def _after(found: list[Doubt], hint: Hint) -> str:
    if found:
        return f"look in the CRM, then: {hint('unknown')} done|retry|skip {found[0].command.id}"
    return hint("status")


def _print_doubt(one: Doubt) -> None:
    command = one.command
    sent = format_instant(one.entry.sent_at) if one.entry.sent_at is not None else "never"
    target = f"{command.tab.replace(':', '.', 1)}" + (f"/{command.record_id}" if command.record_id else "")
    typer.echo(f"{command.id}  {command.operation} {target}, sent {sent}")
    key = f", look for {command.key[0]} = {command.key[1]}" if command.key else ""
    typer.echo(f"    for {shown_ref(command.anchor)} by {command.workflow}/{command.rule}{key}")


def _as_json(one: Doubt) -> dict[str, object]:
    command = one.command
    return {
        "id": command.id, "connection": one.connection, "tab": command.tab, "operation": command.operation,
        "record": command.record_id, "key": command.key, "rule": f"{command.workflow}/{command.rule}",
        "anchor": command.anchor, "journey": command.journey, "sent_at": one.entry.sent_at,
    }  # fmt: skip


def _asked(words: list[str] | None, verbs: tuple[str, ...], what: str) -> _Asked:
    """A folder, then a verb and what it is about; both parts may be left out."""
    rest = list(words or ())
    folder = Path(rest.pop(0)) if rest and rest[0] not in verbs else Path()
    if not rest:
        return _Asked(folder)
    if rest[0] not in verbs:
        raise typer.BadParameter(f"'{rest[0]}' is not known here: write {' or '.join(verbs)}")
    if len(rest) != 2:
        raise typer.BadParameter(f"`{rest[0]}` takes {what}")
    return _Asked(folder, rest[0], rest[1])


def _end_with(words: str) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(1)
