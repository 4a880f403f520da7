"""The action ``message``: a text for a room of a chat."""

from typing import ClassVar

from rules.actions.base import Action, Do, Draft, Plan, StepContext, TextSource, Unready
from rules.criteria.scope import Unknown


class Message(Action):
    """Posts a text into a room; both may hold merge fields."""

    verb: ClassVar[str] = "message"
    message: TextSource
    text: TextSource

    @property
    def default_name(self) -> str:
        """The step's name where the author gives none."""
        return "message"

    def plan(self, step: StepContext) -> Plan:
        """One command, once everything that the texts read is known."""
        room, text = step.text(self.message), step.text(self.text)
        if isinstance(room, Unknown) or isinstance(text, Unknown):
            return Unready()
        chat = step.channel("chat")
        return Do((Draft(chat, f"{chat}:messages", "message", fields={"room": room, "text": text}),))
