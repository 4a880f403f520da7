"""``python -m benchmarks kafka``: the figures of the flow on Kafka, each on fresh topics of one broker."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.figures import RUNS, Figure, say
from benchmarks.flow.plant import Plant
from sandbox.broker.cluster import Cluster
from schemas.events import ChangeEvent

EDITS = 36_000
RATE, SECONDS = 500, 20
RECORDS = 1_000_000
SCALED = 60_000


def figures(names: frozenset[str]) -> Iterator[Figure]:
    """All figures, or those named."""
    wanted = [name for name in _FIGURES if not names or name in names]
    if not wanted:
        return
    with tempfile.TemporaryDirectory(prefix="flow-") as folder, Cluster(Path(folder) / "kafka") as broker:
        for name in dict.fromkeys(_FIGURES[name] for name in wanted):
            yield from (one for one in name(broker.bootstrap, Path(folder)) if not names or one.name in names)


def _fused(servers: str, folder: Path) -> Iterator[Figure]:
    yield _figure(
        "faust_events_per_s", "change events per CPU-second", "at least 20,000",
        lambda: asyncio.run(_throughput(Plant(servers, folder, workspaces=12, partitions=12), 400)),
    )  # fmt: skip


def _spread(servers: str, folder: Path) -> Iterator[Figure]:
    yield _figure(
        "faust_spread_events_per_s", "change events per CPU-second", "at least 8,000",
        lambda: asyncio.run(_throughput(Plant(servers, folder, workspaces=1, partitions=4, spread=True), 4_800)),
    )  # fmt: skip


async def _throughput(plant: Plant, deals: int) -> float:
    """Edits over CPU time of the streams process; what fires is answered outside of the measured time."""
    async with plant:
        plant.start()
        await plant.load(deals)
        await plant.answer()
        await plant.edit(EDITS // 4)
        await plant.settle()
        await plant.answer()
        before = plant.cpu()
        taken = await plant.edit(EDITS)
        await plant.settle()
        spent = plant.cpu() - before
        fired = await plant.answer()
        assert 0.06 < fired / taken < 0.14, f"{fired / taken:.3f} of the events fire instead of one in ten"
        return taken / spent


def _latency(servers: str, folder: Path) -> Iterator[Figure]:
    halves: list[float] = []
    tails: list[float] = []
    for number in range(RUNS):
        say(f"latency: run {number + 1} of {RUNS}")
        delays = sorted(asyncio.run(_delays(Plant(servers, folder, workspaces=4, partitions=4))))
        halves.append(statistics.median(delays))
        tails.append(delays[int(len(delays) * 0.99)])
    yield _of("latency_p50_ms", "ms at 500 events/s", "under 30", halves)
    yield _of("latency_p99_ms", "ms at 500 events/s", "under 150", tails)


async def _delays(plant: Plant) -> list[float]:
    """Milliseconds from the acknowledgement of a change event until its command can be read."""
    async with plant:
        plant.start()
        await plant.load(500)
        await plant.answer()
        acknowledged: dict[tuple[str, str, int], float] = {}
        delays: list[float] = []
        feeding = asyncio.create_task(_at_rate(plant, acknowledged))
        while not feeding.done():
            async for workspace, command in plant.commands(wait=20):
                at = acknowledged.get((workspace, command.journey, command.planned_at))
                if at is not None:
                    delays.append((time.perf_counter() - at) * 1000)
        await feeding
        assert len(delays) > 100, f"only {len(delays)} commands could be timed"
        return delays


async def _at_rate(plant: Plant, acknowledged: dict[tuple[str, str, int], float]) -> None:
    """Feed edits of deals at an even rate, each with the time at which it is sent."""
    began, names = time.perf_counter(), list(plant.worlds)
    for number in range(RATE * SECONDS):
        name = names[number % len(names)]
        (event,) = plant.worlds[name].edited(1)
        now = time.time_ns() // 1_000_000
        stamped: ChangeEvent = plant.stamped(event, now)
        sent = await plant.send(name, stamped)
        sent.add_done_callback(partial(_note, acknowledged, (name, event.ref, now)))
        await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
    await plant.producer.flush()


def _note(acknowledged: dict[tuple[str, str, int], float], key: tuple[str, str, int], _: object) -> None:
    acknowledged[key] = time.perf_counter()


def _restore(servers: str, folder: Path) -> Iterator[Figure]:
    cold, warm = asyncio.run(_restored(Plant(servers, folder, workspaces=12, partitions=12)))
    yield _of("restore_cold_s", f"s, {RECORDS:,} records", "under 60", cold)
    yield _of("restore_warm_s", f"s, {RECORDS:,} records", "under 5", warm)


async def _restored(plant: Plant) -> tuple[list[float], list[float]]:
    async with plant:
        plant.start()
        await plant.load(RECORDS * 4 // 9 // plant.workspaces)
        plant.stop()
        cold: list[float] = []
        for number in range(3):
            say(f"restore: run {number + 1} of 3")
            plant.start(snapshots=False)
            cold.append(plant.took[-1])
            plant.stop()
        plant.start()
        plant.stop()
        warm: list[float] = []
        for _ in range(3):
            plant.start()
            warm.append(plant.took[-1])
            plant.stop()
        return cold, warm


def _scale(servers: str, folder: Path) -> Iterator[Figure]:
    for count in (2, 4):
        name = f"scale_{count}"
        ratios = [asyncio.run(_scaled(servers, folder, count)) for _ in range(3)]
        yield _of(name, f"throughput of {count} processes over that of one, 50 workspaces", "stated", ratios)


async def _scaled(servers: str, folder: Path, count: int) -> float:
    alone = await _wall(Plant(servers, folder, workspaces=50, partitions=12), 1)
    return await _wall(Plant(servers, folder, workspaces=50, partitions=12), count) / alone


async def _wall(plant: Plant, count: int) -> float:
    """Edits per second of time with so many processes; the shares of work are told on the way."""
    async with plant:
        plant.start(count)
        await plant.load(100)
        await plant.answer()
        before = plant.cpus()
        taken = await plant.edit(SCALED)
        began = time.perf_counter()
        await plant.settle()
        seconds = time.perf_counter() - began
        spent = [after - was for after, was in zip(plant.cpus(), before, strict=True)]
        say(f"  {count} processes: {taken / seconds:,.0f}/s, CPU seconds {[round(one, 1) for one in spent]}")
        return taken / seconds


def _figure(name: str, unit: str, target: str, run: Callable[[], float]) -> Figure:
    values: list[float] = []
    for number in range(RUNS):
        say(f"{name}: run {number + 1} of {RUNS}")
        values.append(run())
    return _of(name, unit, target, values)


def _of(name: str, unit: str, target: str, runs: list[float]) -> Figure:
    return Figure(name, statistics.median(runs), unit, target, tuple(runs))


_FIGURES: dict[str, Callable[[str, Path], Iterator[Figure]]] = {
    "faust_events_per_s": _fused,
    "faust_spread_events_per_s": _spread,
    "latency_p50_ms": _latency,
    "latency_p99_ms": _latency,
    "restore_cold_s": _restore,
    "restore_warm_s": _restore,
    "scale_2": _scale,
    "scale_4": _scale,
}
