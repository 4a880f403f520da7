"""The figures of the Avro contracts: a change event of 14 fields, decoded and encoded as on a topic (CPU time)."""

import time
from collections.abc import Callable, Iterator

from benchmarks.figures import Figure, measured
from schemas.events import ChangeEvent
from schemas.framing import Framing, Framings
from schemas.topics import changes
from schemas.values import Amount

COUNT = 50_000
EVENT = ChangeEvent(
    tab="zoho:Deals", record_id="3652397000001234567", op="update",
    after={
        "id": "3652397000001234567", "Deal_Name": "Umbrella 年間契約", "Stage": "Closed Won", "Probability": 90,
        "Amount": Amount("1250000.50"), "Closing_Date": "2026-03-31", "Account_Name": "3652397000000998877",
        "Owner": "3652397000000123456", "Modified_Time": "2026-01-31T09:00:00Z", "Lead_Source": "Partner",
        "Created_Time": "2025-11-02T01:12:13Z", "Tags": ["partner", "urgent"], "Paid": False, "Next_Step": None,
    },
    committed_at=1_769_850_000_000, seen_at=1_769_850_001_234, source_position=1_769_850_000_000 << 20,
    changed_fields=("Stage", "Amount"), actor="3652397000000123456",
)  # fmt: skip


def figures(names: frozenset[str]) -> Iterator[Figure]:
    """All figures, or those named."""
    for name, figure in _FIGURES.items():
        if not names or name in names:
            yield from figure()


def _decode() -> Iterator[Figure]:
    framing = _framing()
    value, headers = framing.encode(EVENT)
    assert framing.decode(value, headers) == EVENT
    yield measured("avro_decode_us", "us", "at most 6", lambda: _microseconds(lambda: framing.decode(value, headers)))


def _encode() -> Iterator[Figure]:
    framing = _framing()
    yield measured("avro_encode_us", "us", "at most 8", lambda: _microseconds(lambda: framing.encode(EVENT)))


def _framing() -> Framing[ChangeEvent]:
    return Framings().of(changes(EVENT.tab))


def _microseconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    for _ in range(COUNT):
        work()
    return (time.process_time() - started) / COUNT * 1e6


_FIGURES: dict[str, Callable[[], Iterator[Figure]]] = {"avro_decode_us": _decode, "avro_encode_us": _encode}
