"""Notes: a ContentNote and its link to a record, made in one transaction and found by a mark in the title.

A ContentNote takes no fields of ours, so the mark is all that can tell ours from a person's. With the option
``note_mark: none`` titles stay as they are, and a note whose answer was lost is left to a person (D-42).
Facts: the vendor's pages on ContentNote, ContentDocumentLink and composite requests.
"""

from base64 import b64encode
from hashlib import sha256
from html import escape

from connectors.answers import parsed, text
from connectors.base import Request, Response
from connectors.checks import rejected
from connectors.salesforce.deeds import Deed, headers, post, query, rows_of, unclear
from connectors.salesforce.values import API, literal
from connectors.salesforce.verdicts import first_error
from schemas.commands import Command, Outcome, Rejected, RetryLater, Uncertain

LONGEST = 255


class Note(Deed):
    """``note``: its fields are ``title`` (its first line where none is given) and ``text``, its record is the one that
    it hangs on."""

    def refusal(self, command: Command) -> Rejected | None:
        """Refuses a note that says nothing."""
        if text(command.fields.get("text")).strip():
            return None
        return rejected(command, "bad_note", "note needs the field `text`")

    def request(self, command: Command) -> Request:
        """Both records, or neither."""
        lines = text(command.fields.get("text")).splitlines()
        content = "".join(f"<p>{escape(line) or '<br>'}</p>" for line in lines)
        note = {"Title": self._title(command), "Content": b64encode(content.encode()).decode()}
        link = {"ContentDocumentId": "@{note.id}", "LinkedEntityId": command.record_id, "ShareType": "V"}
        parts = [
            {"method": "POST", "url": f"{API}/sobjects/ContentNote", "referenceId": "note", "body": note},
            {"method": "POST", "url": f"{API}/sobjects/ContentDocumentLink", "referenceId": "link", "body": link},
        ]
        return post("/composite", {"allOrNone": True, "compositeRequest": parts}, headers(command))

    def outcome(self, command: Command, response: Response) -> Outcome:
        """Applied where both parts were made."""
        answer = parsed(response)
        parts = answer.get("compositeResponse") if response.status == 200 and isinstance(answer, dict) else None
        if not isinstance(parts, list):
            return self.verdicts.whole([command], response)[0]
        if len(parts) != 2 or not all(isinstance(one, dict) for one in parts):
            return Uncertain(command_id=command.id, reason="an answer that does not tell of both parts of a note")
        made = parts[0].get("body")
        note = text(made.get("id")) if isinstance(made, dict) else ""
        if note and all(one.get("httpStatusCode") == 201 for one in parts):
            return self.verdicts.applied(command, note)
        # The part that failed says why; the other one says that it was rolled back.
        errors = [first_error(one.get("body")) for one in parts]
        told = [error for error in errors if error and error.get("errorCode") != "PROCESSING_HALTED"]
        return self.verdicts.failure(command, told[0] if told else errors[0])

    def find(self, command: Command) -> Request | None:
        """The notes of the record with this mark."""
        if not self._marks(command):
            return None
        where = f"LinkedEntityId = {literal(command.record_id)}"
        title = literal(self._title(command))
        where = f"{where} AND ContentDocument.Title = {title}"
        return query(f"SELECT Id, ContentDocumentId FROM ContentDocumentLink WHERE {where} LIMIT 2")  # noqa: S608

    def found(self, command: Command, response: Response) -> Outcome:
        """No row proves that neither record was made."""
        rows = rows_of(response)
        if rows is None:
            return unclear(command, response)
        if not rows:
            return RetryLater(command_id=command.id, reason="looked up: not there")
        return self.verdicts.applied(command, text(rows[0].get("ContentDocumentId")), duplicate=True)

    def _title(self, command: Command) -> str:
        first = text(command.fields.get("text")).strip().partition("\n")[0]
        title = text(command.fields.get("title")).strip() or first.strip()
        mark = f" [{sha256(command.id.encode()).hexdigest()[:8]}]" if self._marks(command) else ""
        return title[: LONGEST - len(mark)] + mark

    def _marks(self, command: Command) -> bool:
        return self.settings.options.get("note_mark", "title") != "none"
