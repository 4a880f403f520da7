"""The parts of a project on Kafka: a worker and a capture per connection, each opened in the thread that turns it."""

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import partial
from random import Random
from secrets import randbits

from connectors.framing import Framing
from connectors.kafka_desk import KafkaDesk, Office
from connectors.kafka_io import BrokerAway, KafkaTrouble, Refused
from connectors.lease import Lease
from connectors.limits import Limiter
from connectors.waves import Threads
from connectors.worker import Worker
from renkei.folder import Folder
from renkei.kafka_sink import KafkaSink
from renkei.killing import killing
from renkei.limiting import Limiting, warn
from renkei.noticing import noticing_of
from renkei.parts import CapturePart, Clock, Part, Turned
from renkei.wiring import NO_CAPTURE, file_captures, metadata_part, tab_captures, tabs_of, wire
from rules.book import Book
from rules.durations import Duration
from rules.errors import Place, refuse
from schemas.values import SECOND


class KafkaWorkerPart:
    """Applies the commands of one connection, with all other processes that do."""

    def __init__(self, connection: str, worker: Worker, desk: KafkaDesk, limiter: Limiter, crew: Threads) -> None:
        self.name = f"worker {connection}"
        self.connection, self.worker, self.limiter = connection, worker, limiter
        self._desk, self._crew = desk, crew
        self.applied = self.rejected = self.unknown = 0
        self.waiting: dict[str, int] = {}
        """How many commands waited in memory at the end of the last turn, by lane."""

    @property
    def is_ready(self) -> bool:
        """Whether commands that come are taken."""
        return self._desk.is_ready

    def turn(self, now: int) -> Turned:
        """One round of the worker; what another one took over, or the broker may not have taken, is read anew."""
        try:
            turn = self.worker.turn(now)
        except Refused:
            raise
        except KafkaTrouble as error:
            self._desk.start_over(error)
            away = isinstance(error, BrokerAway)
            return Turned(False, now + SECOND if away else now, str(error) if away else "")
        finally:
            self.waiting = self._desk.waiting()
        self.limiter.share(self._desk.share)
        warn(self.connection, self.limiter, now)
        self.applied += turn.applied
        self.rejected += turn.rejected
        self.unknown += turn.unknown
        # Where nothing waits, the worker waits in its own poll; else it looks for live commands ten times a second.
        next_at = now if turn.idle_until is None else min(turn.idle_until, now + SECOND // 10)
        return Turned(bool(turn.applied + turn.rejected + turn.unknown), next_at, turn.problem)

    @property
    def parked(self) -> dict[str, int]:
        """How many messages were set aside so far, by topic; those that are read are all there."""
        return self._desk.parked

    def close(self) -> None:
        """Leave the group."""
        self._desk.close()
        self._crew.close()


def office_of(folder: Folder, address: str, connection: str) -> Office:
    """Where a connection of a project is worked on."""
    kafka = folder.settings.kafka
    return Office(
        address=address, connection=connection, partitions=kafka.partitions, workspace=folder.settings.workspace,
        prefix=kafka.prefix, spread=kafka.spread, session=Duration.parse(kafka.session).elapsed(),
    )  # fmt: skip


def connector_parts(
    folder: Folder,
    address: str,
    framing: Framing,
    clock: Clock,
    names: Collection[str] = (),
    limiting: Limiting | None = None,
) -> dict[str, Callable[[], Part]]:
    """How the workers of these connections, or of all, are opened."""
    limiting = limiting or Limiting(folder)
    wanted = chosen(folder, names, {name for name, one in folder.settings.connections.items() if one.kind != "file"})
    return {
        f"worker {name}": partial(kafka_worker_part, folder, name, address, framing, clock, limiting) for name in wanted
    }


def kafka_worker_part(
    folder: Folder, name: str, address: str, framing: Framing, clock: Clock, limiting: Limiting,
    office: Office | None = None,
) -> KafkaWorkerPart:  # fmt: skip
    """What applies the commands of a connection."""
    office = office or office_of(folder, address, name)
    lease = Lease(office.lease)
    wired = wire(folder, name, lease.check)
    limiter = limiting.of(name, wired.connector)
    crew = Threads(limiter.at_once)
    desk = KafkaDesk(office, framing, wired.connector, clock, lease, limiter)
    worker = Worker(
        wired.connector, wired.send, desk, desk, limiter, chance=Random(randbits(64)), at=killing(),  # noqa: S311 - jitter, not secrecy
        may_go_on=desk.may_go_on, crew=crew,
    )  # fmt: skip
    return KafkaWorkerPart(name, worker, desk, limiter, crew)


def capture_parts(
    folder: Folder,
    book: Book,
    address: str,
    framing: Framing,
    clock: Clock,
    names: Collection[str] = (),
    limiting: Limiting | None = None,
) -> dict[str, Callable[[], Part]]:
    """How the captures of these connections, or of all that a workflow reads, are opened."""
    tabs, limiting = tabs_of(book), limiting or Limiting(folder)
    watched = {
        name
        for name, one in folder.settings.connections.items()
        if one.kind not in NO_CAPTURE and (tabs.get(name) or one.files)
    }
    wanted = chosen(folder, names, watched)
    captures: dict[str, Callable[[], Part]] = {
        f"capture {name}": partial(kafka_capture_part, folder, tabs, name, address, framing, clock, limiting)
        for name in wanted
    }
    return {**captures, "watch metadata": lambda: metadata_part(folder, book, None, clock, limiting, wanted)}


def kafka_capture_part(
    folder: Folder, tabs: Mapping[str, list[str]], name: str, address: str, framing: Framing, clock: Clock,
    limiting: Limiting,
) -> CapturePart:  # fmt: skip
    """What watches a connection."""
    part, office, at = folder.settings.connections[name], office_of(folder, address, name), killing()
    interval = Duration.parse(part.poll).elapsed()
    if part.kind == "file":
        captures = file_captures(folder, name, tabs.get(name, []))
        return CapturePart(name, captures, KafkaSink(office, framing, captures, clock, echoes=False, at=at), interval)
    wired = wire(folder, name)
    limiter = limiting.of(name, wired.connector)
    captures = tab_captures(wired, tabs.get(name, []), limiter, clock)
    sink = KafkaSink(office, framing, captures, clock, at=at, limiter=limiter)
    hints = noticing_of(wired.connector, folder.credentials(name), wired.asking, tabs.get(name, []))
    wait = partial(limiter.wait, rank="capture")
    return CapturePart(name, captures, sink, interval, wired.connector, at, hints=hints, wait=wait)


def chosen(folder: Folder, names: Collection[str], known: Collection[str]) -> list[str]:
    """The connections that are named, or all that are known.

    Raises:
        WorkflowError: one is named that is not there, or has nothing to do here.
    """
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(sorted(known)) or 'none'}."
            refuse(f"no connection '{name}' has anything to do here", hint, Place("renkei.yaml"))
    return sorted(names or known)
