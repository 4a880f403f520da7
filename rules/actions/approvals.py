"""Actions on the CRM's own approvals: a record is submitted, and what waits for it is approved or rejected (D-49)."""

from typing import Any, ClassVar

from pydantic import Field

from rules.actions.base import AliasName, StepContext, TextSource, Who
from rules.actions.records import OnRecord, Told
from rules.criteria.scope import UNKNOWN, Unknown
from rules.templates.filters import text_of
from schemas.values import is_empty


class _Approval(OnRecord):
    comment: TextSource | None = Field(None, description="What is said with it.")
    approvers: Who | list[Who] | None = Field(None, description="Who is to approve next, where the process asks.")

    def told(self, step: StepContext) -> Told:
        """The comment and the people."""
        fields: dict[str, Any] = {}
        if self.comment is not None:
            comment = step.text(self.comment)
            if isinstance(comment, Unknown):
                return UNKNOWN
            fields |= {} if is_empty(comment) else {"comment": text_of(comment)}
        named = [self.approvers] if isinstance(self.approvers, str) else self.approvers or []
        people = [step.who(one) for one in named]
        if any(isinstance(one, Unknown) for one in people):
            return UNKNOWN
        known = list(dict.fromkeys(str(one) for one in people if one))
        return {**fields, **({"approvers": known} if known else {})}


class Submit(_Approval):
    """Submits one record to the CRM's own approval (Salesforce); one that is in approval already is left alone."""

    verb: ClassVar[str] = "submit"
    submit: AliasName = Field(description="The alias of the record.")
    definition: str | None = Field(None, description="Name or id of the process; the CRM chooses if left out.")

    def told(self, step: StepContext) -> Told:
        """With the name of the process."""
        fields = super().told(step)
        named = {} if self.definition is None else {"definition": self.definition}
        return {**fields, **named} if isinstance(fields, dict) else fields


class Approve(_Approval):
    """Approves what waits for one record in the CRM's own approval (Salesforce)."""

    verb: ClassVar[str] = "approve"
    approve: AliasName = Field(description="The alias of the record.")


class Reject(_Approval):
    """Rejects what waits for one record in the CRM's own approval (Salesforce)."""

    verb: ClassVar[str] = "reject"
    reject: AliasName = Field(description="The alias of the record.")
