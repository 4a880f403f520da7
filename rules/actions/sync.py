"""Keeping two records alike, whichever of them is edited. Written under ``sync:`` of the file, not among actions."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple

from rules.actions.base import Action, Conflict, Do, Draft, Fail, Plan, Skip, StepContext, Unready
from rules.actions.conditional import unless_changed
from rules.criteria.scope import UNKNOWN, Unknown
from rules.merging import Clash, Pair, Policy, Side, Won, merge
from schemas.values import STAMP, Image, Ref, Value


class Seen(NamedTuple):
    """One of the two records as it is known."""

    ref: Ref
    image: Image
    modified: int

    def since(self, field: str) -> int:
        """When the field got its value, or at the latest."""
        at = self.image.get(STAMP + field)
        return at if isinstance(at, int) else self.modified


class Sync(Action):
    """Brings to each of two records what was changed on the other one, field by field."""

    verb: ClassVar[str] = "sync"
    left: str
    right: str
    pairs: dict[str, str]
    """The field of the right one by that of the left one."""
    policy: Policy = "newest"
    tie: Side = "left"
    trigger_native: bool = True

    @property
    def default_name(self) -> str:
        """Named after its verb."""
        return self.verb

    @property
    def on_condition(self) -> Conflict:
        """Who was overtaken gives way: the change that overtook it is on its way here, and is merged then."""
        return "theirs"

    def written(self) -> Iterator[tuple[str, Iterable[str], bool]]:
        """The fields of both."""
        yield self.left, tuple(self.pairs), False
        yield self.right, tuple(self.pairs.values()), False

    def plan(self, step: StepContext) -> Plan:
        """At most one write to each side, each only if its record is as it was seen."""
        left, right = self._seen(step, self.left), self._seen(step, self.right)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return Unready()
        if left is None or right is None:
            return Skip("nothing to sync: one of the two is not there")
        verdicts = self._verdicts(step, left, right)
        clashes = sorted(name for name, one in verdicts.items() if isinstance(one, Clash))
        if clashes:
            return Fail(f"both sides have changed {', '.join(clashes)} since they were alike")
        written = (self._draft(verdicts, left, right, "right"), self._draft(verdicts, right, left, "left"))
        drafts = [one for one in written if one is not None]
        if not drafts:
            return Skip("alike already")
        plan = unless_changed(step, drafts)
        return Do(plan.drafts, _told(verdicts, left, right)) if isinstance(plan, Do) else plan

    def _seen(self, step: StepContext, alias: str) -> Seen | Unknown | None:
        found = step.bound(alias)
        if found is None or isinstance(found, Unknown):
            return found
        at = step.modified(found[0])
        return UNKNOWN if isinstance(at, Unknown) else Seen(*found, at or 0)

    def _verdicts(self, step: StepContext, left: Seen, right: Seen) -> dict[str, Won | Clash]:
        base = step.agreed()
        found: dict[str, Won | Clash] = {}
        for name, other in self.pairs.items():
            mine, its = left.image.get(name), right.image.get(other)
            pair = Pair(mine, its, base.get(name, UNKNOWN), left.since(name), right.since(other))
            verdict = merge(pair, self.policy, self.tie)
            if verdict is not None:
                found[name] = verdict
        return found

    def _draft(self, verdicts: dict[str, Won | Clash], source: Seen, target: Seen, to: Side) -> Draft | None:
        """The write to one side of what the other one has won; none if that is nothing."""
        fields: dict[str, Value] = {}
        for name, verdict in verdicts.items():
            if isinstance(verdict, Won) and verdict.side != to:
                mine, its = (self.pairs[name], name) if to == "right" else (name, self.pairs[name])
                fields[mine] = source.image.get(its)
        tab, _, record_id = target.ref.partition("/")
        return Draft(
            tab.partition(":")[0], tab, "update", record_id, fields, part=target.ref, trigger_native=self.trigger_native
        ) if fields else None  # fmt: skip


def _told(verdicts: dict[str, Won | Clash], left: Seen, right: Seen) -> str:
    """What is said of fields that both sides had changed; no values."""
    by_side: dict[Side, list[str]] = {}
    for name, verdict in sorted(verdicts.items()):
        if isinstance(verdict, Won) and verdict.clash:
            by_side.setdefault(verdict.side, []).append(name)
    records = {"left": left.ref, "right": right.ref}
    told = [f"{', '.join(names)} as in {records[side]}" for side, names in by_side.items()]
    return f"both sides had changed: {'; '.join(told)}" if told else ""
