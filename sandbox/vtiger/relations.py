"""Related records: labels, links between any two records, and the lookups that point here."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.store import Row
from sandbox.vtiger import vtql
from sandbox.vtiger.entity import Entity
from sandbox.vtiger.errors import RefusedError, denied
from sandbox.vtiger.records import Records
from sandbox.vtiger.values import record_number, split_id

PAGE = 100
_FROM = re.compile(r"\bfrom\s+(\w+)", re.IGNORECASE)


class Relations:
    """Which records are linked, and by which labels the modules name each other."""

    def __init__(self, entities: Mapping[str, Entity], labels: Mapping[str, Mapping[str, str]]) -> None:
        self._entities = entities
        self._labels = labels
        self._links: dict[frozenset[int], None] = {}

    def labels(self, name: str) -> Mapping[str, str]:
        """The related lists of a module, label to module: the seed's, or those of its lookups."""
        if name in self._labels:
            return self._labels[name]
        every = self._entities.values()
        looking = [one for one in every if any(name in field.refers_to for field in one.fields.values())]
        return {one.tab.label or one.name: one.name for one in looking}

    def types(self, name: str) -> dict[str, Any]:
        """The result of ``relatedtypes``."""
        labels = self.labels(name)
        told = {label: {"name": module, "label": label, "isEntity": "1"} for label, module in labels.items()}
        return {"types": list(labels.values()), "information": told}

    def add(self, records: Records, source: str, related: str) -> dict[str, Any]:
        """Link two records. Vtiger looks at the source alone: label and target may be anything."""
        _, number = split_id(source)
        entity = next((one for one in self._entities.values() if one.store.row(one.name, source)), None)
        if entity is None:
            raise RefusedError("INTERNAL_SERVER_ERROR", "Unknown Error while processing request")
        _, other = split_id(related)
        records.rights.enter(entity.name)
        self._links[frozenset((number, other))] = None
        records.store.update(entity.name, source, {}, records.actor)
        return {"message": "successfull"}

    def remove(self, records: Records, source: str, related: str) -> dict[str, Any]:
        """Take a link away (the cloud's operation); one that is not there is no error."""
        records.row(source)
        records.row(related)
        self._links.pop(frozenset((record_number(source), record_number(related))), None)
        return {"message": "successfull"}

    def retrieve(self, records: Records, record_id: str, related_type: str, label: str) -> list[dict[str, Any]]:
        """The related records under a label, at most 100."""
        row = self._of(records, record_id)
        if self.labels(row.tab).get(label) != related_type:
            raise _no_relation()
        entity = self._entities.get(related_type)
        rows = list(self._related(row, entity))[:PAGE] if entity else []
        return [entity.render_row(one) for one in rows] if entity else []

    def query(self, records: Records, record_id: str, label: str, text: str) -> list[dict[str, Any]]:
        """A query over related records alone; its text has no semicolon, and its WHERE is written in capitals."""
        row = self._of(records, record_id)
        named = _FROM.search(text)
        module = self.labels(row.tab).get(label, "")
        if ";" in text or named is None or named[1] != module or module not in self._entities:
            raise _no_relation()
        if re.search(r"\bwhere\b|\border\b|\blimit\b", text):
            raise RefusedError("QUERY_SYNTAX_ERROR", "Syntax Error on line 1: token 'WHERE' Unexpected WHERE(WHERE)")
        ids = {one.id for one in self._related(row, self._entities[module])}
        return [found for found in vtql.run(self._entities, f"{text};", records.rights) if found["id"] in ids]

    def _of(self, records: Records, record_id: str) -> Row:
        try:
            return records.row(record_id)[1]
        except RefusedError as refused:
            missing = refused.message == denied().message
            raise (denied("name : ") if missing else refused) from None

    def _related(self, row: Row, entity: Entity) -> Iterator[Row]:
        number = record_number(row.id)
        for other in entity.rows():
            pair = frozenset((number, record_number(other.id)))
            if pair in self._links or row.id in _lookups(other, entity) or other.id in self._lookups_of(row):
                yield other

    def _lookups_of(self, row: Row) -> set[object]:
        return _lookups(row, self._entities[row.tab])


def _lookups(row: Row, entity: Entity) -> set[object]:
    return {row.fields.get(name) for name, field in entity.fields.items() if field.type == "lookup"}


def _no_relation() -> RefusedError:
    return RefusedError("UNKOWN_ENTITY", "Relation specified is incorrect")
