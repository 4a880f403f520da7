"""What the names of a template mean while it is rendered: records, related rows, steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from rules.criteria.scope import RelatedRow, Rows, Scope, Unknown
from schemas.values import Image, Value, is_empty


class View:
    """One rendering's look at a scope; it remembers whether it came across anything unknown (D-04)."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.unknown = False
        self._rows: dict[str, Rows] = {}

    def known(self, value: Value | Unknown) -> Value:
        """The value, with nothing for one that is empty or unknown; the latter is remembered."""
        if isinstance(value, Unknown):
            self.unknown = True
            return None
        return None if is_empty(value) else value

    def record(self, alias: str) -> Image:
        """The fields of the one record that an alias means, none for no record."""
        image = self.scope[alias]
        if isinstance(image, Unknown):
            self.unknown = True
            return {}
        return image or {}

    def rows(self, alias: str) -> Sequence[RelatedRow]:
        """The related rows of an alias; if some may be missing, that is remembered."""
        if alias not in self._rows:
            self._rows[alias] = self.scope.rows(alias)
        rows, complete = self._rows[alias]
        self.unknown = self.unknown or not complete
        return rows


class Row:
    """One record: its fields by name."""

    def __init__(self, view: View, image: Image) -> None:
        self._view = view
        self._image = image

    def __getitem__(self, field: str) -> Value:
        return self._view.known(self._image.get(field))


class Related(Sequence[object]):
    """What an alias means: the fields of its record by name, its related rows by number and in loops."""

    def __init__(self, view: View, alias: str) -> None:
        self._view = view
        self._alias = alias

    def __len__(self) -> int:
        return len(self._view.rows(self._alias))

    @overload
    def __getitem__(self, key: int | str) -> object: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[object]: ...
    def __getitem__(self, key: int | str | slice) -> object:
        if key == "size":
            return len(self)
        if key in ("first", "last"):
            key = 0 if key == "first" else -1
        if isinstance(key, str):
            return self._view.known(self._view.record(self._alias).get(key))
        rows = self._view.rows(self._alias)[key]
        return Row(self._view, rows.image) if isinstance(rows, RelatedRow) else rows


class Steps:
    """The earlier steps of a fire by name, each with its outputs by name (D-46)."""

    def __init__(self, view: View, step: str = "") -> None:
        self._view = view
        self._step = step

    def __getitem__(self, name: str) -> object:
        if not self._step:
            return Steps(self._view, name)
        return self._view.known(self._view.scope.value_of_step(self._step, name))
