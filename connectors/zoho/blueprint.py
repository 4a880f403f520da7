"""Moving a record along a blueprint: looked up first for the transition's id, and afterwards by the state reached."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from connectors.answers import parsed, text, unreadable
from connectors.base import Request, Response
from connectors.checks import rejected
from connectors.zoho.values import write
from connectors.zoho.verbs import Verb, json_request, not_there, path, succeeded, without_rows, wondering
from schemas.commands import Command, Outcome, Rejected

_CHOSEN, _STATE = "transition_id", "state"


class Transition(Verb):
    """``fields``: ``transition``, its name or id, and ``values``, what it asks for."""

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses what names no transition."""
        if not text(command.fields.get("transition")).strip():
            return rejected(command, "no_transition", "transition needs the field `transition`, a name or an id")
        if not isinstance(command.fields.get("values", {}), dict):
            return rejected(command, "bad_value", "field values: it takes fields and their values")
        return None

    def looks_first(self, command: Command) -> bool:
        """Its id is known by what the record may do now."""
        return _CHOSEN not in command.fields

    def request(self, commands: Sequence[Command]) -> Request:
        """One transition."""
        [command] = commands
        types, zone = self._ground.types(command), self._ground.settings.zone
        given = command.fields.get("values") or {}
        values = {name: write(value, types.get(name, "unknown"), zone) for name, value in given.items()}
        wish = {"transition_id": command.fields.get(_CHOSEN, command.fields["transition"]), "data": values}
        return json_request("PUT", path(command, "actions", "blueprint"), {"blueprint": [wish]})

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """A bare success, for it has no rows."""
        answer = parsed(response)
        if isinstance(answer, dict) and succeeded(answer):
            fits = response.status == 200 and answer.get("status") == "success" and len(commands) == 1
            return [self._ground.applied(commands[0])] if fits else unreadable(commands, response)
        return without_rows(commands, response, answer, self.refused)

    def find(self, command: Command) -> Request | None:
        """Where the record stands, and what it may do."""
        return Request(method="GET", path=path(command, "actions", "blueprint"))

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """Before it is sent: the transition's id and the state it leads to; afterwards: whether that is reached."""
        answer = parsed(response)
        if self.looks_first(command) and response.status == 400 and isinstance(answer, dict):
            return _out_of_reach(command, response, answer)
        described = answer.get("blueprint") if isinstance(answer, dict) and response.status == 200 else None
        state, choices = _standing(described)
        if state is None:
            return wondering(command, response)
        if self.looks_first(command):
            return _chosen(command, choices)
        if state == command.fields[_STATE]:
            return self._ground.applied(command, duplicate=True)
        open_ = any(choice.get("id") == command.fields[_CHOSEN] for choice in choices)
        return not_there(command) if open_ else wondering(command, response)


def _chosen(command: Command, choices: Sequence[Mapping[str, Any]]) -> Command | Rejected:
    wanted = text(command.fields["transition"]).strip()
    fitting = [one for one in choices if wanted in (text(one.get("id")), text(one.get("name")).strip())]
    if len(fitting) != 1 or not text(fitting[0].get("id")):
        return rejected(command, "no_such_transition", "the record cannot take this transition from where it stands")
    chosen = {_CHOSEN: fitting[0]["id"], _STATE: text(fitting[0].get("next_field_value"))}
    return msgspec.structs.replace(command, fields={**command.fields, **chosen})


def _standing(described: Any) -> tuple[str | None, Sequence[Mapping[str, Any]]]:
    """The state of a record and the transitions that it may take; none where the answer cannot be read."""
    about = described.get("process_info") if isinstance(described, dict) else None
    choices = described.get("transitions") if isinstance(described, dict) else None
    if not isinstance(about, dict) or not isinstance(choices, list) or not text(about.get("field_value")):
        return None, ()
    return text(about["field_value"]), [one for one in choices if isinstance(one, dict)]


def _out_of_reach(command: Command, response: Response, answer: Mapping[str, Any]) -> Outcome:
    if answer.get("code") == "RECORD_NOT_IN_PROCESS":
        return rejected(command, "RECORD_NOT_IN_PROCESS", "the record is in no blueprint")
    return wondering(command, response)
