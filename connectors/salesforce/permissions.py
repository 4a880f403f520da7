"""What a login may not do that its objects need, as sentences for the operator who connects Salesforce."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.answers import parsed
from connectors.base import Request, Send
from connectors.salesforce.values import API

_ABILITIES = {"queryable": "read", "createable": "create", "updateable": "edit", "deletable": "delete"}
_PEOPLE = {"User": "users", "Group": "groups and queues", "UserRole": "roles", "Organization": "the organization's id"}


def missing(send: Send, tabs: Sequence[str]) -> list[str]:
    """Sentences; nothing where nothing is missing. Raises NotSent or NoAnswer."""
    everything = send(Request(method="GET", path=f"{API}/sobjects"))
    if everything.status == 403:
        return ["The user may not use the API: give its profile or a permission set 'API Enabled'."]
    answer = parsed(everything)
    known = answer.get("sobjects") if isinstance(answer, dict) else None
    if everything.status != 200 or not isinstance(known, list):
        return [f"Salesforce did not list its objects (status {everything.status}): ask again later."]
    objects = {one.get("name"): one for one in known if isinstance(one, dict)}
    return [sentence for tab in tabs for sentence in _of(tab, objects.get(tab))] + list(_people(objects))


def _of(tab: str, told: Mapping[str, Any] | None) -> Iterator[str]:
    if told is None:
        yield f"The user does not see the object {tab}: give it object permissions for {tab} (or check the name)."
        return
    for ability, word in _ABILITIES.items():
        if told.get(ability) is False:
            yield f"The user may not {word} {tab}: give it '{word.capitalize()}' on the object."
    if told.get("replicateable") is False:
        yield f"{tab} cannot be watched for changes: Salesforce does not replicate it."


def _people(objects: Mapping[Any, Mapping[str, Any]]) -> Iterator[str]:
    for name, what in _PEOPLE.items():
        if name not in objects or objects[name].get("queryable") is False:
            yield f"The user may not read {what} ({name}): give it 'View Setup and Configuration'."
