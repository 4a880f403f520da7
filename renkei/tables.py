"""CSV files of a ``kind: file`` connection: their columns as a tab, and their rows as change events."""

import csv
from pathlib import Path

from connectors.file import CsvRows, CsvTab
from renkei.settings import FilePart
from rules.errors import Place, refuse
from schemas.metadata import Field, Tab


def declared_tab(path: Path, part: FilePart) -> Tab:
    """The tab that a CSV file holds: its header, with the types that the settings give.

    Raises:
        WorkflowError: the file is not there or has no header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
    except OSError as error:
        refuse(f"cannot read {path.name}: {error.strerror}", "Check `files:` in renkei.yaml.", Place(str(path)))
    names = [part.rename.get(column, column) for column in header]
    return Tab(
        name=part.tab or "", fields={name: Field(name=name, type=part.types.get(name, "text")) for name in names}
    )


def csv_rows(connection: str, path: Path, part: FilePart) -> CsvRows:
    """The capture of a CSV file's rows."""
    return CsvRows(
        CsvTab(
            path=path, tab=f"{connection}:{part.tab}", id=part.id, time=part.time or "", types=dict(part.types),
            rename=dict(part.rename),
        )
    )  # fmt: skip
