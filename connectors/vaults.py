"""Other places where secrets are kept: the keyring of the operating system, and those of installed packages."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec

from connectors.credentials import CredentialError, SecretSource
from schemas.codec import UNREADABLE

GROUP = "renkei.secrets"
SERVICE = "renkei"
FILE = "file"
KEYRING = "keyring"


class Keyring:
    """The keyring of the operating system: one entry per connection, service ``renkei``, user ``project/connection``.

    ``backend`` has ``get_password`` and ``set_password``; the library ``keyring`` unless it is named.
    """

    def __init__(self, project: str, backend: Any = None) -> None:
        self._project = project
        self._backend = backend

    def secrets(self, connection: str) -> Mapping[str, str]:
        """Those of the entry; none where there is no entry. Raises CredentialError."""
        try:
            kept = self._library().get_password(SERVICE, self._user(connection))
        except Exception as error:  # each backend has errors of its own
            raise self._unusable(error) from None
        with suppress(*UNREADABLE):
            return msgspec.json.decode(kept or "{}", type=dict[str, str])
        raise CredentialError(
            f"the keyring's entry {self._user(connection)!r} is not ours: remove it, then connect anew"
        )

    def keep(self, connection: str, secrets: Mapping[str, str]) -> None:
        """Write them, what else is kept of the connection stays. Raises CredentialError."""
        content = msgspec.json.encode({**self.secrets(connection), **secrets}).decode()
        try:
            self._library().set_password(SERVICE, self._user(connection), content)
        except Exception as error:
            raise self._unusable(error) from None

    def _user(self, connection: str) -> str:
        return f"{self._project}/{connection}"

    def _library(self) -> Any:
        # Finding a backend takes time and may ask the desktop: only who keeps secrets there pays for it.
        return self._backend or import_module("keyring")

    def _unusable(self, error: Exception) -> CredentialError:
        return CredentialError(
            f"the keyring cannot be used here ({type(error).__name__}): keep the secrets in the credentials file,"
            " or set up a keyring backend (keyring --list-backends)"
        )


def place_of(name: str, project: str, found: Iterable[EntryPoint] | None = None) -> SecretSource | None:
    """The place of that name; none for the credentials file, which is always read.

    Raises:
        CredentialError: no such place is installed, or it is none.
    """
    if name in ("", FILE):
        return None
    if name == KEYRING:
        return Keyring(project)
    points = {point.name: point for point in (entry_points(group=GROUP) if found is None else found)}
    if name not in points:
        near = get_close_matches(name, [FILE, KEYRING, *points], n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join([FILE, KEYRING, *points])}."
        raise CredentialError(f"secrets are kept in no place {name!r}. {hint}")
    place = points[name].load()(project)
    if isinstance(place, SecretSource):
        return place
    raise CredentialError(f"entry point {name!r} ({points[name].value}) makes no SecretSource: give it `secrets()`")
