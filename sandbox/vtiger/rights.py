"""Who may see what: administrators everything, others their own and their groups' records of private modules."""

from collections.abc import MutableMapping

from sandbox.store import Row, Store
from sandbox.vtiger.errors import RefusedError, denied
from schemas.metadata import User


class Rights:
    """What one user may do; the option ``private`` names the modules whose records are shared with nobody."""

    def __init__(self, store: Store, user: User, admin: bool, options: MutableMapping[str, str]) -> None:
        self.options = options
        self.user = user
        self.admin = admin
        self.blind = not admin and options.get("version") == "8.3.0"
        """8.3.0 leaves a user without the right to view everything no module with records at all."""
        self._private = frozenset(options.get("private", "").split())
        self.groups = frozenset(team.id for team in store.metadata.teams if user.id in team.members)

    def sees(self, row: Row) -> bool:
        """Whether the user may read a record."""
        return self.admin or row.tab not in self._private or self.owns(row)

    def owns(self, row: Row) -> bool:
        """Whether a record is the user's own or that of one of the groups."""
        owner = row.fields.get("assigned_user_id")
        return owner == self.user.id or owner in self.groups

    def enter(self, name: str, what: str = "") -> None:
        """Go into a module. Raises RefusedError where the user may not."""
        if not self.admin and (name == "Users" or (self.blind and name not in _OPEN)):
            raise denied(what)

    def read(self, row: Row) -> None:
        """Read a record. Raises RefusedError where the user may not."""
        if not self.sees(row):
            raise RefusedError("ACCESS_DENIED", "Permission to read given object is denied")


_OPEN = frozenset({"Groups", "Currency", "DocumentFolders", "CompanyDetails", "LineItem", "Tax", "ProductTaxes"})
