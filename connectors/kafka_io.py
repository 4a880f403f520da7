"""Kafka's writing side and its administration; with ``kafka_reading`` the only files that import kafka-python.

Narrow wrappers with bounded waits. Every error is one of ours by what the caller has to do: ``BrokerAway`` (try later,
and read anew what a commit may have changed), ``Fenced`` (another one took over: forget what is in memory), ``Refused``
(trying again is useless: tell a person). Wrappers belong to one thread each.
"""

import socket
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeAlias

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its own, of how it reads its protocol files
    import kafka
    import kafka.errors
    from kafka.admin import ConfigResource, ConfigResourceType
    from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition

PATIENCE = 10_000
"""Milliseconds that one call waits for the broker at most, unless it says otherwise."""

Headers: TypeAlias = tuple[tuple[str, bytes], ...]


class KafkaTrouble(Exception):  # noqa: N818
    """What can go wrong with a broker."""


class BrokerAway(KafkaTrouble):
    """The broker did not answer, so nobody knows whether it did what was asked: read what is there, then go on."""


class Fenced(KafkaTrouble):
    """Another process took over what this one did: it has to forget it."""


class Refused(KafkaTrouble):
    """The broker refuses, and will refuse again: a person has to mend something."""


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int


class Outgoing(NamedTuple):
    """What is to be written. No value deletes the key where a topic is compacted; no partition: by the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    at: int | None = None


class Delivered(NamedTuple):
    """What was read; ``at`` in milliseconds, as its writer said."""

    partition: Partition
    offset: int
    at: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Membership(NamedTuple):
    """Who a consumer is in its group. A broker refuses the offsets of a member whose generation is over (KIP-447)."""

    group: str
    generation: int
    member: str


class TopicSpec(NamedTuple):
    """A topic as it is to be; settings by Kafka's names."""

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str] = {}


_FENCED = (
    kafka.errors.ProducerFencedError, kafka.errors.InvalidProducerEpochError, kafka.errors.CommitFailedError,
    kafka.errors.IllegalGenerationError, kafka.errors.UnknownMemberIdError, kafka.errors.FencedInstanceIdError,
    kafka.errors.RebalanceInProgressError,
)  # fmt: skip
_AWAY = (
    kafka.errors.RetriableError, kafka.errors.UnknownBrokerIdError, kafka.errors.BrokerNotAvailableError,
    # A producer that lost its way is made anew, and then it works.
    kafka.errors.InvalidProducerIdMappingError, kafka.errors.UnknownProducerIdError,
    kafka.errors.OutOfOrderSequenceNumberError, kafka.errors.InvalidTxnStateError, kafka.errors.TransactionAbortedError,
    kafka.errors.UnknownError,  # the broker failed inside, perhaps half way
)  # fmt: skip


def trouble(error: BaseException, doing: str) -> KafkaTrouble:
    """What an error of the library means to us."""
    name = type(error).__name__
    if isinstance(error, KafkaTrouble):
        return error
    if isinstance(error, _FENCED):
        return Fenced(f"{doing}: another process has taken over ({name})")
    if isinstance(error, (*_AWAY, OSError)):
        return BrokerAway(f"{doing}: the broker did not answer ({name}). Is it running, and reachable from here?")
    if type(error) is kafka.errors.KafkaError:  # the library has no name for the answer, so it is no refusal either
        return BrokerAway(f"{doing}: nobody knows whether the broker did it: {error}")
    return Refused(f"{doing}: the broker refuses ({name}): {error}")


def servers(address: str) -> list[str]:
    """The servers of ``kafka://host:port[,host:port]``. Raises Refused on another spelling."""
    scheme, separator, rest = address.partition("://")
    found = [one.strip() for one in rest.split(",") if one.strip()]
    if scheme != "kafka" or not separator or not found or not all(one.rpartition(":")[2].isdigit() for one in found):
        raise Refused(f"broker address '{address}': write it as kafka://host:port, or kafka://host:port,host:port")
    return found


def network(address: str, name: str) -> dict[str, Any]:
    """What all clients are told of the network, once one server answers. Raises BrokerAway where none does."""
    found = servers(address)
    _look(found)
    return {
        "bootstrap_servers": found, "client_id": name or "renkei", "bootstrap_timeout_ms": PATIENCE,
        "request_timeout_ms": PATIENCE, "reconnect_backoff_max_ms": 2_000,
    }  # fmt: skip


def _look(found: Sequence[str]) -> None:
    # A client that cannot begin keeps its sockets and its thread, so it is not made before somebody answers.
    for one in found:
        host, _, port = one.rpartition(":")
        with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), timeout=3):
            return
    raise BrokerAway(f"nobody answers at {', '.join(found)}. Is the broker running, and reachable from here?")


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Errors of the library inside the block become ours."""
    try:
        yield
    except (kafka.errors.KafkaError, OSError) as error:
        raise trouble(error, doing) from None


def theirs(partition: Partition) -> Any:
    """A partition as the library names it."""
    return TopicPartition(*partition)


class Admin:
    """Looks at topics and groups, and makes topics."""

    def __init__(self, address: str, name: str = "") -> None:
        with asking(f"connecting to {address}"):
            self._inner: Any = kafka.KafkaAdminClient(**network(address, name))

    def topics(self) -> frozenset[str]:
        """The names of all topics."""
        with asking("listing topics"):
            return frozenset(self._inner.list_topics())

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """How many partitions each of these topics has; those that are not there are left out."""
        wanted = sorted(topics)
        with asking("looking at topics"):
            found = self._inner.describe_topics(wanted) if wanted else []
        return {one["name"]: len(one["partitions"]) for one in found if one["error_code"] == 0}

    def settings(self, topic: str) -> dict[str, str]:
        """The settings of a topic that differ from the broker's own."""
        with asking(f"looking at the settings of {topic}"):
            found = self._inner.describe_configs([_resource(topic)])
        return {name: str(one["value"]) for name, one in found.get("topic", {}).get(topic, {}).items()}

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """Make topics that are not there, and wait until they can be used."""
        if not specs:
            return
        wanted = {
            spec.name: {
                "num_partitions": spec.partitions, "replication_factor": spec.replication,
                "configs": dict(spec.settings),
            }
            for spec in specs
        }  # fmt: skip
        with asking(f"making {len(specs)} topics"):
            self._inner.create_topics(wanted, timeout_ms=3 * PATIENCE)
            self._inner.wait_for_topics(list(wanted), timeout_ms=3 * PATIENCE)

    def alter(self, topic: str, settings: Mapping[str, str]) -> None:
        """Change settings of a topic; the others stay."""
        with asking(f"changing the settings of {topic}"):
            self._inner.alter_configs([_resource(topic, settings)])

    def delete(self, topics: Iterable[str]) -> None:
        """Delete topics with all that is in them."""
        with asking("deleting topics"):
            self._inner.delete_topics(list(topics))

    def groups(self) -> frozenset[str]:
        """The groups that the broker knows, also those without members."""
        with asking("listing groups"):
            return frozenset(one["group_id"] for one in self._inner.list_groups())

    def committed(self, group: str) -> dict[Partition, int]:
        """The offsets that a group has committed."""
        with asking(f"looking at group {group}"):
            found = self._inner.list_group_offsets(group).get(group, {})
        return {Partition(*at): offset.offset for at, offset in found.items() if offset.offset >= 0}

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset after the newest message, transactions that are still open included."""
        return self._offsets(partitions, -1)

    def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset of the oldest message that is still there."""
        return self._offsets(partitions, -2)

    def close(self) -> None:
        """End."""
        with suppress(kafka.errors.KafkaError, OSError):
            self._inner.close()

    def _offsets(self, partitions: Iterable[Partition], spec: int) -> dict[Partition, int]:
        wanted = {theirs(one): spec for one in partitions}
        with asking("looking at offsets"):
            found = self._inner.list_partition_offsets(wanted, timeout_ms=PATIENCE) if wanted else {}
        return {Partition(*at): one.offset for at, one in found.items()}


def _resource(topic: str, settings: Mapping[str, str] | None = None) -> Any:
    return ConfigResource(ConfigResourceType.TOPIC, topic, configs=None if settings is None else dict(settings))


class Transaction:
    """What goes together: messages, and how far their sources are read."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._sent: list[Any] = []

    def send(self, out: Outgoing) -> None:
        """Write a message."""
        self._sent.append(_send(self._inner, out))

    def offsets(self, offsets: Mapping[Partition, int], member: Membership) -> None:
        """Say how far a group has read: the next offset of each partition. A member that is none is Fenced."""
        if not member.member or member.generation < 0:
            raise Fenced(f"group {member.group}: this consumer is no longer a member")  # a broker would not ask
        if not offsets:
            return
        result = self._inner._transaction_manager.send_offsets_to_transaction(
            {theirs(one): OffsetAndMetadata(offset, "", -1) for one, offset in offsets.items()},
            ConsumerGroupMetadata(member.group, member.generation, member.member, None),
        )
        _wait(self._inner, result)

    def flush(self) -> None:
        """Wait until all that was sent is with the broker, still unseen."""
        self._inner.flush(PATIENCE / 1000)
        sent, self._sent = self._sent, []
        for future in sent:
            if future.failed():
                raise future.exception


def _send(inner: Any, out: Outgoing) -> Any:
    return inner.send(
        out.topic, key=out.key, value=out.value, headers=list(out.headers), partition=out.partition, timestamp_ms=out.at
    )  # fmt: skip


def _wait(inner: Any, result: Any) -> None:
    inner._sender.wakeup()
    # The library waits for ever here. What is not known after a while is unknown, and is found out by reading.
    if not result.wait(timeout_ms=PATIENCE):
        raise kafka.errors.KafkaTimeoutError("no answer to a transaction")


class Producer:
    """Writes messages, in transactions where it has a transactional id.

    After any error of unknown outcome the inner producer is thrown away; the next transaction makes another one, which
    ends what the old one left open. One that was fenced stays so: make a new ``Producer`` to take over again.
    """

    def __init__(self, address: str, *, transactional_id: str = "", timeout: int = 15_000, name: str = "") -> None:
        self._address, self._client = address, name or transactional_id
        self._settings: dict[str, Any] = {
            "max_block_ms": PATIENCE, "linger_ms": 5,
            "delivery_timeout_ms": 2 * PATIENCE, "acks": "all", "retry_backoff_ms": 20, "max_request_size": 8_388_608,
        }  # fmt: skip
        if transactional_id:
            self._settings |= {"transactional_id": transactional_id, "transaction_timeout_ms": timeout}
        self._name = transactional_id or "producer"
        self._inner: Any = None
        self._sent: deque[Any] = deque()
        self._fenced = ""

    def begin(self) -> None:
        """Take the transactional id over now: from here on, whoever had it before is fenced."""
        with self._guarded():
            self._open()

    def send(self, out: Outgoing) -> None:
        """Write a message outside of any transaction; it is durable after ``flush``."""
        with self._guarded():
            self._sent.append(_send(self._open(), out))

    def flush(self) -> None:
        """Wait until all that was sent is durable."""
        with self._guarded():
            self._open().flush(2 * PATIENCE / 1000)
            while self._sent:
                future = self._sent.popleft()
                if future.failed():
                    raise future.exception

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All that is sent in the block is seen together by readers of what is committed, or never.

        Raises:
            BrokerAway: nobody knows whether it was committed: read what is there.
            Fenced: it was not; another process has taken over.
            Refused: it was not.
        """
        with self._guarded():
            inner = self._open()
            inner.begin_transaction()
            transaction = Transaction(inner)
            try:
                yield transaction
                transaction.flush()
                _wait(inner, inner._transaction_manager.begin_commit())
            except BaseException as error:
                cause = self._cause(error)
                self._abort()
                raise cause from None

    def close(self) -> None:
        """End; a transaction that is open is not committed."""
        self._discard(1.0)

    @property
    def is_fenced(self) -> bool:
        """Whether another process has taken over this one's transactional id."""
        return bool(self._fenced)

    def _open(self) -> Any:
        if self._fenced:
            raise Fenced(self._fenced)
        if self._inner is None:
            self._inner = kafka.KafkaProducer(**network(self._address, self._client), **self._settings)
            if "transactional_id" in self._settings:
                self._inner.init_transactions()
        return self._inner

    def _abort(self) -> None:
        try:
            _wait(self._inner, self._inner._transaction_manager.begin_abort())
        except (kafka.errors.KafkaError, OSError):
            self._discard(0)  # the broker aborts what it left, at the latest when its successor begins

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (kafka.errors.KafkaError, OSError) as error:
            found = trouble(error, f"{self._name}: writing")
            self._discard(0)
            if isinstance(found, Fenced) and not isinstance(error, kafka.errors.CommitFailedError):
                self._fenced = str(found)
            raise found from None

    def _cause(self, error: BaseException) -> BaseException:
        """The library says *in an error state* where an earlier error was the cause."""
        known = getattr(getattr(self._inner, "_transaction_manager", None), "last_error", None)
        return known if known is not None and type(error) is kafka.errors.KafkaError else error

    def _discard(self, patience: float) -> None:
        inner, self._inner = self._inner, None
        self._sent.clear()
        if inner is not None:
            inner._sender.force_close() if patience == 0 else None
            with suppress(kafka.errors.KafkaError, OSError):
                inner.close(timeout=max(patience, 0.5))
