"""The one SOAP call that REST has no word for: ``convertLead`` (sheet 2.4)."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from sandbox.salesforce.errors import RefusedError
from sandbox.salesforce.ids import full_id
from sandbox.salesforce.standard import CONVERTED
from sandbox.salesforce.writing import Write, live_row
from sandbox.store import Row
from schemas.values import Value

MOST = 100
_PARTNER = "{urn:partner.soap.sforce.com}"
_MAPPED = {"Company", "LastName", "FirstName", "Email", "Phone"}


class Call(NamedTuple):
    """A call that was read: the session that it is made in, the client that it names, and what it converts."""

    session: str
    client: str
    leads: list[dict[str, str]]


def read(content: bytes) -> Call:
    """What a SOAP envelope asks for. Raises RefusedError."""
    try:
        envelope = ElementTree.fromstring(content)  # noqa: S314 - clients of the sandbox are ourselves
    except ElementTree.ParseError:
        raise RefusedError(500, "UNKNOWN_EXCEPTION", "cannot parse the envelope") from None
    found = envelope.find(f".//{_PARTNER}convertLead")
    if found is None:
        raise RefusedError(500, "UNKNOWN_EXCEPTION", "No operation available for request")
    leads = [{part.tag.removeprefix(_PARTNER): part.text or "" for part in lead} for lead in found]
    return Call(
        envelope.findtext(f".//{_PARTNER}sessionId") or "", envelope.findtext(f".//{_PARTNER}client") or "", leads
    )


def convert(write: Write, leads: list[dict[str, str]]) -> bytes:
    """The answer to a conversion: a result per lead, in order."""
    if len(leads) > MOST:
        raise RefusedError(500, "LIMIT_EXCEEDED", f"at most {MOST} leads")
    results = "".join(_told(_one(write, lead)) for lead in leads)
    return _envelope(f"<convertLeadResponse>{results}</convertLeadResponse>")


def fault(refused: RefusedError) -> bytes:
    """A refused call."""
    code = (
        f"<faultcode>sf:{refused.code}</faultcode><faultstring>{refused.code}: {escape(refused.message)}</faultstring>"
    )
    return _envelope(f"<soapenv:Fault>{code}</soapenv:Fault>")


def _one(write: Write, lead: Mapping[str, str]) -> dict[str, Any]:
    try:
        return _converted(write, lead)
    except RefusedError as refused:
        return {"success": False, "leadId": lead.get("leadId", ""), "code": refused.code, "message": refused.message}


def _converted(write: Write, lead: Mapping[str, str]) -> dict[str, Any]:
    leads = write.sobjects.get("Lead")
    if leads is None:
        raise RefusedError(400, "INVALID_TYPE", "sObject type 'Lead' is not supported.")
    row = live_row(leads, lead.get("leadId"))
    if row.fields.get("IsConverted"):
        raise RefusedError(400, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
    if lead.get("convertedStatus") != CONVERTED:
        raise RefusedError(400, "INVALID_STATUS", f"invalid convertedStatus: {lead.get('convertedStatus')}")
    made = _made(write, row, lead)
    noted = {f"Converted{name}Id": made[f"{name.lower()}Id"] for name in ("Account", "Contact", "Opportunity")}
    known = {name: value for name, value in noted.items() if name in leads.fields}
    write.sobjects["Lead"].store.update(
        "Lead", row.id, {"Status": CONVERTED, "IsConverted": True, **known}, write.actor
    )
    return {"success": True, "leadId": row.id, **made}


def _made(write: Write, row: Row, lead: Mapping[str, str]) -> dict[str, str]:
    """The account, contact and opportunity: those that were named, or new ones."""
    owner = {"OwnerId": lead["ownerId"]} if lead.get("ownerId") else {}
    mapped = {name: value for name, value in row.fields.items() if name in _MAPPED and value}
    company = str(mapped.pop("Company", "") or row.fields.get("LastName"))
    account = _named(write, "Account", lead.get("accountId"), {"Name": company, **owner})
    contact = _named(write, "Contact", lead.get("contactId"), {**mapped, "AccountId": account, **owner})
    if lead.get("doNotCreateOpportunity") == "true" or "Opportunity" not in write.sobjects:
        return {"accountId": account, "contactId": contact, "opportunityId": ""}
    name = lead.get("opportunityName") or company
    deal = {"Name": name, "AccountId": account, "StageName": "Prospecting", **owner}
    known = {key: value for key, value in deal.items() if key in write.sobjects["Opportunity"].fields}
    opportunity = _named(write, "Opportunity", lead.get("opportunityId"), known)
    return {"accountId": account, "contactId": contact, "opportunityId": opportunity}


def _named(write: Write, name: str, record_id: str | None, fields: Mapping[str, Value]) -> str:
    sobject = write.sobjects[name]
    if record_id:
        return live_row(sobject, full_id(record_id)).id
    known = {key: value for key, value in fields.items() if key in sobject.fields}
    return write.insert(sobject, known).id


def _told(result: Mapping[str, Any]) -> str:
    ids = "".join(_element(name, result.get(name)) for name in ("accountId", "contactId"))
    errors = ""
    if not result["success"]:
        errors = f"<errors>{_element('message', result['message'])}{_element('statusCode', result['code'])}</errors>"
    rest = f"{_element('leadId', result['leadId'])}{_element('opportunityId', result.get('opportunityId'))}"
    return f"<result>{ids}{errors}{rest}<success>{str(result['success']).lower()}</success></result>"


def _element(name: str, value: object) -> str:
    return f"<{name}>{escape(str(value))}</{name}>" if value else f'<{name} xsi:nil="true"/>'


def _envelope(body: str) -> bytes:
    spaces = (
        'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com"'
        ' xmlns:sf="urn:fault.partner.soap.sforce.com" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    )
    inner = f"<soapenv:Body>{body}</soapenv:Body>"
    return f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope {spaces}>{inner}</soapenv:Envelope>'.encode()
