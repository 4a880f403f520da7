"""Change events from files: good lines are events, bad ones are told with their place and reason."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import BadLine, Polled
from connectors.capture import TIE_BITS
from connectors.csv_rows import CsvRows, CsvTab
from connectors.file import JsonLines, read_event
from schemas.codec import to_json
from schemas.events import ChangeEvent
from schemas.values import Amount
from tests.connectors.fakes import NOW

LINE = (
    b'{"tab":"zoho:Deals","record_id":"1","op":"create","after":{"id":"1","Amount":12.50,"Tags":["a"]},'
    b'"committed_at":1800000000000,"seen_at":1800000000001,"source_position":5}'
)
EVENT = ChangeEvent(
    tab="zoho:Deals", record_id="1", op="create", after={"id": "1", "Amount": Amount("12.50"), "Tags": ["a"]},
    committed_at=NOW, seen_at=NOW + 1, source_position=5,
)  # fmt: skip
PEOPLES = b'{"tab":"zoho:Deals","record_id":"1","op":"delete","committed_at":"2027-01-15T17:00:00+09:00"}'


def lines(path: Path, *content: bytes, end: bytes = b"\n") -> JsonLines:
    path.write_bytes(b"\n".join(content) + end)
    return JsonLines(path, limit=4, longest=1000)


def everything(capture: JsonLines | CsvRows) -> tuple[list[ChangeEvent], list[BadLine]]:
    position, events, bad = None, [], []
    while True:
        polled: Polled = capture.poll(position, NOW)
        position, more = polled.position, polled.more
        events += polled.events
        bad += polled.bad
        if not more:
            return events, bad


def test_a_line_is_an_event_with_exact_decimals(tmp_path: Path) -> None:
    assert everything(lines(tmp_path / "deals.jsonl", LINE)) == ([EVENT], [])


def test_people_may_write_times_as_text_and_leave_out_what_follows(tmp_path: Path) -> None:
    [event], bad = everything(lines(tmp_path / "deals.jsonl", b"", PEOPLES))
    assert not bad
    assert (event.committed_at, event.seen_at, event.source_position) == (NOW, NOW, (NOW << TIE_BITS) | 2)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a change event: Expected `object`, got `array`"),
        (LINE.replace(b"create", b"invent"), "not a change event: `$.op`"),
        (LINE.replace(b'"tab"', b'"tba"'), "not a change event: Object contains unknown field `tba`"),
        (LINE.replace(b"1800000000000", b'"yesterday"'), "a time is neither ISO text nor milliseconds"),
        (LINE.replace(b'"a"', b'"\xff"'), "not UTF-8"),
        (LINE.replace(b'"a"', b'"\0"'), "a NUL byte"),
        (LINE.replace(b'"a"', b'"\\u0000"'), "a NUL byte"),
        (LINE.replace(b'["a"]', b'{"a":{"b":1}}'), "a field value is an object"),
        (LINE.replace(b'["a"]', b"[" * 400 + b"]" * 400), None),
        (LINE.replace(b'"a"', b'"' + b"x" * 1000 + b'"'), "longer than 1000 bytes"),
        (LINE.replace(b"12.50", b"NaN"), "not JSON"),
    ],
)
def test_a_bad_line_is_told_and_the_next_one_is_read(tmp_path: Path, line: bytes, reason: str | None) -> None:
    events, bad = everything(lines(tmp_path / "deals.jsonl", LINE, line, LINE))
    assert events[:1] == events[-1:] == [EVENT]
    assert bad == ([BadLine(reason, "deals.jsonl", 2)] if reason else [])


def test_ten_megabytes_in_one_line_are_passed_over_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "deals.jsonl"
    path.write_bytes(LINE + b"\n" + b'{"after":"' + b"x" * 10_000_000 + b'"}\n' + LINE + b"\n")
    events, bad = everything(JsonLines(path))
    assert events == [EVENT, EVENT]
    assert bad == [BadLine("longer than 1048576 bytes", "deals.jsonl", 2)]


def test_a_line_that_is_being_written_is_left_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deals.jsonl"
    capture = lines(path, LINE, LINE[:50], end=b"")
    first = capture.poll(None, NOW)
    assert (len(first.events), first.bad, first.more) == (1, [], False)
    path.write_bytes(LINE + b"\n" + LINE + b"\n")
    second = capture.poll(first.position, NOW)
    assert second.events == [EVENT]
    assert capture.poll(second.position, NOW).events == []


@given(st.binary(max_size=200))
def test_no_bytes_are_fatal(line: bytes) -> None:
    assert isinstance(read_event(line, 1, NOW), ChangeEvent | str)


@given(st.text(max_size=40))
def test_what_was_written_is_read_back(name: str) -> None:
    event = ChangeEvent(
        tab="zoho:Deals", record_id="1", op="update", after={"id": "1", "Name": name}, committed_at=NOW,
        seen_at=NOW,
        source_position=3,
    )  # fmt: skip
    found = read_event(to_json(event), 1, NOW)
    assert found == (event if "\0" not in name else "a NUL byte")


def test_a_hundred_thousand_lines_are_read_in_one_poll(tmp_path: Path) -> None:
    path = tmp_path / "deals.jsonl"
    path.write_bytes((LINE + b"\n") * 100_000)
    events = JsonLines(path, limit=200_000).poll(None, NOW).events
    assert len(events) == 100_000


def table(path: Path, content: bytes, **more: object) -> CsvRows:
    path.write_bytes(content)
    told: dict[str, object] = {
        "types": {"Amount": "number", "Closing": "date"},
        "rename": {"Deal": "Name"},
        **more,
    }
    return CsvRows(CsvTab(path=path, tab="zoho:Deals", id="Id", **told), limit=2, longest=500)  # type: ignore[arg-type]  # told by name


CSV = b'\xef\xbb\xbfId,Deal,Amount,Closing\n1,"Big, very",12.50,2026-01-31\n2,"two\nlines",,\n\n3,x,7,\n'


def test_an_export_is_a_first_load(tmp_path: Path) -> None:
    events, bad = everything(table(tmp_path / "deals.csv", CSV))
    assert not bad
    assert [event.after for event in events] == [
        {"id": "1", "Id": "1", "Name": "Big, very", "Amount": Amount("12.5"), "Closing": "2026-01-31"},
        {"id": "2", "Id": "2", "Name": "two\nlines", "Amount": None, "Closing": None},
        {"id": "3", "Id": "3", "Name": "x", "Amount": 7, "Closing": None},
    ]
    assert all(event.load for event in events)


def test_an_export_with_times_tells_creates(tmp_path: Path) -> None:
    content = b"Id,At\n1,2027-01-15T08:00:00Z\n2,soon\n"
    [event], bad = everything(table(tmp_path / "deals.csv", content, time="At", types={}))
    assert (event.op, event.load, event.committed_at) == ("create", False, NOW)
    assert bad == [BadLine("column 'At' is empty or cannot be read", "deals.csv", 3)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1,x", "2 columns instead of 4"),
        (b"1,x,many,", "column 'Amount' is not of type number"),
        (b"1,x,1,31.1.2026", "column 'Closing' is not of type date"),
        (b",x,1,", "column 'Id' is empty or cannot be read"),
        (b"1,\xff,1,", "not UTF-8"),
        (b"1,\0,1,", "a NUL byte"),
        (b"1," + b"x" * 600 + b",1,", "longer than 500 bytes"),
    ],
)
def test_a_bad_row_is_told_and_the_next_one_is_read(tmp_path: Path, row: bytes, reason: str) -> None:
    content = b"Id,Deal,Amount,Closing\n1,a,1,\n" + row + b"\n2,b,2,\n"
    events, bad = everything(table(tmp_path / "deals.csv", content))
    assert [event.record_id for event in events] == ["1", "2"]
    assert bad == [BadLine(reason, "deals.csv", 3)]
