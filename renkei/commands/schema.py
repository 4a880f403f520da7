"""``renkei schema``: the JSON Schema of a workflow file, by which editors complete and check it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from renkei.folder import installed_actions
from renkei.options import told
from rules.actions.registry import registry
from rules.json_schema import json_schema
from rules.workflow_file import WorkflowFile


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file instead.")] = None,
) -> None:
    """Print the JSON Schema of workflow files, with the actions of installed packages."""
    text = schema_text()
    if output is None:
        typer.echo(text, nl=False)
        return
    with told():
        output.write_text(text, encoding="utf-8")
    typer.echo(f"Written to {output}. First line of a workflow file: # yaml-language-server: $schema={output}")


def schema_text() -> str:
    """The schema as JSON text, the same for the same actions."""
    found: Any = json_schema(WorkflowFile, registry(installed_actions()))
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
