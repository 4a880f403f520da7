"""A note on a record: looked up by its key where notes have a field for it, else by what it says."""

from collections.abc import Sequence
from typing import Any

from connectors.answers import parsed, text
from connectors.base import Request, Response
from connectors.checks import rejected
from connectors.fields import milliseconds
from connectors.zoho.rows import Rows
from connectors.zoho.values import API
from connectors.zoho.verbs import Verb, found_rows, json_request, not_there, path, tab, wondering
from schemas.commands import Command, Outcome, Rejected
from schemas.values import MINUTE

TAB = "Notes"
_LONGEST_TITLE, _LONGEST = 120, 65_535
_PAGE = 200
_SLACK = 5 * MINUTE
"""How far Zoho's clock may lie behind ours."""


class Notes(Verb):
    """``fields``: ``title`` and ``text``; ``record_id`` is the record that the note hangs on."""

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses a note that says nothing or too much."""
        title, content = command.fields.get("title", ""), command.fields.get("text")
        if not isinstance(content, str) or not content.strip():
            return rejected(command, "no_text", "note needs the field `text`")
        if not isinstance(title, str | None) or len(title or "") > _LONGEST_TITLE or len(content) > _LONGEST:
            reason = f"field title holds {_LONGEST_TITLE} characters, field text {_LONGEST}"
            return rejected(command, "bad_value", reason)
        return None

    def request(self, commands: Sequence[Command]) -> Request:
        """Up to 100 notes, on any records of one module."""
        return json_request("POST", f"{API}/{TAB}", {"data": [self._row(command) for command in commands]})

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """As for rows: a key that is taken says that the note is there."""
        return Rows(self._ground).outcomes([self._as_create(command) for command in commands], response)

    def find(self, command: Command) -> Request | None:
        """By key, or a page of the notes of the record; where there are more, nobody can say what is not there."""
        if self._key(command):
            return Rows(self._ground).find(self._as_create(command))
        fields = "Note_Title,Note_Content,Created_Time,Created_By,Parent_Id"
        params = {"fields": fields, "per_page": str(_PAGE)}
        return Request(method="GET", path=path(command, TAB), params=params)

    def found(self, command: Command, response: Response) -> Outcome:
        """The same words on the same record, by our own user since this was planned, are this note."""
        if self._key(command):
            return Rows(self._ground).found(self._as_create(command), response)
        rows, user = found_rows(response), self._ground.settings.user
        if rows is None:
            return wondering(command, response)
        alike = [row for row in rows if _says(row, command)]
        if not alike:
            return wondering(command, response) if _has_more(response) else not_there(command)
        ours = [row for row in alike if user and _by(row) == user]
        return (
            self._ground.applied(command, text(ours[0]["id"]), duplicate=True) if ours else wondering(command, response)
        )

    def _key(self, command: Command) -> tuple[str, str] | None:
        """The key, where notes are known to have a field for it."""
        known = self._ground.metadata.tabs.get(TAB)
        return command.key if known and command.key and command.key[0] in known.fields else None

    def _row(self, command: Command) -> dict[str, object]:
        parent = {"id": command.record_id, "module": {"api_name": tab(command)}}
        row = {"Parent_Id": parent, "Note_Content": command.fields["text"]}
        if command.fields.get("title"):
            row["Note_Title"] = command.fields["title"]
        key = self._key(command)
        return {**row, key[0]: key[1]} if key else row

    def _as_create(self, command: Command) -> Command:
        key = self._key(command)
        return Command(id=command.id, connection=command.connection, tab=f"{command.connection}:{TAB}",
                       operation="create", key=key)  # fmt: skip


def _says(row: dict[str, Any], command: Command) -> bool:
    made = milliseconds(row.get("Created_Time")) or 0
    same = text(row.get("Note_Content")).strip() == str(command.fields["text"]).strip()
    titled = text(row.get("Note_Title")).strip() == str(command.fields.get("title") or "").strip()
    return same and titled and made >= command.planned_at - _SLACK


def _by(row: dict[str, Any]) -> str:
    by = row.get("Created_By")
    return text(by.get("id")) if isinstance(by, dict) else ""


def _has_more(response: Response) -> bool:
    answer = parsed(response)
    paging = answer.get("info") if isinstance(answer, dict) else None
    return isinstance(paging, dict) and paging.get("more_records") is not False
