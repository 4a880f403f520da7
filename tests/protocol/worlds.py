"""Random worlds: records of seven tabs that are loaded, made, edited, re-linked, deleted and brought back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from schemas.events import ChangeEvent, Operation
from schemas.values import Image, Ref, Value, id_of, ref, tab_of
from streams.testing import START
from tests.protocol.oracle import Law, Members, OneStore, below, one

NOBODY = "9"
"""The id of a record that never exists, though others name it. So is an id with a blank: ids are exact."""

LINKS: Mapping[str, Mapping[str, str]] = {
    "zoho:Accounts": {"Parent": "zoho:Accounts"},
    "zoho:Deals": {"Account": "zoho:Accounts", "Contact": "zoho:Contacts"},
    "zoho:Contacts": {"Account": "zoho:Accounts"},
    "zoho:Demos": {"Deal": "zoho:Deals"},
    "zoho:Feedback": {"Demo": "zoho:Demos"},
    "sf:Leads": {},
    "sf:Tasks": {"Lead": "sf:Leads"},
}
MAILS: tuple[Value, ...] = ("ann@example.com", " Ann@Example.com", "bob@example.com", None)
MAILED = ("zoho:Contacts", "sf:Leads")
MANIFOLD = ("zoho:Contacts", "sf:Tasks")
"""The tabs whose lookup may name two records."""
GRADES: tuple[Value, ...] = ("gold", "gold", "bad", None)


@dataclass
class World:
    """Makes changes by chance and remembers what they amount to. Sizes are records per tab."""

    seed: int
    oracle: OneStore
    size: int = 3
    sizes: Mapping[str, int] = field(default_factory=dict)
    now: int = START
    gone: dict[Ref, Image] = field(default_factory=dict)
    past: list[ChangeEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(f"world {self.seed}")

    def refs(self) -> list[Ref]:
        """All records that there may be."""
        return [ref(tab, str(number)) for tab in LINKS for number in range(self.sizes.get(tab, self.size))]

    def loads(self, share: float = 0.6) -> Iterator[ChangeEvent]:
        """What a first load finds, in any order."""
        refs = [one for one in self.refs() if self.random.random() < share]
        self.random.shuffle(refs)
        for record in refs:
            yield self.say(record, "create", self.image(record), load=True)

    def change(self) -> ChangeEvent:
        """One live change of one record."""
        record = self.random.choice(self.refs())
        held = self.oracle.records.get(record)
        if held is None:
            return self._come(record)
        chance = self.random.random()
        if chance < 0.15:
            self.gone[record] = held
            return self.say(record, "delete", None)
        if chance < 0.2:
            return self.say(record, "update", {**held, "Note": self.random.random()})
        if chance < 0.5:
            return self.say(record, "update", {**held, "Grade": self.random.choice(GRADES)})
        return self.say(record, "update", {**held, **self._links(record)})

    def image(self, record: Ref) -> Image:
        """A new image of a record; its links may lead nowhere, to itself, or round in a circle."""
        return {"id": id_of(record), "Grade": self.random.choice(GRADES), **self._links(record)}

    def say(self, record: Ref, op: Operation, image: Image | None, *, load: bool = False) -> ChangeEvent:
        """The change event of a change, which the oracle sees too."""
        self.now += 1000
        event = ChangeEvent(
            tab=tab_of(record), record_id=id_of(record), op=op, after=image, committed_at=self.now, seen_at=self.now,
            source_position=len(self.past) + 1, load=load,
        )  # fmt: skip
        self.past.append(event)
        self.oracle.put(record, image, born=op == "create" and not load)
        return event

    def _come(self, record: Ref) -> ChangeEvent:
        known = any(event.ref == record for event in self.past)
        if record in self.gone and self.random.random() < 0.5:
            return self.say(record, "undelete", self.gone[record])
        return self.say(record, "undelete" if known else "create", self.image(record))

    def _links(self, record: Ref) -> Image:
        tab = tab_of(record)
        links: Image = {name: self._id_in(far) for name, far in LINKS[tab].items()}
        if tab in MANIFOLD and self.random.random() < 0.2:
            links = {name: link if link == "0" else [link, "0"] for name, link in links.items()}
        if tab in MAILED:
            links["Email"] = self.random.choice(MAILS)
        return links

    def _id_in(self, tab: str) -> Value:
        choices = [str(number) for number in range(self.sizes.get(tab, self.size))]
        return self.random.choice([*choices * 5, NOBODY, None, "0 "])


def _gold(members: Members, alias: str) -> bool:
    return any(image.get("Grade") == "gold" for image in members[alias].values())


def _bad(members: Members, alias: str) -> bool:
    return any(image.get("Grade") == "bad" for image in members[alias].values())


LAWS: Mapping[str, Law] = {
    "gold-account": Law("deals", "deal", lambda m, _: one(m["account"], "Grade") == "gold"),
    "no-colleague": Law("deals", "deal", lambda m, _: not m["colleague"]),
    "gold-feedback": Law("deals", "deal", lambda m, _: _gold(m, "feedback")),
    "two-tasks": Law("deals", "deal", lambda m, _: len(m["task"]) >= 2),
    "gold-grand": Law("deals", "deal", lambda m, _: one(m["grand"], "Grade") == "gold" and not _bad(m, "demo")),
    "gold-siblings": Law(
        "deals",
        "deal",
        lambda m, _: bool(m["sibling"]) and all(image.get("Grade") == "gold" for image in m["sibling"].values()),
    ),
    "no-bad-lead": Law("deals", "deal", lambda m, _: not _bad(m, "lead")),
    "gold-demo": Law(
        "deals",
        "demo",
        lambda m, demo: (
            one(m["deal"], "Grade") == "gold"
            and any(image.get("Grade") == "gold" for image in below(m, "feedback", "Demo", demo))
        ),
    ),
    "demo-without-contact": Law("accounts", "account", lambda m, _: _gold(m, "demo") and not m["contact"]),
    "gold-up": Law("accounts", "account", lambda m, _: one(m["up"], "Grade") == "gold"),
}
"""What the rules of the large book mean."""
