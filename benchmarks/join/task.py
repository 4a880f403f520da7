"""The task that all peers do: the records, the condition, and the join as plain Python computes it."""

import json
import os
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.join.partitions import partition_of

Row = dict[str, Any]

ACCOUNTS, DEALS = "accounts", "deals"
PARTITIONS = int(os.environ.get("JOIN_PARTITIONS", "4"))
SEED = 20_26
DEALS_AT_FIRST, ACCOUNTS_AT_FIRST = 10_000, 1_000
OF_ACCOUNTS = 0.01
"""Of the updates, those that change an account."""

_STAGES = ("Qualification", "Proposal", "Negotiation", "Closed Lost", "Closed Won", "Closed Won")
_REGIONS = ("EMEA", "APAC", "AMER")
_TYPES = ("Customer", "Customer", "Prospect", "Partner")
_OWNERS = ("Anna Schmidt", "王小明", "佐藤花子", "Priya Sharma", "Luis Álvarez", "Mary O'Neill")
_SOURCES = ("Web", "Partner", "Trade Show", "Cold Call", "Referral")
_STEPS = ("Send the revised quote", "Call the buyer", "契約書を送付する", "Wait for the signature", "Plan the kick-off")
_FIRST_DAY = 1_760_000_000


def passes(deal: Mapping[str, Any], account: Mapping[str, Any]) -> bool:
    """The condition: four comparisons over two records; about one change in ten passes."""
    return bool(
        deal["Stage"] == "Closed Won"
        and deal["Amount"] >= 10_000
        and account["Type"] == "Customer"
        and account["Region"] != "AMER"
    )


def joined(deal: Row, account: Row) -> Row:
    """The row that goes out: the deal with its account."""
    return {"deal": deal, "account": account}


@dataclass(frozen=True, slots=True)
class Change:
    """The new state of one record of a topic."""

    topic: str
    row: Row

    @property
    def key(self) -> bytes:
        """The key on the topic."""
        return str(self.row["id"]).encode()

    @property
    def value(self) -> bytes:
        """The value on the topic: compact JSON."""
        return json.dumps(self.row, ensure_ascii=False, separators=(",", ":")).encode()


class World:
    """Accounts and deals that change at random, the same for the same seed.

    ``moves`` is the share of deal updates that give the deal to another account.
    """

    def __init__(self, deals: int = DEALS_AT_FIRST, accounts: int = ACCOUNTS_AT_FIRST, moves: float = 0.0) -> None:
        self._random = random.Random(SEED)
        self._moves = moves
        self._clock = _FIRST_DAY
        self._accounts = [self._account(number) for number in range(accounts)]
        self._deals = [self._deal(number) for number in range(deals)]

    def load(self) -> Iterator[Change]:
        """All records as they are at first: accounts, then deals."""
        yield from (Change(ACCOUNTS, row) for row in self._accounts)
        yield from (Change(DEALS, row) for row in self._deals)

    def updates(self, count: int) -> Iterator[Change]:
        """The next changes: one in a hundred of an account, the others of deals."""
        for _ in range(count):
            self._clock += 1
            if self._random.random() < OF_ACCOUNTS:
                yield Change(ACCOUNTS, self._changed_account())
            else:
                yield Change(DEALS, self._changed_deal())

    def _changed_account(self) -> Row:
        number = self._random.randrange(len(self._accounts))
        old = self._accounts[number]
        new = old | {"Rating": self._random.choice("ABCD"), "Modified_Time": self._clock}
        if self._random.random() < 0.2:
            new |= {"Type": self._random.choice(_TYPES), "Region": self._random.choice(_REGIONS)}
        self._accounts[number] = new
        return new

    def _changed_deal(self) -> Row:
        number = self._random.randrange(len(self._deals))
        new = self._deals[number] | self._sold()
        if self._moves and self._random.random() < self._moves:
            new["Account"] = self._random.choice(self._accounts)["id"]
        self._deals[number] = new
        return new

    def _account(self, number: int) -> Row:
        choose = self._random.choice
        return {
            "id": f"zoho:accounts/{4_000_000 + number}", "Name": f"Account {number} 株式会社",
            "Region": choose(_REGIONS), "Type": choose(_TYPES), "Rating": choose("ABCD"),
            "Industry": "Manufacturing", "Country": "JP", "Employees": self._random.randrange(1, 50_000),
            "Owner": choose(_OWNERS), "Website": f"https://account-{number}.example.com",
            "Modified_Time": self._clock,
        }  # fmt: skip

    def _deal(self, number: int) -> Row:
        choose = self._random.choice
        return {
            "id": f"zoho:deals/{7_000_000 + number}", "Name": f"Renewal {number}",
            "Account": choose(self._accounts)["id"], "Currency": "EUR", "Owner": choose(_OWNERS),
            "Close_Date": f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}", "Source": choose(_SOURCES),
            "Type": "Existing Business", "Campaign": f"zoho:campaigns/{9_000_000 + number % 50}",
        } | self._sold()  # fmt: skip

    def _sold(self) -> Row:
        choose = self._random.choice
        return {
            "Stage": choose(_STAGES), "Amount": self._random.randrange(1_000, 50_000),
            "Probability": self._random.randrange(101), "Next_Step": choose(_STEPS), "Modified_Time": self._clock,
        }  # fmt: skip


class Marks:
    """Records that go last into a slice, one deal for each pair of partitions, and are passed on last.

    A peer is done with a slice when each mark deal has come out with the slice's number in it and in its account.
    """

    def __init__(self, partitions: int = PARTITIONS) -> None:
        world = World(deals=1, accounts=1)
        self._account, self._deal = (change.row for change in world.load())
        self._accounts = [_placed("accounts", partitions, place) for place in range(partitions)]
        self._deals = {
            _placed(f"deals-of-{place}", partitions, own): account
            for place, account in enumerate(self._accounts)
            for own in range(partitions)
        }

    @property
    def keys(self) -> frozenset[bytes]:
        """The keys of the mark deals on the output topic."""
        return frozenset(key.encode() for key in self._deals)

    def of(self, number: int) -> Iterator[Change]:
        """The marks that end a slice."""
        name = f"mark {number}"
        for key in self._accounts:
            yield Change(ACCOUNTS, self._account | {"id": key, "Name": name, "Type": "Customer", "Region": "EMEA"})
        won = {"Stage": "Closed Won", "Amount": 10_000}
        for key, account in self._deals.items():
            yield Change(DEALS, self._deal | won | {"id": key, "Name": name, "Account": account})

    @staticmethod
    def number(value: bytes) -> int:
        """The slice whose mark this output row is; 0 while deal and account differ."""
        row = json.loads(value)
        names = {row["deal"]["Name"], row["account"]["Name"]}
        return int(names.pop().removeprefix("mark ")) if len(names) == 1 else 0


def _placed(kind: str, partitions: int, place: int) -> str:
    """An id that lies in this partition."""
    ids = (f"mark:{kind}/{number}" for number in range(10_000))
    return next(one for one in ids if partition_of(one.encode(), partitions) == place)


class Join:
    """The join as plain Python computes it, change by change: what a peer's output must come to."""

    def __init__(self) -> None:
        self.view: dict[str, Row] = {}
        self.emitted = 0
        self._accounts: dict[str, Row] = {}
        self._deals: dict[str, Row] = {}
        self._deals_of: dict[str, set[str]] = {}

    def take(self, changes: Iterable[Change]) -> None:
        """Take changes of either side, one after another."""
        for change in changes:
            if change.topic == ACCOUNTS:
                self._accounts[change.row["id"]] = change.row
                for deal in self._deals_of.get(change.row["id"], ()):
                    self._decide(self._deals[deal])
            else:
                self._place(change.row)
                self._decide(change.row)

    def _place(self, deal: Row) -> None:
        before = self._deals.get(deal["id"])
        if before is not None:
            self._deals_of[before["Account"]].discard(deal["id"])
        self._deals_of.setdefault(deal["Account"], set()).add(deal["id"])
        self._deals[deal["id"]] = deal

    def _decide(self, deal: Row) -> None:
        """A row that passes goes out; for one that no longer passes a tombstone goes out."""
        account = self._accounts.get(deal["Account"])
        if account is not None and passes(deal, account):
            self.view[deal["id"]] = joined(deal, account)
            self.emitted += 1
        elif self.view.pop(deal["id"], None) is not None:
            self.emitted += 1


def differences(expected: Mapping[str, Row], actual: Mapping[str, Row]) -> list[str]:
    """What is wrong with a peer's view of the join, in words; nothing when it is right."""
    missing, needless = expected.keys() - actual.keys(), actual.keys() - expected.keys()
    other = [key for key in expected.keys() & actual.keys() if expected[key] != actual[key]]
    found = {"missing": sorted(missing), "needless": sorted(needless), "different": sorted(other)}
    return [f"{len(keys)} {word}, such as {keys[0]}" for word, keys in found.items() if keys]
