"""Two CRMs kept alike while people edit both, and notifications get lost or come twice: are they equal in the end?"""

import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.crms.whole import Changed, Whole
from sandbox.faults import Fault
from sandbox.ports import free_ports
from sandbox.server import Crm, Sandbox
from schemas.values import SECOND, Value, same

PROJECT = Path(__file__).parents[2] / "examples" / "two_way_sync"
FIELDS = {"Last_Name": "LastName", "First_Name": "FirstName", "Email": "Email", "Phone": "Phone"}
"""What the project keeps alike, as Zoho and Salesforce call it."""
TIE = "Zoho_Contact_Id__c"
LOST, TWICE = 0.2, 0.2
"""The shares of Zoho's notifications that do not come, and that come twice."""
OWN = "変更 🌸"
"""What marks a value that no other edit has written."""
RECENT = 6


class Edit(NamedTuple):
    """One value that a person wrote; ``at`` in milliseconds by the one clock of the sandbox."""

    at: int
    value: Value


@dataclass
class Person:
    """One person who is in both CRMs, or is going to be; and what was done to each field, the newest last."""

    zoho: str
    salesforce: str
    edits: dict[str, list[Edit]] = field(default_factory=dict)


class Synced(NamedTuple):
    """What came of it, by what the CRMs themselves hold and noted."""

    differences: int
    """Fields that are not alike on both sides in the end, of everybody."""
    most_hops: int
    """The most often that the value of one edit was written by us: once to the other side, if all goes well."""
    doubled: int
    """Records that nobody stands for: made by us though there was one."""
    older_won: int
    """Fields that do not hold what was written last, though nothing else was written to it within a second."""
    writes: int
    """Values that we wrote."""
    clashes: int
    """How often both sides had changed a field before we could do anything."""
    gave_way: int
    """How often a write of ours was refused because somebody was quicker."""
    trouble: int
    """Fires that failed, or that a guard stopped."""


class Town:
    """The people in both CRMs, and those who edit them."""

    def __init__(self, sandbox: Sandbox, chance: Random, people: int) -> None:
        self.zoho, self.salesforce, self._clock, self._chance = sandbox.zoho, sandbox.salesforce, sandbox.clock, chance
        self._numbers = 0
        for one in self.zoho.records("Contacts"):
            self.zoho.delete("Contacts", str(one["id"]))
        self.people = [self._settled() for _ in range(people)]
        self._recent: list[Person] = []

    def edit(self) -> None:
        """Somebody edits one or two fields on one side: often of somebody who was edited just now on the other."""
        if self._chance.random() < 0.02:
            self.people.append(self._newcomer())
            return
        person = self._chance.choice(self._recent if self._recent and self._chance.random() < 0.5 else self.people)
        self._meet(person)
        side = self._chance.choice([one for one in (self.zoho, self.salesforce) if self._id(person, one)])
        names = self._chance.sample(list(FIELDS), k=self._chance.choice((1, 1, 2)))
        values = {name: self._value(name) for name in names}
        self._write(side, person, values)
        self._recent = [*self._recent, person][-RECENT:]

    def _write(self, side: Crm, person: Person, values: dict[str, Value]) -> None:
        named = values if side is self.zoho else {FIELDS[name]: value for name, value in values.items()}
        side.update(_tab(side), self._id(person, side), named)
        row = side.row(_tab(side), self._id(person, side))
        assert row is not None
        for name, value in values.items():
            person.edits.setdefault(name, []).append(Edit(row.modified_at, value))

    def _meet(self, person: Person) -> None:
        """A newcomer who has got to the other side by now is edited there as well."""
        if not person.zoho:
            person.zoho = str((self.salesforce.record("Contact", person.salesforce) or {}).get(TIE) or "")
        if not person.salesforce:
            there = (one for one in self.salesforce.records("Contact") if one.get(TIE) == person.zoho)
            person.salesforce = str(next(there, {}).get("id", ""))

    def _value(self, name: str) -> Value:
        """Mostly a value of its own; sometimes none, or one that others have as well."""
        self._numbers += 1
        chance = self._chance.random()
        if name != "Last_Name" and chance < 0.15:
            return None if chance < 0.07 else "同じ"
        return f"{name} {self._numbers} {OWN}"

    def older_won(self, person: Person) -> int:
        """Fields of a person that hold something else than the last edit of them, where it is plain which was last."""
        self._meet(person)
        found = self.zoho.record("Contacts", person.zoho) or {}
        return sum(
            not same(found.get(name), edits[-1].value)
            for name, edits in person.edits.items()
            if len(edits) == 1 or edits[-1].at - edits[-2].at > SECOND
        )

    def _settled(self) -> Person:
        name = f"人 {self._next()}"
        zoho = self.zoho.insert("Contacts", {"Last_Name": name})
        return Person(zoho, self.salesforce.insert("Contact", {"LastName": name, TIE: zoho}))

    def _newcomer(self) -> Person:
        if self._chance.random() < 0.5:
            return Person(self.zoho.insert("Contacts", {"Last_Name": f"新人 {self._next()}"}), "")
        return Person("", self.salesforce.insert("Contact", {"LastName": f"新人 {self._next()}"}))

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _id(self, person: Person, side: Crm) -> str:
        return person.zoho if side is self.zoho else person.salesforce


def synced(edits: int, people: int, seed: int, *, project: Path = PROJECT, unanswered: float = 0.0) -> Synced:
    """So many random edits of so many people; then everything comes to rest, and both sides are compared.

    ``unanswered`` is the share of our writes that take effect and whose answers are lost.
    """
    chance = Random(seed)
    with tempfile.TemporaryDirectory() as state, Sandbox() as sandbox:
        sandbox.clock.set(sandbox.clock.now())
        for crm in (sandbox.zoho, sandbox.salesforce):
            crm.quota.limit = 10**9
        town = Town(sandbox, chance, people)
        with Whole(project, sandbox, Path(state), chance, _settings()) as whole:
            _spoil(sandbox, unanswered)
            for _ in range(edits):
                town.edit()
                sandbox.clock.advance(chance.choice((0, 1, 300, 1_000, 2_500, 20_000)))
                whole.turn(chance.choice((0, 1, 2, 4, 12)))
            whole.rest()
            return _synced(town, whole)


def _spoil(sandbox: Sandbox, unanswered: float) -> None:
    always, zoho, salesforce = sys.maxsize, sandbox.zoho.faults, sandbox.salesforce.faults
    zoho.add(Fault("lose_notice", "NOTIFY", times=always, share=LOST))
    zoho.add(Fault("repeat_notice", "NOTIFY", times=always, share=TWICE / (1 - LOST)))
    if unanswered:
        zoho.add(Fault("reset_after", "PUT /crm/v8/Contacts", times=always, share=unanswered))
        salesforce.add(Fault("reset_after", "^PATCH ", times=always, share=unanswered))


def _settings() -> Changed:
    """Zoho tells by notifications what it has, and is asked itself every ten minutes."""
    [port] = free_ports(1)
    options = {"notices": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"}
    return {"zoho": {"options": options, "poll": "10 minutes"}, "salesforce": {"poll": "5 seconds"}}


def _synced(town: Town, whole: Whole) -> Synced:
    pairs, decided = _pairs(town), whole.flow.flow.decisions()
    written = Counter(
        value
        for crm in (town.zoho, town.salesforce)
        for effect in crm.ledger()
        if effect.actor.client and effect.operation == "update"
        for value in effect.fields.values()
        if isinstance(value, str) and OWN in value
    )
    return Synced(
        differences=sum(map(_differing, pairs)),
        most_hops=max(written.values(), default=0),
        doubled=len(pairs) - len(town.people),
        older_won=sum(map(town.older_won, town.people)),
        writes=written.total(),
        clashes=sum(one.reason.startswith("both sides had changed") for one in decided),
        gave_way=sum(one.reason.startswith("gave way") for one in decided),
        trouble=sum(one.kind in ("failed", "alarm", "suppressed") for one in decided),
    )


def _pairs(town: Town) -> list[tuple[dict[str, Value], dict[str, Value]]]:
    """The records of both sides that stand for one person; an empty one where a side has none."""
    contacts = {str(one["id"]): one for one in town.zoho.records("Contacts")}
    found = [(contacts.pop(str(one.get(TIE)), {}), one) for one in town.salesforce.records("Contact")]
    return found + [(contact, {}) for contact in contacts.values()]


def _differing(pair: tuple[dict[str, Value], dict[str, Value]]) -> int:
    contact, person = pair
    return sum(not same(contact.get(name), person.get(other)) for name, other in FIELDS.items())


def _tab(crm: Crm) -> str:
    return "Contacts" if crm.kind == "zoho" else "Contact"
