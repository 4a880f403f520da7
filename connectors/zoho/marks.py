"""Tag and untag: marks on records, set for up to 100 of them in one call."""

from collections.abc import Sequence

from connectors.base import Request
from connectors.checks import rejected
from connectors.zoho.values import API
from connectors.zoho.verbs import Row, Verb, json_request, tab
from schemas.commands import Command, Outcome, Rejected

MOST = 100
_LONGEST = 25
_WORDS = {"tag": "add_tags", "untag": "remove_tags"}


class Marks(Verb):
    """``fields``: ``tags``, a list of names. A tag that is there already stays, so a repeat does no harm."""

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses what is no list of names that Zoho can keep."""
        tags = command.fields.get("tags")
        if not isinstance(tags, list) or not tags:
            return rejected(command, "no_tags", f"{command.operation} needs the field `tags`, a list of names")
        if not all(isinstance(tag, str) and 0 < len(tag.strip()) <= _LONGEST for tag in tags):
            return rejected(command, "bad_value", f"field tags: a tag is a text of at most {_LONGEST} characters")
        return None

    def request(self, commands: Sequence[Command]) -> Request:
        """One call for all records that get the same tags."""
        first = commands[0]
        if any(command.fields["tags"] != first.fields["tags"] for command in commands):
            raise ValueError("records that get different tags do not go together")
        body: dict[str, object] = {"tags": [{"name": tag} for tag in first.fields["tags"]]}
        body["ids"] = [command.record_id for command in commands]
        if first.operation == "tag":
            body["over_write"] = False
        return json_request("POST", f"{API}/{tab(first)}/actions/{_WORDS[first.operation]}", body)

    def read(self, command: Command, row: Row) -> Outcome:
        """Zoho tells no modified time here."""
        return self._ground.applied(command)
