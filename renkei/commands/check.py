"""``renkei check``: everything that can be found wrong before a project runs."""

from pathlib import Path
from typing import Annotated

import typer

from renkei.checking import Checked, asked, checked
from renkei.options import FolderArgument, JsonOption, command_of, opened_folder, say_json, told
from rules.errors import Problems


def check(
    folder: FolderArgument = Path(),
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the CRMs; use what was learned.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a project: names, types, loops, conflicts, people, and the tests that its files tell."""
    with told(as_json):
        project, unreachable = opened_folder(folder), Problems()
        if not offline:
            project, unreachable = asked(project)
        found = checked(project)
    problems = unreachable + found.problems
    following = command_of("check" if problems.errors else "test", folder)
    if as_json:
        say_json({
            "ok": not problems.errors,
            "workflows": [one.name for one in found.edition.book.workflows],
            "rules": sum(1 for _ in found.edition.book.all_rules()),
            "problems": problems.to_json(),
            "next": following,
        })  # fmt: skip
    else:
        _print(found, problems, following)
    raise typer.Exit(1 if problems.errors else 0)


def _print(found: Checked, problems: Problems, following: str) -> None:
    if len(problems):
        typer.echo(problems.render() + "\n")
    book = found.edition.book
    counted = f"{_count(len(book.workflows), 'workflow')}, {_count(sum(1 for _ in book.all_rules()), 'rule')}"
    typer.echo(f"{counted}: {problems.summary()}.")
    typer.echo(f"Mend the errors, then: {following}" if problems.errors else f"Next: {following}")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
