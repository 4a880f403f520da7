"""CSV files of a ``kind: file`` connection: their columns as a tab, and their rows as change events."""

import csv
from pathlib import Path

from connectors.csv_rows import CsvRows, CsvTab
from renkei.settings import FilePart
from rules.errors import Place, refuse
from rules.suggest import did_you_mean
from schemas.metadata import Field, Tab


def declared_tab(path: Path, part: FilePart) -> Tab:
    """The tab that a CSV file holds: its header, with the types that the settings give.

    Raises:
        WorkflowError: the file is not there, has no header that can be read, or lacks a column that is named.
    """
    header = _header(path)
    for column in (part.id, *filter(None, [part.time]), *part.types, *part.rename):
        if column not in header:
            hint = did_you_mean(column, header) or "Check `files:` in renkei.yaml."
            refuse(f"{path.name} has no column '{column}'", hint, Place(str(path), 1))
    fields = {
        name: Field(name=name, type=part.types.get(column, "text"))
        for column in header
        if (name := part.rename.get(column, column))
    }
    return Tab(name=part.tab or "", fields=fields)


def csv_rows(connection: str, path: Path, part: FilePart, history: bool = False) -> CsvRows:
    """The capture of a CSV file's rows."""
    return CsvRows(
        CsvTab(
            path=path, tab=f"{connection}:{part.tab}", id=part.id, time=part.time, types=dict(part.types),
            rename=dict(part.rename), history=history,
        )
    )  # fmt: skip


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream), [])
    except OSError as error:
        refuse(f"cannot read {path.name}: {error.strerror}", "Check `files:` in renkei.yaml.", Place(str(path)))
    except (UnicodeDecodeError, csv.Error):
        refuse(f"{path.name} has no header that can be read", "Save it as CSV in UTF-8.", Place(str(path), 1))
