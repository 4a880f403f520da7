"""A mail server that keeps what it is sent, over real SMTP on loopback, and can refuse or break off."""

import asyncio
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.smtp import SMTP, Envelope, Session

from sandbox.clock import Clock
from sandbox.hosting import LOOPBACK, Address


@dataclass(frozen=True, slots=True)
class Mail:
    """One accepted message."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    at: int

    @property
    def subject(self) -> str:
        """The decoded subject line."""
        return str(self.message["Subject"] or "")

    @property
    def text(self) -> str:
        """The plain text, or failing that the HTML."""
        part = self.message.get_body(("plain", "html"))
        return "" if part is None else str(part.get_content())


@dataclass(slots=True)
class MailFaults:
    """What the mail server does wrong: change it while it runs."""

    refused: set[str] = field(default_factory=set)
    """Recipients answered with 550."""
    busy: int = 0
    """So many messages are answered with 451 after DATA and not kept."""
    lost_answers: int = 0
    """So many messages are kept, and then the connection is dropped instead of an answer."""


class MailSink:
    """An SMTP server from ``start`` until ``stop``; ``messages`` are all that it accepted."""

    def __init__(self, clock: Clock, address: Address = LOOPBACK) -> None:
        self.faults = MailFaults()
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: list[Mail] = []
        self.host, self._wanted = address
        self.port = 0
        """Where it listens; 0 before ``start``."""
        self._running = ExitStack()

    def start(self) -> None:
        """Begin to listen."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="sandbox-mail", daemon=True)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(self._listen(), loop).result(10)
        self.port = server.sockets[0].getsockname()[1]
        self._running.callback(_stop, loop, thread, server)

    def stop(self) -> None:
        """End, with all connections closed."""
        self._running.close()

    def messages(self) -> tuple[Mail, ...]:
        """All accepted messages, in order."""
        with self._lock:
            return tuple(self._kept)

    def clear(self) -> None:
        """Throw the kept messages away."""
        with self._lock:
            self._kept.clear()

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        """Accept or refuse one recipient."""
        if address in self.faults.refused:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Keep one message, or fail as planned."""
        if self.faults.busy > 0:
            self.faults.busy -= 1
            return "451 4.3.0 try again later"
        self._keep(envelope)
        if self.faults.lost_answers > 0:
            self.faults.lost_answers -= 1
            _cut(server)
        return "250 OK"

    def _keep(self, envelope: Envelope) -> None:
        message = message_from_bytes(envelope.original_content or b"", policy=default)
        if not isinstance(message, EmailMessage):  # the default policy always makes one
            raise TypeError("the message was parsed with another policy")
        mail = Mail(envelope.mail_from or "", tuple(envelope.rcpt_tos), message, self._clock.now())
        with self._lock:
            self._kept.append(mail)

    async def _listen(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: SMTP(self, hostname="sandbox", loop=loop), self.host, self._wanted)


def _cut(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.WriteTransport):
        server.transport.abort()


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread, server: asyncio.Server) -> None:
    asyncio.run_coroutine_threadsafe(_close(server), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await server.wait_closed()
