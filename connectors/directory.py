"""Who owns a record or receives a mail: ``user:…``, ``manager:…``, ``team:…``, ``queue:…`` found in the metadata."""

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

import msgspec

from schemas.metadata import ConnectionMetadata, Team, User
from schemas.values import fold

Named = TypeVar("Named", User, Team)
_KINDS = ("user:", "manager:", "team:", "queue:")


class Refused(msgspec.Struct, frozen=True):
    """Nobody can be named: why, as a code (``owner_unknown``, ``owner_inactive``) and in words."""

    code: str
    reason: str


class Directory:
    """The users and teams of one connection, found by id, mail or name (D-48, D-94)."""

    def __init__(self, metadata: ConnectionMetadata) -> None:
        self._connection = metadata.connection
        self._users = {user.id: user for user in metadata.users}
        self._user_names = _index([(user.id, user.email, user.name, user) for user in metadata.users])
        self._team_names = _index([(team.id, "", team.name, team) for team in metadata.teams])

    def owner(self, owner: str) -> User | Team | Refused:
        """Whom ``user:ann@x.example``, ``manager:ann@x.example``, ``team:Sales`` or ``queue:Tier 2`` means."""
        kind, _, name = owner.partition(":")
        if kind == "user":
            return self._active(self._user_names.get(fold(name)) or self._unknown(owner))
        if kind == "manager":
            return self._manager(owner, name)
        if kind in {"team", "queue"}:
            return self._team_names.get(fold(name)) or self._unknown(owner)
        return Refused("owner_unknown", f"owner {kind!r}: write user:…, manager:…, team:… or queue:…")

    def member(self, owner: str, seed: str) -> User | Refused:
        """The user that ``owner`` means; of a team one active member, the same for the same seed.

        For CRMs whose records belong to users only: the seed (a command id) spreads work, and repeats on replay.
        """
        found = self.owner(owner)
        if not isinstance(found, Team):
            return found
        members = self.members(found)
        if not members:
            return Refused("owner_inactive", f"{owner!r} has no active member in connection {self._connection!r}")
        return members[int.from_bytes(sha256(seed.encode()).digest()[:8]) % len(members)]

    def members(self, team: Team) -> Sequence[User]:
        """The active members of a team, in order of their ids."""
        users = (self._users.get(member) for member in sorted(team.members))
        return [user for user in users if user and user.active]

    def addresses(self, recipient: str) -> tuple[str, ...] | Refused:
        """The mail addresses of a user or of a team's active members; a plain address is itself.

        What is neither an address nor says its kind is a user: the value of an owner field is a user's id.
        """
        if not recipient.startswith(_KINDS) and "@" in recipient:
            return (recipient,)
        found = self.owner(recipient if recipient.startswith(_KINDS) else f"user:{recipient}")
        if isinstance(found, Refused):
            return Refused(found.code.replace("owner", "recipient"), found.reason)
        people = [found] if isinstance(found, User) else self.members(found)
        addresses = tuple(dict.fromkeys(user.email for user in people if user.email))
        return addresses or Refused("recipient_unknown", f"{recipient!r} has nobody with a mail address")

    def _manager(self, owner: str, name: str) -> User | Refused:
        """The manager of a user, who need not be active: somebody has to answer for those who left."""
        user = self._user_names.get(fold(name))
        if user is None:
            return self._unknown(owner)
        manager = self._users.get(user.manager)
        if manager is None:
            return Refused("owner_unknown", f"connection {self._connection!r} knows no manager of user {user.id}")
        return self._active(manager)

    def _active(self, user: User | Refused) -> User | Refused:
        if isinstance(user, Refused) or user.active:
            return user
        return Refused("owner_inactive", f"user {user.id} of connection {self._connection!r} is inactive")

    def _unknown(self, owner: str) -> Refused:
        return Refused("owner_unknown", f"connection {self._connection!r} knows no {owner!r}")


def _index(rows: Sequence[tuple[str, str, str, Named]]) -> dict[str, Named]:
    """By folded id, mail and name; ids win over mails, mails over names, and the first of a name wins."""
    found: dict[str, Named] = {}
    for column in range(3):
        for row in rows:
            if row[column]:
                found.setdefault(fold(str(row[column])), row[3])
    return found
