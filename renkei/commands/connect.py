"""``renkei connect``: a connection to a CRM, asked for, tried and written down."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from connectors.credentials import variable
from renkei import connecting
from renkei.connecting import ENVIRONMENT, FORMS, Question, Tried
from renkei.folder import Folder
from renkei.options import JsonOption, ProjectOption, command_of, opened_folder, say_json, told
from renkei.settings import ConnectionPart
from rules.errors import refuse


class Kind(StrEnum):
    """The CRMs that can be set up."""

    zoho = "zoho"
    salesforce = "salesforce"
    vtiger = "vtiger"


def _setting(words: str, metavar: str, variable: str, *names: str) -> typer.models.OptionInfo:
    return typer.Option(*names, metavar=metavar, help=words, envvar=f"RENKEI_CONNECT_{variable}", show_default=False)  # type: ignore[no-any-return]


def connect(  # noqa: PLR0913, PLR0917 - one per option
    kind: Annotated[Kind, typer.Argument(metavar="zoho|salesforce|vtiger", help="The CRM.")],
    folder: ProjectOption = Path(),
    name: Annotated[str, _setting("Its name in workflow files; the kind unless named.", "NAME", "NAME")] = "",
    url: Annotated[str, _setting("Where its API lives.", "URL", "URL")] = "",
    centre: Annotated[
        str, _setting("Zoho: us, eu, in, au, cn, jp, ca or sa.", "NAME", "DATA_CENTRE", "--data-centre")
    ] = "",
    login: Annotated[str, _setting("refresh_token, client_credentials, jwt_bearer or basic.", "HOW", "LOGIN")] = "",
    zone: Annotated[str, _setting("The time zone of a CRM that writes times without one.", "ZONE", "ZONE")] = "",
    key_field: Annotated[str, _setting("The field for our key on new records.", "FIELD", "KEY_FIELD")] = "",
    keep: Annotated[
        str, _setting("Where its secrets go: file, keyring, environment, or an installed place.", "PLACE", "KEEP")
    ] = "",
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Private and loopback addresses, and plain http, may be used.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Set up a connection: ask for what it needs, try it, say what its login may not do, and write it down.

    Secrets are asked for, or read from RENKEI_<CONNECTION>_<NAME>; the command line has no place for them.
    """
    given = {"url": url, "data_centre": centre, "login": login, "zone": zone, "key_field": key_field}
    with told(as_json):
        project, name = opened_folder(folder), name or kind.value
        part = _part(project, name, kind.value, given, allow_private)
        found, asked = _secrets(project, name, part)
        tried = connecting.tried(project, name, part, found)
        exchanged = tried.secrets != found  # a code for a token: it stands nowhere yet
        keep = keep or part.secrets or ("file" if asked or exchanged else ENVIRONMENT)
        part = _completed(part, keep, tried)
        where = connecting.keep(project, name, tried.secrets, keep)
        connecting.write(project, name, part, tried)
    following = command_of("doctor", folder)
    if as_json:
        say_json({"ok": True, "connection": name, "kept": keep, "missing": tried.missing, "next": following})
    else:
        _tell(name, tried, where, following)


def _completed(part: ConnectionPart, keep: str, tried: Tried) -> ConnectionPart:
    """With what follows from the answers: where the secrets are, and who we are."""
    follows = {"secrets": keep} if keep not in ("file", ENVIRONMENT) else {}
    follows |= {"user": tried.user} if tried.user and not part.user else {}
    return part.model_copy(update=follows)


def _part(project: Folder, name: str, kind: str, given: Mapping[str, str], allow_private: bool) -> ConnectionPart:
    """The connection by what is given, what stands in the project already, and what a person answers."""
    known, form = project.settings.connections.get(name), FORMS[kind]
    answers = {key: value for key, value in given.items() if value}
    for question in form.settings:
        if question.name not in answers and not _is_known(known, question.name, answers):
            answers[question.name] = _asked(question, f"--{question.name.replace('_', '-')}")
    if known is None or not known.key_field:
        answers.setdefault("key_field", form.key_field)
    if kind == "vtiger" and answers.get("url", "").endswith(".vtiger.com"):
        answers.setdefault("login", "basic")
    try:
        return connecting.part_of(project, name, kind, answers, allow_private)
    except ValidationError as error:
        wrong = "; ".join(": ".join(map(str, (*one["loc"], one["msg"]))) for one in error.errors(include_input=False))
        refuse(f"this is no connection of kind {kind}: {wrong}", "See renkei connect --help.")


def _is_known(known: ConnectionPart | None, name: str, answers: Mapping[str, str]) -> bool:
    """Whether a setting needs no question: it stands there, or a url says the same."""
    if name == "data_centre" and (answers.get("url") or (known and known.url)):
        return True
    return known is not None and bool(getattr(known, name, "") or known.options.get(name))


def _secrets(project: Folder, name: str, part: ConnectionPart) -> tuple[dict[str, str], bool]:
    """The secrets, and whether a person was asked for one of them."""
    found: dict[str, str] = {}
    asked = False
    kept = project.credentials(name) if name in project.settings.connections else None
    for question in connecting.secrets_of(part.kind, part.login):
        outside = variable(name, question.name)
        answer = project.environment.get(outside, "")
        if not answer:
            answer = _asked(question, outside, hidden=True, kept=kept.text(question.name) if kept else "")
            asked = True
        found[question.name] = connecting.secret_of(question, answer)
    return found, asked


def _asked(question: Question, instead: str, *, hidden: bool = False, kept: str = "") -> str:
    words = question.words + (f" ({', '.join(question.choices)})" if question.choices else "")
    words += " (Enter: the one that is kept)" if kept else ""
    default = kept or question.default or None
    try:
        return typer.prompt(  # type: ignore[no-any-return]
            words, default=default, hide_input=hidden, show_default=not hidden, err=True, value_proc=_chosen(question)
        )
    except typer.Abort:
        refuse(f"there is no answer to: {question.words}", f"Type it, or give it beforehand: {instead}")


def _chosen(question: Question) -> Callable[[str], str]:
    """Takes an answer, or has the question asked again."""

    def take(answer: str) -> str:
        answer = answer.strip()
        if question.choices and answer not in question.choices:
            raise typer.BadParameter(f"it is one of {', '.join(question.choices)}")
        return answer

    return take


def _tell(name: str, tried: Tried, where: str, following: str) -> None:
    told = tried.metadata
    typer.echo(f"{name}: the login works. It knows {len(told.users)} users and {len(told.teams)} teams.")
    for tab in told.tabs.values():
        typer.echo(f"  {tab.name}: {len(tab.fields)} fields")
    if tried.missing:
        typer.echo("What this login may not do, and the workflows may need:")
        for sentence in tried.missing:
            typer.echo(f"  {sentence}")
    if tried.unasked:
        typer.echo(f"What this login may not do could not be asked ({tried.unasked}); look again: renkei doctor")
    typer.echo(f"Written: the connection in renkei.yaml; its secrets are kept in {where}.")
    typer.echo(f"Next: {following}")
