"""Operations beside writing rows: one command in one request, each with a reading of its own answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from connectors.answers import parsed
from connectors.base import Request, Response
from connectors.directory import Directory, Refused
from connectors.echo import CLIENT
from connectors.salesforce.values import API, JSON
from connectors.salesforce.verdicts import Verdicts
from connectors.settings import ConnectionSettings
from schemas.codec import to_json
from schemas.commands import Command, Outcome, Rejected, Uncertain


class Deed(ABC):
    """One operation. Without ``find`` an unanswered one cannot be looked up."""

    def __init__(self, settings: ConnectionSettings, directory: Directory) -> None:
        self.settings, self.directory = settings, directory
        self.verdicts = Verdicts(settings)

    def refusal(self, command: Command) -> Rejected | None:
        """Why the command cannot be sent."""
        return None

    @abstractmethod
    def request(self, command: Command) -> Request:
        """The request that does it."""

    @abstractmethod
    def outcome(self, command: Command, response: Response) -> Outcome:
        """What the answer means."""

    def find(self, command: Command) -> Request | None:
        """The request that looks for the effect."""
        return None

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """What the lookup says."""
        return Uncertain(command_id=command.id, reason="this effect cannot be looked up")

    def owner_id(self, command: Command) -> str | Refused:
        """The user or queue that ``owner`` names; empty where it names nobody."""
        return owner_id(self.directory, command)


def owner_id(directory: Directory, command: Command) -> str | Refused:
    """The user or queue that the command's ``owner`` names, by id; of a team one member. Empty for nobody."""
    if not command.owner:
        return ""
    if command.owner.startswith("queue:"):
        owner = directory.owner(command.owner)  # queues own records themselves
        return owner if isinstance(owner, Refused) else owner.id
    user = directory.member(command.owner, command.id)
    return user if isinstance(user, Refused) else user.id


def query(text: str) -> Request:
    """A SOQL query."""
    return Request(method="GET", path=f"{API}/query", params={"q": text})


def post(path: str, body: object, headers: Mapping[str, str]) -> Request:
    """A request with a JSON body; the path begins after the version."""
    return Request(method="POST", path=API + path, headers=dict(headers), body=to_json(body), content_type=JSON)


def rows_of(response: Response) -> list[dict[str, Any]] | None:
    """The records of a query's answer; none where it cannot be read as a whole one."""
    answer = parsed(response)
    whole = response.status == 200 and isinstance(answer, dict) and answer.get("done") is not False
    rows = answer.get("records") if whole else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("Id") for row in rows):
        return None
    return rows


def headers(command: Command) -> dict[str, str]:
    """Who we are, and whether assignment rules may run; triggers and flows cannot be switched off from outside."""
    quiet = {} if command.trigger_native else {"Sforce-Auto-Assign": "false"}
    return {"Sforce-Call-Options": f"client={CLIENT}", **quiet}


def encoded(text: str) -> str:
    """Text as a part of an address."""
    return quote(text, safe="")


def unclear(command: Command, response: Response) -> Uncertain:
    """A lookup's answer that says nothing."""
    return Uncertain(command_id=command.id, reason=f"the lookup answered {response.status}")
