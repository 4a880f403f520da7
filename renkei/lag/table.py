"""Consumer lag as people and scripts read it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from renkei.lag.burrow import BAD, Status
from renkei.lag.watch import PartitionLag, by_group

_COLOURS = {
    Status.STOP: "bold white on red", Status.REWIND: "bold magenta", Status.STALL: "bold red", Status.WARN: "yellow",
    Status.OK: "green",
}  # fmt: skip
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))

NOBODY = "No group has committed anything yet."


def lag_table(rows: Sequence[PartitionLag]) -> Table:
    """One line for each partition, in the order given."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("group", "topic"):
        table.add_column(name, overflow="fold")
    for name in ("partition", "lag", "age", "rate", "drains in"):
        table.add_column(name, justify="right")
    table.add_column("status")
    for row in rows:
        table.add_row(
            row.group, row.topic, str(row.partition), f"{row.lag:,}", _age(row), _rate(row), _drain(row), _status(row)
        )
    return table


def verdicts(rows: Iterable[PartitionLag]) -> Iterator[str]:
    """A sentence for each bad partition: what is wrong, and what to look at."""
    for row in rows:
        if row.status in BAD:
            yield f"{row.group} on {row.topic}/{row.partition}: {_MEANING[row.status]}"


def lag_json(rows: Sequence[PartitionLag]) -> dict[str, Any]:
    """The same for scripts; a number that is not known, or has no end, is null."""
    groups = [
        {
            "group": one.group, "status": one.status, "complete": one.complete, "totallag": one.totallag,
            "maxlag": {"topic": one.maxlag.topic, "partition": one.maxlag.partition, "lag": one.maxlag.lag},
        }
        for one in by_group(rows)
    ]  # fmt: skip
    return {"groups": groups, "partitions": [asdict(row) for row in rows]}


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would choose: ``4.2 s``, ``3 min``, ``2.5 h``."""
    for name, length in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.3g} {name}"
    return f"{seconds:.2g} s"


_MEANING = {
    Status.STOP: "it commits nothing while records wait; is it running, and is one record holding it?",
    Status.REWIND: "it went back and has not regained what it had; were its offsets reset?",
    Status.STALL: "it commits the same offset again and again; one record is holding it",
}


def _status(row: PartitionLag) -> Text:
    text = Text(row.status, style=_COLOURS[row.status])
    return text if row.complete == 1 else text.append(f" ({row.complete:.0%} of a window)", style="dim")


def _age(row: PartitionLag) -> str:
    if row.lag == 0:
        return "-"
    return "?" if row.age is None else duration(row.age)


def _rate(row: PartitionLag) -> str:
    return "?" if row.rate is None else f"{row.rate:,.3g}/s"


def _drain(row: PartitionLag) -> str:
    if row.lag == 0:
        return "-"
    if row.rate is None:
        return "?"
    return "never" if row.drain is None else duration(row.drain)
