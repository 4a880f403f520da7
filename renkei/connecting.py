"""Setting a connection up: what each kind of CRM asks for, whether it works, and writing it down."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from connectors.base import NoAnswer, NotSent
from connectors.credentials import CredentialError, Credentials, SecretFile, SecretKeeper
from connectors.registry import kind_of, line
from connectors.settings import ConnectionSettings, Login, SettingsError
from connectors.tokens import Shelf
from connectors.transport import Transport
from connectors.vaults import FILE as IN_FILE
from connectors.vaults import place_of
from connectors.zoho.granting import granted
from renkei.checking import tabs_written
from renkei.folder import CREDENTIALS, Folder, with_metadata
from renkei.settings import FILE, ConnectionPart, ProjectFile
from rules.errors import Place, refuse
from rules.source import read_yaml
from rules.validation import validate
from schemas.metadata import ConnectionMetadata

ENVIRONMENT = "environment"
"""Keeps nothing: the secrets stay where they are."""


class Question(NamedTuple):
    """Something to be asked: a setting or a secret, by its name."""

    name: str
    words: str
    default: str = ""
    choices: tuple[str, ...] = ()


class Form(NamedTuple):
    """What a kind of CRM is asked about."""

    settings: tuple[Question, ...]
    key_field: str
    logins: tuple[Login, ...] = ()


ZONES = Question("zone", "Time zone of the CRM's database", "UTC")
FORMS: Mapping[str, Form] = {
    "zoho": Form(
        (
            Question(
                "data_centre", "Data centre (the end of your CRM's address)", "us",
                ("us", "eu", "in", "au", "cn", "jp", "ca", "sa"),
            ),
        ),
        "Renkei_Key",
    ),
    "salesforce": Form(
        (
            Question("url", "Your domain, as https://acme.my.salesforce.com", "https://login.salesforce.com"),
            Question("login", "How to log in", "jwt_bearer", ("jwt_bearer", "client_credentials", "refresh_token")),
        ),
        "Renkei_Key__c",
    ),
    "vtiger": Form(
        (
            Question("url", "Address, as https://crm.example.com"),
            ZONES,
        ),
        "cf_renkei_key",
    ),
}  # fmt: skip
_SECRETS: Mapping[str, tuple[Question, ...]] = {
    "zoho": (
        Question("client_id", "Client id (of a self client in the API console)"),
        Question("client_secret", "Client secret"),
        Question("refresh_token", "Refresh token, or the code that the console generates"),
    ),
    "salesforce refresh_token": (
        Question("client_id", "Consumer key"),
        Question("client_secret", "Consumer secret"),
        Question("refresh_token", "Refresh token"),
    ),
    "salesforce client_credentials": (
        Question("client_id", "Consumer key"),
        Question("client_secret", "Consumer secret"),
    ),
    "salesforce jwt_bearer": (
        Question("client_id", "Consumer key"),
        Question("username", "User name that the app logs in as"),
        Question("private_key", "Private key: the path of its PEM file"),
    ),
    "vtiger": (
        Question("username", "User name"),
        Question("access_key", "Access key (on the page My Preferences)"),
    ),
}


def secrets_of(kind: str, login: str) -> tuple[Question, ...]:
    """The secrets that a kind of CRM wants with this login."""
    return _SECRETS.get(f"{kind} {login}", _SECRETS.get(kind, ()))


def secret_of(question: Question, answer: str) -> str:
    """The secret that an answer means: a key is read from the file that is named.

    Raises:
        CredentialError: there is no such file, and the answer is no key either.
    """
    if question.name != "private_key" or "-----BEGIN" in answer:
        return answer
    try:
        return Path(answer).expanduser().read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise CredentialError(f"the private key cannot be read ({type(error).__name__}): name its PEM file") from None


class Tried(NamedTuple):
    """What a try of a connection found: what it tells of itself, and what its login may not do."""

    metadata: ConnectionMetadata
    missing: tuple[str, ...]
    secrets: Mapping[str, str]
    user: str = ""
    """The record id of the user that the login is of; empty where the CRM does not tell."""
    unasked: str = ""
    """Why it could not be asked what the login may not do."""


def part_of(folder: Folder, name: str, kind: str, answers: Mapping[str, str], allow_private: bool) -> ConnectionPart:
    """The connection as it will stand in the project's file: what stands there already, changed by the answers.

    Raises:
        WorkflowError: the name is taken by another kind of connection.
    """
    known = folder.settings.connections.get(name)
    if known is not None and known.kind != kind:
        refuse(
            f"connection '{name}' is of kind {known.kind}", f"Name this one otherwise: renkei connect {kind} --name …",
            Place(FILE),
        )  # fmt: skip
    options = {**(known.options if known else {}), **{name: answers[name] for name in _OPTIONS if answers.get(name)}}
    told: dict[str, object] = {key: value for key, value in answers.items() if value and key not in _OPTIONS}
    told |= {"options": options} if options else {}
    told |= {"allow_private": True} if allow_private else {}
    written = known.model_dump(exclude_unset=True) if known else {}
    return ConnectionPart.model_validate({**written, "kind": kind, **told})


def tried(folder: Folder, name: str, part: ConnectionPart, secrets: Mapping[str, str]) -> Tried:
    """Log in, ask what there is, and what the login may not do.

    Raises:
        WorkflowError: it does not work; the message says what to do.
    """
    try:
        found = _tried(folder, name, part, secrets)
    except (NotSent, NoAnswer, SettingsError, CredentialError) as error:
        found = str(error)
    if isinstance(found, str):
        refuse(f"it does not work yet: {found}", "Nothing was written. Correct the answer, and try again.", Place(FILE))
    return found


def _tried(folder: Folder, name: str, part: ConnectionPart, secrets: Mapping[str, str]) -> Tried | str:
    """What was found, or why nothing was."""
    secrets = _granted(part.settings(name), secrets) if part.kind == "zoho" else secrets
    known = ConnectionMetadata(connection=name)
    there = line(part.settings(name), Credentials(name, secrets), known, lambda plain: plain, Shelf())
    told = there.told(tabs_written(folder).get(name, []))
    if told.metadata is None:
        return "; ".join((str(told.trouble), *told.missing))
    user = there.connector.own_user(there.asking)
    return Tried(told.metadata, told.missing, secrets, user, str(told.unasked or ""))


def _granted(settings: ConnectionSettings, secrets: Mapping[str, str]) -> Mapping[str, str]:
    """The secrets with a refresh token, where a person gave the code for one."""
    settings = kind_of(settings.kind).completed(settings)
    return granted(settings, secrets, Transport(settings))


def keep(folder: Folder, name: str, secrets: Mapping[str, str], place: str) -> str:
    """Write the secrets where they are to be kept; in words, where that is.

    Raises:
        CredentialError: they cannot be written there.
    """
    if place == ENVIRONMENT:
        return "the environment, where they are"
    file = folder.state / CREDENTIALS
    keeper = SecretFile(file) if place == IN_FILE else place_of(place, folder.settings.project)
    if not isinstance(keeper, SecretKeeper):
        raise CredentialError(f"{place!r} can be read only: put the secrets there yourself, and `--keep environment`")
    keeper.keep(name, secrets)
    return f"{file}, which only you may read" if place == IN_FILE else f"the place {place!r}"


def write(folder: Folder, name: str, part: ConnectionPart, tried: Tried) -> Folder:
    """The project with the connection in its file, comments kept, and with what the CRM told of itself.

    Raises:
        WorkflowError: the file cannot be written so that it is right.
    """
    file = (folder.path / FILE).resolve()
    content = _with_connection(file.read_text(encoding="utf-8"), name, part)
    settings = validate(ProjectFile, read_yaml(content.encode(), FILE))
    fresh = file.with_suffix(".new")
    fresh.write_text(content, encoding="utf-8")
    shutil.copymode(file, fresh)
    os.replace(fresh, file)
    return with_metadata(replace(folder, settings=settings), {name: tried.metadata})


def _with_connection(text: str, name: str, part: ConnectionPart) -> str:
    """The file's text with this connection in it; what parts the next section from the connections stays before it."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    text, gap = _without_gap(text, yaml.load(text))
    document = yaml.load(text)
    if document.get("connections") is None:
        document["connections"] = CommentedMap()
    there = document["connections"].setdefault(name, CommentedMap())
    for key, value in part.model_dump(exclude_unset=True).items():
        if there.get(key) != value:
            there[key] = value
    out = StringIO()
    yaml.dump(document, out)
    lines = out.getvalue().splitlines(keepends=True)
    end = _end_of_connections(yaml.load(out.getvalue()), lines)
    return "".join([*lines[:end], *gap, *lines[end:]])


def _without_gap(text: str, document: CommentedMap) -> tuple[str, list[str]]:
    """The text without the empty lines and comments behind the connections, and these."""
    if "connections" not in document:
        return text, []
    lines = text.splitlines(keepends=True)
    end = start = _end_of_connections(document, lines)
    while start and (not lines[start - 1].strip() or lines[start - 1].startswith("#")):
        start -= 1
    return "".join(lines[:start] + lines[end:]), lines[start:end]


def _end_of_connections(document: CommentedMap, lines: list[str]) -> int:
    """The line of the section that follows the connections; behind the last one if there is none."""
    sections = list(document)
    following = sections[sections.index("connections") + 1 :]
    return document.lc.key(following[0])[0] if following else len(lines)


_OPTIONS = ("data_centre", "environment", "audience")
"""Answers that stand below ``options``."""
