"""The streams as one of the parts of a process that runs all of a project on Kafka."""

import asyncio
import threading

from renkei.attending import PartitionHealth
from renkei.folder import Folder
from renkei.killing import killing
from renkei.metrics import Meter
from renkei.parts import Turned
from renkei.runner import wall_clock
from renkei.streaming import Measured, cluster_of, topology_of
from renkei.web import Health
from rules.book import Book
from schemas.values import SECOND
from streams.faust_runtime import Streams

STOP_SECONDS = 9.0


class StreamsPart:
    """Runs the streams in an event loop and a thread of their own; its turns only look after them."""

    name = "streams"

    def __init__(self, folder: Folder, book: Book, broker: str, meter: Meter, health: Health) -> None:
        self._made = threading.Event()
        self._streams: Streams | None = None
        self._failure: BaseException | None = None
        self._topology, self._cluster = topology_of(folder, book), cluster_of(folder, broker)
        self._measured = Measured(meter, health)
        self._partitions = PartitionHealth(health)
        self._thread = threading.Thread(target=self._run, name="renkei streams loop", daemon=True)
        self._thread.start()
        self._made.wait()

    @property
    def is_ready(self) -> bool:
        """Whether all partitions of this process are open."""
        return self._streams is not None and self._streams.is_ready

    def turn(self, now: int) -> Turned:
        """Look whether the streams live, and say what is wrong with which partition.

        Raises:
            BaseException: what ended them.
        """
        if self._failure is not None:
            raise self._failure
        statuses = self._streams.statuses() if self._streams is not None else []
        self._partitions.tell(statuses)
        problems = [f"partition {one.partition}: {one.problem}" for one in statuses if one.problem]
        return Turned(False, now + SECOND // 4, "; ".join(problems[:3]))

    def close(self) -> None:
        """End every transaction in flight, and leave the group."""
        if self._streams is not None:
            self._streams.stop()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._made.set()

    async def _serve(self) -> None:
        self._streams = Streams(self._topology, self._cluster, self._measured, wall_clock, killing())
        self._made.set()
        await self._streams.run()
