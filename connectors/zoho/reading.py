"""Reading Zoho records as they are now, with the fields that capture tells."""

from collections.abc import Sequence

from connectors.answers import parsed
from connectors.base import Request, Response
from connectors.fields import field_types
from connectors.reading import as_read, not_found
from connectors.zoho.capture import wanted_fields
from connectors.zoho.values import API, image
from connectors.zoho.verbs import Verb, path, tab, without_rows
from schemas.commands import Command, Outcome, Rejected

MOST = 100
"""Ids of one request."""
_FIELDS = 50
"""Fields of one request that names several ids; one record alone comes with all its fields."""


class Reading(Verb):
    """Records by id, as many in one call as their fields allow."""

    def refuse(self, command: Command) -> Rejected | None:
        """An id that is none would let Zoho refuse the whole batch."""
        return None if command.record_id.isdecimal() else not_found(command)

    def most(self, command: Command) -> int:
        """How many records of a module one request can read whole."""
        return MOST if 0 < len(self._wanted(command)) <= _FIELDS else 1

    def request(self, commands: Sequence[Command]) -> Request:
        """One call for all records."""
        first = commands[0]
        if self.most(first) == 1:
            return Request(method="GET", path=path(first))
        ids = ",".join(command.record_id for command in commands)
        params = {"ids": ids, "fields": ",".join(self._wanted(first)), "per_page": str(MOST)}
        return Request(method="GET", path=f"{API}/{tab(first)}", params=params)

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """What was read; 204 says that none of the records is there."""
        if response.status == 204 and not response.body:
            return [not_found(command) for command in commands]
        answer = parsed(response)
        rows = answer.get("data") if isinstance(answer, dict) and response.status == 200 else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
            return without_rows(commands, response, answer, self.refused)
        types = field_types(self._ground.metadata, tab(commands[0]))
        wanted = {"id", *self._wanted(commands[0])}
        kept = ({name: row[name] for name in row if name in wanted or not types} for row in rows)
        return as_read(commands, [image(row, types) for row in kept])

    def _wanted(self, command: Command) -> list[str]:
        return wanted_fields(self._ground.metadata, tab(command))
