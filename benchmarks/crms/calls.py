"""How many calls many updates of few records take, against the fewest possible."""

import math
import tempfile
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.crms.stand import Kind, Stand
from sandbox.server import Sandbox
from schemas.commands import Applied, Command


class Counted(NamedTuple):
    """What the CRM counted."""

    calls: int
    """Every call: writes, lookups and logins."""
    fewest: int
    """One row per record, the vendor's most rows per call."""
    units: int
    """What that cost of the day's quota, in the vendor's units."""
    writes: int
    """Records that were written, once each if all goes well."""
    wrong: int
    """Records that do not hold the last value, and commands that were not reported as applied."""

    @property
    def ratio(self) -> float:
        """Calls over the fewest possible."""
        return self.calls / self.fewest


def counted(kind: Kind, updates: int, records: int) -> Counted:
    """So many updates in random order, each record's last value the one that must stand."""
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        sandbox.clock.set(sandbox.clock.now())
        stand = Stand(sandbox, kind, Path(folder))
        stand.crm.quota.limit = 10**9
        ids = stand.records(records)
        chance = Random(1)
        commands = [stand.update(f"u{one}", ids[one % records], f"値 {one}") for one in range(updates)]
        chance.shuffle(commands)
        stand.put(commands)
        stand.crm.faults.forget_calls()
        used = stand.crm.quota.used()
        stand.work()
        try:
            return _counted(stand, commands, records, used)
        finally:
            stand.close()


def _counted(stand: Stand, commands: list[Command], records: int, used: int) -> Counted:
    field = stand.words.field
    wanted = {command.record_id: command.fields[field] for command in commands}
    wrong = sum((stand.crm.record(stand.words.tab, one) or {}).get(field) != value for one, value in wanted.items())
    outcomes = stand.outcomes()
    wrong += sum(not isinstance(outcomes.get(command.id), Applied) for command in commands)
    fewest = math.ceil(records / stand.connector.most(commands[0]))
    calls = len(stand.crm.faults.calls())
    return Counted(calls, fewest, stand.crm.quota.used() - used, len(stand.effects()), wrong)
