"""Secrets of a connection: from the environment or a private file, and never printed."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


class CredentialError(Exception):
    """A secret is missing, or its file is not private; the message says what to do, never a value."""


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


class Credentials:
    """The secrets of one connection by lower-case name: ``client_id``, ``refresh_token``, ``access_key``."""

    def __init__(self, connection: str, secrets: Mapping[str, str]) -> None:
        self._connection = connection
        self._secrets = {name.lower(): Secret(value) for name, value in secrets.items()}

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


def variable(connection: str, name: str) -> str:
    """The environment variable of a secret: ``variable("zoho", "client_id") == "RENKEI_ZOHO_CLIENT_ID"``."""
    return "RENKEI_" + re.sub(r"[^A-Z0-9]", "_", f"{connection}_{name}".upper())


def credentials(connection: str, environment: Mapping[str, str], file: Path | None = None) -> Credentials:
    """The secrets of a connection: those of the file, overridden by those of the environment.

    Raises:
        CredentialError: the file can be read by others than its owner, or is not a mapping by connection.
    """
    prefix = variable(connection, "")
    found = _from_file(connection, file) if file else {}
    return Credentials(connection, found | _from_environment(prefix, environment))


def _from_environment(prefix: str, environment: Mapping[str, str]) -> dict[str, str]:
    return {key[len(prefix) :].lower(): value for key, value in environment.items() if key.startswith(prefix)}


def _from_file(connection: str, file: Path) -> dict[str, str]:
    try:
        with file.open("rb") as stream:
            _refuse_wide(file, os.fstat(stream.fileno()).st_mode)
            content = YAML(typ="safe").load(stream)
    except (OSError, YAMLError) as error:
        raise CredentialError(f"credentials file {file}: cannot be read ({type(error).__name__})") from None
    mine = (content or {}).get(connection, {}) if isinstance(content, dict | None) else None
    if not isinstance(mine, dict):
        raise CredentialError(f"credentials file {file}: write `{connection}:` and below it `name: secret` lines")
    return {str(name): str(value) for name, value in mine.items()}


def _refuse_wide(file: Path, mode: int) -> None:
    if stat.S_IMODE(mode) & 0o077:
        raise CredentialError(f"credentials file {file} can be read by others: run `chmod 600 {file}`")
