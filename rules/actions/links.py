"""Actions that tie two records together and take them apart: by a lookup field, or in a related list (D-49)."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from pydantic import Field, model_validator

from rules.actions.base import Action, AliasName, Asked, Do, Draft, Plan, Skip, StepContext, Unready
from rules.criteria.scope import Unknown
from rules.trees import ID
from schemas.values import Image, Ref, id_of, is_empty, same

Ends = tuple[tuple[Ref, Image], tuple[Ref, Image]]


class _Tie(Action):
    """``by`` is a lookup field of the near record, ``relation`` a list of the CRM that may hold many."""

    by: str | None = Field(None, description="The lookup field of the first.")
    relation: str | None = Field(None, description="A related list of the first, by its name in the CRM.")

    @model_validator(mode="after")
    def _one_way(self) -> "_Tie":
        if (self.by is None) == (self.relation is None):
            raise ValueError("two records are tied by one of `by`, a lookup field, or `relation`, a related list")
        return self

    @property
    def near(self) -> str:
        """The tab of the record that names the other."""
        return str(getattr(self, self.verb))

    @property
    def far(self) -> tuple[str, str]:
        """The key of the other tab, and that tab."""
        raise NotImplementedError

    def single(self) -> Iterator[tuple[str, str]]:
        """Both ends."""
        yield from ((self.verb, self.near), self.far)

    def written(self) -> Iterator[tuple[str, Iterable[str], bool]]:
        """The lookup field."""
        yield self.near, (self.by,) if self.by else (), False

    def asks(self) -> Iterator[Asked]:
        """Lists are not to be had everywhere."""
        if self.relation is not None:
            yield Asked(self.verb, self.near, self.verb)

    def plan(self, step: StepContext) -> Plan:
        """One write of the lookup field, or one command about the list."""
        near, far = step.bound(self.near), step.bound(self.far[1])
        if isinstance(near, Unknown) or isinstance(far, Unknown):
            return Unready()
        if near is None or far is None:
            return Skip(f"nothing to {self.verb}: no such record")
        target = step.target(self.near)
        if self.by is None:
            fields = {"relation": self.relation, "to": id_of(far[0])}
            return Do((Draft(target.connection, target.tab, self.verb, id_of(near[0]), fields),))
        return self._by_field(target.tab, (near, far), self.by)

    def _by_field(self, tab: str, ends: Ends, field: str) -> Plan:
        raise NotImplementedError


class Link(_Tie):
    """Ties one related record to another by a lookup field of the first, or puts it into a related list."""

    verb: ClassVar[str] = "link"
    link: AliasName = Field(description="The alias of the record that names the other.")
    to: AliasName = Field(description="The alias of the record that is named.")

    @property
    def far(self) -> tuple[str, str]:
        """What is named."""
        return "to", self.to

    def _by_field(self, tab: str, ends: Ends, field: str) -> Plan:
        """One write, if the field does not name the record already."""
        (near, image), (far, _) = ends
        if same(image.get(field), id_of(far)):
            return Skip("unchanged: they are linked already", {ID: id_of(near)})
        return Do((Draft(tab.partition(":")[0], tab, "update", id_of(near), {field: id_of(far)}),))


class Unlink(_Tie):
    """Takes two records apart: empties the lookup field if it names the other one, or takes that out of a list."""

    verb: ClassVar[str] = "unlink"
    unlink: AliasName = Field(description="The alias of the record that names the other.")
    from_: AliasName = Field(alias="from", description="The alias of the record that is named.")

    @property
    def far(self) -> tuple[str, str]:
        """What is named."""
        return "from", self.from_

    def _by_field(self, tab: str, ends: Ends, field: str) -> Plan:
        """One write, if the field names the record; it may name another one by now."""
        (near, image), (far, _) = ends
        if is_empty(image.get(field)) or not same(image.get(field), id_of(far)):
            return Skip("unchanged: they are not linked", {ID: id_of(near)})
        return Do((Draft(tab.partition(":")[0], tab, "update", id_of(near), {field: None}),))
