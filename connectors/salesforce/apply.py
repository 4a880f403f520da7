"""Commands to Salesforce: which part of the connector speaks for which operation."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from connectors.base import Auth, Capture, Connector, Limits, Pressure, Request, Response, Send, Usage
from connectors.checks import refusal, rejected
from connectors.credentials import Credentials
from connectors.directory import Directory, Refused
from connectors.reading import READ, not_found
from connectors.salesforce import login, reading, verdicts
from connectors.salesforce.abilities import ABILITIES
from connectors.salesforce.approvals import ITEM, Approve, Reject, Submit
from connectors.salesforce.conversion import Convert
from connectors.salesforce.deeds import Deed, owner_id
from connectors.salesforce.describe import describe
from connectors.salesforce.mail import Mail
from connectors.salesforce.notes import Note
from connectors.salesforce.permissions import missing
from connectors.salesforce.rows import CHUNKS, MOST, Rows
from connectors.salesforce.session import Login
from connectors.salesforce.tasks import create_activity
from connectors.salesforce.topics import Tag, Untag
from connectors.salesforce.values import is_id
from connectors.salesforce.watching import unheard, watch
from connectors.settings import ConnectionSettings
from connectors.tasks import ACTIVITIES
from schemas.abilities import Abilities
from schemas.commands import Command, Outcome, Rejected
from schemas.metadata import ConnectionMetadata

_DEEDS: Mapping[str, type[Deed]] = {
    "tag": Tag, "untag": Untag, "note": Note, "convert": Convert, "submit": Submit, "approve": Approve,
    "reject": Reject, "mail": Mail,
}  # fmt: skip
_ROWS = frozenset({"create", "update", "upsert", "delete", "link", "unlink", *ACTIVITIES})


class SalesforceConnector(Connector):
    """Salesforce by sObject collections: 200 rows per call, of up to ten objects; a create with a key upserts (D-42).

    ``link`` writes a lookup: its field is ``relation``, its value ``to``; ``unlink`` empties it. A ``task`` is a
    create of a Task. A write on a condition (``if_unmodified``) goes alone. The rest is one call per command.
    """

    kind = "salesforce"
    batch: ClassVar[Mapping[str, int]] = {**dict.fromkeys(_ROWS, MOST), READ: reading.MOST}
    tabs_at_once: ClassVar[Mapping[str, int]] = dict.fromkeys(_ROWS, CHUNKS)
    limits = Limits(per_minute=1200, at_once=8)
    modified_field = "SystemModstamp"
    repeatable = frozenset({READ, "tag", "untag"})
    never_blind = frozenset({"create", *ACTIVITIES, "note", "convert", "submit", "approve", "reject"})

    def __init__(self, settings: ConnectionSettings, metadata: ConnectionMetadata) -> None:
        super().__init__(settings, metadata)
        directory = Directory(metadata)
        self._directory = directory
        self._rows = Rows(settings, metadata, directory)
        self._deeds = {name: deed(settings, directory) for name, deed in _DEEDS.items()}
        self._auth: Auth | None = None

    def most(self, command: Command) -> int:
        """200 rows; 1 where a condition holds for one record, or the operation is about one."""
        return 1 if command.if_unmodified is not None else super().most(command)

    def looks_first(self, command: Command) -> bool:
        """A decision about a record needs the work item that waits for it."""
        return command.operation in {"approve", "reject"} and not command.record_id.startswith(ITEM)

    def usage(self, response: Response) -> Sequence[Usage]:
        """The calls left of the day, which every answer tells."""
        return verdicts.usage(response)

    def pressure(self, response: Response) -> Pressure | None:
        """A used-up day, too many calls at once, or maintenance; a missing right is none of these."""
        return verdicts.pressure(response)

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses commands of a wrong shape, owners that nobody is (D-48), and values that would spoil a request."""
        owner = owner_id(self._directory, command)
        if isinstance(owner, Refused):
            return rejected(command, owner.code, owner.reason)
        if command.operation == READ and not is_id(command.record_id):
            return not_found(command)
        if command.operation == "mail" and not command.record_id:
            return self._deeds["mail"].refusal(command)  # a mail need not be about a record
        shape = refusal(command, {*_ROWS, *_DEEDS, READ})
        return shape or self._own_refusal(command)

    def request(self, commands: Sequence[Command]) -> Request:
        """One call for all of them. Raises ValueError: they cannot go together."""
        first = commands[0]
        if first.operation == READ:
            return reading.request(commands, self.metadata)
        if first.operation in self._deeds:
            [command] = commands
            return self._deeds[first.operation].request(command)
        return self._rows.request(self._plain(commands))

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """What the answer says of each command; what it does not clearly say is Uncertain."""
        operation = commands[0].operation
        if operation == READ:
            read = reading.outcomes(commands, response, self.metadata)
            return read or verdicts.Verdicts(self.settings).whole(commands, response)
        if operation in self._deeds:
            return [self._deeds[operation].outcome(command, response) for command in commands]
        return self._rows.outcomes(self._plain(commands), response)

    def find(self, command: Command) -> Request | None:
        """A query for the effect, where there is one to look for."""
        if command.operation == READ:
            return None
        deed = self._deeds.get(command.operation)
        return deed.find(command) if deed else self._rows.find(self._plain([command])[0])

    def found(self, command: Command, response: Response) -> Outcome | Command:
        """What the lookup says."""
        deed = self._deeds.get(command.operation)
        return deed.found(command, response) if deed else self._rows.found(self._plain([command])[0], response)

    @classmethod
    def abilities(cls, settings: ConnectionSettings) -> Abilities:
        """The same for every connection."""
        return ABILITIES

    @classmethod
    def completed(cls, settings: ConnectionSettings) -> ConnectionSettings:
        """With the login host where no url is named."""
        return login.completed(settings)

    def own_user(self, send: Send) -> str:
        """Whose login this is."""
        return login.own_user(send)

    def authentication(self, credentials: Credentials, send: Send) -> Auth:
        """The login that the settings name, for REST, SOAP and Pub/Sub."""
        self._auth = Login(
            self.settings, credentials, send, path="/services/oauth2/token", scheme="Bearer", named=login.api_host,
            audience=login.audience(self.settings),
        )  # fmt: skip
        return self._auth

    def capture(self, tab: str, send: Send, fields: Sequence[str] = ()) -> Capture:
        """Polls an object by SystemModstamp, or subscribes to its change events (the option ``capture``)."""
        return watch(self.settings, self.metadata, tab, send, fields, self._auth)

    def unwatchable(self, send: Send, tabs: Sequence[str]) -> list[str]:
        """Objects whose change events nobody may subscribe to, where the option ``capture`` asks for them."""
        return unheard(self.settings, tabs, send, self._auth)

    def describe(self, send: Send, tabs: Sequence[str]) -> ConnectionMetadata:
        """Objects, fields, users with their roles, groups and queues."""
        return describe(self.settings.connection, send, tabs)

    def missing_permissions(self, send: Send, tabs: Sequence[str]) -> list[str]:
        """What the login may not read or write of these objects."""
        return missing(send, tabs)

    def _plain(self, commands: Sequence[Command]) -> list[Command]:
        return [create_activity(one, self.metadata) if one.operation in ACTIVITIES else one for one in commands]

    def _own_refusal(self, command: Command) -> Rejected | None:
        if command.operation in self._deeds:
            return self._deeds[command.operation].refusal(command)
        return None if command.operation == READ else self._rows.refusal(self._plain([command])[0])
