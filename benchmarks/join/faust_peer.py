"""The join in Faust, as its user guide writes it: agents, models, tables with changelogs, ``group_by`` to repartition.

Faust has no joins of its own, so both sides go to tables that lie in the account's partition: deals come there through
``group_by``. A deal may not move to another account here; Faust offers nothing for that.
"""

import os
from typing import Any

import faust

from benchmarks.join.task import PARTITIONS


class Account(faust.Record, include_metadata=False):
    """A record of the accounts tab."""

    id: str
    Name: str
    Region: str
    Type: str
    Rating: str
    Industry: str
    Country: str
    Employees: int
    Owner: str
    Website: str
    Modified_Time: int


class Deal(faust.Record, include_metadata=False):
    """A record of the deals tab."""

    id: str
    Name: str
    Account: str
    Currency: str
    Owner: str
    Close_Date: str
    Source: str
    Type: str
    Campaign: str
    Stage: str
    Amount: int
    Probability: int
    Next_Step: str
    Modified_Time: int


class Joined(faust.Record, include_metadata=False):
    """A deal with its account."""

    deal: Deal
    account: Account


_topics = os.environ["JOIN_TOPICS"]
app = faust.App(
    f"{_topics}.faust",
    broker=f"kafka://{os.environ['JOIN_BOOTSTRAP']}",
    store=os.environ.get("JOIN_STORE", "memory://"),
    datadir=os.environ["JOIN_STATE"],
    topic_partitions=PARTITIONS,
    producer_linger=float(os.environ.get("JOIN_LINGER", "0.02")),
    producer_compression_type=None,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
)
changed_accounts = app.topic(f"{_topics}.accounts", key_type=str, value_type=Account)
changed_deals = app.topic(f"{_topics}.deals", key_type=str, value_type=Deal)
output = app.topic(f"{_topics}.joined", key_type=str, value_type=Joined)

accounts = app.Table("accounts", key_type=str, value_type=Account)
deals = app.Table("deals", key_type=str, value_type=Deal)
deals_of = app.Table("deals_of", key_type=str, default=list)


@app.agent(changed_deals)
async def on_deal(stream: Any) -> None:
    """Keep a deal beside its account, and send what it makes."""
    async for deal in stream.group_by(Deal.Account):
        before = deals.get(deal.id)
        deals[deal.id] = deal
        if before is None:
            deals_of[deal.Account] = [*deals_of[deal.Account], deal.id]
        account = accounts.get(deal.Account)
        if account is not None:
            await send(deal, account, was=before is not None and fits(before, account))


@app.agent(changed_accounts)
async def on_account(stream: Any) -> None:
    """Keep an account, and send what it makes with each of its deals."""
    async for account in stream:
        before = accounts.get(account.id)
        accounts[account.id] = account
        for key in deals_of[account.id]:
            deal = deals[key]
            await send(deal, account, was=before is not None and fits(deal, before))


async def send(deal: Deal, account: Account, was: bool) -> None:
    """A row that passes, or a tombstone for one that no longer does."""
    if fits(deal, account):
        await output.send(key=deal.id, value=Joined(deal=deal, account=account))
    elif was:
        # The JSON codec writes None as the word null, which is no tombstone.
        await output.send(key=deal.id, value=None, value_serializer="raw")


def fits(deal: Deal, account: Account) -> bool:
    """The condition of ``task.passes``, over models."""
    return (
        deal.Stage == "Closed Won" and deal.Amount >= 10_000 and account.Type == "Customer" and account.Region != "AMER"
    )


if __name__ == "__main__":
    app.main()
