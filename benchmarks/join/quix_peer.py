"""The join in Quix Streams: ``group_by`` to repartition, ``concat`` of both sides, and state per account.

Its documented joins do not fit: ``join_asof`` and ``join_interval`` emit nothing when the right side changes, and
``join_lookup`` reads tables outside of Kafka. So both sides are brought under the account's key and kept in its state.
A deal may not move to another account here: state of another key cannot be reached.
"""

import os
from collections.abc import Iterator
from typing import Any

from quixstreams import Application, State
from quixstreams.models import JSONSerializer, SerializationContext

from benchmarks.join.task import passes

Row = dict[str, Any]


def on_account(account: Row, state: State) -> Iterator[Row]:
    """Keep an account, and give what it makes with each of its deals."""
    before = state.get("account")
    state.set("account", account)
    for key in state.get("deals", []):
        deal = state.get(key)
        yield from outgoing(deal, account, was=before is not None and passes(deal, before))


def on_deal(deal: Row, state: State) -> Iterator[Row]:
    """Keep a deal beside its account, and give what it makes."""
    before = state.get(deal["id"])
    state.set(deal["id"], deal)
    if before is None:
        state.set("deals", [*state.get("deals", []), deal["id"]])
    account = state.get("account")
    if account is not None:
        yield from outgoing(deal, account, was=before is not None and passes(before, account))


def outgoing(deal: Row, account: Row, was: bool) -> Iterator[Row]:
    """A row that passes, or a tombstone for one that no longer does."""
    if passes(deal, account):
        yield {"key": deal["id"], "row": {"deal": deal, "account": account}}
    elif was:
        yield {"key": deal["id"], "row": None}


def on_change(row: Row, state: State) -> list[Row]:
    """Deals are told from accounts by the lookup that they have."""
    return list(on_deal(row, state) if "Account" in row else on_account(row, state))


class Outgoing(JSONSerializer):  # type: ignore[misc] # not installed where types are checked
    """The row as JSON, or a tombstone; the key beside it is not written."""

    def __call__(self, value: Row, ctx: SerializationContext) -> Any:
        row = value["row"]
        return None if row is None else super().__call__(row, ctx)


def main() -> None:
    """Run until the process is ended."""
    topics, settings = os.environ["JOIN_TOPICS"], os.environ
    app = Application(
        broker_address=settings["JOIN_BOOTSTRAP"],
        consumer_group=f"{topics}.quix",
        state_dir=settings["JOIN_STATE"],
        auto_offset_reset="earliest",
        processing_guarantee=settings.get("JOIN_GUARANTEE", "exactly-once"),
        commit_interval=float(settings.get("JOIN_COMMIT", "1")),
        consumer_poll_timeout=float(settings.get("JOIN_POLL", "0.1")),
        loglevel="WARNING",
    )
    accounts = app.dataframe(app.topic(f"{topics}.accounts", key_deserializer="str"))
    deals = app.dataframe(app.topic(f"{topics}.deals", key_deserializer="str"))
    deals = deals.group_by("Account", key_serializer="str", key_deserializer="str")
    rows = accounts.concat(deals).apply(on_change, stateful=True, expand=True)
    output = app.topic(f"{topics}.joined", key_serializer="str", value_serializer=Outgoing())
    rows.to_topic(output, key=lambda row: row["key"])
    app.run()


if __name__ == "__main__":
    main()
