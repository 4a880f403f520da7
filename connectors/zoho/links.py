"""Link and unlink: related lists of Zoho."""

from collections.abc import Sequence

from connectors.base import Request, Response
from connectors.zoho.verbs import Row, Verb, failure, found_rows, json_request, not_there, path, wondering
from schemas.commands import Command, Outcome, Uncertain


class Links(Verb):
    """``fields``: ``relation``, the related list's name, and ``to``, the other record's id."""

    def request(self, commands: Sequence[Command]) -> Request:
        """One link."""
        [command] = commands
        where = path(command, str(command.fields["relation"]))
        if command.operation == "unlink":
            return Request(method="DELETE", path=where, params={"ids": str(command.fields["to"])})
        return json_request("PUT", where, {"data": [{"id": command.fields["to"]}]})

    def refused(self, command: Command, row: Row) -> Outcome:
        """What cannot be unlinked may have been before: it is looked up."""
        if row.get("code") == "INVALID_DATA" and command.operation == "unlink":
            return Uncertain(command_id=command.id, reason="perhaps not linked any more")
        return failure(command, row)

    def find(self, command: Command) -> Request | None:
        """The related list, asked for the one record."""
        params = {"ids": str(command.fields["to"]), "fields": "id"}
        return Request(method="GET", path=path(command, str(command.fields["relation"])), params=params)

    def found(self, command: Command, response: Response) -> Outcome:
        """Whether it is in the list."""
        rows = found_rows(response)
        if rows is None:
            return wondering(command, response)
        linked = any(row["id"] == command.fields["to"] for row in rows)
        done = linked == (command.operation == "link")
        return self._ground.applied(command, duplicate=True) if done else not_there(command)

    def read(self, command: Command, row: Row) -> Outcome:
        """A link has no modified time."""
        return self._ground.applied(command)
