"""Asking the CRMs anew, while a project runs, what they hold: drift is told before a rule breaks by it (D-114)."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from connectors.base import NoAnswer, NotSent
from connectors.capture import CaptureFailed
from connectors.credentials import CredentialError
from renkei.drift import Drift, relied_on
from renkei.folder import Folder
from renkei.parts import Turned
from schemas.metadata import ConnectionMetadata
from schemas.values import HOUR

LOOK_EVERY = HOUR
_MOST = 3
"""So many differences are told of one connection; of more it is told how many."""

Ask: TypeAlias = Callable[[], ConnectionMetadata]
"""Raises NotSent, NoAnswer, CaptureFailed or CredentialError."""


class MetadataPart:
    """Looks every hour whether the CRMs still hold what the rules rely on; what they no longer do is its problem."""

    name = "metadata"

    def __init__(self, folder: Folder, asked: Mapping[str, Ask]) -> None:
        self._folder, self._asked = folder, asked
        self._told: dict[str, str] = {}
        self._next_at = 0

    def turn(self, now: int) -> Turned:
        """Look, if an hour has passed; the first time an hour after the run began, which has just looked itself."""
        if self._next_at and now >= self._next_at:
            for name, ask in self._asked.items():
                self._look(name, ask)
        if now >= self._next_at:
            self._next_at = now + LOOK_EVERY
        return Turned(False, self._next_at, "; ".join(filter(None, self._told.values())))

    def close(self) -> None:
        """Nothing is open."""

    def _look(self, name: str, ask: Ask) -> None:
        """A CRM that does not answer is told of by others; what was seen before still counts."""
        try:
            now = ask()
        except (NotSent, NoAnswer, CaptureFailed, CredentialError):
            return
        self._told[name] = _sentence(relied_on(self._folder, name, now))


def _sentence(found: Sequence[Drift]) -> str:
    told = [f"{one.change.place}: {one.change.words} (rules: {', '.join(one.rules)})" for one in found[:_MOST]]
    more = [f"{len(found) - _MOST} more differences"] if len(found) > _MOST else []
    return f"{'; '.join([*told, *more])}; mend the rules or the CRM: renkei doctor" if found else ""
