"""Mails that Zoho sends from a record: they cannot be looked up, so ``on_unknown`` decides (D-42, D-94)."""

from collections.abc import Sequence

from connectors.answers import text
from connectors.base import Request
from connectors.checks import rejected
from connectors.directory import Refused
from connectors.zoho.verbs import Row, Verb, details, json_request, path
from schemas.commands import Command, Outcome, Rejected, Uncertain

_MOST, _LONGEST = 50, 100_000


class Mails(Verb):
    """``fields``: ``to`` (addresses, ``user:…``, ``team:…``), ``subject``, ``body``, ``html`` (true: the body is HTML).

    Who sends: the field ``from``, else the connection's ``sender``; it must be one of Zoho's own sender addresses.
    """

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses a mail from nobody, to nobody, or about nothing."""
        people = self._recipients(command)
        if isinstance(people, Refused):
            return rejected(command, people.code, people.reason)
        if not self._sender(command):
            return rejected(command, "no_sender", "set the connection's `sender:`, or the field `from`")
        if not text(command.fields.get("subject")).strip():
            return rejected(command, "no_subject", "mail needs the field `subject`")
        if len(str(command.fields.get("body", ""))) > _LONGEST or not 0 < len(people) <= _MOST:
            return rejected(command, "bad_value", f"a mail has 1 to {_MOST} recipients and {_LONGEST} characters")
        return None

    def request(self, commands: Sequence[Command]) -> Request:
        """One mail."""
        [command] = commands
        people = self._recipients(command)
        assert not isinstance(people, Refused), "refused commands are not sent"
        mail = {
            "from": {"email": self._sender(command)}, "to": [{"email": address} for address in people],
            "subject": command.fields["subject"], "content": str(command.fields.get("body", "")),
            "mail_format": "html" if command.fields.get("html") is True else "text", "org_email": False,
        }  # fmt: skip
        return json_request("POST", path(command, "actions", "send_mail"), {"data": [mail]})

    def read(self, command: Command, row: Row) -> Outcome:
        """Zoho's number of the mail proves that it took it."""
        number = text(details(row).get("message_id"))
        if not number:
            return Uncertain(command_id=command.id, reason="a mail without a number")
        return self._ground.applied(command, fields={"message_id": number})

    def _sender(self, command: Command) -> str:
        return text(command.fields.get("from")) or self._ground.settings.sender

    def _recipients(self, command: Command) -> tuple[str, ...] | Refused:
        named = command.fields.get("to") or []
        found: list[str] = []
        for recipient in [named] if isinstance(named, str) else named if isinstance(named, list) else []:
            addresses = self._ground.directory.addresses(str(recipient))
            if isinstance(addresses, Refused):
                return addresses
            found += addresses
        return tuple(dict.fromkeys(found)) or Refused("recipient_unknown", "the mail has no recipient")
