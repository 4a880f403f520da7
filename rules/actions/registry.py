"""The actions that there are: ours, and what other packages bring."""

from collections.abc import Iterable, Mapping

from rules.actions.activities import Call, Event
from rules.actions.approvals import Approve, Reject, Submit
from rules.actions.base import Action
from rules.actions.control import Branch, ForEach, Wait
from rules.actions.conversion import Convert
from rules.actions.links import Link, Unlink
from rules.actions.messages import Email, Notify, Webhook
from rules.actions.records import Delete, Lock, Note, Tag, Transition, Unlock, Untag
from rules.actions.writes import Assign, Create, Task, Update, Upsert

BUILT_IN: tuple[type[Action], ...] = (
    Create, Update, Upsert, Delete, Link, Unlink, Assign, Tag, Untag, Note, Task, Event, Call, Convert,
    Submit, Approve, Reject, Transition, Lock, Unlock, Notify, Email, Webhook, Branch, ForEach, Wait,
)  # fmt: skip

NOT_BUILT = frozenset({
    "message", "lookup", "start", "stop", "call_workflow", "start_cadence", "stop_cadence", "set_score", "raise",
    "close", "parallel",
})  # fmt: skip
"""Actions of semantics D-49 that are refused with a clear message until they are built."""


def registry(more: Iterable[type[Action]] = ()) -> Mapping[str, type[Action]]:
    """All actions by verb.

    Raises:
        ValueError: two actions have the same verb.
    """
    actions: dict[str, type[Action]] = {}
    for action in (*BUILT_IN, *more):
        if action.verb in actions:
            raise ValueError(f"two actions are called `{action.verb}`: {actions[action.verb]!r} and {action!r}")
        actions[action.verb] = action
    return actions
