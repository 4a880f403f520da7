"""``renkei parked`` and ``renkei unknown``: what waits for a person, and the person's word on it."""

from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn, get_args

import typer

from renkei.doubts import Doubt, Word, decide, doubts
from renkei.options import JsonOption, StateOption, command_of, opened_folder, say_json, told
from renkei.runner import wall_clock
from renkei.wiring import FILE, locked
from schemas.values import format_instant
from streams.explaining import shown_ref
from streams.history import reading
from streams.parking import Parked, parked_messages, try_again
from streams.store import Store

Words = Annotated[list[str] | None, typer.Argument(metavar="[DIR] [WHAT TO DO]", show_default=False)]


class _Asked(NamedTuple):
    folder: Path
    verb: str = ""
    what: str = ""


def parked(words: Words = None, state: StateOption = None, as_json: JsonOption = False) -> None:
    """List messages that could not be taken: [DIR]. Take them again: [DIR] retry NUMBER, or [DIR] retry all."""
    asked = _asked(words, ("retry",), "a number of the list, or all")
    with told(as_json):
        project = opened_folder(asked.folder, state)
        if asked.verb:
            with locked(project.state) as file:
                _retry(file, asked, as_json)
            return
        store = reading(project.state / FILE)
        found = parked_messages(store)
        store.close()
    following = command_of("parked", asked.folder) + " retry all" if found else command_of("status", asked.folder)
    if as_json:
        say_json({"parked": found, "next": following})
        return
    for one in found:
        typer.echo(f"{one.number or '-':>8}  {format_instant(one.at)}  {one.where}\n{'':10}{one.why}\n{'':10}{one.how}")
    typer.echo(f"{len(found)} parked." if found else "Nothing is parked.")
    typer.echo(f"Next: {following}")


def _retry(file: Path, asked: _Asked, as_json: bool) -> None:
    store = Store(file)
    try:
        waiting = parked_messages(store)
        chosen = [one for one in waiting if asked.what in ("all", str(one.number))]
        if not chosen and asked.what != "all":
            _end_with(f"nothing is parked under {asked.what}. See the list: {command_of('parked', asked.folder)}")
        count = try_again(store, chosen)
    finally:
        store.close()
    lines = [one for one in chosen if not one.number]
    following = command_of("run", asked.folder)
    if as_json:
        say_json({"retried": count, "left": lines, "next": following})
        return
    typer.echo(f"{count} put into the log again.")
    _print_left(lines)
    typer.echo(f"Next: {following}")


def _print_left(lines: list[Parked]) -> None:
    for one in lines:
        typer.echo(f"left: {one.where}: {one.how}")


def unknown(words: Words = None, state: StateOption = None, as_json: JsonOption = False) -> None:
    """List commands whose effect nobody can tell: [DIR]. Decide: [DIR] retry ID, [DIR] skip ID, or [DIR] done ID."""
    asked = _asked(words, get_args(Word), "the id of a command of the list")
    with told(as_json):
        project = opened_folder(asked.folder, state)
        if asked.verb:
            with locked(project.state) as file:
                _decide(doubts(project, file), file, asked)
        reading(project.state / FILE).close()
        found = doubts(project, project.state / FILE)
    following = _after(asked, found)
    if as_json:
        say_json({"unknown": [_as_json(one) for one in found], "next": following})
        return
    for one in found:
        _print_doubt(one)
    typer.echo(f"{len(found)} of unknown effect." if found else "Every command has a known effect.")
    typer.echo(f"Next: {following}")


def _decide(found: list[Doubt], file: Path, asked: _Asked) -> None:
    doubt = next((one for one in found if one.command.id == asked.what), None)
    if doubt is None:
        _end_with(f"no command {asked.what} is of unknown effect. See the list: {command_of('unknown', asked.folder)}")
    word: Word = "retry" if asked.verb == "retry" else "skip" if asked.verb == "skip" else "done"
    decide(file, doubt, word, wall_clock())


def _after(asked: _Asked, found: list[Doubt]) -> str:
    if asked.verb:
        return command_of("run", asked.folder)
    if found:
        return f"look in the CRM, then: {command_of('unknown', asked.folder)} done|retry|skip {found[0].command.id}"
    return command_of("status", asked.folder)


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
