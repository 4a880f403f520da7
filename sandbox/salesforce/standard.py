"""Objects that every organisation has, whatever its seed says: topics, notes, approvals, its own name."""

from collections.abc import Iterable, Mapping

from sandbox.salesforce.people import People
from sandbox.salesforce.tokens import ORGANISATION
from schemas.metadata import Field, Tab
from schemas.values import Value

CONVERTED = "Closed - Converted"
"""The lead status of a converted lead."""


def standard(tabs: Mapping[str, Tab]) -> dict[str, Tab]:
    """The seed's tabs and those of every organisation; where both know one, the seed's counts."""
    every = tuple(tabs)
    made = (
        _tab("Topic", Field(name="Name", type="text", mandatory=True, unique=True, max_length=99)),
        _tab("TopicAssignment", _lookup("TopicId", "Topic"), _lookup("EntityId", *every)),
        _tab(
            "ContentNote",
            Field(name="Title", type="text", mandatory=True, max_length=255),
            Field(name="Content", type="unknown"),
        ),
        _tab(
            "ContentDocumentLink",
            _lookup("ContentDocumentId", "ContentNote"),
            _lookup("LinkedEntityId", *every),
            Field(name="ShareType", type="picklist", values=("V", "C", "I")),
        ),
        _tab(
            "ProcessInstance",
            _lookup("TargetObjectId", *every),
            Field(name="Status", type="picklist", values=("Pending", "Approved", "Rejected", "Removed")),
        ),
        _tab(
            "ProcessInstanceWorkitem",
            _lookup("ProcessInstanceId", "ProcessInstance"),
            Field(name="ActorId", type="user", refers_to=("User", "Group")),
        ),
    )
    return {**{tab.name: tab for tab in made}, **tabs}


def settled() -> dict[str, People]:
    """What can only be read: the organisation and its lead statuses."""
    return {
        "Organization": People("Organization", (Field(name="Name", type="text"),), lambda: [_organisation()]),
        "LeadStatus": People("LeadStatus", _STATUS, _statuses),
    }


_STATUS = (Field(name="MasterLabel", type="text"), Field(name="IsConverted", type="boolean"))


def _organisation() -> dict[str, Value]:
    return {"Id": ORGANISATION, "Name": "Renkei practice range"}


def _statuses() -> Iterable[dict[str, Value]]:
    for number, label in enumerate(("Open", CONVERTED)):
        yield {"Id": f"01J5g00000{number:05}EAA", "MasterLabel": label, "IsConverted": label == CONVERTED}


def _tab(name: str, *fields: Field) -> Tab:
    return Tab(name=name, label=name, fields={field.name: field for field in fields})


def _lookup(name: str, *tabs: str) -> Field:
    return Field(name=name, type="lookup", refers_to=tabs, mandatory=True)
