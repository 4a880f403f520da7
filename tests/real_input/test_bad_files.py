"""Bad files and poison messages: what is good is taken, what is bad is parked with its place, and no value is shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from connectors.base import NotSent
from connectors.file import JsonLines
from connectors.lines import LONGEST_LINE
from renkei.folder import Folder, read_folder
from renkei.wiring import FILE, open_flow
from rules.errors import WorkflowError
from schemas import topics
from schemas.codec import pack, to_json
from schemas.events import ChangeEvent
from schemas.messages import Go
from schemas.values import parse_instant
from streams import wire
from streams.embedded import Embedded
from streams.parking import parked_messages, try_again
from streams.stage import Changed, Output, Source
from streams.store import NewEntry, Store, StoreError
from tests.real_input.projects import Log, project, run

SECRET = "Geheim-GmbH"
START = parse_instant("2026-01-05T09:00:00Z")
WORKFLOW = """
workflow: deals
main_tab: deal
tabs: {deal: {module: sales.Deals}}
rules:
  deal:
    - name: tell
      trigger: {becomes: Stage is "Won"}
      actions: [{notify: ann@example.com, subject: "{{ deal.Name }}", text: won}]
"""
SETTINGS = """
project: bad-files
history: %s
connections: {sales: {kind: file, files: [%s]}, mail: {kind: email}}
"""


def deal(number: int, **more: Any) -> bytes:
    """A line of a good event: a won deal."""
    told = {
        "tab": "sales:Deals", "record_id": str(number), "op": "create", "committed_at": START + number * 1000,
        "after": {"id": str(number), "Name": f"{SECRET} {number}", "Stage": "Won"}, **more,
    }  # fmt: skip
    return to_json({key: value for key, value in told.items() if value is not ...})


BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (f"{{{SECRET}".encode(), "not JSON"),
    "a list": (f'["{SECRET}"]'.encode(), "not a change event: Expected `object`, got `array`"),
    "an unknown operation": (deal(1, op=SECRET), "not a change event: `$.op`"),
    "no tab": (deal(1, tab=...), "not a change event: Object missing required field `tab`"),
    "a tab without connection": (deal(1, tab="Deals"), "not a change event: `$.tab` is not written connection:Tab"),
    "a tab of another connection": (
        deal(1, tab="mail:Deals"),
        "not a change event of connection 'sales': `$.tab`",
    ),
    "a tab that is no name": (deal(1, tab="sales:De/als"), "not a change event: `$.tab` is not written connection:Tab"),
    "no record": (deal(1, record_id=""), "not a change event: `$.record_id` is empty"),
    "a time that is none": (deal(1, committed_at=SECRET), "a time is neither ISO text nor milliseconds"),
    "a time beyond all calendars": (deal(1, committed_at="9999-12-31"), "a time is before 1692 or after 2247"),
    "a number beyond all machines": (
        deal(1, after={"Amount": 10**30}),
        "a whole number of more than 63 bits",
    ),
    "a position beyond all machines": (deal(1, source_position=10**30), "a whole number of more than 63 bits"),
    "no time": (deal(1, committed_at=...), "not a change event: Object missing required field `committed_at`"),
    "an object as a value": (deal(1, after={"Name": {"first": SECRET}}), "a field value is an object"),
    "ten megabytes in a value": (deal(1, after={"Name": SECRET * 10**6}), f"longer than {LONGEST_LINE} bytes"),
    "a NUL": (deal(1).replace(b"Won", b"W\0n"), "a NUL byte"),
    "a NUL in disguise": (deal(1).replace(b"Won", b"W\\u0000n"), "a NUL byte"),
    "invalid UTF-8": (deal(1).replace(b"Won", b"W\xffn"), "not UTF-8"),
    "a surrogate alone": (deal(1).replace(b"Won", b"\\ud800"), "not JSON"),
    "too deep": (
        deal(1).replace(b'"Won"', b"[" * 100_000 + b"]" * 100_000),
        "nested too deeply",
    ),
}


def folder(tmp_path: Path, lines: bytes, *, history: bool = True, files: str = "{path: deals.jsonl}") -> Folder:
    """A project over one file of lines."""
    settings = SETTINGS % (str(history).lower(), files)
    return read_folder(
        project(tmp_path, {"renkei.yaml": settings, "workflows/deals.yaml": WORKFLOW, "deals.jsonl": lines})
    )


def won(log: Log) -> list[str]:
    """The records of whose win somebody was told."""
    return sorted(one.anchor.removeprefix("sales:Deals/") for one in log.commands)


@pytest.fixture(autouse=True)
def _nothing_secret_is_printed(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    printed = capfd.readouterr()
    assert SECRET not in printed.out + printed.err


@pytest.mark.parametrize("history", [True, False], ids=["history", "followed"])
def test_bad_lines_are_parked_with_their_place_and_the_others_are_taken(tmp_path: Path, history: bool) -> None:
    lines = [deal(100)]
    for number, (bad, _) in enumerate(BAD.values()):
        lines += [bad, deal(101 + number)]
    counts = run(folder(tmp_path, b"\n".join(lines) + b"\n", history=history))
    log = Log(read_folder(tmp_path))
    assert (counts["changes"], counts["parked"]) == (len(BAD) + 1, len(BAD))
    assert won(log) == [str(100 + number) for number in range(len(BAD) + 1)]
    assert [(one["file"], one["line"], one["why"]) for one in log.parked] == [
        ("deals.jsonl", 2 + 2 * number, why) for number, (_, why) in enumerate(BAD.values())
    ]
    assert not any(SECRET in str(one) for one in log.parked)


def test_what_was_parked_once_is_not_parked_again(tmp_path: Path) -> None:
    project_ = folder(tmp_path, b"\n".join([deal(1), b"{", deal(2), b""]))
    run(project_)
    assert run(project_)["parked"] == 1


def test_a_last_line_without_its_end_is_taken_if_it_is_whole(tmp_path: Path) -> None:
    assert run(folder(tmp_path, deal(1) + b"\n" + deal(2)))["changes"] == 2


def test_a_truncated_last_line_of_a_history_is_parked(tmp_path: Path) -> None:
    run(folder(tmp_path, deal(1) + b"\n" + deal(2)[:60]))
    log = Log(read_folder(tmp_path))
    assert won(log) == ["1"]
    [note] = log.parked
    assert (note["line"], note["why"]) == (2, "the file ends inside this line: not JSON")


def test_a_line_that_is_still_being_written_is_taken_once_it_is_whole(tmp_path: Path) -> None:
    project_ = folder(tmp_path, deal(1) + b"\n" + deal(2)[:60], history=False)
    run(project_)
    assert won(Log(project_)) == ["1"]
    (tmp_path / "deals.jsonl").write_bytes(deal(1) + b"\n" + deal(2) + b"\n")
    run(project_)
    assert won(Log(project_)) == ["1", "2"]
    assert not Log(project_).parked


def test_rows_with_missing_or_wrong_cells_are_parked(tmp_path: Path) -> None:
    table = "{path: deals.csv, tab: Deals, id: Id, time: At, types: {Amount: number, Closing: date}}"
    rows = (
        "Id,At,Name,Stage,Amount,Closing\n"
        f"1,2026-01-05T09:00:00Z,{SECRET},Won,1.50,2026-01-31\n"
        f"2,2026-01-05T09:00:00Z,{SECRET}\n"
        f"3,2026-01-05T09:00:00Z,{SECRET},Won,{SECRET},\n"
        f"4,2026-01-05T09:00:00Z,{SECRET},Won,,{SECRET}\n"
        f",2026-01-05T09:00:00Z,{SECRET},Won,,\n"
        f"6,{SECRET},{SECRET},Won,,\n"
        f"7,2026-01-06T09:00:00Z,{SECRET},Won,,\n"
    )
    project(tmp_path, {"deals.csv": rows})
    project_ = folder(tmp_path, b"", files=table)
    run(project_)
    log = Log(project_)
    assert won(log) == ["1", "7"]
    assert [(one["line"], one["why"]) for one in log.parked] == [
        (3, "3 columns instead of 6"),
        (4, "column 'Amount' is not of type number"),
        (5, "column 'Closing' is not of type date"),
        (6, "column 'Id' is empty or cannot be read"),
        (7, "column 'At' is empty or cannot be read"),
    ]
    assert not any(SECRET in str(one) for one in log.parked)


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("Idd,At,Name,Stage", "deals.csv has no column 'Id'"),
        ("Id,Name,Stage", "deals.csv has no column 'At'"),
        ("", "deals.csv has no column 'Id'"),
        (b"\xff\xfe\0", "deals.csv has no header that can be read"),
    ],
)
def test_a_table_without_a_column_that_is_needed_is_refused(tmp_path: Path, header: str | bytes, problem: str) -> None:
    project(tmp_path, {"deals.csv": header})
    with pytest.raises(WorkflowError) as told:
        folder(tmp_path, b"", files="{path: deals.csv, tab: Deals, id: Id, time: At}")
    assert problem in str(told.value)


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    project_ = folder(tmp_path, deal(1) + b"\n", files="{path: deals.jsonl}, {path: more.jsonl}")
    with pytest.raises(WorkflowError, match=r"there is no file more\.jsonl"):
        run(project_)


def test_a_file_that_cannot_be_read_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    with pytest.raises(NotSent, match="cannot read deals"):
        JsonLines(project(tmp_path, {"deals/x": ""}) / "deals").poll(None, START)


# -- poison in the log ------------------------------------------------------------------


def opened(project_: Folder) -> Embedded:
    """The stages over the project's state, as they stand after a run."""
    return open_flow(project_, project_.compile().book, project_.state / FILE)


def change(number: int) -> NewEntry:
    """A good message: another won deal."""
    event = msgspec.json.decode(deal(number, seen_at=START + number * 1000, source_position=number), type=ChangeEvent)
    return wire.change_entry(event)


def put(store: Store, *entries: NewEntry) -> None:
    """Append messages."""
    with store.transaction():
        store.append(entries)


POISON: dict[str, NewEntry] = {
    "bytes of nobody": NewEntry(topics.changes("sales:Deals"), "9", START, SECRET.encode()),
    "nothing": NewEntry(topics.changes("sales:Deals"), "9", START, b""),
    "a format of the future": NewEntry(topics.changes("sales:Deals"), "9", START, b"\x02" + pack({})[1:]),
    "another message": NewEntry(topics.changes("sales:Deals"), "9", START, pack({"Name": SECRET})),
    "a marker that is none": NewEntry(topics.changes("sales:Deals"), wire.MARKER, START, SECRET.encode()),
    "an outcome that is none": NewEntry(topics.JOURNEYS, "sales:Deals/1", START, SECRET.encode()),
    "a message on which the stage raises": NewEntry(topics.JOURNEYS, "sales:Deals/1", START, pack(Go(at=START))),
}


def test_poison_is_parked_and_the_rest_goes_on(tmp_path: Path) -> None:
    project_ = folder(tmp_path, deal(1) + b"\n")
    run(project_)
    flow = opened(project_)
    for number, poison in enumerate(POISON.values()):
        put(flow.store, poison, change(10 + number))
    flow.run()
    parked = parked_messages(flow.store)
    flow.store.close()
    assert won(Log(project_)) == sorted(["1", *(str(10 + number) for number in range(len(POISON)))])
    assert [(one.topic, one.key) for one in parked] == [(one.topic, one.key) for one in POISON.values()]
    assert not any(SECRET in str(one) for one in parked)


def test_poison_that_is_tried_again_is_parked_again(tmp_path: Path) -> None:
    project_ = folder(tmp_path, deal(1) + b"\n")
    run(project_)
    flow = opened(project_)
    put(flow.store, *POISON.values())
    flow.run()
    assert try_again(flow.store, parked_messages(flow.store)) == len(POISON)
    flow.run()
    assert [one.topic for one in parked_messages(flow.store)] == [one.topic for one in POISON.values()]
    flow.store.close()


class Stumbling:
    """A stranger's stage that raises on one record until it is mended."""

    name: ClassVar[str] = "stumbling"
    reads: ClassVar[tuple[str, ...]] = ("changes.*",)
    mended: ClassVar[bool] = False

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        """Nothing, or a bug."""
        if key == "11" and not self.mended:
            raise ZeroDivisionError("a bug of a stranger")
        return []

    def changed(self) -> Iterator[Changed]:
        """Nothing."""
        return iter(())


class Mended(Stumbling):
    """The same stage after its repair."""

    mended: ClassVar[bool] = True


def test_what_a_stage_stumbled_over_is_taken_when_it_is_mended(tmp_path: Path) -> None:
    project_ = folder(tmp_path, deal(1) + b"\n")
    run(project_)
    book, store = project_.compile().book, Store(project_.state / FILE)
    put(store, change(10), change(11), change(12))
    Embedded(store, book, more_stages=[Stumbling]).run()
    [parked] = parked_messages(store)
    assert (parked.key, parked.why) == ("11", "ZeroDivisionError: a bug of a stranger")
    assert won(Log(project_)) == ["1", "10", "12"]
    assert try_again(store, [parked]) == 1
    Embedded(store, book, more_stages=[Mended]).run()
    assert not parked_messages(store)
    assert won(Log(project_)) == ["1", "10", "11", "12"]
    store.close()


def test_a_full_disk_parks_nothing(tmp_path: Path) -> None:
    project_ = folder(tmp_path, deal(1) + b"\n")
    run(project_)
    flow = opened(project_)
    put(flow.store, *map(change, range(10, 300)))
    (pages,) = flow.store.database.execute("PRAGMA page_count").fetchone()
    flow.store.database.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(StoreError, match="full"):
        flow.run()
    flow.store.database.execute(f"PRAGMA max_page_count = {pages + 10_000}")
    flow.run()
    assert not parked_messages(flow.store)
    flow.store.close()
    assert len(won(Log(project_))) == 291
