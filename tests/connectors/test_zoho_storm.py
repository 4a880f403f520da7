"""Every kind of write at once, in a storm of faults: one effect each, whatever is lost, late, refused or cut short."""

import sqlite3
from collections import Counter
from random import Random

import pytest

from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas.commands import Applied, Command
from tests.connectors.fakes import NOW
from tests.connectors.practice import CHAIN, Desk
from tests.sandbox.zoho_seed import MIRAI, TAKAHASHI, journey

EACH = 6
FAULTS = ("reset_before", "reset_after", "short_answer", "drop_row", "status", "expire_token", "fail_row")
WRITES = "POST /crm/v8/[A-Z]|PUT /crm|DELETE /crm"


def planned(desk: Desk) -> list[Command]:
    """Six of each kind, on records of their own."""
    hand, found = desk.crm, []
    for number in range(EACH):
        demo = hand.insert("Demos", {"Name": f"Demo {number}", "Status": "Requested"})
        held = hand.insert("Feedback", {"Name": f"Feedback {number}"})
        lead = hand.insert("Leads", {"Last_Name": f"Lead {number}", "Company": f"株式会社 {number}"})
        training = hand.insert("Training", {"Name": f"Training {number}"})
        wishes = (
            ("create", "Case_Studies", "", {"Name": f"Study {number}"}, ("Renkei_Key", f"k{number}")),
            ("note", "Accounts", MIRAI, {"text": f"note {number}"}, ("Renkei_Key", f"n{number}")),
            ("update", "Training", training, {"Status": "Planned"}, None),
            ("transition", "Demos", demo, {"transition": "Schedule", "values": {}}, None),
            ("lock", "Feedback", held, {"reason": "Review"}, None),
            ("convert", "Leads", lead, {"contact": TAKAHASHI}, None),
            ("tag", "Demos", demo, {"tags": ["重要"]}, None),
        )
        found += [
            Command(id=f"{operation}-{number}", connection="zoho", tab=f"zoho:{tab}", operation=operation,
                    record_id=record, fields=fields, key=key, chain=CHAIN, planned_at=desk.clock.now())
            for operation, tab, record, fields, key in wishes
        ]  # fmt: skip
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_write_has_one_effect_in_a_storm(seed: int) -> None:
    chance = Random(seed)
    with Sandbox(journey()) as sandbox:
        sandbox.clock.set(NOW)
        database = sqlite3.connect(":memory:")
        desk = Desk(sandbox, "zoho", database)
        commands = planned(desk)
        before = len(desk.crm.ledger())
        for _ in range(40):
            do = chance.choice(FAULTS)
            status = chance.choice((429, 500, 502, 503))
            desk.crm.faults.add(Fault(do=do, where=WRITES, skip=chance.randrange(3), status=status))  # type: ignore[arg-type]
        outcomes = desk.work(*commands)
        statuses = Counter(call.status for call in desk.crm.faults.calls())
        assert statuses[0] > 5, "the storm was one"
        assert {type(outcome) for outcome in outcomes.values()} == {Applied}, outcomes
        effects = desk.crm.ledger()[before:]
        made = Counter(effect.tab for effect in effects if effect.operation == "insert")
        assert made == {"Case_Studies": EACH, "Notes": EACH, "Accounts": EACH, "Locking_Information__s": EACH}
        moved = [effect.record_id for effect in effects if effect.fields.get("Status") == "Scheduled"]
        assert len(moved) == len(set(moved)) == EACH
        marked = [effect.record_id for effect in effects if effect.fields.get("Converted__s")]
        assert len(marked) == len(set(marked)) == EACH
        desk.transport.close()
        database.close()
