"""Reading records again: just before acting (D-36), and where somebody was quicker than our write (D-44)."""

from rules.actions.base import Draft
from rules.book import Rule
from rules.identity import action_id
from rules.lanes import lane_of
from rules.rounds import Round
from rules.state import Fire
from schemas.commands import Applied, Command
from schemas.values import Ref, tab_of


def stale_records(round_: Round, rule: Rule, anchor: Ref) -> list[Ref]:
    """The records that the criteria read and that were not seen within ``fresh`` (D-36)."""
    assert rule.fresh is not None
    scope = round_.scope(rule, anchor)
    records: set[Ref] = set()
    for alias, node in rule.workflow.nodes.items():
        if node in rule.reads:
            records.update(row.ref for row in scope.rows(alias).rows)
    limit = round_.now - rule.fresh
    return sorted(record for record in records if round_.seen_at(record) < limit)


def read_again(round_: Round, rule: Rule, fire: Fire, records: list[Ref]) -> None:
    """Ask the CRMs for the records as they are now; the fire waits for the answers."""
    _read(round_, rule, fire, records, "fresh")


def read_overtaken(round_: Round, rule: Rule, fire: Fire, records: list[Ref]) -> None:
    """Somebody was quicker: ask how the records are now, to plan the step again on that (D-44)."""
    fire.overtaken += 1
    fire.attempt += 1  # what is planned then are other commands
    _read(round_, rule, fire, records, "overtaken")


def _read(round_: Round, rule: Rule, fire: Fire, records: list[Ref], why: str) -> None:
    fire.state = why
    for record in records:
        tab = tab_of(record)
        draft = Draft(tab.partition(":")[0], tab, "read", record.partition("/")[2])
        name = action_id(fire.id, why, record, fire.attempt)
        command = Command(
            id=name, connection=draft.connection, tab=tab, operation="read", record_id=draft.record_id,
            workflow=rule.workflow.name, rule=rule.name, anchor=fire.anchor, journey=round_.journey, fire=fire.id,
            step=f"{why} {record}", chain=fire.chain, planned_at=round_.now, lane=lane_of(round_, fire, record),
            rank=fire.rank,
        )  # fmt: skip
        fire.awaits.append(name)
        fire.reads[name] = record
        round_.commands.append(command)


def take_read(round_: Round, rule: Rule, fire: Fire, outcome: Applied) -> bool:
    """Note what the CRM says now; false once all have answered and the criteria no longer hold."""
    fire.overlay[fire.reads[outcome.command_id]] = dict(outcome.fields)
    if fire.awaits:
        return True
    fire.state, fire.reads = "running", {}
    return round_.verdict(rule, fire.anchor, fire.event, fire.overlay) is not False


def take_overtaken(fire: Fire, outcome: Applied) -> None:
    """Note how a record is that somebody else has changed; once all are here the step is planned again."""
    fire.overlay[fire.reads[outcome.command_id]] = dict(outcome.fields)
    if not fire.awaits:
        fire.state, fire.reads = "running", {}
