"""A running total of what each sales office has won, kept in a table of Faust's."""

from decimal import Decimal

import faust
from faust.types import StreamT, TableT

from schemas.events import ChangeEvent
from schemas.values import to_number
from streams.faust_agents import Key, Topics

Won = dict[str, str]
"""The amounts of the deals that an office has won, by deal."""


def register(app: faust.App, topics: Topics) -> None:
    """Called once when ``renkei agents`` starts."""
    totals = topics.own("totals.offices")
    offices: TableT[str, Won] = app.Table("offices", default=dict)

    @app.agent(topics.changes("zoho:Deals"))
    async def office_totals(stream: StreamT[ChangeEvent]) -> None:
        async for event in stream.events():
            if not isinstance(event.value, ChangeEvent):  # the marker of a first load
                continue
            for name, won in concerned(offices, event.key, event.value).items():
                # First it is said, durably, then noted: after a crash in between it is said again, and never lost.
                await (await totals.send(key=name, value={"won": sum(map(Decimal, won.values()))}))
                offices[name] = won


def concerned(offices: TableT[str, Won], key: Key, change: ChangeEvent) -> dict[str, Won]:
    """The offices whose deals a change of a deal changes, with their deals now; a repetition changes none."""
    image = change.after or {}
    home = f"{key.workspace}/{image.get('Office') or 'none'}" if image.get("Stage") == "Closed Won" else ""
    changed = {
        name: {deal: amount for deal, amount in won.items() if deal != key.key}
        for name, won in offices.items()
        if name.startswith(f"{key.workspace}/") and name != home and key.key in won
    }
    if home:
        before, amount = offices.get(home) or {}, str(to_number(image.get("Amount")) or 0)
        if before.get(key.key) != amount:
            changed[home] = {**before, key.key: amount}
    return changed
