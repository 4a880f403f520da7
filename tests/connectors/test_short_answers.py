"""A batch whose answer is short, long, cut or malformed is uncertain as a whole: no row of it is believed."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Connector, Response
from schemas.codec import to_json
from schemas.commands import Applied, Command, Uncertain
from tests.connectors.crms import SALESFORCE, ZOHO, command

CRMS: dict[str, Connector] = {"zoho": ZOHO, "salesforce": SALESFORCE}


def row(kind: str, number: int) -> dict[str, Any]:
    """How a CRM says that it has written a record."""
    record_id = str(100 + number)
    if kind == "salesforce":
        return {"id": record_id, "success": True, "errors": []}
    return {"code": "SUCCESS", "status": "success", "message": "", "details": {"id": record_id}}


def answer(kind: str, rows: Sequence[object]) -> bytes:
    return to_json(rows if kind == "salesforce" else {"data": rows})


def updates(kind: str, count: int) -> list[Command]:
    return [command(kind, "update", number) for number in range(count)]


@pytest.mark.parametrize("kind", CRMS)
@given(count=st.integers(2, 20), wrong=st.data())
def test_a_batch_with_a_wrong_answer_is_uncertain_as_a_whole(kind: str, count: int, wrong: st.DataObject) -> None:
    rows: list[object] = [row(kind, number) for number in range(count)]
    told = CRMS[kind].outcomes(updates(kind, count), Response(status=200, body=answer(kind, rows)))
    assert all(isinstance(outcome, Applied) for outcome in told), "the sound answer is believed"
    place = wrong.draw(st.integers(0, count - 1))
    match wrong.draw(st.sampled_from(("short", "long", "no row", "cut", "swapped"))):
        case "short":
            del rows[place]
        case "long":
            rows.insert(place, row(kind, 99))
        case "no row":
            rows[place] = wrong.draw(st.none() | st.integers() | st.text(max_size=5) | st.lists(st.none(), max_size=2))
        case "swapped":
            rows[place], rows[place - 1] = rows[place - 1], rows[place]
        case "cut":
            body = answer(kind, rows)
            cut = Response(status=200, body=body[: wrong.draw(st.integers(0, len(body) - 1))])
            _all_uncertain(CRMS[kind], updates(kind, count), cut)
            return
    _all_uncertain(CRMS[kind], updates(kind, count), Response(status=200, body=answer(kind, rows)))


def _all_uncertain(crm: Connector, commands: list[Command], response: Response) -> None:
    outcomes = crm.outcomes(commands, response)
    assert [outcome.command_id for outcome in outcomes] == [one.id for one in commands]
    assert all(isinstance(outcome, Uncertain) for outcome in outcomes), outcomes
