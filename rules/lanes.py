"""Lanes: which commands may wait, so that a backlog of them never delays the others (D-101)."""

from rules.rounds import Round
from rules.state import Fire
from schemas.commands import Lane
from schemas.values import Ref


def lane_of(round_: Round, fire: Fire, record: Ref) -> Lane:
    """The lane of a command: its fire's, or that of a command of the journey that is still out for the same record.

    So one write of a journey never overtakes another one of the same record; a create has no record to overtake.
    """
    lane: Lane = "bulk" if fire.bulk else "live"
    fires = round_.memory.fires
    if record and len(fires) > 1:
        for other in fires.values():
            if other is not fire:
                lane = next((one.lane for one in other.sent.values() if one.ref == record), lane)
    return lane
