"""Approvals: a record is submitted, and what waits for it is approved or rejected.

Facts: the vendor's pages on process approvals, ProcessInstance and ProcessInstanceWorkitem.
"""

from typing import Any

import msgspec

from connectors.answers import parsed, text
from connectors.base import Request, Response
from connectors.checks import rejected
from connectors.directory import Refused
from connectors.salesforce.deeds import Deed, headers, post, query, rows_of, unclear
from connectors.salesforce.values import literal
from connectors.salesforce.verdicts import first_error
from schemas.commands import Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.values import MINUTE, SECOND, format_instant

ITEM = "04i"
"""How ids of work items begin."""
_SKEW = MINUTE
_AS_TOLD = {"Submit": {"Pending", "Approved"}, "Approve": {"Approved", "Pending"}, "Reject": {"Rejected", "Pending"}}
"""States that an action may leave behind; after one of several steps an approval is still pending."""


class _Approval(Deed):
    action = ""

    def request(self, command: Command) -> Request:
        """One action."""
        given, approvers = command.fields, self._approvers(command)
        assert not isinstance(approvers, Refused), "refused commands are not sent"
        wish: dict[str, Any] = {
            "actionType": self.action,
            "contextId": command.record_id,
            "comments": text(given.get("comment")),
            **({"nextApproverIds": approvers} if approvers else {}),
            **({"processDefinitionNameOrId": given["definition"]} if text(given.get("definition")) else {}),
        }
        return post("/process/approvals/", {"requests": [wish]}, headers(command))

    def outcome(self, command: Command, response: Response) -> Outcome:
        """Applied where the answer tells a state that the action can leave behind."""
        answer = parsed(response)
        row = answer[0] if isinstance(answer, list) and len(answer) == 1 else None
        if not isinstance(row, dict) or "success" not in row:
            return self.verdicts.whole([command], response)[0]
        if row["success"] is True and response.status == 200 and row.get("instanceStatus") in _AS_TOLD[self.action]:
            told = {"instance": text(row.get("instanceId")), "status": row["instanceStatus"]}
            return self.verdicts.applied(command, text(row.get("entityId")), fields=told)
        if row["success"] is False:
            return self.refused(command, first_error(row.get("errors")))
        return Uncertain(command_id=command.id, reason="an answer that does not tell the state of the approval")

    def refused(self, command: Command, error: Any) -> Outcome:
        """What an error of the action means."""
        return self.verdicts.failure(command, error)

    def refusal(self, command: Command) -> Rejected | None:
        """Refuses approvers that nobody is."""
        approvers = self._approvers(command)
        return rejected(command, approvers.code, approvers.reason) if isinstance(approvers, Refused) else None

    def _approvers(self, command: Command) -> list[str] | Refused:
        """User ids: given as such, or as ``user:…``, ``manager:…``, ``team:…`` (one member)."""
        named = command.fields.get("approvers", [])
        if not isinstance(named, list) or not all(text(one) for one in named):
            reason = f"{command.operation} takes in `approvers` a list of users"
            return Refused("bad_approvers", reason)
        found = [one if one.isalnum() else self.directory.member(one, command.id) for one in named]
        refused = next((one for one in found if isinstance(one, Refused)), None)
        return refused or [one if isinstance(one, str) else one.id for one in found if not isinstance(one, Refused)]


class Submit(_Approval):
    """``submit``: fields ``comment``, ``approvers`` (user ids) and ``definition`` (a process), all of them optional."""

    action = "Submit"

    def refused(self, command: Command, error: Any) -> Outcome:
        """What is in approval already was submitted."""
        if text(error.get("statusCode")) == "ALREADY_IN_PROCESS":
            return self.verdicts.applied(command, duplicate=True)
        return super().refused(command, error)

    def find(self, command: Command) -> Request:
        """Approvals of the record since the command was planned, whatever became of them."""
        since = format_instant(max(0, command.planned_at - _SKEW) // SECOND * SECOND)
        where = f"TargetObjectId = {literal(command.record_id)} AND CreatedDate >= {since}"
        return query(f"SELECT Id, Status FROM ProcessInstance WHERE {where}")  # noqa: S608

    def found(self, command: Command, response: Response) -> Outcome:
        """No row proves that it was not submitted."""
        rows = rows_of(response)
        if rows is None:
            return unclear(command, response)
        if not rows:
            return RetryLater(command_id=command.id, reason="looked up: not submitted")
        told = {"instance": text(rows[0].get("Id")), "status": text(rows[0].get("Status"))}
        return self.verdicts.applied(command, fields=told, duplicate=True)


class _Decide(_Approval):
    """Needs the id of a work item (04i…), or of a record: then what waits for the record is looked up first.

    A decision that was not answered is not repeated unless its work item still waits; if it does not, somebody has
    decided, and who it was is for a person to find out.
    """

    def find(self, command: Command) -> Request:
        """The work item, or those that wait for the record."""
        name = "Id" if command.record_id.startswith(ITEM) else "ProcessInstance.TargetObjectId"
        return query(
            f"SELECT Id FROM ProcessInstanceWorkitem WHERE {name} = {literal(command.record_id)} LIMIT 2"  # noqa: S608
        )

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """What to decide now; nothing is decided where several items wait, or none."""
        rows = rows_of(response)
        if rows is None:
            return unclear(command, response)
        if command.record_id.startswith(ITEM):
            if rows:
                return RetryLater(command_id=command.id, reason="looked up: it waits still")
            return Uncertain(command_id=command.id, reason="looked up: it was decided, who knows by whom")
        if len(rows) != 1:
            reason = "nothing waits for this record" if not rows else "several work items wait for this record"
            return rejected(command, "not_pending", reason)
        return msgspec.structs.replace(command, record_id=text(rows[0].get("Id")))


class Approve(_Decide):
    """``approve``: fields ``comment`` and ``approvers`` (of the next step)."""

    action = "Approve"


class Reject(_Decide):
    """``reject``: the field ``comment``."""

    action = "Reject"
