"""What a model found wrong, laid over the file: each finding at its path, one member per union."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from pydantic import ValidationError

from rules.document import Document, Node, Path
from rules.model_fields import Located

_Labels: TypeAlias = tuple[tuple[Path, str], ...]
"""Union members on the way: the path where a choice was, and the label of the member."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One error of a model: its type in pydantic's words, where it is, and what belongs to it.

    ``path`` leads to the value, or for a missing key to the mapping that lacks it. ``key`` marks a finding
    about the key itself. ``expected`` are the types of the members, where none of a union's fits.
    """

    type: str
    path: Path
    location: Located
    value: object = None
    context: dict[str, object] = field(default_factory=dict)
    message: str = ""
    missing: tuple[str, ...] = ()
    key: bool = False
    labels: _Labels = ()
    expected: tuple[str, ...] = ()

    @property
    def wrong_kind(self) -> bool:
        """Whether the value is of a kind that this member of a union can never be."""
        return self.type.endswith("_type") or (self.type == "literal_error" and not isinstance(self.value, str))


def findings_of(error: ValidationError, document: Document, at: Path = ()) -> list[Finding]:
    """The findings of a validation of the value at a path, one member per union chosen."""
    root = document.node(at) or document.root
    found = (_finding(dict(one), root, at) for one in error.errors(include_url=False))
    return list(_settle(list(found), level=0))


def _finding(error: dict[str, object], root: Node, at: Path) -> Finding:
    location = error["loc"]
    assert isinstance(location, tuple)
    kind, context = str(error["type"]), error.get("ctx")
    key = kind == "extra_forbidden" or location[-1:] == ("[key]",)
    missing = (str(location[-1]),) if kind == "missing" else ()
    walked = location[:-1] if missing or location[-1:] == ("[key]",) else location
    path, labels = _align(root, walked, at)
    if missing and len(path) > len(at) and not _is_mapping(root, path[len(at) :]):
        # A union's tag that is a key too: the mapping with the key lacks something, not the key's value.
        path = path[:-1]
    return Finding(
        type=kind,
        path=path,
        location=location[:-1] if missing or key else location,
        value=error.get("input"),
        context=dict(context) if isinstance(context, dict) else {},
        message=str(error.get("msg", "")),
        missing=missing,
        key=key,
        labels=labels,
    )


def _align(node: Node | None, location: Located, path: Path) -> tuple[Path, _Labels]:
    """The path of the file that a location means: the one that takes most of its steps; the rest are labels.

    Of two equally long ones it is the one that takes the last step: a label stands before what it labels.
    """
    if not location:
        return path, ()
    head, rest = location[0], location[1:]
    step = _step(node, head)
    options: list[tuple[Path, _Labels]] = []
    if node and step is not None:
        options.append(_align(node.child(step), rest, (*path, step)))
        if not options[0][1]:
            return options[0]
    passed, labels = _align(node, rest, path)
    options.append((passed, ((path, str(head)), *labels)))
    return max(options, key=lambda one: (len(one[0]), _ends_in(one, location)))


def _ends_in(aligned: tuple[Path, _Labels], location: Located) -> bool:
    return aligned[0][-1:] == location[-1:]


def _is_mapping(root: Node, path: Path) -> bool:
    node: Node | None = root
    for step in path:
        node = node.child(step) if node else None
    return node is not None and node.keys is not None


def _step(node: Node | None, step: str | int) -> str | int | None:
    if node is None or not node.children:
        return None
    if isinstance(step, str) and step not in node.children and step.isdecimal():
        step = int(step[:9])
    return step if step in node.children else None


def _settle(found: list[Finding], level: int) -> Iterator[Finding]:
    """Of the findings with a union at this level, those of the member that was meant."""
    chosen = [one for one in found if len(one.labels) > level]
    yield from (one for one in found if len(one.labels) <= level)
    for there in _grouped(chosen, lambda one: one.labels[level][0]).values():
        members = list(_grouped(there, lambda one: one.labels[level][1]).values())
        yield from _choose(members, there[0].labels[level][0], level)


def _choose(members: list[list[Finding]], point: Path, level: int) -> Iterator[Finding]:
    fitting = [one for one in members if not any(f.wrong_kind and f.path == point for f in one)]
    fewest = min((len(one) for one in fitting), default=0)
    best = [one for one in fitting if len(one) == fewest]
    if len(best) == 1:
        yield from _settle(best[0], level + 1)
    elif best:
        yield from _shared(best, point, level)
    else:
        first = members[0][0]
        yield replace(first, type="no_member", path=point, key=False, expected=_expected(members))


def _shared(members: list[list[Finding]], point: Path, level: int) -> Iterator[Finding]:
    """What all members of a union that could be meant find wrong; if nothing, that each misses something."""
    common = set.intersection(*({(f.type, f.path) for f in one} for one in members))
    shared = [f for f in members[0] if (f.type, f.path) in common and f.type != "missing"]
    names = tuple(dict.fromkeys(name for one in members for f in one for name in f.missing))
    if shared:
        # Any of the members may be meant: their keys are asked for at the place of the union itself.
        yield from (replace(f, location=f.location[: _depth(f, point)]) for f in shared)
    elif names:
        yield replace(members[0][0], type="missing", path=point, key=False, missing=names)
    else:
        yield from _settle(members[0], level + 1)


def _depth(finding: Finding, point: Path) -> int:
    """How many steps of a location lead to the union at a point."""
    label = next(label for path, label in finding.labels if path == point)
    return finding.location.index(label) if label in finding.location else len(finding.location)


def _expected(members: list[list[Finding]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f.type for one in members for f in one if f.wrong_kind))


def _grouped(found: Iterable[Finding], mark: Callable[[Finding], Hashable]) -> dict[Hashable, list[Finding]]:
    groups: dict[Hashable, list[Finding]] = {}
    for one in found:
        groups.setdefault(mark(one), []).append(one)
    return groups
