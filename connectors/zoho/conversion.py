"""Converting a lead (D-93): once, because Zoho refuses to convert it again; the repeat is read back."""

from collections.abc import Sequence
from typing import Any

from connectors.answers import text
from connectors.base import Request, Response
from connectors.checks import rejected
from connectors.zoho.values import image, write
from connectors.zoho.verbs import Row, Verb, details, failure, found_rows, json_request, not_there, path, tab, wondering
from schemas.abilities import CONVERTED
from schemas.commands import Command, Outcome, Rejected, Uncertain

_DEAL = ("Deal_Name", "Stage", "Pipeline", "Closing_Date")


class Conversion(Verb):
    """``fields``: ``account`` and ``contact``, each an id to join or true for a new one; ``deal``, its fields or none.

    The outcome's fields name the three records: ``Account``, ``Contact``, ``Deal``.
    """

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses a deal that lacks what Zoho demands of it."""
        if tab(command) != "Leads":
            return rejected(command, "unknown_operation", "only leads are converted")
        for name in ("account", "contact"):
            wish = command.fields.get(name, True)
            if wish is not True and not isinstance(wish, str):  # Zoho always makes both
                return rejected(command, "bad_value", f"field {name}: it takes true, or the id of a record")
        deal = command.fields.get("deal")
        if deal is not None and not isinstance(deal, dict):
            return rejected(command, "bad_value", "field deal: it takes the fields of a deal, or nothing")
        missing = [name for name in _DEAL if deal and not deal.get(name)]
        return rejected(command, "bad_value", f"field deal: it lacks {', '.join(missing)}") if missing else None

    def request(self, commands: Sequence[Command]) -> Request:
        """One lead; ``overwrite`` stays off, so that records that are joined keep their values."""
        [command] = commands
        wish: dict[str, object] = {"overwrite": False, "notify_lead_owner": False, "notify_new_entity_owner": False}
        for name, plural in (("account", "Accounts"), ("contact", "Contacts")):
            if isinstance(command.fields.get(name), str):
                wish[plural] = {"id": command.fields[name]}
        if command.fields.get("deal"):
            wish["Deals"] = self._deal(command.fields["deal"])
        owner = self._ground.owner_id(command)
        wish |= {"assign_to": {"id": owner}} if owner else {}
        return json_request("POST", path(command, "actions", "convert"), {"data": [wish]})

    def refused(self, command: Command, row: Row) -> Outcome:
        """A lead that was converted already is read back."""
        if row.get("code") == "ID_ALREADY_CONVERTED":
            return Uncertain(command_id=command.id, reason="converted already: by us, or by somebody else")
        return failure(command, row)

    def read(self, command: Command, row: Row) -> Outcome:
        """The three records."""
        made = {name: details(row).get(f"{name}s") for name in CONVERTED}
        fields = image({name: one for name, one in made.items() if isinstance(one, dict)}, {})
        if not text(fields.get("Contact")):
            return Uncertain(command_id=command.id, reason="a conversion without its contact")
        return self._ground.applied(command, fields=fields)

    def find(self, command: Command) -> Request | None:
        """The lead itself, converted or not."""
        names = ["Converted__s", *(f"Converted_{name}" for name in CONVERTED)]
        return Request(method="GET", path=path(command), params={"fields": ",".join(names), "converted": "both"})

    def found(self, command: Command, response: Response) -> Outcome:
        """What it was converted to."""
        rows = found_rows(response)
        if not rows or len(rows) > 1 or rows[0]["id"] != command.record_id:
            return wondering(command, response)
        if rows[0].get("Converted__s") is False:
            return not_there(command)
        if rows[0].get("Converted__s") is not True:
            return wondering(command, response)
        made = {name: rows[0].get(f"Converted_{name}") for name in CONVERTED}
        fields = image({name: one for name, one in made.items() if isinstance(one, dict)}, {})
        return self._ground.applied(command, duplicate=True, fields=fields)

    def _deal(self, fields: dict[str, Any]) -> dict[str, object]:
        known = self._ground.metadata.tabs.get("Deals")
        types = {name: field.type for name, field in known.fields.items()} if known else {}
        zone = self._ground.settings.zone
        return {name: write(value, types.get(name, "unknown"), zone) for name, value in fields.items()}
