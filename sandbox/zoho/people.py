"""Zoho's endpoints of settings, users and groups."""

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request, Response

from sandbox.zoho import settings
from sandbox.zoho.desk import Desk
from sandbox.zoho.errors import missing_parameter
from sandbox.zoho.module import HIDDEN, LOCKS, Module


class People:
    """What Zoho says of itself and of those who use it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._locks = Module(desk.store, HIDDEN[LOCKS], ZoneInfo("UTC"))

    def routes(self) -> Iterable[tuple[str, str, Any]]:
        """Method, path and endpoint."""
        return (
            ("GET", "/settings/modules", self.modules),
            ("GET", "/settings/modules/{module}", self.one_module),
            ("GET", "/settings/fields", self.fields),
            ("GET", "/settings/related_lists", self.related_lists),
            ("GET", "/settings/user_groups", self.groups),
            ("GET", "/settings/emails/actions/from_addresses", self.from_addresses),
            ("GET", "/users", self.users),
            ("GET", "/org", self.organisation),
        )

    async def modules(self) -> Response:
        """``GET /settings/modules``."""
        self._ask("ZohoCRM.settings.modules.READ")
        return self._desk.reply(200, {"modules": [self._entry(module) for module in self._desk.modules.values()]})

    async def one_module(self, module: str) -> Response:
        """``GET /settings/modules/{module}``."""
        self._ask("ZohoCRM.settings.modules.READ")
        return self._desk.reply(200, {"modules": [self._entry(self._desk.module(module))]})

    async def fields(self, request: Request) -> Response:
        """``GET /settings/fields?module=``."""
        self._ask("ZohoCRM.settings.fields.READ")
        if "module" not in request.query_params:
            raise missing_parameter("module")
        name = request.query_params["module"]
        module = self._locks if name == LOCKS else self._desk.module(name)
        entries = [settings.field_entry(module, field, n) for n, field in enumerate(module.columns.values(), 1)]
        return self._desk.reply(200, {"fields": [*entries, settings.tag_entry(module)]})

    async def related_lists(self, request: Request) -> Response:
        """``GET /settings/related_lists?module=``: every other module can be linked to."""
        self._ask("ZohoCRM.settings.related_lists.READ")
        if "module" not in request.query_params:
            raise missing_parameter("module")
        module = self._desk.module(request.query_params["module"])
        others = [one for one in self._desk.modules.values() if one.name != module.name]
        entries = [settings.related_list_entry(one, number) for number, one in enumerate(others, 1)]
        return self._desk.reply(200, {"related_lists": entries})

    async def groups(self) -> Response:
        """``GET /settings/user_groups``."""
        self._ask("ZohoCRM.settings.user_groups.READ")
        groups = [settings.group_entry(team) for team in self._desk.store.metadata.teams]
        return self._desk.listed("user_groups", groups, {"count": len(groups), "more_records": False})

    async def from_addresses(self) -> Response:
        """``GET /settings/emails/actions/from_addresses``."""
        self._ask("ZohoCRM.settings.emails.READ")
        people = [user for user in self._desk.store.metadata.users if user.active]
        rows = [{"email": user.email, "user_name": user.name, "id": user.id, "type": "primary"} for user in people]
        return self._desk.reply(200, {"from_addresses": rows})

    async def users(self, request: Request) -> Response:
        """``GET /users``."""
        self._ask("ZohoCRM.users.READ")
        everyone, kind = self._desk.store.metadata.users, request.query_params.get("type", "AllUsers")
        if kind == "CurrentUser":
            everyone = tuple(user for user in everyone if user.id == self._desk.robot.user)
        elif kind in ("ActiveUsers", "DeactiveUsers"):
            everyone = tuple(user for user in everyone if user.active == (kind == "ActiveUsers"))
        entries = [settings.user_entry(user) for user in everyone]
        paging = {"per_page": 200, "count": len(entries), "page": 1, "more_records": False}
        return self._desk.listed("users", entries, paging)

    async def organisation(self) -> Response:
        """``GET /org``."""
        self._ask("ZohoCRM.org.READ")
        return self._desk.reply(200, {"org": [{"company_name": "Practice Range", "zgid": "60000000", "id": "1"}]})

    def _ask(self, scope: str) -> None:
        self._desk.allow(scope)
        self._desk.charge(1)

    def _entry(self, module: Module) -> dict[str, Any]:
        return settings.module_entry(module, list(self._desk.modules).index(module.name) + 1)
