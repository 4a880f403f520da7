"""What is drawn of a workflow: its tabs, their relations, and what each rule acts on."""

from rules.actions.base import ALIAS
from rules.book import Rule, Workflow
from rules.diagram import Diagram, DiagramAct, DiagramEdge, DiagramRule, DiagramTab
from rules.publishing import Draft, Edition
from rules.workflow_file import TabPart


def drawing(draft: Draft, edition: Edition) -> Diagram:
    """The diagram of one workflow file, in file order."""
    file = draft.file
    workflow = next(one for one in edition.book.workflows if one.name == file.workflow)
    rules = [rule for rule in edition.book.all_rules() if rule.workflow.name == file.workflow]
    written = [f"{file.workflow}/{name}" for name in file.names()]
    return Diagram(
        title=file.workflow,
        tabs=tuple(
            DiagramTab(alias, part.module, part.module.partition(".")[0], alias == file.main_tab)
            for alias, part in file.tabs.items()
        ),
        edges=tuple(edge for alias, part in file.tabs.items() if (edge := _edge(alias, part)) is not None),
        rules=tuple(_rule(rule, workflow) for rule in sorted(rules, key=lambda rule: written.index(rule.id))),
    )


def _edge(alias: str, part: TabPart) -> DiagramEdge | None:
    if part.lookup is not None:
        near, _, field = part.lookup.partition(".")
        return DiagramEdge(near, alias, field)
    if part.related_to is not None:
        return DiagramEdge(part.related_to, alias, part.by or "")
    if part.match is not None:
        ((field, other),) = part.match.items()
        near, _, near_field = other.partition(".")
        return DiagramEdge(near, alias, f"{near_field} = {field}")
    return None


def _rule(rule: Rule, workflow: Workflow) -> DiagramRule:
    acts: dict[DiagramAct, None] = {}
    for step in rule.steps.values():
        alias = next((alias for _, alias in step.action.marked(ALIAS) if alias in workflow.tabs), "")
        acts[DiagramAct(step.action.verb, alias)] = None
    if rule.sync is not None:
        other = rule.sync.left if rule.alias == rule.sync.right else rule.sync.right
        acts = {DiagramAct("sync", other): None}
    return DiagramRule(rule.name, rule.alias, tuple(acts))
