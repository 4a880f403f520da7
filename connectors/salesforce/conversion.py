"""Converting leads: REST has no word for it, so the one SOAP call ``convertLead`` is made, with the same login.

An Apex class of our own in the organisation would do it in REST, but nobody should have to install one.
Facts: the vendor's page on convertLead().
"""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from connectors.answers import text
from connectors.base import Request, Response
from connectors.checks import rejected
from connectors.directory import Refused
from connectors.echo import CLIENT
from connectors.salesforce.deeds import Deed, query, rows_of, unclear
from connectors.salesforce.session import SESSION
from connectors.salesforce.values import API, is_id, literal
from schemas.commands import Command, Outcome, Rejected, RetryLater

PATH = f"/services/Soap/u/{API.rpartition('v')[2]}"
STATUS = "Closed - Converted"
"""The status of converted leads in an organisation as delivered; the option ``converted_status`` names another."""

_SPACE = "urn:partner.soap.sforce.com"
_IDS = {"Account": "accountId", "Contact": "contactId", "Deal": "opportunityId"}
_STORED = {"Account": "ConvertedAccountId", "Contact": "ConvertedContactId", "Deal": "ConvertedOpportunityId"}
_DEAL = {"id", "Name", "name"}


class Convert(Deed):
    """``convert``: ``account`` and ``contact`` (true: a new one; an id: that one), ``deal`` (its ``name`` or ``id``;
    none: no deal), ``status``; the command's owner owns what is new. The outcome's ``Account``, ``Contact`` and
    ``Deal`` are the ids of the three."""

    def refusal(self, command: Command) -> Rejected | None:
        """Refuses what Salesforce cannot do: converting into no account or contact, or into a deal with more fields."""
        for name in ("account", "contact"):
            wish = command.fields.get(name, True)
            if wish is not True and not is_id(text(wish)):
                return rejected(command, "bad_convert", f"convert takes in `{name}` true or the id of a record")
        deal = command.fields.get("deal")
        if deal is not None and not (isinstance(deal, dict) and deal and deal.keys() <= _DEAL):
            return rejected(command, "bad_convert", "convert takes in `deal` its name or id; update its fields after")
        return None

    def request(self, command: Command) -> Request:
        """One lead in one call; the token takes its place in the envelope when the request is signed."""
        lead = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in self._wish(command).items() if value)
        envelope = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns="{_SPACE}">'
            f"<e:Header><SessionHeader><sessionId>{SESSION}</sessionId></SessionHeader>"
            f"<CallOptions><client>{CLIENT}</client></CallOptions></e:Header>"
            f"<e:Body><convertLead><leadConverts>{lead}</leadConverts></convertLead></e:Body></e:Envelope>"
        )
        return Request(
            method="POST", path=PATH, headers={"SOAPAction": '""'}, body=envelope.encode(), content_type="text/xml"
        )

    def outcome(self, command: Command, response: Response) -> Outcome:
        """Applied where the one result says so; a lead that was converted before counts as done."""
        result, fault = _read(response)
        if fault:
            return self.verdicts.failure(command, {"errorCode": fault})
        if result.get("success") == "true" and response.status == 200 and _same(result.get("leadId"), command):
            ids = {name: result[told] for name, told in _IDS.items() if result.get(told)}
            return self.verdicts.applied(command, fields=ids)
        if result.get("success") == "false":
            code = result.get("statusCode", "")
            if code == "CANNOT_UPDATE_CONVERTED_LEAD":
                return self.verdicts.applied(command, duplicate=True)
            return self.verdicts.failure(command, {"errorCode": code, "message": result.get("message", "")})
        return self.verdicts.whole([command], response)[0]

    def find(self, command: Command) -> Request:
        """Whether the lead is converted, and into what."""
        columns = ", ".join(("Id", "IsConverted", *_STORED.values()))
        return query(f"SELECT {columns} FROM Lead WHERE Id = {literal(command.record_id)}")  # noqa: S608

    def found(self, command: Command, response: Response) -> Outcome:
        """A lead that is converted is done, by whomever."""
        rows = rows_of(response)
        if rows is None or len(rows) > 1 or (rows and not isinstance(rows[0].get("IsConverted"), bool)):
            return unclear(command, response)
        if not rows:
            return rejected(command, "NOT_FOUND", "the lead is not there any more")
        if not rows[0]["IsConverted"]:
            return RetryLater(command_id=command.id, reason="looked up: not converted")
        ids = {name: rows[0][stored] for name, stored in _STORED.items() if rows[0].get(stored)}
        return self.verdicts.applied(command, fields=ids, duplicate=True)

    def _wish(self, command: Command) -> Mapping[str, str]:
        owner, deal = self.owner_id(command), command.fields.get("deal")
        status = text(command.fields.get("status")) or self.settings.options.get("converted_status", STATUS)
        deal = deal if isinstance(deal, dict) else {}
        return {
            "leadId": command.record_id,
            "convertedStatus": status,
            "accountId": text(command.fields.get("account")),
            "contactId": text(command.fields.get("contact")),
            "opportunityId": text(deal.get("id")),
            "opportunityName": text(deal.get("name")) or text(deal.get("Name")),
            "doNotCreateOpportunity": "false" if deal else "true",
            "ownerId": "" if isinstance(owner, Refused) else owner,
        }  # fmt: skip


def _read(response: Response) -> tuple[dict[str, str], str]:
    """The texts of the one result, and the code of a fault; both empty where the answer is something else."""
    # An answer has no business to define entities: none is expanded.
    if b"<!" in response.body:
        return {}, ""
    try:
        envelope = ElementTree.fromstring(response.body)  # noqa: S314 - without a document type there are no entities
    except (ElementTree.ParseError, ValueError):
        return {}, ""
    fault = envelope.findtext(".//faultcode") or ""
    results = envelope.findall(f".//{{{_SPACE}}}result")
    told = {part.tag.rpartition("}")[2]: part.text or "" for part in results[0].iter()} if len(results) == 1 else {}
    return told, fault.rpartition(":")[2]


def _same(lead: Any, command: Command) -> bool:
    return text(lead)[:15] == command.record_id[:15]
