"""The figures of the core: stages alone, the embedded runtime, criteria, warm start, growth of cost."""

import gc
import tempfile
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

from benchmarks import workload
from benchmarks.figures import Figure, measured
from connectors.file import JsonLines
from rules.calendars import Calendar
from rules.criteria import AliasContext, Context, compile_criteria
from rules.criteria.scope import Scope
from schemas.codec import to_json
from schemas.events import ChangeEvent
from schemas.messages import Loaded
from streams import wire
from streams.embedded import Embedded
from streams.journeys import Journeys
from streams.records import Records
from streams.relations import Relations
from streams.stage import Output, Place, Source, Stage
from streams.store import Store

EDITS = 40_000
DEALS = 3_000
BATCH = 2_000


def figures(names: frozenset[str]) -> Iterator[Figure]:
    """All figures, or those named."""
    for name, figure in _FIGURES.items():
        if not names or name in names:
            yield from figure()


class Fused:
    """The three stages in process, fused as the embedded runtime does, with nothing around them."""

    def __init__(self) -> None:
        book, place = workload.book(), Place()
        self.stages: dict[str, Stage] = {
            "records": Records(book, place, {}),
            "relations": Relations(place, {}),
            "journeys": Journeys(book, place, {}),
        }
        self.commands = self._number = 0
        for tab in workload.TABS:
            marker = Loaded(at=0, tab=tab, generation=0, upstream=("capture", 0))
            self.feed(Output(f"changes.{tab}", "", marker))

    def feed(self, first: Output) -> None:
        """Run one message to rest."""
        self._number += 1
        source = Source(0, self._number)
        queue = deque([first])
        while queue:
            output = queue.popleft()
            stage = self.stages.get(wire.stage_of(output.topic))
            if stage is not None:
                queue.extend(stage.step(output.key, output.message, source))
            elif output.topic.startswith("commands."):
                self.commands += 1

    def take(self, events: Iterable[ChangeEvent]) -> None:
        """Run change events to rest, one after another."""
        for event in events:
            self.feed(Output("changes.", event.record_id, event))


def _without_collector(work: Callable[[], None]) -> float:
    """Seconds of one core for the work, the collector kept out as the runtimes keep it out of their batches."""
    gc.collect()
    gc.freeze()
    gc.disable()
    started = time.process_time()
    work()
    seconds = time.process_time() - started
    gc.enable()
    gc.unfreeze()
    return seconds


def _stages() -> Iterator[Figure]:
    def run() -> float:
        fused, world = Fused(), workload.World(DEALS)
        fused.take(world.created())
        events = list(world.edited(EDITS))
        return EDITS / _without_collector(lambda: fused.take(events))

    yield measured("stages_events_per_s", "events/s", "at least 40,000", run)


def _embedded() -> Iterator[Figure]:
    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            history = Path(folder) / "history.jsonl"
            world = workload.World(DEALS)
            events = [*world.created(), *world.edited(EDITS)]
            history.write_bytes(b"".join(to_json(event) + b"\n" for event in events))
            flow = Embedded(Store(Path(folder) / "renkei.db"), workload.book())
            flow.mark_loaded(workload.TABS, 0)
            seconds = _timed(lambda: _from_file(flow, history))
            assert flow.store.count("commands.zoho") > 0
            flow.store.close()
            return len(events) / seconds

    yield measured("embedded_events_per_s", "events/s", "at least 15,000", run)


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
    scope = cast(Scope, SimpleNamespace(records=records, now=0))

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
        flow.mark_loaded(workload.TABS, 0)
        flow.append(workload.World(100_000 * 4 // 9).created())
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
        fused.take(workload.World(records * 4 // 9).created())
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
    fused.take(world.created())
    gc.enable()
    events = list(world.edited(EDITS))
    return _without_collector(lambda: fused.take(events)) / EDITS


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
