"""``renkei doctor``: look every connection over, and name the next step for whatever is wrong."""

from pathlib import Path

import typer

from renkei.doctor import Finding, examined
from renkei.options import FolderArgument, JsonOption, StateOption, command_of, opened_folder, say_json, told

_MARKS = {"ok": "ok", "warning": "!", "broken": "BROKEN"}


def doctor(folder: FolderArgument = Path(), state: StateOption = None, as_json: JsonOption = False) -> None:
    """Look every connection over: address, login, permissions, clock, quota, metadata; and say what to do next."""
    with told(as_json):
        project = opened_folder(folder, state)
        found: list[Finding] = []
        for one in examined(project):
            found.append(one)
            if not as_json:
                _tell(one)
    broken = [one for one in found if one.grade == "broken"]
    following = next((one.next for one in (*broken, *found) if one.next), command_of("status", folder))
    if as_json:
        say_json({"ok": not broken, "findings": [one._asdict() for one in found], "next": following})
    else:
        warnings = sum(1 for one in found if one.grade == "warning")
        typer.echo(f"{len(broken)} broken, {warnings} to look at." if broken or warnings else "All is well.")
        typer.echo(f"Next: {following}")
    raise typer.Exit(1 if broken else 0)


def _tell(one: Finding) -> None:
    typer.echo(f"{_MARKS[one.grade]:<7}{one.connection} {one.check}: {one.words}")
    if one.next:
        typer.echo(f"       -> {one.next}")
