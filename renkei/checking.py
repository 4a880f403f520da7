"""Everything that can be found wrong with a project before it runs (D-83)."""

from collections.abc import Callable
from typing import NamedTuple

from connectors.credentials import CredentialError
from connectors.registry import kind_of
from renkei.drift import relied_on
from renkei.folder import Folder
from renkei.settings import FILE
from renkei.stories import Story, read_stories
from renkei.wiring import NO_METADATA, asked_of, discover
from rules.advice import Surroundings, examine
from rules.book import Book, Workflow
from rules.errors import Place, Problem, Problems, WorkflowError
from rules.publishing import Edition, compile_drafts
from rules.tabs import tab_name
from schemas.metadata import ConnectionMetadata

"""Kinds of connections that are not asked what they hold."""


class Checked(NamedTuple):
    """A project that was looked through."""

    edition: Edition
    problems: Problems


class Chapter(NamedTuple):
    """The stories of one workflow, with the book in which it stands alone."""

    workflow: Workflow
    book: Book
    stories: tuple[Story, ...]


def asked(folder: Folder) -> tuple[Folder, Problems]:
    """The folder with fresh metadata of its CRMs; where one cannot be asked, a warning and what was learned before."""
    problems: list[Problem] = []
    for name, tabs in tabs_written(folder).items():
        settings = folder.settings.connections.get(name)
        if settings is None or settings.kind in NO_METADATA:
            continue
        try:
            fresh = discover(folder, {name: tabs})
            problems += drifted(folder, name, fresh.metadata[name])
            folder = fresh
        except (WorkflowError, CredentialError) as error:
            problems.append(_unreachable(name, error, known=name in folder.metadata))
    return folder, Problems.of(problems)


def refreshed(folder: Folder, say: Callable[[str], None], *, strict: bool = False) -> Folder:
    """The folder of a run that begins, with fresh metadata; drift is told before a rule breaks by it (D-114).

    One CRM that cannot be asked holds no other up: what was learned before is used, unless the run is ``strict``.

    Raises:
        WorkflowError: a CRM could not be asked, and nothing is known of it; or any could not, where strict.
    """
    for name, tabs in asked_of(folder, folder.compile().book).items():
        try:
            fresh = discover(folder, {name: tabs})
        except WorkflowError as error:
            if strict or name not in folder.metadata:
                raise
            unreachable = _unreachable(name, error, known=True)
            say(f"{unreachable.problem}\n  So what was learned before is used, and its commands wait.")
            continue
        for one in drifted(folder, name, fresh.metadata[name]):
            say(f"{one.problem}\n  {one.hint}")
        folder = fresh
    return folder


def drifted(folder: Folder, name: str, now: ConnectionMetadata) -> list[Problem]:
    """What has become different in a CRM since it was last asked, as far as rules rely on it."""
    return [
        Problem(f"{one.change.place}: {one.change.words}", f"Rules that rely on it: {', '.join(one.rules)}.",
                Place(FILE), "warning")
        for one in relied_on(folder, name, now)
    ]  # fmt: skip


def tabs_written(folder: Folder) -> dict[str, list[str]]:
    """Per connection the tabs that the workflow files name, also where one has errors, and of what actions make."""
    edition = folder.compile()
    wanted = {name: set(tabs) for name, tabs in asked_of(folder, edition.book).items()}
    for draft in edition.drafts:
        for part in draft.file.tabs.values():
            connection, _, tab = tab_name(part.module).partition(":")
            wanted.setdefault(connection, set()).add(tab)
    return {name: sorted(tabs) for name, tabs in sorted(wanted.items())}


def _unreachable(name: str, error: Exception, known: bool) -> Problem:
    found = error.problems.found[0].problem if isinstance(error, WorkflowError) else str(error)
    problem = found if found.startswith("connection") else f"connection '{name}' could not be asked: {found}"
    used = "what was learned before is used" if known else "its names are not checked"
    return Problem(problem, f"So {used}. To work without asking: --offline", Place(FILE), "warning")


def checked(folder: Folder) -> Checked:
    """The workflows compiled together, and everything that is wrong with them, their stories included."""
    for name, connection in folder.settings.connections.items():
        kind_of(connection.kind).completed(connection.settings(name))
    edition = folder.compile()
    problems = edition.problems
    if not problems.errors:
        around = Surroundings(folder.people("mail"), frozenset(folder.channels()))
        advice = examine(edition, folder.project, around)
        problems = problems + advice + _chapters(folder, edition)[1]
    return Checked(edition, problems)


def chapters(folder: Folder) -> tuple[list[Chapter], Problems]:
    """The stories of all workflows that tell some, and what is wrong with them or the workflows."""
    edition = folder.compile()
    return ([], edition.problems) if edition.problems.errors else _chapters(folder, edition)


def _chapters(folder: Folder, edition: Edition) -> tuple[list[Chapter], Problems]:
    found: list[Chapter] = []
    problems: list[Problem] = []
    for draft in edition.drafts:
        if not draft.file.tests:
            continue
        book = compile_drafts([draft], folder.project).book
        stories, wrong = read_stories(draft, book.workflows[0], folder.project)
        found.append(Chapter(book.workflows[0], book, stories))
        problems += wrong
    return found, Problems.of(problems)
