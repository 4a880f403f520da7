"""Vtiger's operations by name: which verb carries the parameters, and what each does."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sandbox.store import Store
from sandbox.vtiger import describe, vtql
from sandbox.vtiger.changes import sync
from sandbox.vtiger.conversion import convert
from sandbox.vtiger.entity import Entity
from sandbox.vtiger.errors import BrokenDownError, RefusedError, denied
from sandbox.vtiger.records import Records
from sandbox.vtiger.relations import Relations
from sandbox.vtiger.sessions import VERSION, Sessions
from sandbox.vtiger.tables import Table
from schemas.codec import CodecError, from_json


class Installation(NamedTuple):
    """One Vtiger behind its doors."""

    store: Store
    entities: Mapping[str, Entity]
    tables: Mapping[str, Table]
    relations: Relations
    sessions: Sessions
    options: Mapping[str, str]

    @property
    def sources(self) -> Mapping[str, vtql.Source]:
        """All modules in Vtiger's order."""
        return {**self.entities, **self.tables}

    @property
    def version(self) -> str:
        """The release that it speaks like."""
        return self.options.get("version", "8.4.0")


class Call(NamedTuple):
    """One call of an operation by a user who is logged in."""

    at: Installation
    records: Records
    session: str
    parameters: Mapping[str, str]

    def text(self, name: str) -> str:
        """A parameter, empty where it is not given."""
        return self.parameters.get(name, "")

    @property
    def element(self) -> str | None:
        """The parameter of that name, as JSON text."""
        return self.parameters.get("element")

    def source(self, name: str) -> vtql.Source:
        """A module that the user may enter. Raises RefusedError."""
        source = self.at.sources.get(name)
        if source is None:
            raise denied(f"name : {name}")
        self.records.rights.enter(name)
        return source


def _login_again(call: Call) -> Any:
    user = call.records.rights.user
    return {"sessionName": call.session, "userId": user.id, **VERSION, "vtigerVersion": call.at.version}


def _logout(call: Call) -> Any:
    if call.at.version == "8.3.0":  # its parameter has another name than PHP 8 looks for
        raise BrokenDownError
    return call.at.sessions.logout(call.session)


def _list_types(call: Call) -> Any:
    asked = call.text("fieldTypeList")
    try:
        kinds = from_json(asked) if asked else None
    except CodecError:
        raise RefusedError("INTERNAL_SERVER_ERROR", "Unknown Error while processing request") from None
    return describe.list_types(_entered(call), kinds)


def _entered(call: Call) -> list[vtql.Source]:
    return [source for name, source in call.at.sources.items() if _may_enter(call, name)]


def _may_enter(call: Call, name: str) -> bool:
    try:
        call.records.rights.enter(name)
    except RefusedError:
        return False
    return True


def _related_types(call: Call) -> Any:
    name = call.text("elementType")
    if name not in call.at.entities:
        raise denied(f"name : {name}")
    return call.at.relations.types(name)


def _sync(call: Call) -> Any:
    if call.at.version == "8.3.0" or call.at.options.get("sync") == "stock":
        raise BrokenDownError
    return sync(call.records, call.text("modifiedTime"), call.text("elementType"), call.text("syncType"))


def _convert(call: Call) -> Any:
    if call.at.version == "8.3.0":
        raise BrokenDownError
    return convert(call.records, call.element)


def _add_related(call: Call) -> Any:
    return call.at.relations.add(call.records, call.text("sourceRecordId"), call.text("relatedRecordId"))


def _delete_related(call: Call) -> Any:
    return call.at.relations.remove(call.records, call.text("sourceRecordId"), call.text("relatedRecordId"))


def _retrieve_related(call: Call) -> Any:
    label = call.text("relatedLabel")
    return call.at.relations.retrieve(call.records, call.text("id"), call.text("relatedType"), label)


def _query_related(call: Call) -> Any:
    return call.at.relations.query(call.records, call.text("id"), call.text("relatedLabel"), call.text("query"))


Operation = tuple[str, Callable[[Call], Any]]

COMMON: Mapping[str, Operation] = {
    "listtypes": ("GET", _list_types),
    "describe": ("GET", lambda call: describe.describe(call.source(call.text("elementType")))),
    "relatedtypes": ("GET", _related_types),
    "retrieve": ("GET", lambda call: call.records.retrieve(call.text("id"))),
    "query": ("GET", lambda call: vtql.run(call.at.sources, call.text("query"), call.records.rights)),
    "sync": ("GET", _sync),
    "create": ("POST", lambda call: call.records.create(call.text("elementType"), call.element)),
    "update": ("POST", lambda call: call.records.update(call.element)),
    "revise": ("POST", lambda call: call.records.revise(call.element)),
    "delete": ("POST", lambda call: call.records.delete(call.text("id"))),
    "retrieve_related": ("GET", _retrieve_related),
    "query_related": ("GET", _query_related),
    "add_related": ("POST", _add_related),
    "convertlead": ("POST", _convert),
}
"""What both surfaces have: the verb whose parameters an operation reads, and what it does."""

OPEN_SOURCE: Mapping[str, Operation] = {
    **COMMON,
    "extendsession": ("POST", _login_again),
    "logout": ("POST", _logout),
}
"""The operations of webservice.php behind a login."""

CLOUD: Mapping[str, Operation] = {**COMMON, "delete_related": ("POST", _delete_related)}
"""What the cloud adds without tags, which ``sandbox.vtiger.cloud`` has."""
