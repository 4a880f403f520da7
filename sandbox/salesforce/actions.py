"""Mail and topics: what can be done to records beyond writing their fields (sheet 2.5 and 8)."""

from collections.abc import Mapping
from typing import Any

from sandbox.salesforce.errors import RefusedError, not_found
from sandbox.salesforce.ids import full_id
from sandbox.salesforce.sobject import SObject
from sandbox.salesforce.writing import Write

MOST_RECIPIENTS = 150


def send_mail(given: Any) -> dict[str, Any]:
    """The result of one input of ``POST /actions/standard/emailSimple``."""
    try:
        _check_mail(given)
    except RefusedError as refused:
        return {
            "actionName": "emailSimple",
            "errors": refused.row()["errors"],
            "isSuccess": False,
            "outputValues": None,
        }
    return {"actionName": "emailSimple", "errors": None, "isSuccess": True, "outputValues": None}


def _check_mail(given: Any) -> None:
    if not isinstance(given, Mapping):
        raise RefusedError(400, "INVALID_API_INPUT", "an input must be an object")
    for name in ("emailSubject", "emailBody"):
        if not given.get(name):
            raise RefusedError(400, "REQUIRED_FIELD_MISSING", f"Missing required input parameter: {name}", (name,))
    addresses = [one.strip() for one in str(given.get("emailAddresses") or "").split(",") if one.strip()]
    if not addresses and not given.get("recipientId"):
        raise RefusedError(400, "REQUIRED_FIELD_MISSING", "Missing recipient", ("emailAddresses",))
    if len(addresses) > MOST_RECIPIENTS or not all("@" in one for one in addresses):
        raise RefusedError(400, "INVALID_EMAIL_ADDRESS", "Invalid email address", ("emailAddresses",))


def assign_topic(write: Write, record_id: str, name: str) -> dict[str, Any]:
    """``POST /connect/records/{id}/topics``: a topic that is not there yet is made; one that is assigned stays so."""
    record = full_id(record_id)
    topics, assigned = write.sobjects["Topic"], write.sobjects["TopicAssignment"]
    if record is None or not any(one.store.row(one.name, record) for one in write.sobjects.values()):
        raise not_found()
    if not name or len(name) > (topics.fields["Name"].max_length or 0):
        raise RefusedError(400, "ILLEGAL_QUERY_PARAMETER_VALUE", "topicName must have 1 to 99 characters")
    with topics.store.lock:
        topic = topics.store.holder("Topic", "Name", name) or write.insert(topics, {"Name": name})
        if not _assignments(assigned, record, topic.id):
            write.insert(assigned, {"TopicId": topic.id, "EntityId": record})
    return {"id": topic.id, "name": topic.fields["Name"], "description": None}


def _assignments(assigned: SObject, record: str, topic: str) -> bool:
    rows = assigned.store.rows("TopicAssignment")
    return any(row.fields["EntityId"] == record and row.fields["TopicId"] == topic for row in rows)
