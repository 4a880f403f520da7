"""Lag as people and scripts read it."""

import json
from dataclasses import replace

import pytest
from rich.console import Console

from renkei.lag.burrow import Status
from renkei.lag.table import duration, lag_json, lag_table, verdicts
from renkei.lag.watch import PartitionLag
from schemas.codec import to_json

ROW = PartitionLag(
    "renkei", "journeys", 3, Status.OK, committed=100, end=1334, lag=1234, age=75.0, rate=12.5, inflow=2.5, drain=123.4,
    complete=1.0, committed_at=None, at=1_700_000_000_000,
)  # fmt: skip
CAUGHT_UP = replace(ROW, partition=4, lag=0, age=None, rate=0.0, inflow=0.0, drain=0.0)
FIRST_LOOK = replace(ROW, partition=5, age=None, rate=None, inflow=None, drain=None, complete=0.0)
STOPPED = replace(ROW, partition=6, status=Status.STOP, rate=0.0, drain=None, age=7300.0)


def lines(*rows: PartitionLag) -> list[list[str]]:
    console = Console(width=140)
    with console.capture() as capture:
        console.print(lag_table(rows))
    return [line.split() for line in capture.get().splitlines()]


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (ROW, "renkei journeys 3 1,234 1.25 min 12.5/s 2.06 min OK"),
        (CAUGHT_UP, "renkei journeys 4 0 - 0/s - OK"),
        (FIRST_LOOK, "renkei journeys 5 1,234 ? ? ? OK (0% of a window)"),
        (STOPPED, "renkei journeys 6 1,234 2.03 h 0/s never STOP"),
    ],
)
def test_a_line_of_the_table(row: PartitionLag, cells: str) -> None:
    assert lines(row)[1] == cells.split()


def test_a_bad_consumer_is_told_in_a_sentence() -> None:
    told = list(verdicts([STOPPED, replace(ROW, status=Status.WARN), replace(ROW, status=Status.STALL), ROW]))
    assert [one.partition(":")[0] for one in told] == ["renkei on journeys/6", "renkei on journeys/3"]
    assert "commits nothing" in told[0]


def test_the_same_for_scripts() -> None:
    document = json.loads(to_json(lag_json([STOPPED, ROW])))
    assert document["groups"] == [
        {
            "group": "renkei", "status": "ERR", "complete": 1, "totallag": 2468,
            "maxlag": {"topic": "journeys", "partition": 6, "lag": 1234},
        }
    ]  # fmt: skip
    assert document["partitions"][0]["status"] == "STOP"
    assert (document["partitions"][0]["drain"], document["partitions"][1]["drain"]) == (None, 123.4)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (4.23, "4.2 s"), (59.9, "60 s"), (60, "1 min"), (9000, "2.5 h"), (86_400 * 12, "12 d")],
)
def test_a_person_reads_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
