"""How long a live command takes while a backlog of bulk commands is applied beside it, against a quiet connection."""

import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.crms.stand import Kind, Stand
from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas.commands import Lane

ANSWER = 0.25
"""Seconds that the CRM takes for each call, beside its own work."""


def ratio(kind: Kind, backlog: int, samples: int, apart: float = 0.1) -> float:
    """The 99th percentile of live commands during the backlog, over that of a quiet connection. By the wall's clock."""
    quiet = _percentile(_measured(kind, 0, samples, apart))
    busy = _percentile(_measured(kind, backlog, samples, apart))
    return busy / quiet


def _percentile(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[98]


def _measured(kind: Kind, backlog: int, samples: int, apart: float) -> list[float]:
    """Seconds from the log to the report, of so many live commands."""
    with tempfile.TemporaryDirectory() as folder, _elsewhere(kind, max(backlog, samples)) as (url, ids):
        stand = Stand(Sandbox(), kind, Path(folder), through=url)
        stand.put(stand.update(f"b{one}", ids[one], f"背景 {one}", "bulk") for one in range(backlog))
        crew = _Crew(stand, ("live", "bulk"))
        try:
            if backlog:
                crew.wait_for(lambda: crew.applied["bulk"] > 0)
            seconds = [_one(stand, crew, f"l{one}", ids[one], apart) for one in range(samples)]
            assert not backlog or crew.is_busy(), "the backlog was over before the live commands were"
            return seconds
        finally:
            crew.stop()
            stand.close()


@contextmanager
def _elsewhere(kind: Kind, records: int) -> Iterator[tuple[str, list[str]]]:
    """The CRM in a process of its own, as it is in life: its address, and the ids of its records."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    program = context.Process(target=_serve, args=(theirs, kind, records), daemon=True)
    program.start()
    try:
        url, ids = ours.recv()
        yield url, ids
    finally:
        ours.send("end")
        program.join(10)


def _serve(pipe: Connection, kind: Kind, records: int) -> None:
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as folder:
        stand = Stand(sandbox, kind, Path(folder))
        stand.crm.quota.limit = 10**9
        ids = stand.records(records)
        stand.crm.faults.add(Fault("delay", times=sys.maxsize, seconds=ANSWER))
        pipe.send((stand.crm.url, ids))
        pipe.recv()
        stand.close()


def _one(stand: Stand, crew: "_Crew", name: str, record: str, apart: float) -> float:
    time.sleep(apart)
    began = time.perf_counter()
    before = crew.applied["live"]
    stand.put([stand.update(name, record, f"今 {name}")])
    crew.wake.set()
    crew.wait_for(lambda: crew.applied["live"] > before)
    return time.perf_counter() - began


class _Crew:
    """A thread for each lane, as ``renkei run`` has them."""

    def __init__(self, stand: Stand, lanes: tuple[Lane, ...]) -> None:
        self.wake, self._news, self._end = threading.Event(), threading.Event(), threading.Event()
        self.applied: dict[Lane, int] = dict.fromkeys(lanes, 0)
        self._idle: dict[Lane, bool] = dict.fromkeys(lanes, False)
        self._threads = [threading.Thread(target=self._run, args=(stand, lane), daemon=True) for lane in lanes]
        for thread in self._threads:
            thread.start()

    def is_busy(self) -> bool:
        """Whether the bulk lane still has something to do."""
        return not self._idle["bulk"]

    def wait_for(self, is_there: Callable[[], bool]) -> None:
        """Until it is so, looked at whenever something was applied."""
        while not is_there():
            self._news.wait(0.005)
            self._news.clear()

    def stop(self) -> None:
        """End after the present turns."""
        self._end.set()
        self.wake.set()
        for thread in self._threads:
            thread.join()

    def _run(self, stand: Stand, lane: Lane) -> None:
        worker, close = stand.worker(lane, _now)
        while not self._end.is_set():
            with stand.limiter.urgent() if lane == "live" else nullcontext():
                turn = worker.turn(_now())
            self.applied[lane] += turn.applied
            self._idle[lane] = turn.idle_until is None and not turn.applied
            self._news.set()
            if not turn.applied:
                wait = 1.0 if turn.idle_until is None else max(0.0, turn.idle_until / 1000 - time.time())
                self.wake.wait(min(wait, 1.0))
                if lane == "live":
                    self.wake.clear()
        close()


def _now() -> int:
    return time.time_ns() // 1_000_000
