"""Tags are topics: put on a record by name, taken off through their assignments; both may be repeated.

Facts: the vendor's pages on topics of records (Connect REST API), composite batch and composite requests.
"""

from typing import Any
from urllib.parse import urlencode

from connectors.answers import parsed, text
from connectors.base import Request, Response
from connectors.checks import rejected
from connectors.salesforce.deeds import Deed, headers, post
from connectors.salesforce.values import API, literal
from connectors.salesforce.verdicts import first_error
from schemas.commands import Command, Outcome, Rejected, Uncertain

MOST, LONGEST = 24, 99
"""Tags of one command, which is one request of at most 25 parts; characters of a topic's name."""


class _Topics(Deed):
    def refusal(self, command: Command) -> Rejected | None:
        """Refuses a command that does not list its tags."""
        names = tags_of(command)
        if names and len(names) <= MOST and all(len(name) <= LONGEST for name in names):
            return None
        reason = f"{command.operation} needs the field `tags`: 1 to {MOST} texts of at most {LONGEST} characters"
        return rejected(command, "bad_tags", reason)


class Tag(_Topics):
    """``tag``: a topic that is not there yet is made, one that the record has stays."""

    def request(self, command: Command) -> Request:
        """One request with a part for each tag."""
        url = f"{API.rpartition('/')[2]}/connect/records/{command.record_id}/topics"
        parts = [{"method": "POST", "url": url, "richInput": {"topicName": name}} for name in tags_of(command)]
        return post("/composite/batch", {"haltOnError": False, "batchRequests": parts}, headers(command))

    def outcome(self, command: Command, response: Response) -> Outcome:
        """Applied once every part was; else what the first failure says."""
        answer = parsed(response)
        results = answer.get("results") if response.status == 200 and isinstance(answer, dict) else None
        if not isinstance(results, list):
            return self.verdicts.whole([command], response)[0]
        if len(results) != len(tags_of(command)) or not all(isinstance(one, dict) for one in results):
            return Uncertain(command_id=command.id, reason="an answer that does not tell of every tag")
        failed = [one for one in results if one.get("statusCode") not in {200, 201}]
        return self.verdicts.failure(command, first_error(failed[0].get("result"))) if failed else _done(self, command)


class Untag(_Topics):
    """``untag``: the assignments of these topics are found and deleted in one request."""

    def request(self, command: Command) -> Request:
        """A query, and the deletion of each of its records; where it has fewer, a part says so and does nothing."""
        names = ", ".join(literal(name) for name in tags_of(command))
        where = f"EntityId = {literal(command.record_id)} AND Topic.Name IN ({names})"
        found = f"SELECT Id FROM TopicAssignment WHERE {where}"  # noqa: S608
        parts: list[dict[str, Any]] = [
            {"method": "GET", "url": f"{API}/query?{urlencode({'q': found})}", "referenceId": "found"}
        ]
        parts += [
            {
                "method": "DELETE",
                "url": f"{API}/sobjects/TopicAssignment/@{{found.records[{number}].Id}}",
                "referenceId": f"gone{number}",
            }
            for number in range(len(tags_of(command)))
        ]
        return post("/composite", {"allOrNone": False, "compositeRequest": parts}, headers(command))

    def outcome(self, command: Command, response: Response) -> Outcome:
        """Applied where every assignment that was found is gone."""
        answer = parsed(response)
        parts = answer.get("compositeResponse") if response.status == 200 and isinstance(answer, dict) else None
        if not isinstance(parts, list):
            return self.verdicts.whole([command], response)[0]
        whole = len(parts) == len(tags_of(command)) + 1 and all(isinstance(one, dict) for one in parts)
        found = parts[0].get("body") if whole and parts[0].get("httpStatusCode") == 200 else None
        count = found.get("totalSize") if isinstance(found, dict) else None
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < len(parts):
            return Uncertain(command_id=command.id, reason="an answer that does not tell which tags were there")
        failed = [one for one in parts[1 : count + 1] if one.get("httpStatusCode") not in {204, 404}]
        if failed:
            return self.verdicts.failure(command, first_error(failed[0].get("body")))
        return _done(self, command, duplicate=count == 0)


def tags_of(command: Command) -> list[str]:
    """The tags that a command names, each once."""
    tags = command.fields.get("tags")
    names = [text(name).strip() for name in tags] if isinstance(tags, list) else []
    return list(dict.fromkeys(names)) if all(names) else []


def _done(deed: Deed, command: Command, *, duplicate: bool = False) -> Outcome:
    return deed.verdicts.applied(command, duplicate=duplicate)
