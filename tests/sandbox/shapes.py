"""The shape of an answer: keys and JSON types, recursively; rows of a list together."""

from typing import Any, TypeAlias

Shape: TypeAlias = "dict[str, Shape] | list[Shape] | frozenset[str]"


def shape(value: Any) -> Shape:
    """Objects by their keys, lists by the merged shape of their items, anything else by its type."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_merged([shape(item) for item in value])] if value else []
    return frozenset({type(value).__name__})


def agree(then: Shape, now: Shape, *, in_part: bool = False) -> bool:
    """Whether two shapes are the same; of lists that are known ``in_part`` only what both show is compared."""
    if isinstance(then, dict) and isinstance(now, dict):
        return then.keys() == now.keys() and all(agree(then[name], now[name], in_part=in_part) for name in then)
    if isinstance(then, list) and isinstance(now, list):
        if in_part and not (then and now):
            return True
        return len(then) == len(now) and all(agree(*pair, in_part=in_part) for pair in zip(then, now, strict=True))
    if isinstance(then, frozenset) and isinstance(now, frozenset):
        return bool(then & now) if in_part else then == now
    return False


def _merged(shapes: list[Shape]) -> Shape:
    objects = [one for one in shapes if isinstance(one, dict)]
    if len(objects) == len(shapes):
        names = dict.fromkeys(name for one in objects for name in one)
        return {name: _merged([one[name] for one in objects if name in one]) for name in names}
    lists = [one for one in shapes if isinstance(one, list)]
    if len(lists) == len(shapes):
        items = [item for one in lists for item in one]
        return [_merged(items)] if items else []
    return frozenset(kind for one in shapes if isinstance(one, frozenset) for kind in one)
