"""What an action asks of a CRM that this one cannot do, or is not permitted: refused where it is written."""

from collections.abc import Iterator

from rules.actions.base import Action, Asked
from rules.actions.conversion import Convert
from rules.actions.records import Delete
from rules.document import Document, Path
from rules.errors import Problem
from rules.project import Project
from rules.suggest import did_you_mean
from rules.tabs import tab_name
from rules.trees import ID
from rules.workflow_file import WorkflowFile
from schemas.abilities import Ability

INSTEAD = {
    "tag": "Keep a mark in a field instead, with `update`.",
    "untag": "Keep a mark in a field instead, with `update`.",
    "link": "Tie them by a lookup field: `by:`.",
    "unlink": "Take them apart by a lookup field: `by:`.",
    "transition": "Write the state's field with `update`.",
    "mail": "Leave `on` out: the mail server of renkei.yaml sends it.",
}
"""What to write where a CRM lacks an operation."""


def refusals_of_asking(
    action: Action, file: WorkflowFile, project: Project, document: Document, at: Path
) -> Iterator[Problem]:
    """What is wrong with what an action asks for; nothing where nobody knows what the connection can do."""
    for asked in action.asks():
        connection, tab = _tab_of(file, asked.alias)
        known = project.abilities.get(connection)
        if known is None:
            continue
        ability = known.get(asked.operation)
        if ability is None:
            problem = f"connection '{connection}' cannot do this: {asked.operation}"
            yield document.problem((*at, asked.key), problem, INSTEAD.get(asked.operation, ""))
            continue
        yield from _of_ability(asked, ability, connection, tab, document, at)
        if isinstance(action, Convert):
            yield from _of_deal(action, ability, connection, project, document, at)
    if isinstance(action, Delete):
        yield from _of_deleting(action, file, project, document, at)


def _of_ability(
    asked: Asked, ability: Ability, connection: str, tab: str, document: Document, at: Path
) -> Iterator[Problem]:
    if ability.tabs and tab not in ability.tabs:
        named = " or ".join(f"{connection}.{one}" for one in ability.tabs)
        problem = f"`{asked.operation}` is not for {connection}.{tab}"
        yield document.problem((*at, asked.key), problem, f"It is for {named}.")
    for word in asked.words if ability.words else ():
        if word not in (*ability.words, asked.key):
            problem = f"connection '{connection}' knows no `{word}` of `{asked.operation}`"
            hint = f"It takes {', '.join(ability.words)}."
            yield Problem(problem, hint, document.place((*at, word), key=True))


def _of_deal(
    action: Convert, ability: Ability, connection: str, project: Project, document: Document, at: Path
) -> Iterator[Problem]:
    """The fields of the new deal are those of the CRM's own tab of deals."""
    tab = project.tab(f"{connection}:{ability.makes.get('Deal', '')}")
    for name in action.deal or {}:
        if tab is not None and name != ID and name not in tab.fields:
            hint = did_you_mean(name, list(tab.fields))
            place = document.place((*at, "deal", name), key=True)
            yield Problem(f"unknown field '{name}' of {connection}.{tab.name}", hint, place)


def _of_deleting(
    action: Delete, file: WorkflowFile, project: Project, document: Document, at: Path
) -> Iterator[Problem]:
    """Nothing is deleted that the project does not name (D-49)."""
    connection, tab = _tab_of(file, action.delete)
    if connection and tab not in project.may_delete.get(connection, ()):
        problem = f"workflows may not delete records of {connection}.{tab}"
        hint = f"Permit it in renkei.yaml: `may_delete: [{tab}]` of the connection {connection}."
        yield document.problem((*at, "delete"), problem, hint)


def _tab_of(file: WorkflowFile, alias: str) -> tuple[str, str]:
    """The connection and the tab of an alias; both empty where the file has no such alias."""
    part = file.tabs.get(alias)
    connection, _, tab = tab_name(part.module).partition(":") if part is not None else ("", "", "")
    return connection, tab
