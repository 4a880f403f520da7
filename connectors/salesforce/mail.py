"""Mails that Salesforce sends (the action ``emailSimple``): they cannot be looked up, so ``on_unknown`` decides.

Fact: the vendor's page on simple email actions.
"""

from connectors.answers import parsed, text
from connectors.base import Request, Response
from connectors.checks import rejected
from connectors.directory import Refused
from connectors.salesforce.deeds import Deed, headers, post
from connectors.salesforce.verdicts import first_error
from schemas.commands import Command, Outcome, Rejected, Uncertain

MOST, LONGEST = 150, 32_000


class Mail(Deed):
    """``mail``: fields ``to`` (addresses, ``user:…``, ``team:…``), ``subject``, ``body``, ``html`` (true: rich text).

    It is logged at its record. The connection's ``sender`` must be an organisation-wide address; without it the
    user of the login sends.
    """

    def refusal(self, command: Command) -> Rejected | None:
        """Refuses a mail to nobody, or about nothing."""
        people = self._recipients(command)
        if isinstance(people, Refused):
            return rejected(command, people.code, people.reason)
        if not 0 < len(people) <= MOST:
            return rejected(command, "bad_recipients", f"mail needs in the field `to` 1 to {MOST} recipients")
        subject, body = command.fields.get("subject"), command.fields.get("body")
        if text(subject).strip() and 0 < len(text(body)) <= LONGEST:
            return None
        return rejected(command, "bad_mail", f"mail needs `subject`, and `body` of at most {LONGEST} characters")

    def request(self, command: Command) -> Request:
        """One mail."""
        people = self._recipients(command)
        assert not isinstance(people, Refused), "refused commands are not sent"
        sender = self.settings.sender
        mail = {
            "emailAddresses": ",".join(people), "emailSubject": command.fields["subject"],
            "emailBody": command.fields["body"], "sendRichBody": command.fields.get("html") is True,
            "senderType": "OrgWideEmailAddress" if sender else "CurrentUser",
            **({"senderAddress": sender} if sender else {}),
            **({"relatedRecordId": command.record_id} if command.record_id else {}),
        }  # fmt: skip
        return post("/actions/standard/emailSimple", {"inputs": [mail]}, headers(command))

    def outcome(self, command: Command, response: Response) -> Outcome:
        """Applied where the action says so."""
        answer = parsed(response)
        row = answer[0] if isinstance(answer, list) and len(answer) == 1 else None
        if isinstance(row, dict) and "isSuccess" in row:
            if row["isSuccess"] is True and response.status == 200:
                return self.verdicts.applied(command)
            if row["isSuccess"] is False:
                return self.verdicts.failure(command, first_error(row.get("errors")))
            return Uncertain(command_id=command.id, reason="an answer that does not say whether the mail went out")
        return self.verdicts.whole([command], response)[0]

    def _recipients(self, command: Command) -> tuple[str, ...] | Refused:
        named = command.fields.get("to")
        found: list[str] = []
        for one in named if isinstance(named, list) else [named]:
            addresses = self.directory.addresses(text(one)) if text(one) else ()
            if isinstance(addresses, Refused):
                return addresses
            found += addresses
        return tuple(dict.fromkeys(found))
