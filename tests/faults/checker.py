"""What must have happened in the CRMs after a history of edits, told in plain Python: no rules, no streams in here.

The one workflow: a deal that is won, whose account is a customer and that has an activated contract, becomes one
project in another CRM, and the deal then names that project. Edits only ever make these things true (each atom is
monotone), so what must follow is told by the final records alone, whatever the order in which they were seen.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, TypeAlias

from sandbox.store import Effect

DEALS, ACCOUNTS, CONTRACTS, PROJECTS = "Deals", "Accounts", "Contract", "Project"
Records: TypeAlias = Sequence[Mapping[str, Any]]
WON, CUSTOMER, ACTIVATED = "Closed Won", "Customer", "Activated"


class Edit(NamedTuple):
    """What a person did: a record of a tab got these values."""

    tab: str
    record_id: str
    fields: Mapping[str, Any]


@dataclass
class Findings:
    """What an independent look at the CRMs found; records by their ids."""

    expected: int = 0
    """Deals that must have a project."""
    effects: int = 0
    """Writes through the API, in all CRMs."""
    lost: list[str] = field(default_factory=list)
    """Effects that must be there and are not."""
    twice: list[str] = field(default_factory=list)
    """Effects that were had more than once."""
    foreign: list[str] = field(default_factory=list)
    """Effects that nothing called for."""
    differences: list[str] = field(default_factory=list)
    """Records whose final state is not the model's."""
    rewritten: int = 0
    """Writes that were repeated and changed nothing: the record held these very values."""

    @property
    def is_green(self) -> bool:
        """Whether the CRMs are as they must be."""
        return not (self.lost or self.twice or self.foreign or self.differences)

    @property
    def missing(self) -> int:
        """How much is not there, or not yet."""
        return len(self.lost) + len(self.differences)

    def counts(self) -> dict[str, int]:
        """The numbers alone."""
        return {name: one if isinstance(one, int) else len(one) for name, one in asdict(self).items()}


def expected_deals(history: Iterable[Edit]) -> dict[str, str]:
    """The deals that must have a project, and their names."""
    final: dict[tuple[str, str], dict[str, Any]] = {}
    for edit in history:
        final.setdefault((edit.tab, edit.record_id), {}).update(edit.fields)
    activated = {
        row.get("Zoho_Deal_Id__c") for (tab, _), row in final.items()
        if tab == CONTRACTS and row.get("Status") == ACTIVATED
    }  # fmt: skip
    return {
        record_id: row["Deal_Name"]
        for (tab, record_id), row in final.items()
        if tab == DEALS and row.get("Stage") == WON and record_id in activated
        and final.get((ACCOUNTS, str(row.get("Account_Name"))), {}).get("Account_Type") == CUSTOMER
    }  # fmt: skip


def check(
    history: Iterable[Edit],
    ledgers: Mapping[str, Sequence[Effect]],
    deals: Records,
    projects: Records,
) -> Findings:
    """Compare the ledgers and the final records of the CRMs with the model.

    ``ledgers`` by connection; those of a person's hand are left out. ``deals`` and ``projects`` are the final records.
    """
    wanted = expected_deals(history)
    found = Findings(expected=len(wanted))
    effects = [one for ledger in ledgers.values() for one in ledger if one.actor.client]
    found.effects = len(effects)
    _judge(found, [_creation(one) for one in effects if one.operation == "insert"], wanted, "project of")
    updates = [one for one in effects if one.operation != "insert"]
    found.rewritten = sum(_changes_nothing(one) for one in updates)
    _judge(found, [_update(one) for one in updates if not _changes_nothing(one)], wanted, "update of")
    _compare(found, wanted, deals, projects)
    return found


def _judge(found: Findings, told: Sequence[str], wanted: Mapping[str, str], what: str) -> None:
    counted = Counter(told)
    found.lost += [f"{what} {deal}" for deal in wanted if not counted[deal]]
    found.twice += [f"{what} {deal} ({times} times)" for deal, times in counted.items() if deal in wanted and times > 1]
    found.foreign += [f"{what} {deal}" for deal in counted if deal not in wanted]


def _creation(effect: Effect) -> str:
    return str(effect.fields.get("cf_origin_deal")) if effect.tab == PROJECTS else f"{effect.tab}/{effect.record_id}"


def _update(effect: Effect) -> str:
    is_ours = effect.tab == DEALS and effect.operation == "update" and "Project_Link" in effect.fields
    return effect.record_id if is_ours else f"{effect.operation} {effect.tab}/{effect.record_id}"


def _changes_nothing(effect: Effect) -> bool:
    """Whether a record held already what was written into it."""
    if effect.operation != "update" or effect.before is None:
        return False
    return all(effect.before.fields.get(name) == value for name, value in effect.fields.items())


def _compare(
    found: Findings,
    wanted: Mapping[str, str],
    deals: Records,
    projects: Records,
) -> None:
    """Every wanted deal has one project of its name, and names it; no other deal names any."""
    made = {str(one["cf_origin_deal"]): one for one in projects}
    held = {str(one["id"]): one for one in deals}
    for deal, name in wanted.items():
        project = made.get(deal, {})
        if project.get("projectname") != name:
            found.differences.append(f"the project of {deal} is not named as it")
        elif held.get(deal, {}).get("Project_Link") != project["id"]:
            found.differences.append(f"deal {deal} does not name its project")
    found.differences += [
        f"deal {one} names a project" for one, row in held.items() if one not in wanted and row.get("Project_Link")
    ]
    found.differences += [f"a project of {one}" for one in made if one not in wanted]
