"""The figures of the core: stages alone, the embedded runtime, criteria, warm start, growth of cost."""

import gc
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from benchmarks import workload
from benchmarks.figures import Figure, measured
from connectors.file import JsonLines
from rules.calendars import Calendar
from rules.criteria import AliasContext, Context, compile_criteria
from rules.criteria.scope import Scope
from schemas.codec import to_json
from schemas.commands import Applied, Command
from schemas.events import ChangeEvent
from schemas.messages import OutcomeOf
from schemas.topics import JOURNEYS, changes
from streams import wire
from streams.embedded import BATCH, Embedded
from streams.flow import Flow, loaded
from streams.stage import Place, Source
from streams.store import Store

EDITS = 40_000
CHUNK = 4_000
DEALS = 3_000


def figures(names: frozenset[str]) -> Iterator[Figure]:
    """All figures, or those named."""
    for name, figure in _FIGURES.items():
        if not names or name in names:
            yield from figure()


class Fused:
    """The fused flow with nothing around it."""

    def __init__(self) -> None:
        self.flow = Flow(workload.book(), Place())
        self.commands: list[Command] = []
        self._number = 0

    def load(self, world: workload.World) -> None:
        """Know all tabs, take all records, and answer what follows from them."""
        for tab in workload.TABS:
            self.feed(changes(tab), wire.MARKER, loaded(tab, 0), 0)
        self.take(world.found())
        self.answer()

    def feed(self, topic: str, key: str, message: Any, at: int) -> None:
        """Run one message to rest."""
        self._number += 1
        for output in self.flow.feed(topic, key, message, at, Source(0, self._number)):
            if output.topic.startswith("commands."):
                self.commands.append(output.message)

    def answer(self) -> int:
        """Report all commands as applied, as connectors would in the meantime; how many there were."""
        commands, self.commands = self.commands, []
        for command in commands:
            applied = Applied(command_id=command.id, record_id=command.record_id)
            self.feed(JOURNEYS, command.journey, OutcomeOf(at=0, fire=command.fire, outcome=applied), 0)
        return len(commands)

    def take(self, events: Iterable[ChangeEvent]) -> None:
        """Run change events to rest, one after another."""
        for event in events:
            self.feed("changes.", event.record_id, event, event.seen_at)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the collector out, as the runtimes keep it out of their batches."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _stages() -> Iterator[Figure]:
    def run() -> float:
        fused, world = Fused(), workload.World(DEALS)
        fused.load(world)
        return 1 / _seconds_per_edit(fused, world)

    yield measured("stages_events_per_s", "events/s", "at least 40,000", run)


def _embedded() -> Iterator[Figure]:
    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            world = workload.World(DEALS)
            found, edited = Path(folder) / "found.jsonl", Path(folder) / "edited.jsonl"
            count = _written(found, world.found()) + _written(edited, world.edited(EDITS))
            flow = Embedded(Store(Path(folder) / "renkei.db"), workload.book())
            seconds = _timed(lambda: _from_file(flow, found))
            flow.mark_loaded(workload.TABS, 0)
            seconds += _timed(lambda: _from_file(flow, edited))
            assert flow.store.count("commands.zoho") > EDITS / 12
            flow.store.close()
            return count / seconds

    yield measured("embedded_events_per_s", "events/s", "at least 15,000", run)


def _written(file: Path, events: Iterable[ChangeEvent]) -> int:
    """Write change events as JSON lines; how many."""
    lines = [to_json(event) + b"\n" for event in events]
    file.write_bytes(b"".join(lines))
    return len(lines)


def _from_file(flow: Embedded, history: Path) -> None:
    """Capture from the file to commands, every batch committed durably."""
    lines, position = JsonLines(history, limit=BATCH), None
    while True:
        polled = lines.poll(position, 0)
        flow.append(polled.events)
        position = polled.position
        while flow.turn(BATCH).read:
            pass
        if not polled.more:
            return


def _criteria() -> Iterator[Figure]:
    text = (
        'deal.Stage is "Closed Won" and deal.Amount >= 10000 and account.Type is "Customer" '
        'and account.Region in ["EMEA", "APAC"]'
    )
    aliases = {"deal": AliasContext(), "account": AliasContext()}
    verdict = compile_criteria(text, Context("deal", aliases, Calendar.always(ZoneInfo("UTC")))).verdict
    records = {
        "deal": {"Stage": "Closed Won", "Amount": 12_000}, "account": {"Type": "Customer", "Region": "APAC"},
    }  # fmt: skip
    scope = cast(Scope, records)

    def run() -> float:
        count = 500_000
        return count / _timed(lambda: _repeat(verdict, scope, count))

    yield measured("criteria_per_s", "evaluations/s", "at least 1,000,000", run)


def _repeat(verdict: Callable[[Scope], Any], scope: Scope, count: int) -> None:
    for _ in range(count):
        verdict(scope)


def _warm_start() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "renkei.db"
        flow = Embedded(Store(file), workload.book())
        flow.append(workload.World(100_000 * 4 // 9).found())
        flow.mark_loaded(workload.TABS, 0)
        flow.run()
        flow.store.close()

        def start() -> float:
            return _timed(lambda: _opened(file))

        yield measured("warm_start_s", "s with 100,000 records", "under 3", start)


def _opened(file: Path) -> None:
    """Open the state, and take one change through it."""
    flow = Embedded(Store(file), workload.book())
    assert len(flow.records.states) > 90_000
    flow.store.close()


def _memory() -> Iterator[Figure]:
    def run() -> float:
        fused, records = Fused(), 9_000
        tracemalloc.start()
        fused.load(workload.World(records * 4 // 9))
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return held / records

    yield measured("bytes_per_record", "bytes of memory, all three stages", "stated", run)


def _growth() -> Iterator[Figure]:
    """Small and large state in turn, so that a slow moment of the machine hits both."""

    def run() -> float:
        small, large = _seconds_per_event(10_000), _seconds_per_event(1_000_000)
        return large / small

    yield measured("cost_growth", "ratio of 1,000,000 to 10,000 records", "at most 1.3", run)


def _seconds_per_event(records: int) -> float:
    fused, world = Fused(), workload.World(records * 4 // 9)
    gc.disable()
    fused.load(world)
    gc.enable()
    return _seconds_per_edit(fused, world)


def _seconds_per_edit(fused: Fused, world: workload.World) -> float:
    """Only the edits are timed; in between connectors report what they have applied."""
    seconds, fired = 0.0, 0
    with _without_collector():
        for _ in range(EDITS // CHUNK):
            events = list(world.edited(CHUNK))
            started = time.process_time()
            fused.take(events)
            seconds += time.process_time() - started
            fired += fused.answer()
    assert 0.09 < fired / EDITS < 0.12, f"{fired / EDITS:.3f} of the events fire instead of one in ten"
    return seconds / EDITS


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


_FIGURES: dict[str, Callable[[], Iterator[Figure]]] = {
    "stages_events_per_s": _stages,
    "embedded_events_per_s": _embedded,
    "criteria_per_s": _criteria,
    "warm_start_s": _warm_start,
    "bytes_per_record": _memory,
    "cost_growth": _growth,
}
