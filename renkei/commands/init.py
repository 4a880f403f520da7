"""``renkei init``: a small project that checks, tests and runs at once, to begin with."""

from pathlib import Path
from typing import Annotated, Final

import typer

from renkei.commands.schema import schema_text
from renkei.options import JsonOption, command_of, say_json, told
from rules.errors import Place, refuse

SCAFFOLD: Final = Path(__file__).parents[1] / "scaffold"
SCHEMA: Final = "workflow.schema.json"
_RENAMED: Final = {"gitignore": ".gitignore"}
"""A file of this name here would hide the others from version control."""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")], as_json: JsonOption = False
) -> None:
    """Make a new project: one workflow with its tests, a template, and samples that need no CRM."""
    with told(as_json):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            refuse("this folder is not empty", "Name a new one: renkei init DIR", Place(str(folder)))
        written = [_copy(source, folder) for source in sorted(SCAFFOLD.rglob("*")) if source.is_file()]
        (folder / SCHEMA).write_text(schema_text(), encoding="utf-8")
    following = command_of("check", folder)
    if as_json:
        say_json({"ok": True, "files": [str(path) for path in (*written, folder / SCHEMA)], "next": following})
        return
    for path in (*written, folder / SCHEMA):
        typer.echo(f"  {path}")
    typer.echo(f"Next: {following}")


def _copy(source: Path, folder: Path) -> Path:
    inner = source.relative_to(SCAFFOLD)
    target = folder / inner.with_name(_RENAMED.get(inner.name, inner.name))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    return target
