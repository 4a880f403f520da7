"""A bad network on loopback: proxies between a client and a server, whose line can be spoiled while it is in use.

Works on TCP below every protocol: Kafka, HTTP, SMTP. One thread of its own carries all proxies of a network.
"""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from sandbox.ports import free_ports

Way = Literal["up", "down"]
"""From the client to the server, and back."""

_CHUNK = 256 * 1024
_CHUNKS = 32
_ABRUPT = struct.pack("ii", 1, 0)
_SECONDS = 10.0


@dataclass(frozen=True)
class Line:
    """How a line is now; ``Line()`` is a sound one. All bounds are per connection, in seconds and bytes."""

    latency: float = 0.0
    """How much later everything arrives, each way."""
    jitter: float = 0.0
    """How much more or less that may be, drawn per piece with the proxy's seed; the order stays."""
    rate: float | None = None
    """Bytes per second, each way."""
    limit_up: int | None = None
    """The bytes after which a client's connection is reset, counted from now on."""
    limit_down: int | None = None
    """The same for what the server says: with 0 the request arrives and the answer is lost."""
    stalls: bool = False
    """At a limit nothing moves any more, instead of a reset: until the line is made another."""
    hangs: bool = False
    """Connections are taken and nothing moves; what waits arrives once the line moves again."""
    is_cut: bool = False
    """New connections are refused, those that are open are reset."""

    def limit(self, way: Way) -> int | None:
        """The limit of one way."""
        return self.limit_up if way == "up" else self.limit_down


class Counted(NamedTuple):
    """What went through a proxy since it was opened."""

    connections: int
    open: int
    up: int
    down: int


class _Due(NamedTuple):
    """When a piece arrives: at this time of the loop, or once the line it was taken from is made another."""

    at: float
    changed: asyncio.Event


class _Reset(Exception):  # noqa: N818 - it ends a connection and reaches nobody
    """This connection ends abruptly."""


class _Connection:
    """One client's connection and the one behind it."""

    def __init__(self, proxy: "Proxy", taken: socket.socket) -> None:
        self._proxy, self._taken = proxy, taken
        self._writers: list[asyncio.StreamWriter] = []
        self.carried: dict[Way, int] = {"up": 0, "down": 0}
        """Bytes since the line was last set."""

    async def serve(self) -> None:
        """Carry both ways until both sides have ended, or one abruptly."""
        try:
            asking, client = await self._connected(sock=self._taken)
            await self._proxy.moving()
            answering, server = await self._connected(*self._proxy.upstream)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(asking, server, "up"))
                both.create_task(self._carry(answering, client, "down"))
        except (OSError, _Reset, ExceptionGroup, asyncio.CancelledError):
            self.reset()
        finally:
            for writer in self._writers:
                writer.close()

    async def _connected(self, *address: Any, **more: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*address, **more, limit=_CHUNK)
        self._writers.append(writer)
        return reader, writer

    def reset(self) -> None:
        """End both sides with a TCP reset, also where it was not served yet."""
        if not self._writers:
            self._taken.close()
        for writer in self._writers:
            if not writer.transport.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPT)
            writer.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, way: Way) -> None:
        underway: asyncio.Queue[tuple[_Due, bytes]] = asyncio.Queue(_CHUNKS)
        async with asyncio.TaskGroup() as ends:
            ends.create_task(self._take(source, underway))
            ends.create_task(self._give(underway, target, way))

    async def _take(self, source: asyncio.StreamReader, underway: asyncio.Queue[tuple[_Due, bytes]]) -> None:
        chunk = b"-"
        while chunk:
            chunk = await source.read(_CHUNK)
            await underway.put((self._proxy.due(), chunk))

    async def _give(self, underway: asyncio.Queue[tuple[_Due, bytes]], target: asyncio.StreamWriter, way: Way) -> None:
        while True:
            due, chunk = await underway.get()
            await self._proxy.pause_until(due)
            await self._proxy.moving()
            if not chunk:
                target.write_eof()
                return
            await self._write(chunk, target, way)

    async def _write(self, chunk: bytes, target: asyncio.StreamWriter, way: Way) -> None:
        """Write as fast and as much as the line allows."""
        while chunk:
            line, changed = self._proxy.line, self._proxy.changed
            limit = line.limit(way)
            left = len(chunk) if limit is None else limit - self.carried[way]
            size = min(left, len(chunk), _CHUNK if line.rate is None else max(1, int(line.rate / 20)))
            # Counted first, so that whoever has got an answer finds it counted.
            self.carried[way] += size
            self._proxy.count(way, size)
            target.write(chunk[:size])
            await target.drain()
            if size == left and limit is not None:
                if line.stalls:
                    await changed.wait()
                raise _Reset
            if line.rate is not None:
                await self._proxy.pause_until(self._proxy.due_in(size / line.rate, changed))
                await self._proxy.moving()
            chunk = chunk[size:]


class Proxy:
    """A door to a server, whose line can be changed from any thread; made by ``Network.proxy``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, upstream: str, port: int, seed: int) -> None:
        host, _, number = upstream.rpartition(":")
        self.upstream = (host, int(number))
        self.port = port
        self.line = Line()
        self._loop, self._random = loop, random.Random(seed)  # noqa: S311 - a rehearsal must be repeatable
        self._listener: socket.socket | None = None
        self.changed = asyncio.Event()
        """Set once the line is made another than it is now."""
        self._moving = asyncio.Event()
        self._moving.set()
        self._open: dict[_Connection, asyncio.Task[None]] = {}
        self._connections = 0
        self._bytes: dict[Way, int] = {"up": 0, "down": 0}

    @property
    def address(self) -> str:
        """What a client is given: host:port; the same for as long as the network lasts."""
        return f"127.0.0.1:{self.port}"

    @property
    def counted(self) -> Counted:
        """What went through."""
        return Counted(self._connections, len(self._open), self._bytes["up"], self._bytes["down"])

    def set(self, line: Line) -> None:
        """Make the line so, also for connections that are open; done when this returns."""
        _done(self._loop, self._set(line))

    def heal(self) -> None:
        """Make the line sound again."""
        self.set(Line())

    def reset(self) -> None:
        """Reset the open connections, once; new ones are served."""
        _done(self._loop, self._reset())

    # What follows is for the network's own thread.

    async def open(self) -> None:
        """Listen."""
        self._listener = listener = socket.create_server(("127.0.0.1", self.port))
        listener.setblocking(False)
        self._loop.add_reader(listener, self._let_in, listener)

    async def close(self) -> None:
        """Listen no more, and reset what is open."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        await self._reset()
        await asyncio.sleep(0)  # sockets close a turn later

    def due(self) -> _Due:
        """When what is taken now arrives."""
        late = self.line.latency + self._random.uniform(-self.line.jitter, self.line.jitter)
        return self.due_in(late, self.changed)

    def due_in(self, seconds: float, changed: asyncio.Event) -> _Due:
        """So much later, or once this tells that the line was made another."""
        return _Due(self._loop.time() + seconds, changed)

    async def pause_until(self, due: _Due) -> None:
        """Wait until then."""
        if due.at > self._loop.time():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due.at):
                    await due.changed.wait()

    async def moving(self) -> None:
        """Wait while the line hangs."""
        await self._moving.wait()

    def count(self, way: Way, size: int) -> None:
        """So many bytes more went through."""
        self._bytes[way] += size

    def _let_in(self, listener: socket.socket) -> None:
        """Take one client's connection. It is known from here on: asyncio's server tells of it some turns later."""
        try:
            taken, _ = listener.accept()
        except OSError:  # it went away again
            return
        taken.setblocking(False)
        self._connections += 1
        connection = _Connection(self, taken)
        self._open[connection] = task = self._loop.create_task(connection.serve())
        task.add_done_callback(lambda _: self._open.pop(connection))

    async def _set(self, line: Line) -> None:
        self.line = line
        for connection in self._open:
            connection.carried = {"up": 0, "down": 0}
        (self._moving.clear if line.hangs else self._moving.set)()
        self.changed.set()
        self.changed = asyncio.Event()
        if line.is_cut:
            await self.close()
        elif self._listener is None:
            await self.open()

    async def _reset(self) -> None:
        ended = dict(self._open)
        for task in ended.values():
            task.cancel()
        await asyncio.gather(*ended.values(), return_exceptions=True)
        for connection in ended:
            connection.reset()


class Network:
    """Proxies on loopback, and the thread that carries them.

    ``with Network() as network: door = network.proxy("127.0.0.1:9092"); door.set(Line(hangs=True)); door.heal()``
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="sandbox-network", daemon=True)
        self._proxies: list[Proxy] = []

    def proxy(self, upstream: str, *, port: int | None = None, seed: int = 0) -> Proxy:
        """A new door to host:port; the server need not be up yet. ``seed`` draws the jitter."""
        made = Proxy(self._loop, upstream, port or free_ports(1)[0], seed)
        _done(self._loop, made.open())
        self._proxies.append(made)
        return made

    def heal(self) -> None:
        """Make all lines sound again."""
        for proxy in self._proxies:
            proxy.heal()

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all doors and end the thread."""
        for proxy in self._proxies:
            _done(self._loop, proxy.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)

    def _run(self) -> None:
        self._loop.run_forever()
        # What was aborted tells so in the next turn.
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


def _done(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    """Let the network's thread do it, and wait."""
    asyncio.run_coroutine_threadsafe(work, loop).result(_SECONDS)
