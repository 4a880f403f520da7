"""Actions that tell people and machines: notify, email, webhook."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import ClassVar

from pydantic import Field, model_validator

from rules.actions.base import (
    Action,
    AliasName,
    Asked,
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
from rules.templates.filters import text_of
from schemas.commands import OnUnknown
from schemas.values import id_of, is_empty

MAIL = "mail"
"""The operation of a CRM that sends mail itself; ``email`` is that of a mail server."""


class _Mail(Action):
    template: TemplateName | None = Field(None, description="A file of templates/, without `.liquid`.")
    subject: TextSource | None = Field(None, description="The subject, where there is no template.")
    text: TextSource | None = Field(None, description="The text, where there is no template.")

    @model_validator(mode="after")
    def _says_something(self) -> "_Mail":
        if self.template is None and self.text is None:
            raise ValueError("a message needs a `template`, or a `text` with or without a `subject`")
        if self.template is not None and (self.text is not None or self.subject is not None):
            raise ValueError("a template has its own subject and text: leave `subject` and `text` out")
        return self

    def _content(self, step: StepContext) -> dict[str, object] | Unknown:
        if self.template is not None:
            rendered = step.render()
            if isinstance(rendered, Unknown):
                return rendered
            return {"subject": rendered.subject, "body": rendered.body, "html": rendered.html}
        subject = "" if self.subject is None else step.text(self.subject)
        text = "" if self.text is None else step.text(self.text)
        if isinstance(subject, Unknown):
            return subject
        return text if isinstance(text, Unknown) else {"subject": text_of(subject), "body": text_of(text)}

    def _mail(self, step: StepContext, to: list[str], operation: str, on_unknown: OnUnknown) -> Plan:
        content = self._content(step)
        if isinstance(content, Unknown):
            return Unready()
        if operation == "notify":
            content["body"] = _with_context(content, step.context_lines())
        connection = step.channel("email")
        fields = {"to": to, **content}
        return Do((Draft(connection, f"{connection}:messages", operation, fields=fields, on_unknown=on_unknown),))


def _with_context(content: Mapping[str, object], lines: Sequence[str]) -> str:
    """The body with the workflow's context below it, so that the next team knows what it is about (list item 14)."""
    body = str(content["body"])
    if not lines:
        return body
    if content.get("html"):
        return f"{body}<p>{'<br>'.join(map(escape, lines))}</p>\n"
    return "\n".join([body.rstrip("\n"), "", *lines]) + ("\n" if body.endswith("\n") else "")


class Notify(_Mail):
    """Tells users or a team by mail; a team's members are found when the mail is sent (D-94).

    The workflow's ``context:`` goes along, one line per value.
    """

    verb: ClassVar[str] = "notify"
    notify: Who | list[Who] = Field(description="Whom to tell.")
    on_unknown: OnUnknown = Field("retry", description="What follows when nobody can say whether it was sent.")

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
    """Sends a mail to an address in a record; not repeated if its fate is unknown, unless told otherwise (D-42).

    With ``on`` the CRM of that record sends it, and keeps it there.
    """

    verb: ClassVar[str] = "email"
    email: Who = Field(description="The field that holds the address, or an address.")
    on: AliasName | None = Field(None, description="The alias of the record from which the CRM itself sends it.")
    on_unknown: OnUnknown = Field("skip", description="What follows when nobody can say whether it was sent.")

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
        to = [address.removeprefix("user:")]
        return self._mail(step, to, "email", self.on_unknown) if self.on is None else self._through(step, self.on, to)

    def single(self) -> Iterator[tuple[str, str]]:
        """The record from which it is sent."""
        if self.on is not None:
            yield "on", self.on

    def asks(self) -> Iterator[Asked]:
        """Not every CRM sends mail for others."""
        if self.on is not None:
            yield Asked("on", self.on, MAIL)

    def _through(self, step: StepContext, alias: str, to: list[str]) -> Plan:
        found, content = step.bound(alias), self._content(step)
        if isinstance(found, Unknown) or isinstance(content, Unknown):
            return Unready()
        if found is None:
            return Skip("no mail: no such record")
        target, fields = step.target(alias), {"to": to, **content}
        draft = Draft(target.connection, target.tab, MAIL, id_of(found[0]), fields, on_unknown=self.on_unknown)
        return Do((draft,))


class Webhook(Action):
    """Posts a signed message to an endpoint, with the values at the time of the fire (D-96)."""

    verb: ClassVar[str] = "webhook"
    webhook: TextSource = Field(description="The address to post to.")
    body: FieldTexts = Field(
        default_factory=dict, description="The names and values of the JSON body; the workflow's context if left out."
    )
    on_unknown: OnUnknown = Field("retry", description="What follows when nobody can say whether it arrived.")

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
