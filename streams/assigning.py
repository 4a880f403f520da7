"""Who gets which partition numbers: even shares, and members keep what they have as far as their share goes.

All topics of one number go to the same member, so that its stages find their state and each other.
"""

from collections.abc import Mapping

import msgspec

from schemas.codec import CodecError, Unpacker


class Claim(msgspec.Struct, array_like=True, frozen=True):
    """What a member says when it joins: the numbers that it has state for."""

    numbers: tuple[int, ...] = ()


_unpack: Unpacker[Claim] = Unpacker(Claim)


def read_claim(content: bytes) -> Claim:
    """A member's claim; of one that says nothing readable, none."""
    try:
        return _unpack(content)
    except CodecError:
        return Claim()


def assigned(count: int, claims: Mapping[str, Claim]) -> dict[str, set[int]]:
    """The numbers below ``count`` shared out among the members; shares differ by one at most."""
    members = sorted(claims)
    shares: dict[str, set[int]] = {member: set() for member in members}
    if not members:
        return shares
    least, more = divmod(count, len(members))
    free = set(range(count))
    for member in sorted(members, key=lambda one: (-len(claims[one].numbers), one)):
        most = least + (1 if more else 0)
        kept = sorted(free & set(claims[member].numbers))[:most]
        more -= len(kept) > least
        shares[member].update(kept)
        free -= set(kept)
    for number in sorted(free):
        member = min(members, key=lambda one: (len(shares[one]), one))
        shares[member].add(number)
    return shares
