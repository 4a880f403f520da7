"""Actions that tell people and machines: notify, email, webhook."""

from typing import ClassVar

from pydantic import Field

from rules.actions.base import (
    Action,
    Do,
    Draft,
    FieldTexts,
    Plan,
    Skip,
    StepContext,
    TemplateName,
    TextSource,
    Unready,
    Who,
    filled,
)  # fmt: skip
from rules.criteria.scope import Unknown
from schemas.commands import OnUnknown
from schemas.values import is_empty


class _Mail(Action):
    template: TemplateName | None = None
    subject: TextSource | None = None
    text: TextSource | None = None

    def _content(self, step: StepContext) -> dict[str, object] | Unknown:
        if self.template is not None:
            rendered = step.render()
            if isinstance(rendered, Unknown):
                return rendered
            return {"subject": rendered.subject, "body": rendered.body, "html": rendered.html}
        subject, text = step.text(self.subject or ""), step.text(self.text or "")
        if isinstance(subject, Unknown):
            return subject
        return text if isinstance(text, Unknown) else {"subject": str(subject), "body": str(text)}

    def _mail(self, step: StepContext, to: list[str], operation: str, on_unknown: OnUnknown) -> Plan:
        content = self._content(step)
        if isinstance(content, Unknown):
            return Unready()
        connection = step.channel("email")
        fields = {"to": to, **content}
        return Do((Draft(connection, f"{connection}:messages", operation, fields=fields, on_unknown=on_unknown),))


class Notify(_Mail):
    """Tells users or a team by mail; a team's members are found when the mail is sent (D-94)."""

    verb: ClassVar[str] = "notify"
    notify: Who | list[Who]
    on_unknown: OnUnknown = "retry"

    @property
    def default_name(self) -> str:
        """Notifications are called so unless named."""
        return "notify"

    def plan(self, step: StepContext) -> Plan:
        """One message to all, each person once."""
        named = [step.who(one) for one in ([self.notify] if isinstance(self.notify, str) else self.notify)]
        if any(isinstance(one, Unknown) for one in named):
            return Unready()
        to = list(dict.fromkeys(str(one) for one in named if one))
        if not to:
            return Skip("nobody to notify: the recipient is empty")
        return self._mail(step, to, "notify", self.on_unknown)


class Email(_Mail):
    """Sends a mail to an address in a record; not repeated if its fate is unknown, unless told otherwise (D-42)."""

    verb: ClassVar[str] = "email"
    email: Who
    on_unknown: OnUnknown = "skip"

    @property
    def default_name(self) -> str:
        """Mails are called so unless named."""
        return "email"

    def plan(self, step: StepContext) -> Plan:
        """One mail."""
        address = step.who(self.email)
        if isinstance(address, Unknown):
            return Unready()
        if not address:
            return Skip("no mail: the address is empty")
        return self._mail(step, [address.removeprefix("user:")], "email", self.on_unknown)


class Webhook(Action):
    """Posts a signed message to an endpoint, with the values at the time of the fire (D-96)."""

    verb: ClassVar[str] = "webhook"
    webhook: TextSource
    body: FieldTexts = Field(default_factory=dict)
    on_unknown: OnUnknown = "retry"

    @property
    def default_name(self) -> str:
        """Webhooks are called so unless named."""
        return "webhook"

    def plan(self, step: StepContext) -> Plan:
        """One signed request."""
        url, body = step.text(self.webhook), filled(step, self.body)
        if isinstance(url, Unknown) or isinstance(body, Unknown):
            return Unready()
        if is_empty(url):
            return Skip("no webhook: its address is empty")
        connection = step.channel("webhook")
        fields = {"url": url, "body": body or dict(step.context_fields())}
        return Do((Draft(connection, f"{connection}:requests", "webhook", fields=fields, on_unknown=self.on_unknown),))
