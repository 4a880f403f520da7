"""A storm: for a minute the CRM refuses half of all calls (429). The clock is moved, so that minutes take seconds."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.crms.stand import Kind, Stand
from sandbox.faults import storm
from sandbox.server import Sandbox
from schemas.commands import Applied
from schemas.values import MINUTE


class Weathered(NamedTuple):
    """What came of a storm, as the CRM counted it."""

    attempts_per_command: float
    rate_used: float
    """Calls that it took in, of those that it would have taken in in the same time."""
    lost: int
    twice: int


def weather(kind: Kind, minutes: float, *, length: int = MINUTE, share: float = 0.5) -> Weathered:
    """As many updates of different records as the limit allows in so many minutes; the storm comes in the middle."""
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        sandbox.clock.set(sandbox.clock.now())
        stand = Stand(sandbox, kind, Path(folder))
        stand.crm.quota.limit = 10**9
        most = stand.connector.most(stand.update("", "1", ""))
        per_minute = stand.limits.per_minute or 0
        ids = stand.records(int(per_minute * minutes) * most)
        stand.put(stand.update(f"u{number}", record, f"値 {number}") for number, record in enumerate(ids))
        begun = sandbox.clock.now()
        since = begun + int(minutes * MINUTE) // 2
        stand.crm.faults.forget_calls()
        writes = {"zoho": "^PUT ", "salesforce": "^PATCH ", "vtiger": "operation=revise"}[kind]
        stand.crm.faults.add(storm(writes, share=share, since=since, until=since + length))
        stand.work()
        took = sandbox.clock.now() - begun
        try:
            return _weathered(stand, len(ids), most, took, length * share)
        finally:
            stand.close()


def _weathered(stand: Stand, commands: int, most: int, took: int, refusing: float) -> Weathered:
    calls = [call for call in stand.crm.faults.calls() if call.method != "GET" and "token" not in call.target]
    per_minute = stand.limits.per_minute or 0
    allowed = per_minute / 6 + per_minute * (took - refusing) / MINUTE
    taken_in = sum(call.status == 200 for call in calls)
    written = [effect.record_id for effect in stand.effects()]
    applied = sum(isinstance(outcome, Applied) for outcome in stand.outcomes().values())
    return Weathered(
        len(calls) * most / commands, taken_in / allowed, commands - applied,
        len(written) - len(set(written)),
    )  # fmt: skip
