"""Secrets of a connection: from the environment, a private file or another place of keeping, and never printed."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn, Protocol, runtime_checkable

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


class CredentialError(Exception):
    """A secret is missing, or its place is not private or not there; the message says what to do, never a value."""


class Secret:
    """A value that shows itself only to ``reveal``: not in text, logs, tracebacks or copies."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The value itself; call it where it is put on the wire, and nowhere else."""
        return self.__value

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied or written down")


@runtime_checkable
class SecretSource(Protocol):
    """A place where secrets are kept. Packages bring their own by the entry point ``renkei.secrets``."""

    def secrets(self, connection: str) -> Mapping[str, str]:
        """The secrets of a connection by name; nothing where it has none. Raises CredentialError."""
        ...


@runtime_checkable
class SecretKeeper(SecretSource, Protocol):
    """A place that can be written too, as ``renkei connect`` does."""

    def keep(self, connection: str, secrets: Mapping[str, str]) -> None:
        """Keep these; others of the connection stay. Raises CredentialError."""
        ...


class Credentials:
    """The secrets of one connection by lower-case name: ``client_id``, ``refresh_token``, ``access_key``."""

    def __init__(
        self, connection: str, secrets: Mapping[str, str], read: Callable[[], Mapping[str, str]] | None = None
    ) -> None:
        self._connection = connection
        self._read = read
        self._secrets = _wrapped(secrets)

    def __repr__(self) -> str:
        return f"<credentials of {self._connection}: {', '.join(sorted(self._secrets)) or 'none'}>"

    def get(self, name: str) -> Secret:
        """The secret. Raises CredentialError that says how to set it."""
        if name not in self._secrets:
            raise CredentialError(
                f"connection {self._connection!r} has no {name!r}: set {variable(self._connection, name)}"
                " or put it in the credentials file"
            )
        return self._secrets[name]

    def text(self, name: str, default: str = "") -> str:
        """A credential that is not secret, such as a user name; the default where there is none."""
        return self._secrets[name].reveal() if name in self._secrets else default

    def reread(self) -> None:
        """Look again where they came from: they may have been renewed. Raises CredentialError."""
        if self._read is not None:
            self._secrets = _wrapped(self._read())

    def fingerprint(self, use: str) -> str:
        """Tells these secrets, and what they are for, from others; it does not tell what they are."""
        content = "\x1f".join(f"{name}={secret.reveal()}" for name, secret in sorted(self._secrets.items()))
        return hashlib.pbkdf2_hmac("sha256", content.encode(), use.encode(), 20_000).hex()


def _wrapped(secrets: Mapping[str, str]) -> dict[str, Secret]:
    return {name.lower(): Secret(value) for name, value in secrets.items()}


def variable(connection: str, name: str) -> str:
    """The environment variable of a secret: ``variable("zoho", "client_id") == "RENKEI_ZOHO_CLIENT_ID"``."""
    return "RENKEI_" + re.sub(r"[^A-Z0-9]", "_", f"{connection}_{name}".upper())


def credentials(
    connection: str, environment: Mapping[str, str], file: Path | None = None, place: SecretSource | None = None
) -> Credentials:
    """The secrets of a connection: those of a place, overridden by those of the file, and these by the environment.

    Raises:
        CredentialError: the file can be read by others than its owner, or is not a mapping by connection; the
            place cannot be read.
    """
    sources: list[SecretSource] = [EnvironmentSource(environment)]
    sources[:0] = [SecretFile(file)] if file else []
    sources[:0] = [place] if place else []

    def read() -> dict[str, str]:
        return {name.lower(): value for one in sources for name, value in one.secrets(connection).items()}

    return Credentials(connection, read(), read)


class EnvironmentSource:
    """``RENKEI_<CONNECTION>_<NAME>``; an empty variable is none."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def secrets(self, connection: str) -> Mapping[str, str]:
        """Those that are set."""
        prefix = variable(connection, "")
        told = self._environment.items()
        return {name[len(prefix) :].lower(): value for name, value in told if name.startswith(prefix) and value}


class SecretFile:
    """A YAML file that only its owner may read: connections, and below each ``name: secret`` lines."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def secrets(self, connection: str) -> Mapping[str, str]:
        """Those of the file; none where there is no file. Raises CredentialError."""
        mine = self._content().get(connection, {})
        if not isinstance(mine, dict):
            raise self._wrong(connection)
        return {str(name): str(value) for name, value in mine.items()}

    def keep(self, connection: str, secrets: Mapping[str, str]) -> None:
        """Write them, what else stands there stays. Raises CredentialError."""
        text, yaml = StringIO(), YAML(typ="safe", pure=True)
        yaml.default_style = '"'  # type: ignore[assignment] # no other style brings back every character
        yaml.dump({**self._content(), connection: {**self.secrets(connection), **secrets}}, text)
        fresh = self._file.with_suffix(".new")
        with suppress(FileNotFoundError):
            fresh.unlink()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as new:
                new.write(text.getvalue())
                new.flush()
                os.fsync(new.fileno())
            fresh.replace(self._file)
        except OSError as error:
            raise CredentialError(f"credentials file {self._file}: cannot be written ({error.strerror})") from None

    def _content(self) -> dict[str, Any]:
        try:
            with self._file.open("rb") as stream:
                _refuse_wide(self._file, os.fstat(stream.fileno()).st_mode)
                content = YAML(typ="safe").load(stream)
        except FileNotFoundError:
            return {}
        except (OSError, YAMLError, UnicodeError) as error:
            raise CredentialError(f"credentials file {self._file}: cannot be read ({type(error).__name__})") from None
        if not isinstance(content, dict | None):
            raise self._wrong("zoho")
        return content or {}

    def _wrong(self, connection: str) -> CredentialError:
        return CredentialError(
            f"credentials file {self._file}: write `{connection}:` and below it `name: secret` lines"
        )


def _refuse_wide(file: Path, mode: int) -> None:
    if stat.S_IMODE(mode) & 0o077:
        raise CredentialError(f"credentials file {file} can be read by others: run `chmod 600 {file}`")
