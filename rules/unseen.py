"""Our own writes until they come back: what a record holds that its newest image may not show yet (D-40, D-44).

Kept for tabs that are written on a condition. There the next decision must not take an image from before our write
for what somebody has changed after it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rules.book import Book
from rules.criteria.scope import UNKNOWN, Unknown
from rules.rounds import Round
from rules.state import Fire, Sent, Unseen
from rules.view import Overlay
from schemas.commands import Applied
from schemas.values import Ref, Value, parse_instant, same, tab_of


def held(round_: Round, record: Ref, fields: Iterable[str]) -> dict[str, list[Value]]:
    """What the fields are seen to hold now, and what our own writes gave them that is not seen yet."""
    image = round_.view.join.shown.get(record) if tab_of(record) in round_.book.modified else None
    if image is None:
        return {}
    ours = round_.memory.unseen.get(record)
    return {name: [*(ours.fields.get(name, ()) if ours is not None else ()), image.get(name)] for name in fields}


def note_written(round_: Round, sent: Sent, outcome: Applied) -> None:
    """Remember an applied write until an image shows it."""
    name = round_.book.modified.get(tab_of(sent.ref))
    if name is None or not sent.ref:
        return
    # What a lookup found may have been changed by others since: its time is not that of our write.
    told = None if outcome.duplicate else _instant(outcome.fields.get(name))
    ours = round_.memory.unseen.get(sent.ref)
    seen = sent.seen if sent.seen is not None else changed_at(round_.book, sent.ref, round_.view.join.shown) or 0
    fields = dict(ours.fields) if ours is not None else {}
    fields |= {field: [value, *sent.before.get(field, ())] for field, value in sent.fields.items()}
    round_.memory.unseen[sent.ref] = Unseen(max(seen, ours.seen) if ours is not None else seen, told, fields)


def overlay(round_: Round) -> Overlay:
    """Per record the values that our own writes gave it and that its newest image does not show."""
    if not round_.memory.unseen:
        return {}
    found: dict[Ref, dict[str, Value]] = {}
    for record, ours in list(round_.memory.unseen.items()):
        hidden = _hidden(round_, record, ours)
        if hidden is None:
            del round_.memory.unseen[record]
        elif hidden:
            found[record] = hidden
    return found


def modified(round_: Round, record: Ref, fire: Fire) -> int | Unknown | None:
    """When a record was last changed, our own writes included.

    Unknown while a write of ours is out, or has not come back from a CRM that does not tell when it took effect.
    """
    others = (other for other in round_.memory.fires.values() if other is not fire)
    if any(one.ref == record for other in others for one in other.sent.values()):
        return UNKNOWN
    images = (round_.view.join.shown, fire.overlay)
    at = max((one for image in images if (one := changed_at(round_.book, record, image)) is not None), default=None)
    overlay(round_)  # forgets what has come back
    ours = round_.memory.unseen.get(record)
    if ours is None or at is None:
        return at
    if ours.told is not None:
        return max(at, ours.told)
    return at if at > ours.seen else UNKNOWN


def changed_at(book: Book, record: Ref, shown: Mapping[Ref, Mapping[str, Any]]) -> int | None:
    """When the newest image of a record says that it was last changed (milliseconds)."""
    name = book.modified.get(tab_of(record))
    return _instant(shown[record].get(name)) if name is not None and record in shown else None


def _hidden(round_: Round, record: Ref, ours: Unseen) -> dict[str, Value] | None:
    """The values that the image does not show yet; none once it shows our writes, or what came after them."""
    image = round_.view.join.shown.get(record)
    at = changed_at(round_.book, record, round_.view.join.shown)
    if image is None or at is None:
        return None
    ends = ours.seen if ours.told is None else max(ours.seen, ours.told)
    if at > ends:
        return None
    # Times are whole seconds: in that of our write, an image is from before it if it holds what was there before.
    sure = at < (ours.told if ours.told is not None else ours.seen)
    hidden = {
        name: values[0]
        for name, values in ours.fields.items()
        if not same(image.get(name), values[0]) and (sure or any(same(image.get(name), one) for one in values[1:]))
    }
    return hidden or ({} if sure else None)


def _instant(value: Value) -> int | None:
    try:
        return parse_instant(value) if isinstance(value, str) and value else None
    except ValueError:
        return None
