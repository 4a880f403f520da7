"""The checker itself: it must see what is wrong, in what it is told and in a real installation with a planted fault."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from sandbox.store import Actor, Effect, Row
from schemas import topics
from tests.faults.checker import ACCOUNTS, ACTIVATED, CONTRACTS, CUSTOMER, DEALS, PROJECTS, WON, Edit, check
from tests.faults.forging import forged, forget_records
from tests.faults.plant import Plant
from tests.faults.project import history

CLIENT = Actor("renkei", "api")
HISTORY = [
    Edit(DEALS, "D1", {"Deal_Name": "取引", "Stage": "Negotiation", "Account_Name": "A1"}),
    Edit(DEALS, "D2", {"Deal_Name": "other", "Stage": WON, "Account_Name": "A1"}),
    Edit(ACCOUNTS, "A1", {"Account_Type": CUSTOMER}),
    Edit(CONTRACTS, "C1", {"Zoho_Deal_Id__c": "D1", "Status": ACTIVATED}),
    Edit(DEALS, "D1", {"Stage": WON}),
]


def made(deal: str = "D1") -> Effect:
    return Effect(1, 0, "insert", PROJECTS, "29x1", {"projectname": "取引", "cf_origin_deal": deal}, CLIENT, None)


def named(deal: str = "D1", held: str = "", actor: Actor = CLIENT) -> Effect:
    before = Row(DEALS, deal, {"Project_Link": held}, 0, 0, "x", "x")
    return Effect(2, 0, "update", DEALS, deal, {"Project_Link": "29x1"}, actor, before)


DEAL = {"id": "D1", "Project_Link": "29x1"}
PROJECT = {"id": "29x1", "projectname": "取引", "cf_origin_deal": "D1"}

WRONG: dict[str, tuple[list[Effect], list[dict[str, Any]], list[dict[str, Any]], dict[str, int]]] = {
    "all is well": ([made(), named()], [DEAL], [PROJECT], {}),
    "by hand does not count": ([made(), named(), named(actor=Actor("鈴木"))], [DEAL], [PROJECT], {}),
    "written again, changing nothing": ([made(), named(), named(held="29x1")], [DEAL], [PROJECT], {"rewritten": 1}),
    "lost create": ([named()], [DEAL], [], {"lost": 1, "differences": 1}),
    "lost update": ([made()], [{"id": "D1"}], [PROJECT], {"lost": 1, "differences": 1}),
    "created twice": ([made(), made(), named()], [DEAL], [PROJECT, PROJECT], {"twice": 1}),
    "updated twice": ([made(), named(), named(held="29x9")], [DEAL], [PROJECT], {"twice": 1}),
    "nobody asked": ([made(), named(), made("D2")], [DEAL], [PROJECT], {"foreign": 1}),
    "deleted": (
        [made(), named(), Effect(3, 0, "delete", PROJECTS, "29x1", {}, CLIENT, None)], [DEAL], [PROJECT], {"foreign": 1}
    ),
    "other name": ([made(), named()], [DEAL], [{**PROJECT, "projectname": "?"}], {"differences": 1}),
    "names another": ([made(), named()], [{**DEAL, "Project_Link": "29x7"}], [PROJECT], {"differences": 1}),
    "names one unasked": ([made(), named()], [DEAL, {"id": "D2", "Project_Link": "x"}], [PROJECT], {"differences": 1}),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_wrong_is_seen(case: str) -> None:
    effects, deals, projects, wrong = WRONG[case]
    found = check(HISTORY, {"all": effects}, deals, projects)
    counts = {name: count for name, count in found.counts().items() if name not in {"expected", "effects"}}
    assert counts == {"lost": 0, "twice": 0, "foreign": 0, "differences": 0, "rewritten": 0, **wrong}
    assert found.is_green == (not wrong or wrong == {"rewritten": 1})
    assert found.expected == 1


def _lose(plant: Plant) -> None:
    """The broker forgets the commands for the deals before anybody has applied them."""
    plant.start("streams")
    plant.watch_contracts()
    vtiger = plant.start("connectors", "vtiger")
    plant.play(history(15, 60, seed=5))
    plant.until(lambda: plant.findings().expected == len(plant.nouns(topics.commands("zoho"))), "all commands are out")
    vtiger.kill()
    forget_records(plant, topics.commands("zoho"))
    plant.ready(plant.start("connectors", "zoho"))


def _double(plant: Plant) -> None:
    """Somebody writes a copy of a command under another id and key."""
    plant.start("streams")
    plant.watch_contracts()
    plant.start("connectors")
    plant.play(history(15, 60, seed=5))
    plant.rest()
    first = plant.nouns(topics.commands("vtiger"))[0]
    again = msgspec.structs.replace(first, id="again", key=("cf_renkei_key", "again"))
    plant.put(topics.commands("vtiger"), *forged(again))
    plant.until(lambda: "again" in [one.outcome.command_id for one in plant.reports()], "it is applied")


PLANTED: Sequence[tuple[Callable[[Plant], None], str]] = [(_lose, "lost"), (_double, "twice")]


@pytest.mark.parametrize(("fault", "kind"), PLANTED, ids=["lost", "twice"])
def test_a_fault_planted_in_a_real_installation_turns_it_red(
    plant: Plant, fault: Callable[[Plant], None], kind: str
) -> None:
    fault(plant)
    found = plant.findings()
    assert getattr(found, kind)
    assert not found.is_green
    with pytest.raises(AssertionError):
        plant.rest(1)
