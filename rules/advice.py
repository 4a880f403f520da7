"""What is legal and often not meant, or known to fail: told with its place before a workflow is published (D-83)."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from rules.actions.base import ALIAS, WHO, Action, who_named, who_texts
from rules.actions.messages import Email, Webhook
from rules.actions.records import Delete
from rules.actions.writes import Create
from rules.analysis import OWNER_FIELDS
from rules.book import Book
from rules.criteria import Caution, CriteriaError
from rules.criteria.parser import parse
from rules.criteria.rows import PATTERN
from rules.criteria.walking import walk
from rules.document import Path
from rules.errors import Problem, Problems
from rules.placed import Placed, find, places
from rules.project import Project
from rules.publishing import Edition
from rules.suggest import did_you_mean
from rules.validation import problem_in_text
from rules.workflow_file import Becomes
from schemas.metadata import ConnectionMetadata
from schemas.values import fold

Channel = Literal["email", "webhook"]


class Surroundings(NamedTuple):
    """What is known around the workflow files: everyone whom mail may reach, and the channels that there are."""

    people: ConnectionMetadata
    channels: frozenset[str]


def examine(edition: Edition, project: Project, around: Surroundings) -> Problems:
    """Everything that can be seen to go wrong with rules that compile."""
    found: list[Problem] = []
    for one in placed_rules(edition):
        found += _endless_on_purpose(one)
        found += _cautions(one)
        found += _after_the_end(one)
        for action in (step.action for step in one.rule.steps.values()):
            found += _unknown_people(one, action, project, around.people)
            found += _unfindable(one, action, project)
            found += _unfilled(one, action, edition.book, project)
            found += _unserved(one, action, around.channels)
    return Problems.of(found)


def placed_rules(edition: Edition) -> Iterator[Placed]:
    """The compiled rules of an edition in file order."""
    for draft in edition.drafts:
        paths = places(draft.file)
        for part in (part for parts in draft.file.rules.values() for part in parts):
            rule = edition.book.rule(f"{draft.file.workflow}/{part.name}")
            if rule is not None:
                yield Placed(rule, part, draft.document, paths[part.name])


def _endless_on_purpose(one: Placed) -> Iterator[Problem]:
    if one.part.loop == "intended" and one.rule.criteria is None:
        hint = "Write `criteria:` that turn false when the loop has done its work."
        yield one.document.problem((*one.path, "loop"), "`loop: intended` needs criteria that end the loop", hint)


def _after_the_end(one: Placed) -> Iterator[Problem]:
    """Actions after the deletion of the main record: the journey ends with it, and they with the journey (D-98)."""
    for path in one.rule.top[:-1]:
        action = one.rule.steps[path].action
        if isinstance(action, Delete) and action.delete == one.rule.workflow.source.main_tab:
            place = find(one.document, one.path, action.delete, "delete")
            problem = "the journey ends with its main record: what follows this `delete` may be cancelled"
            yield one.document.problem(place, problem, "Put the `delete` last.", "warning")


# -- criteria ------------------------------------------------------------------


def _cautions(one: Placed) -> Iterator[Problem]:
    """Negations that also hold for empty fields, at their very words (D-111, D-112)."""
    for caution in one.rule.criteria.cautions if one.rule.criteria is not None else ():
        yield _at(one, *_written(one, caution), caution)
    for step in one.rule.steps.values():
        for source, criteria in step.criteria.items():
            for caution in criteria.cautions:
                yield _at(one, find(one.document, one.path, source), source, caution)


def _at(one: Placed, path: Path, source: str, caution: Caution) -> Problem:
    pointed = CriteriaError(caution.text, hint=caution.hint, source=source, span=caution.span)
    return problem_in_text(one.document, path, pointed, "warning")


def _written(one: Placed, caution: Caution) -> tuple[Path, str]:
    """The path and text of the criteria, or of the row, that a caution is about."""
    source = one.part.criteria
    if isinstance(one.part.trigger, Becomes):
        return (*one.path, "trigger", "becomes"), one.part.trigger.becomes
    if isinstance(source, Mapping):
        rows = {number: text for number, text in source.items() if number != PATTERN}
        number = next((number for number, text in rows.items() if _stands_in(text, caution)), next(iter(rows), 1))
        return (*one.path, "criteria", number), rows.get(number, "")
    return (*one.path, "criteria"), source or ""


def _stands_in(text: str, caution: Caution) -> bool:
    """Whether a row has a condition just where the caution points."""
    return any(node.span == caution.span for node in walk(parse(text)))


# -- people ------------------------------------------------------------------


def _unknown_people(one: Placed, action: Action, project: Project, people: ConnectionMetadata) -> Iterator[Problem]:
    """Users, teams, queues and roles that an action names and the CRM does not know, or has sent home (D-48)."""
    known, by_mail = _directory(one, action, project, people)
    if known is None or not (known.users or known.teams):
        return
    for _, value in action.marked(WHO):
        for who in value if isinstance(value, list) else [value]:
            subject = who.removeprefix("manager of ").strip()
            named = None if who_texts(who) else who_named(subject, one.rule.workflow.teams, None)
            if not isinstance(named, str) or (by_mail and named.startswith("user:") and "@" in named):
                continue  # found when it runs, or an address that need not be a user's
            told = _unknown(known, named)
            if told is not None:
                yield one.document.problem(find(one.document, one.path, who), *told, "warning")


def _directory(
    one: Placed, action: Action, project: Project, people: ConnectionMetadata
) -> tuple[ConnectionMetadata | None, bool]:
    """Among whom an action looks its people up: those of the CRM that it writes to, or whoever gets mail."""
    alias = next((alias for _, alias in action.marked(ALIAS)), None)
    tab = one.rule.workflow.tabs.get(alias or "")
    return (project.metadata.get(tab.partition(":")[0]), False) if tab is not None else (people, True)


def _unknown(known: ConnectionMetadata, named: str) -> tuple[str, str] | None:
    """Problem and hint about ``team:Sales``, ``user:ann@x.example`` and the like; none if all is well."""
    kind, _, name = named.partition(":")
    where = f"connection '{known.connection}'"
    if kind == "user":
        user = next((one for one in known.users if fold(name) in {fold(one.id), fold(one.email), fold(one.name)}), None)
        if user is None:
            return f"{where} knows no user '{name}'", did_you_mean(
                name, [one.email for one in known.users if one.email]
            )
        hint = "Name another user, or a `fallback:` for the time until then (D-48)."
        return None if user.active else (f"user '{name}' of {where} is inactive", hint)
    names = [role for one in known.users for role in one.roles] if kind == "role" else [one.name for one in known.teams]
    if fold(name) in {fold(one) for one in names}:
        return None
    hint = did_you_mean(name, names) or "Make it in the CRM, or name it under `teams:` in renkei.yaml."
    return f"{where} knows no {kind} '{name}'", hint


# -- effects ------------------------------------------------------------------


def _unfindable(one: Placed, action: Action, project: Project) -> Iterator[Problem]:
    """Creates whose lost answer cannot be looked up, since nothing on the record carries our key (D-42)."""
    tab = one.rule.workflow.tabs.get(action.create) if isinstance(action, Create) else None
    known = project.tab(tab) if tab is not None else None
    if tab is None or known is None or not isinstance(action, Create):
        return
    connection, _, name = tab.partition(":")
    key = project.key_fields.get(connection)
    if key is not None and key in known.fields:
        return
    why = f"{connection}.{name} has no field '{key}'" if key else f"connection '{connection}' has no `key_field`"
    place = find(one.document, one.path, action.create, "create")
    hint = f"Add a unique text field to {name}" + (
        "." if key else ", and name it under `key_field:` of the connection in renkei.yaml."
    )
    yield one.document.problem(place, f"a lost answer cannot be looked up: {why}", hint, "warning")


def _unfilled(one: Placed, action: Action, book: Book, project: Project) -> Iterator[Problem]:
    """Creates that leave out what the CRM says each new record must have: it would refuse them."""
    tab = one.rule.workflow.tabs.get(action.create) if isinstance(action, Create) else None
    known = project.tab(tab) if tab is not None else None
    if tab is None or known is None or not isinstance(action, Create):
        return
    edge = book.trees[one.rule.workflow.main_tab].nodes[one.rule.workflow.nodes[action.create]].edge
    carried = {path.partition(".")[2] for path in one.rule.workflow.source.context}
    key = project.key_fields.get(tab.partition(":")[0], "")
    given = {*action.fields, *OWNER_FIELDS, *carried, key, edge.far_field if edge else ""}
    left_out = [
        name for name, field in known.fields.items() if field.mandatory and field.writable and name not in given
    ]
    if left_out:
        place = find(one.document, one.path, action.create, "create")
        named = ", ".join(f"'{name}'" for name in left_out)
        where = tab.replace(":", ".", 1)
        yield one.document.problem(
            place, f"new records of {where} must have {named}", "Add it to `fields:`, or give it a default in the CRM.",
            "warning",
        )  # fmt: skip


def _unserved(one: Placed, action: Action, channels: frozenset[str]) -> Iterator[Problem]:
    """Messages that no connection would send."""
    channel = "webhook" if isinstance(action, Webhook) else "email" if action.verb in ("notify", "email") else ""
    if isinstance(action, Email) and action.on is not None:
        return  # the CRM itself sends it
    if channel and channel not in channels:
        key = find(one.document, one.path, getattr(action, action.verb), action.verb)
        hint = f"Add one to renkei.yaml: `{channel}: {{kind: {channel}}}`. Until then what is to be sent waits."
        yield one.document.problem(key, f"there is no connection of kind {channel} to send this", hint, "warning")
