"""Commands as mails, by SMTP: one mail per command, its Message-ID derived from the command id (D-94, D-95)."""

import re
import smtplib
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from urllib.parse import urlsplit

from connectors.addresses import is_public
from connectors.base import Connector, Limits, NoAnswer, NotSent, Request, Response, Send
from connectors.credentials import Credentials
from connectors.directory import Directory, Refused
from connectors.settings import ConnectionSettings
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata

_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"{_WORD}(\.{_WORD})*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
"""Plain ASCII addresses: others need an extension of SMTP that not every server has."""
_BREAKS = re.compile(r"[\r\n\0\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


class EmailConnector(Connector):
    """Mails with the fields ``to``, ``subject``, ``body``, ``html`` and ``reply_to``.

    ``to`` lists addresses, ``user:…``, ``manager:…``, ``team:…``. ``body`` is plain text and ``html`` the same as HTML;
    without it, or where it is false, the mail is plain; where it is true, the body itself is HTML. The connection's url
    is ``smtp://host:port`` or ``smtps://host:port``; its ``sender`` is who the mails are from.
    """

    kind = "email"
    limits = Limits(per_minute=300, at_once=2)

    def __init__(self, settings: ConnectionSettings, metadata: ConnectionMetadata) -> None:
        super().__init__(settings, metadata)
        self._directory = Directory(metadata)

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses mails that nobody would get, and headers that would break out of their line."""
        recipients = self._recipients(command)
        if not _ADDRESS.fullmatch(parseaddr(self.settings.sender)[1]):
            reason = f"connection {self.settings.connection!r}: set `sender:` to a mail address"
            return Rejected(command_id=command.id, code="no_sender", reason=reason)
        if isinstance(recipients, Refused):
            return Rejected(command_id=command.id, code=recipients.code, reason=recipients.reason)
        for name in ("subject", "reply_to"):
            if _BREAKS.search(str(command.fields.get(name, ""))):
                return Rejected(command_id=command.id, code="bad_header", reason=f"{name} has more than one line")
        return None

    def request(self, commands: Sequence[Command]) -> Request:
        """The envelope as headers ``from`` and ``to``, the whole mail as the body."""
        [command] = commands
        recipients = self._recipients(command)
        assert not isinstance(recipients, Refused), "refused commands are not sent"
        envelope = {"from": parseaddr(self.settings.sender)[1], "to": ",".join(recipients)}
        return Request(method="MAIL", path="", headers=envelope, body=self._mail(command, recipients))

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """By SMTP code: 2xx accepted, 4xx later, 5xx refused; anything else is no SMTP answer."""
        return [_outcome(command, response) for command in commands]

    def network(self, credentials: Credentials) -> Send:
        """SMTP instead of HTTP."""
        return SmtpSend(self.settings, credentials)

    def _recipients(self, command: Command) -> tuple[str, ...] | Refused:
        named = command.fields.get("to") or []
        found: list[str] = []
        for recipient in [named] if isinstance(named, str) else named:
            addresses = self._directory.addresses(str(recipient))
            if isinstance(addresses, Refused):
                return addresses
            found += addresses
        if not found:
            return Refused("recipient_unknown", "the mail has no recipient")
        if not all(_ADDRESS.fullmatch(address) for address in found):
            return Refused("bad_address", "a recipient is not a mail address")
        return tuple(dict.fromkeys(found))

    def _mail(self, command: Command, recipients: Sequence[str]) -> bytes:
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self.settings.sender
        mail["To"] = [Address(addr_spec=address) for address in recipients]
        mail["Subject"] = str(command.fields.get("subject", ""))
        if command.fields.get("reply_to"):
            mail["Reply-To"] = str(command.fields["reply_to"])
        mail["Date"] = format_datetime(datetime.fromtimestamp(command.planned_at / 1000, UTC))
        domain = parseaddr(self.settings.sender)[1].rpartition("@")[2]
        mail["Message-ID"] = f"<{command.id}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        html = command.fields.get("html")
        mail.set_content(str(command.fields.get("body", "")), subtype="html" if html is True else "plain")
        if isinstance(html, str) and html.strip():
            mail.add_alternative(html, subtype="html")
        return mail.as_bytes()


class SmtpSend:
    """One SMTP conversation per mail; an answer's status is the SMTP code, its body the number of
    refused recipients.
    """

    def __init__(self, settings: ConnectionSettings, credentials: Credentials) -> None:
        self._settings = settings
        self._credentials = credentials
        self._url = urlsplit(settings.url)

    def __call__(self, request: Request) -> Response:
        """The answer of the mail server. Raises NotSent before the mail's end was sent, NoAnswer after it."""
        try:
            with self._connected(request.timeout) as server:
                return self._deliver(server, request)
        except smtplib.SMTPResponseException as error:
            return Response(status=error.smtp_code)
        except (OSError, smtplib.SMTPException) as error:
            raise NotSent(f"{self._where()} could not be reached ({type(error).__name__})") from None

    def _connected(self, timeout: float) -> smtplib.SMTP:
        host, port = self._url.hostname or "", self._url.port or 0
        if self._url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=timeout, context=ssl.create_default_context())
        else:
            server = smtplib.SMTP(host, port, timeout=timeout)
        try:
            self._greet(server)
        except BaseException:
            server.close()
            raise
        return server

    def _greet(self, server: smtplib.SMTP) -> None:
        assert server.sock is not None
        if not (self._settings.allow_private or is_public(server.sock.getpeername()[0])):
            raise NotSent(f"{self._where()}: a private address: set allow_private if this is meant")
        server.ehlo()
        if self._url.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
        user = self._credentials.text("username")
        if user:
            server.login(user, self._credentials.get("password").reveal())

    def _deliver(self, server: smtplib.SMTP, request: Request) -> Response:
        code, _ = server.mail(request.headers["from"])
        if code != 250:
            return Response(status=code)
        answers = [server.rcpt(address)[0] for address in request.headers["to"].split(",")]
        refused = [code for code in answers if code not in {250, 251}]
        if len(refused) == len(answers):
            return Response(status=min(refused), body=str(len(refused)).encode())
        code, _ = server.docmd("DATA")
        if code != 354:
            return Response(status=code)
        return Response(status=self._content(server, request.body or b""), body=str(len(refused)).encode())

    def _content(self, server: smtplib.SMTP, mail: bytes) -> int:
        try:
            server.send(re.sub(rb"(?m)^\.", b"..", mail).removesuffix(b"\r\n") + b"\r\n.\r\n")
            return server.getreply()[0]
        except (OSError, smtplib.SMTPException) as error:
            # The mail may be on its way already: nobody can look that up (G24).
            raise NoAnswer(f"{self._where()} took the mail and did not answer ({type(error).__name__})") from None

    def _where(self) -> str:
        return f"connection {self._settings.connection!r} ({self._url.hostname})"


def _outcome(command: Command, response: Response) -> Outcome:
    status = response.status
    if 200 <= status < 300:
        refused = int(response.body) if response.body.isdigit() else 0
        return Applied(command_id=command.id, fields={"refused": refused} if refused else {})
    if 400 <= status < 500:
        return RetryLater(command_id=command.id, reason=f"the mail server answered {status}", after=60.0)
    if 500 <= status < 600:
        return Rejected(command_id=command.id, code=f"smtp_{status}", reason=f"the mail server refused: {status}")
    return Uncertain(command_id=command.id, reason=f"the mail server answered {status}")
