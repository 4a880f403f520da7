"""``renkei diagram``: a workflow as a picture."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from renkei.drawing import drawing
from renkei.options import FolderArgument, JsonOption, command_of, opened_folder, say_json, told
from rules.diagram import Diagram, mermaid
from rules.diagram_svg import svg
from rules.errors import Place, refuse
from rules.publishing import Draft, Edition
from rules.suggest import did_you_mean


class Format(StrEnum):
    """How a picture is written."""

    mermaid = "mermaid"
    svg = "svg"


_DRAWN: Final[Mapping[Format, Callable[[Diagram], str]]] = {Format.mermaid: mermaid, Format.svg: svg}


def diagram(
    folder: FolderArgument = Path(),
    workflow: Annotated[str, typer.Argument(help="Its name; not needed if there is only one.")] = "",
    format_: Annotated[Format, typer.Option("--format", "-f", help="mermaid or svg")] = Format.mermaid,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the tabs of a workflow, their relations, and what its rules do."""
    with told(as_json):
        edition = opened_folder(folder).compile()
        edition.problems.refuse()
        drawn = drawing(_chosen(edition, workflow), edition)
        text = _DRAWN[format_](drawn)
        if output is not None:
            output.write_text(text, encoding="utf-8")
    if as_json:
        say_json({"diagram": asdict(drawn), "text": text})
    elif output is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(f"Written to {output}. Next: {command_of('check', folder)}")


def _chosen(edition: Edition, name: str) -> Draft:
    drafts = {draft.file.workflow: draft for draft in edition.drafts}
    if not name and len(drafts) == 1:
        return next(iter(drafts.values()))
    if name not in drafts:
        problem = f"there is no workflow called '{name}'" if name else "there are several workflows"
        hint = did_you_mean(name, drafts) or f"Name one of: {', '.join(drafts)}."
        refuse(problem, hint, Place("workflows"))
    return drafts[name]
