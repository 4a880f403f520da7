"""``renkei test``: the stories that workflow files tell of themselves, run against a small CRM in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from renkei.checking import Chapter, chapters
from renkei.options import FolderArgument, JsonOption, command_of, opened_folder, say_json, told
from renkei.telling import Told, tell

SHOWN = 20
"""Lines of what came instead."""


def test(folder: FolderArgument = Path(), as_json: JsonOption = False) -> None:  # noqa: PT028 - a command, no test
    """Run the tests of the workflow files; nothing leaves this machine."""
    with told(as_json):
        found, problems = chapters(opened_folder(folder))
        problems.refuse()
    results = [(chapter, tell(story, chapter.workflow, chapter.book)) for chapter in found for story in chapter.stories]
    failed = sum(1 for _, one in results if one.failed)
    following = command_of("test" if failed else "run", folder)
    if as_json:
        say_json({
            "ok": not failed,
            "tests": [_as_json(chapter, one) for chapter, one in results],
            "passed": len(results) - failed,
            "failed": failed,
            "next": following,
        })  # fmt: skip
    else:
        _print(results, failed, following)
    raise typer.Exit(1 if failed else 0)


def _print(results: list[tuple[Chapter, Told]], failed: int, following: str) -> None:
    for chapter, one in results:
        word = "FAILED" if one.failed else "ok"
        typer.echo(f"{word:<7}{chapter.workflow.name}: {one.story.name}")
        for line in _failure(one) if one.failed else ():
            typer.echo(f"  {line}" if line else "")
    if not results:
        typer.echo("No workflow file has `tests:`. Tell a story in one: given, when, expect.")
    else:
        typer.echo(f"{len(results) - failed} passed, {failed} failed.")
    typer.echo(f"Mend the rules or the tests, then: {following}" if failed else f"Next: {following}")


def _failure(one: Told) -> Iterator[str]:
    for failure in one.failed:
        yield f"{failure.line.place.render()}: {failure.problem}"
        yield from (f"    {line}" for line in failure.line.place.excerpt.splitlines())
    yield "What came:" if one.came else "Nothing came."
    yield from (f"    {line}" for line in one.came[:SHOWN])
    if len(one.came) > SHOWN:
        yield f"    and {len(one.came) - SHOWN} more"


def _as_json(chapter: Chapter, one: Told) -> dict[str, Any]:
    return {
        "workflow": chapter.workflow.name,
        "test": one.story.name,
        "ok": not one.failed,
        "failures": [
            {"file": failure.line.place.file, "line": failure.line.place.line, "problem": failure.problem}
            for failure in one.failed
        ],
        "came": list(one.came),
    }
