"""Vtiger's login: a challenge of five minutes, md5 of it with the access key, a session in every call."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from sandbox.clock import Clock
from sandbox.vtiger.errors import RefusedError
from schemas.metadata import User
from schemas.values import DAY, MINUTE

CHALLENGE = 5 * MINUTE
IDLE = 30 * MINUTE
LIFE = DAY

VERSION = {"version": "0.22", "vtigerVersion": "8.4.0"}


class _Session(NamedTuple):
    user: User
    begun: int
    used: int


class Sessions:
    """Challenges, logins and sessions; user names are the mail address up to the ``@``."""

    def __init__(
        self, clock: Clock, users: tuple[User, ...], access_key: str, admin: str, options: Mapping[str, str]
    ) -> None:
        self._admin = admin
        self._options = options
        self._clock = clock
        self._users = {user_name(user).casefold(): user for user in users}
        self._access_key = access_key
        self._challenges: dict[str, tuple[str, int]] = {}
        self._sessions: dict[str, _Session] = {}

    def challenge(self, name: str) -> dict[str, Any]:
        """A new token; the user's previous one is gone."""
        if not name:
            raise RefusedError("ACCESS_DENIED", "No username given")
        if name.casefold() not in self._users:
            raise RefusedError("ACCESS_DENIED", "username does not exists")
        now, token = self._clock.now(), secrets.token_hex(7)[:13]
        self._challenges[name.casefold()] = (token, now + CHALLENGE)
        return {"token": token, "serverTime": now // 1000, "expireTime": (now + CHALLENGE) // 1000}

    def login(self, name: str, key: str) -> dict[str, Any]:
        """A new session."""
        token, ends = self._challenges.get(name.casefold(), ("", 0))
        if not token or ends <= self._clock.now():
            raise RefusedError("INVALID_AUTH_TOKEN", "Specified token is invalid or expired")
        user = self._users[name.casefold()]
        wanted = hashlib.md5((token + self._access_key).encode(), usedforsecurity=False).hexdigest()
        if key != wanted or not user.active or user.id in self._options.get("inactive", "").split():
            raise RefusedError("INVALID_USER_CREDENTIALS", "Invalid username or password")
        session, now = secrets.token_hex(11)[:21], self._clock.now()
        self._sessions[session] = _Session(user, now, now)
        version = {**VERSION, "vtigerVersion": self._options.get("version", VERSION["vtigerVersion"])}
        return {**self._profile(user), "sessionName": session, "userId": user.id, **version}

    def user(self, session: str) -> User:
        """The user of a session.

        Raises:
            RefusedError: no, an unknown, an idle or an outlived session.
        """
        if not session or session == "null":
            raise RefusedError("AUTHENTICATION_REQUIRED", "Authencation required")
        found, now = self._sessions.get(session), self._clock.now()
        if found is None:
            raise RefusedError("INVALID_SESSIONID", "Session Identifier provided is Invalid")
        if now >= found.begun + LIFE or now >= found.used + IDLE:
            del self._sessions[session]
            if now >= found.begun + LIFE:
                raise RefusedError("SESSION_EXPIRED", "Session has life span over please login again")
            raise RefusedError("SESSION_LEFT_IDLE", "Session has been invalidated to due lack activity")
        self._sessions[session] = found._replace(used=now)
        return found.user

    def logout(self, session: str) -> dict[str, Any]:
        """End a session."""
        self._sessions.pop(session, None)
        return {"message": "successfull"}

    def expire(self) -> None:
        """End all sessions."""
        self._sessions.clear()

    def _profile(self, user: User) -> dict[str, str]:
        return {
            "username": user_name(user),
            "first_name": "",
            "last_name": user.name,
            "email": user.email,
            "time_zone": self._options.get("zone", "UTC"),
            "hour_format": "24",
            "date_format": "yyyy-mm-dd",
            "is_admin": "on" if user.id == self._admin else "off",
            "call_duration": "5",
            "other_event_duration": "5",
        }


def user_name(user: User) -> str:
    """The name that a user logs in with."""
    return user.email.partition("@")[0] or user.name
