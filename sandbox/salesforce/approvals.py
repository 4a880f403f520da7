"""Approval processes: a record is submitted, waits for somebody under a lock, and is approved or rejected (sheet 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.salesforce.errors import RefusedError
from sandbox.salesforce.ids import full_id
from sandbox.salesforce.sobject import SObject
from sandbox.store import Actor, Row, Store

PROCESS = "Standard"
"""The one process that every object has."""

INSTANCE, ITEM = "ProcessInstance", "ProcessInstanceWorkitem"


@dataclass(slots=True)
class Approvals:
    """The running approvals of one organisation; ``locked`` holds the records that wait."""

    store: Store
    sobjects: Mapping[str, SObject]
    approver: str
    locked: set[str] = field(default_factory=set)

    def act(self, requests: Sequence[Any], actor: Actor) -> list[dict[str, Any]]:
        """Every request's result in order; good ones count whatever the others do."""
        with self.store.lock:
            return [self._one(request, actor) for request in requests]

    def _one(self, request: Any, actor: Actor) -> dict[str, Any]:
        try:
            if not isinstance(request, Mapping):
                raise RefusedError(400, "JSON_PARSER_ERROR", "a request must be an object")
            act = {"Submit": self._submit, "Approve": self._decide, "Reject": self._decide}.get(
                str(request.get("actionType"))
            )
            if act is None:
                raise RefusedError(400, "INVALID_ARGUMENT_TYPE", "actionType must be Submit, Approve or Reject")
            return act(request, actor)
        except RefusedError as refused:
            return _result(None, (), errors=refused.row()["errors"])

    def _submit(self, request: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
        record = self._record(request.get("contextId"))
        if record.id in self.locked:
            raise RefusedError(400, "ALREADY_IN_PROCESS", "Cannot submit object already in process.")
        if (request.get("processDefinitionNameOrId") or PROCESS) != PROCESS:
            raise RefusedError(400, "NO_APPLICABLE_PROCESS", "No applicable approval process was found.")
        approvers = [str(one) for one in request.get("nextApproverIds") or [self.approver]]
        instance = self.store.insert(INSTANCE, {"TargetObjectId": record.id, "Status": "Pending"}, actor)
        items = [
            self.store.insert(ITEM, {"ProcessInstanceId": instance.id, "ActorId": one}, actor).id for one in approvers
        ]
        self.locked.add(record.id)
        return _result(instance, approvers, items)

    def _decide(self, request: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
        item = self._item(str(request.get("contextId")))
        instance = self.store.row(INSTANCE, str(item.fields["ProcessInstanceId"]))
        assert instance is not None
        for other in self.store.rows(ITEM):
            if other.fields["ProcessInstanceId"] == instance.id:
                self.store.delete(ITEM, other.id, actor)
        status = "Approved" if request["actionType"] == "Approve" else "Rejected"
        self.locked.discard(str(instance.fields["TargetObjectId"]))
        return _result(self.store.update(INSTANCE, instance.id, {"Status": status}, actor), ())

    def _record(self, context: object) -> Row:
        name = full_id(context)
        found = (self.store.row(tab, name) for tab in self.sobjects) if name else ()
        row = next((row for row in found if row is not None), None)
        if row is None:
            raise RefusedError(404, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        return row

    def _item(self, context: str) -> Row:
        """The work item of an id, or that of the record that waits."""
        for item in self.store.rows(ITEM):
            instance = self.store.row(INSTANCE, str(item.fields["ProcessInstanceId"]))
            about = "" if instance is None else str(instance.fields["TargetObjectId"])
            if full_id(context) in (item.id, about):
                return item
        raise RefusedError(404, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")


def _result(
    instance: Row | None, actors: Sequence[str], items: Sequence[str] = (), errors: list[Any] | None = None
) -> dict[str, Any]:
    return {
        "actorIds": list(actors),
        "entityId": instance.fields["TargetObjectId"] if instance else None,
        "errors": errors,
        "instanceId": instance.id if instance else None,
        "instanceStatus": instance.fields["Status"] if instance else None,
        "newWorkitemIds": list(items),
        "success": errors is None,
    }
