"""The topics of a project on a broker: which there are, how long they keep what, and whether they still fit."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from connectors.kafka_io import Admin, TopicSpec
from renkei.folder import Folder
from renkei.settings import ConnectionPart, KafkaPart
from renkei.wiring import NO_CAPTURE, stages_of, tabs_of
from rules.book import Book
from rules.errors import Place, Problem, Problems, refuse
from schemas import topics
from schemas.values import DAY
from streams.topology import own_topics

LARGEST = 8_388_608
"""Bytes of a message at most: the state of a journey with many records is one message."""


class TopicAdmin(Protocol):
    """What looks at a broker's topics and makes them."""

    def partitions(self, topics: Sequence[str]) -> Mapping[str, int]:
        """How many partitions each topic has; those that are not there are left out."""
        ...

    def settings(self, topic: str) -> Mapping[str, str]:
        """The settings of a topic that are its own."""
        ...

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """Make topics."""
        ...

    def alter(self, topic: str, settings: Mapping[str, str]) -> None:
        """Change settings of a topic."""
        ...


def topics_of(folder: Folder, book: Book) -> list[TopicSpec]:
    """Every topic of a project, by the partition count and the prefix of its settings. Pure.

    All topics that the flow reads or keeps its state in have one partition count: a message and the state that it meets
    are at home in the same partition number. Ledgers have that of their commands.
    """
    return sorted(_specs(folder, book), key=lambda spec: spec.name)


def is_commanded(folder: Folder, part: ConnectionPart) -> bool:
    """Whether commands for a connection have topics: a file takes none, but a history rehearses its too. Pure."""
    return part.kind != "file" or folder.settings.history


def own_specs(folder: Folder, names: Iterable[str]) -> list[TopicSpec]:
    """The topics of agents' own, named as on the broker. Pure."""
    kafka = folder.settings.kafka
    return [_spec(kafka, name, _kept(7), kafka.partitions) for name in sorted(names)]


def _spec(kafka: KafkaPart, name: str, settings: Mapping[str, str], partitions: int) -> TopicSpec:
    common = {"max.message.bytes": str(LARGEST), "min.insync.replicas": "2" if kafka.replication >= 3 else "1"}
    return TopicSpec(name, partitions, kafka.replication, {**common, **settings})


def _specs(folder: Folder, book: Book) -> Iterator[TopicSpec]:
    kafka, history = folder.settings.kafka, folder.settings.history

    def kept(days: int) -> dict[str, str]:
        return _FOR_EVER if history else _kept(days)

    def spec(name: str, settings: Mapping[str, str], partitions: int = kafka.partitions) -> TopicSpec:
        return _spec(kafka, kafka.prefix + name, settings, partitions)

    for connection, part in folder.settings.connections.items():
        tabs = tabs_of(book).get(connection, [])
        if part.kind not in NO_CAPTURE and (tabs or part.files):
            yield from (spec(topics.changes(f"{connection}:{tab}"), kept(90)) for tab in tabs)
            yield spec(topics.positions(connection), _COMPACTED, 1)
        if is_commanded(folder, part):
            yield spec(topics.commands(connection), kept(7))
            yield spec(topics.bulk(connection), kept(7))
        if part.kind != "file":
            yield spec(topics.ledger(connection), _COMPACTED)
    for name in (topics.RELATIONS, topics.JOURNEYS):
        yield spec(name, kept(1))
    extra = [make() for make in stages_of(folder)]
    yield spec(topics.state(topics.FLOW), _COMPACTED)
    for name in own_topics(extra):
        yield spec(name, kept(7))
    yield spec(topics.OUTCOMES, kept(7))
    yield spec(topics.DECISIONS, kept(400))
    yield spec(topics.PARKED, kept(30), 1)
    yield spec(topics.WORKFLOWS, _COMPACTED, 1)


def _kept(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY)}


_COMPACTED = {"cleanup.policy": "compact"}
_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1"}
"""What is kept of a history: its records carry their own times, by which a broker would take them for old."""


def prepare(admin: TopicAdmin, specs: Sequence[TopicSpec]) -> dict[str, str]:
    """Make what is missing, and set right what differs; by topic ``made``, ``changed`` or ``there``.

    Raises:
        WorkflowError: a topic has another partition count; then nothing is made or changed.
    """
    there = admin.partitions([spec.name for spec in specs])
    misfits(specs, there).refuse()
    admin.create([spec for spec in specs if spec.name not in there])
    return {spec.name: _set_right(admin, spec) if spec.name in there else "made" for spec in specs}


def refuse_former(admin: TopicAdmin, kafka: KafkaPart) -> None:
    """Refuse to begin anew beside the state of a spread workspace that an earlier version kept stage by stage.

    Raises:
        WorkflowError: there is such state; what has fired by it would fire again.
    """
    if not kafka.spread:
        return
    former = sorted(admin.partitions([kafka.prefix + topics.state(stage) for stage in topics.STAGES]))
    if former:
        refuse(
            f"topic {former[0]} holds the state of a spread workspace as an earlier version kept it, stage by stage; "
            "this version keeps it by partition and cannot read that",
            "Name another `prefix` below `kafka:` and let every tab be loaded there.",
            _PLACE,
        )


def require(admin: TopicAdmin, specs: Sequence[TopicSpec]) -> None:
    """Make sure that all topics are there and fit, before anything is read or written.

    Raises:
        WorkflowError: one is missing, or has another partition count.
    """
    there = admin.partitions([spec.name for spec in specs])
    missing = [spec.name for spec in specs if spec.name not in there]
    problems = list(misfits(specs, there))
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        problems.append(Problem(f"there is no topic {missing[0]}{others}", "Make them: renkei topics", _PLACE))
    Problems(tuple(problems)).refuse()


def require_topics(folder: Folder, book: Book, address: str) -> None:
    """Make sure that the topics of a project are on the broker at this address. Raises WorkflowError."""
    admin = Admin(address)
    try:
        require(admin, topics_of(folder, book))
    finally:
        admin.close()


def misfits(specs: Sequence[TopicSpec], there: Mapping[str, int]) -> Problems:
    """The topics that have another partition count than the project says. Pure."""
    return Problems(tuple(
        Problem(
            f"topic {spec.name} has {there[spec.name]} partitions, and the project says {spec.partitions}: the "
            "partition count may not change, since keys would part from their state",
            f"Set `partitions: {there[spec.name]}` below `kafka:`, or begin anew under another `prefix`.",
            _PLACE,
        )
        for spec in specs
        if there.get(spec.name, spec.partitions) != spec.partitions
    ))  # fmt: skip


def _set_right(admin: TopicAdmin, spec: TopicSpec) -> str:
    now = admin.settings(spec.name)
    wrong = {name: value for name, value in spec.settings.items() if now.get(name) != value}
    if wrong:
        admin.alter(spec.name, wrong)
    return "changed" if wrong else "there"


_PLACE = Place("renkei.yaml")
