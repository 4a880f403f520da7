"""Converting a lead into an account, a contact and a deal (D-93)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from rules.actions.base import AliasName, FieldTexts, StepContext, TextSource, Who, filled
from rules.actions.records import OnRecord, Told
from rules.criteria.scope import UNKNOWN, Unknown
from rules.templates.filters import text_of
from schemas.values import is_empty


class Convert(OnRecord):
    """Converts a lead, once; its step gives the ids of what was made: ``Account``, ``Contact`` and ``Deal``."""

    verb: ClassVar[str] = "convert"
    keyed: ClassVar[bool] = True
    convert: AliasName = Field(description="The alias of the lead.")
    account: bool | TextSource = Field(
        True, description="`true`: a new account. The id of one: that is joined; if it is empty, a new one is made."
    )
    contact: bool | TextSource = Field(True, description="The same for the contact.")
    deal: FieldTexts | None = Field(None, description="The fields of a new deal; no deal is made if left out.")
    status: TextSource | None = Field(None, description="The lead's status afterwards (Salesforce).")
    owner: Who | None = Field(None, description="The owner of what is made.")

    def will_make(self, name: str) -> bool:
        """A deal only if one is written; nothing where the author wants none."""
        return bool({"Account": self.account, "Contact": self.contact, "Deal": self.deal}.get(name, True))

    def told(self, step: StepContext) -> Told:
        """What to join, and the new deal."""
        account, contact = (_joined(step, wish) for wish in (self.account, self.contact))
        deal, status = filled(step, self.deal or {}), None if self.status is None else step.text(self.status)
        if any(isinstance(part, Unknown) for part in (account, contact, deal, status)):
            return UNKNOWN
        fields: dict[str, Any] = {"account": account, "contact": contact}
        if self.deal is not None:
            fields["deal"] = _given(deal)
        return fields if status is None or isinstance(status, Unknown) else {**fields, "status": text_of(status)}


def _joined(step: StepContext, wish: bool | str) -> bool | str | Unknown:
    if isinstance(wish, bool):
        return wish
    value = step.text(wish)
    if isinstance(value, Unknown):
        return UNKNOWN
    return True if is_empty(value) else text_of(value)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not is_empty(value)}
