"""A practice cluster of one to five Kafka nodes on loopback, in one folder."""

import base64
import json
import os
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandbox.broker.errors import AlreadyRunningError, BrokerError
from sandbox.broker.jars import alone, jars, java
from sandbox.broker.node import STOP_SECONDS, Node
from sandbox.broker.properties import Ports, logging_config, server_properties, written
from sandbox.ports import free_ports

_FILE = "cluster.json"
_JVM = ("-Xms64m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=4", "-Djava.awt.headless=true")
_QUIET = ("-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off", "-Xlog:class+path=off")
_FORMAT_SECONDS = 120


class Cluster:
    """Apache Kafka in a folder: what it holds stays there, and so do its addresses, until the folder is removed.

    ``with Cluster(folder) as kafka: kafka.bootstrap, kafka.node(1).kill(), kafka.node(1).start()``

    ``brokers``: nodes, numbered from 1; with three or more, everything is kept three times and two must answer.
    ``port``: the first node's, the others follow; free ones unless named. ``advertised``: per node the host:port that
    clients are told, where it is not the node's own. ``settings``: server properties on top of ours. ``watched``: the
    pid whose death ends the nodes, this program's unless named; 0 for nodes that outlive it.
    """

    def __init__(
        self,
        folder: Path,
        brokers: int = 1,
        *,
        port: int | None = None,
        advertised: Mapping[int, str] | None = None,
        settings: Mapping[str, str] | None = None,
        watched: int | None = None,
    ) -> None:
        if not 1 <= brokers <= 5:
            raise BrokerError(f"a practice cluster has one to five brokers, not {brokers}")
        self.folder = folder.absolute()
        self._settings = dict(settings or {})
        self._classes: tuple[str, ...] = ()
        self._identity, self._ports = _remembered(self.folder, brokers, port)
        self._advertised = dict(advertised or {})
        watching = os.getpid() if watched is None else watched
        self.nodes = tuple(
            Node(number, self.folder / f"node-{number}", ports.client, watching)
            for number, ports in self._ports.items()
        )

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The cluster that was started in a folder, running or not. Raises BrokerError when there is none."""
        held = _read(folder.absolute())
        if held is None:
            raise BrokerError(f"there is no cluster in {folder}. Start one: renkei broker start --folder {folder}")
        kept = {int(number): one for number, one in held["advertised"].items()}
        return cls(folder, len(held["ports"]), advertised=kept, settings=held["settings"], watched=0)

    @property
    def bootstrap(self) -> str:
        """What clients are given: host:port of each node, with commas; the advertised ones."""
        return ",".join(self.address(node.number) for node in self.nodes)

    @property
    def url(self) -> str:
        """The same as Faust writes it: ``kafka://host:port;kafka://host:port``."""
        return ";".join(f"kafka://{self.address(node.number)}" for node in self.nodes)

    @property
    def is_running(self) -> bool:
        """Whether any node runs."""
        return any(node.pid is not None for node in self.nodes)

    def node(self, number: int) -> Node:
        """A node by its number, from 1."""
        return self.nodes[number - 1]

    def address(self, number: int) -> str:
        """The host:port of a node that clients are told."""
        return self._advertised.get(number, f"127.0.0.1:{self._ports[number].client}")

    def advertise(self, number: int, address: str) -> None:
        """Tell clients another address of a node from its next start on, such as that of a fault proxy."""
        self._advertised[number] = address

    def start(self) -> None:
        """Fetch, format and start what is missing; every node answers and knows all others when this returns.

        Raises AlreadyRunningError, BrokerUnavailableError (no Java, no Maven), BrokerError.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with alone(self.folder / "lock"):
            self._refuse_a_second()
            try:
                self._prepare()
                for node in self.nodes:
                    node.launch()
                for node in self.nodes:
                    node.wait_until(partial(self._is_complete, node))
            except BaseException:
                self.kill()
                raise

    def stop(self) -> None:
        """End all nodes in order; what they hold stays."""
        for node in self.nodes:
            node.ask_to_stop()
        for node in self.nodes:
            # The last controllers find no quorum to take leave of, and would look for one for minutes.
            node.stop(limit=STOP_SECONDS if len(self.nodes) == 1 else STOP_SECONDS / 4)

    def kill(self) -> None:
        """End all nodes at once, as a power cut does."""
        for node in self.nodes:
            node.kill()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End at once; nobody reads what a test leaves behind."""
        self.kill()

    def _is_complete(self, node: Node) -> bool:
        return len(node.known) == len(self.nodes)

    def _refuse_a_second(self) -> None:
        running = next((node for node in self.nodes if node.pid is not None), None)
        if running is not None:
            raise AlreadyRunningError(
                f"a broker runs in {self.folder} already: {self.url} (pid {running.pid}). "
                f"Use it, or stop it: renkei broker stop --folder {self.folder}"
            )

    def _prepare(self) -> None:
        """Write what the nodes read, and format the log folders that are new."""
        heap = "-Xmx512m" if len(self.nodes) == 1 else "-Xmx256m"
        library = jars()
        ours = [java().path, heap, *_JVM, *(self._classes or _shared_classes(library)), "-cp", f"{library}/*"]
        for node in self.nodes:
            node.folder.mkdir(exist_ok=True)
            node.config.write_text(written(self._properties(node)), encoding="utf-8")
            logging = node.folder / "log4j2.xml"
            logging.write_text(logging_config(node.log), encoding="utf-8")
            own = [f"-Dlog4j2.configurationFile={logging}", f"-Djava.io.tmpdir={node.folder / 'tmp'}"]
            node.write_command([*ours, *own, "kafka.Kafka", str(node.config)])
        _write(self.folder, self._identity, self._ports, self._advertised, self._settings)
        new = [node for node in self.nodes if not (node.folder / "logs" / "meta.properties").exists()]
        _format([[*ours, "kafka.tools.StorageTool", "format", "-t", self._identity, "-c", str(n.config)] for n in new])

    def _properties(self, node: Node) -> dict[str, str]:
        advertised = self.address(node.number)
        ours = server_properties(node.number, self._ports, advertised, node.folder / "logs")
        return ours | self._settings


def _shared_classes(library: Path) -> tuple[str, ...]:
    """What lets Java take Kafka's classes from an archive: half the time to start. Nothing where it cannot be made.

    The archive is made once per machine and Java, by a node that is started for that and ended at once.
    """
    archive = library.with_name(f"{library.name}-{java().build}.jsa")
    with alone(archive.with_suffix(".lock")):
        if not archive.exists():
            _record_classes(archive)
    return (f"-XX:SharedArchiveFile={archive}", *_QUIET) if archive.stat().st_size else ()


def _record_classes(archive: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{archive.stem}.", dir=archive.parent) as beside:
        made = Path(beside) / "classes.jsa"
        cluster = Cluster(Path(beside) / "kafka")
        cluster._classes = (f"-XX:ArchiveClassesAtExit={made}", *_QUIET)
        with cluster:
            cluster.stop()
        # An empty one says that this Java makes none.
        made.touch()
        made.rename(archive)


def _format(commands: list[list[str]]) -> None:
    """Run the formatting of all nodes side by side."""
    started = [
        subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
        for words in commands
    ]
    for one in started:
        try:
            said, _ = one.communicate(timeout=_FORMAT_SECONDS)
        except subprocess.TimeoutExpired:
            one.kill()
            said, _ = one.communicate()
        if one.returncode:
            raise BrokerError(f"the log folder could not be formatted: {said.strip()[-300:]}")


def _remembered(folder: Path, brokers: int, port: int | None) -> tuple[str, dict[int, Ports]]:
    """The identity and ports of the cluster that the folder holds, or new ones."""
    held = _read(folder)
    if held is None:
        return _new_identity(), _new_ports(brokers, port)
    ports = {int(number): Ports(*three) for number, three in held["ports"].items()}
    if len(ports) != brokers:
        raise BrokerError(
            f"{folder} holds a cluster of {len(ports)} broker(s), not {brokers}. Remove it, or name another folder"
        )
    if port is not None and port != ports[1].client:
        ports = {number: one._replace(client=port + number - 1) for number, one in ports.items()}
    return held["identity"], ports


def _new_ports(brokers: int, port: int | None) -> dict[int, Ports]:
    free = iter(free_ports(3 * brokers))
    clients = [next(free) if port is None else port + index for index in range(brokers)]
    return {index + 1: Ports(clients[index], next(free), next(free)) for index in range(brokers)}


def _new_identity() -> str:
    """An id as Kafka writes them: 22 characters of base64; it must not begin like an option."""
    identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return identity if not identity.startswith("-") else _new_identity()


def _read(folder: Path) -> dict[str, Any] | None:
    with suppress(FileNotFoundError):
        held: dict[str, Any] = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return held
    return None


def _write(
    folder: Path, identity: str, ports: Mapping[int, Ports], advertised: Mapping[int, str], settings: Mapping[str, str]
) -> None:
    held = {"identity": identity, "ports": ports, "advertised": advertised, "settings": settings}
    (folder / _FILE).write_text(json.dumps(held), encoding="utf-8")
