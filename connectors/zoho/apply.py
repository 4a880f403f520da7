"""Commands to Zoho CRM: which operation does what, and what the connection as a whole can do."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from connectors.auth import OAuth
from connectors.base import Auth, Capture, Connector, Limits, Pressure, Request, Response, Send, Usage
from connectors.checks import refusal, rejected
from connectors.credentials import Credentials
from connectors.directory import Refused
from connectors.notices import Notices, place_of
from connectors.reading import READ
from connectors.settings import ConnectionSettings
from connectors.tasks import ACTIVITIES
from connectors.zoho import centres, credit, permissions
from connectors.zoho.abilities import ABILITIES
from connectors.zoho.blueprint import Transition
from connectors.zoho.capture import capture
from connectors.zoho.conversion import Conversion
from connectors.zoho.describe import describe
from connectors.zoho.links import Links
from connectors.zoho.locks import Locks
from connectors.zoho.mails import Mails
from connectors.zoho.marks import Marks
from connectors.zoho.notes import Notes
from connectors.zoho.reading import Reading
from connectors.zoho.rows import ASSIGN, MOST, Rows
from connectors.zoho.tasks import create_activity
from connectors.zoho.verbs import Ground, Verb
from connectors.zoho.watching import ZohoNotices
from schemas.abilities import Abilities
from schemas.commands import Command, Outcome, Rejected
from schemas.metadata import ConnectionMetadata

_BATCHED = ("create", "update", "upsert", "delete", ASSIGN, "tag", "untag", "note", *ACTIVITIES)


class ZohoConnector(Connector):
    """Zoho CRM, REST v8: 100 rows per call; a create carries its key in a unique field (D-42).

    Beside rows it links and unlinks, tags, notes, converts leads, takes transitions, mails, locks and unlocks. A
    ``task`` is a create in Tasks.
    """

    kind = "zoho"
    batch: ClassVar[Mapping[str, int]] = dict.fromkeys(_BATCHED, MOST)
    limits = Limits(per_minute=600, at_once=5)
    repeatable = frozenset({READ, "tag", "untag"})
    never_blind = frozenset({"create", *ACTIVITIES, "note", "convert", "transition"})
    modified_field = "Modified_Time"

    def __init__(self, settings: ConnectionSettings, metadata: ConnectionMetadata) -> None:
        super().__init__(settings, metadata)
        self._ground = Ground(settings, metadata)
        self._reading = Reading(self._ground)
        self._verbs = _verbs(self._ground, self._reading)

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses commands of a wrong shape, owners that nobody is (D-48), and values that Zoho would not keep."""
        owner = self._ground.owner(command)
        if isinstance(owner, Refused):
            return rejected(command, owner.code, owner.reason)
        return refusal(command, self._verbs.keys()) or self._verb(command).refuse(self._plain(command))

    def most(self, command: Command) -> int:
        """100 rows; a conditional write goes alone, and a module of many fields is read record by record."""
        if command.operation == READ:
            return self._reading.most(command)
        return 1 if command.if_unmodified is not None else super().most(command)

    def looks_first(self, command: Command) -> bool:
        """A transition and an unlocking need an id that only a lookup tells."""
        return command.operation in self._verbs and self._verb(command).looks_first(command)

    def price(self, request: Request) -> int:
        """Credits."""
        return credit.price(request)

    def usage(self, response: Response) -> Sequence[Usage]:
        """The credits left of the day, where they are told."""
        return credit.usage(response)

    def pressure(self, response: Response) -> Pressure | None:
        """429 and 5xx."""
        return credit.pressure(response)

    def request(self, commands: Sequence[Command]) -> Request:
        """One call for up to 100 rows."""
        return self._verb(commands[0]).request([self._plain(command) for command in commands])

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """Row by row; the status alone says nothing about rows."""
        return self._verb(commands[0]).outcomes([self._plain(command) for command in commands], response)

    def find(self, command: Command) -> Request | None:
        """The request that looks the effect up."""
        return self._verb(command).find(self._plain(command))

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """What the lookup says."""
        return self._verb(command).found(self._plain(command), response)

    @classmethod
    def abilities(cls, settings: ConnectionSettings) -> Abilities:
        """The same for every connection."""
        return ABILITIES

    @classmethod
    def completed(cls, settings: ConnectionSettings) -> ConnectionSettings:
        """With the urls of its data centre."""
        return centres.completed(settings)

    def own_user(self, send: Send) -> str:
        """Whose login this is."""
        return centres.own_user(send)

    def authentication(self, credentials: Credentials, send: Send) -> Auth:
        """A refresh token; Zoho allows ten access tokens in ten minutes, so they are shared."""
        return OAuth(
            self.settings, credentials, send, path="/oauth/v2/token", scheme="Zoho-oauthtoken", host="api_domain",
            named=centres.api_host,
        )  # fmt: skip

    def capture(self, tab: str, send: Send, fields: Sequence[str] = ()) -> Capture:
        """Polls a module by modified time."""
        return capture(self.settings, self.metadata, tab, send, fields)

    def notices(self, credentials: Credentials, send: Send, tabs: Sequence[str]) -> Notices | None:
        """A channel, where the options ``notices`` and ``listen`` say where Zoho can reach us."""
        place = place_of(self.settings.options, self.settings.allow_private)
        if place is None or not tabs:
            return None
        secret = credentials.get("client_secret").reveal()
        return ZohoNotices(self.settings.connection, secret, place.url, send, tabs)

    def describe(self, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
        """Modules, fields, users and groups."""
        return describe(self.settings.connection, send, tabs)

    def missing_permissions(self, send: Send, tabs: Sequence[str]) -> list[str]:
        """The scopes that the connection lacks to work on these modules."""
        return permissions.missing(send, tabs, self.settings.options)

    def _plain(self, command: Command) -> Command:
        return create_activity(command, self.metadata) if command.operation in ACTIVITIES else command

    def _verb(self, command: Command) -> Verb:
        return self._verbs[command.operation]


def _verbs(ground: Ground, reading: Reading) -> Mapping[str, Verb]:
    """What does each operation."""
    rows, links, marks, locks = Rows(ground), Links(ground), Marks(ground), Locks(ground)
    return {
        **dict.fromkeys(("create", "update", "upsert", "delete", ASSIGN, *ACTIVITIES), rows),
        **dict.fromkeys(("link", "unlink"), links), **dict.fromkeys(("tag", "untag"), marks),
        **dict.fromkeys(("lock", "unlock"), locks), "note": Notes(ground), "convert": Conversion(ground),
        "transition": Transition(ground), "mail": Mails(ground), READ: reading,
    }  # fmt: skip
