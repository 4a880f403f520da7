"""Which scopes a Zoho connection lacks: each is asked for by a call that can change nothing."""

from collections.abc import Iterator, Mapping, Sequence

from connectors.answers import parsed, text
from connectors.base import Request, Send
from connectors.notices import URL
from connectors.zoho.rows import CHANGE_OWNER
from connectors.zoho.values import API
from connectors.zoho.verbs import json_request

_LACKS = frozenset({"OAUTH_SCOPE_MISMATCH", "NO_PERMISSION"})


def missing(send: Send, tabs: Sequence[str], options: Mapping[str, str]) -> list[str]:
    """The scopes that are missing, in Zoho's words. Raises NotSent or NoAnswer where it cannot be asked."""
    probes = [*_probes(tabs), *_optional(tabs, options)]
    found = (scope for scope, request in probes if _lacks(send, request))
    return list(dict.fromkeys(found))


def _optional(tabs: Sequence[str], options: Mapping[str, str]) -> Iterator[tuple[str, Request]]:
    """What is needed only where the connection's options ask for it."""
    if options.get(URL):
        yield "ZohoCRM.notifications.ALL", _get("/actions/watch", channel_id="1")
        yield "ZohoCRM.notifications.ALL", json_request("POST", f"{API}/actions/watch", {"watch": []})
    for tab in tabs[:1]:  # a mail without recipients reaches nobody; the scope is one for all modules
        yield "ZohoCRM.send_mail.all.CREATE", json_request("POST", f"{API}/{tab}/1/actions/send_mail", {"data": []})
    for tab in tabs if options.get(CHANGE_OWNER) == "true" else ():
        yield "ZohoCRM.change_owner.CREATE", json_request("POST", f"{API}/{tab}/actions/change_owner", {"ids": []})


def _probes(tabs: Sequence[str]) -> Iterator[tuple[str, Request]]:
    yield "ZohoCRM.settings.modules.READ", _get("/settings/modules")
    yield "ZohoCRM.users.READ", _get("/users", type="CurrentUser")
    yield "ZohoCRM.settings.user_groups.READ", _get("/settings/user_groups")
    for tab in tabs:
        query = f"select id from {tab} where id is not null limit 0, 1"  # noqa: S608
        yield "ZohoCRM.settings.fields.READ", _get("/settings/fields", module=tab)
        yield "ZohoCRM.coql.READ", json_request("POST", f"{API}/coql", {"select_query": query})
        yield f"ZohoCRM.modules.{tab}.READ", _get(f"/{tab}", fields="id", per_page="1")
        # A write without rows is refused for want of rows, but for want of the scope before that.
        for what, method in (("CREATE", "POST"), ("UPDATE", "PUT")):
            yield f"ZohoCRM.modules.{tab}.{what}", json_request(method, f"{API}/{tab}", {"data": []})
        yield f"ZohoCRM.modules.{tab}.DELETE", Request(method="DELETE", path=f"{API}/{tab}")


def _lacks(send: Send, request: Request) -> bool:
    response = send(request)
    answer = parsed(response)
    code = text(answer.get("code")) if isinstance(answer, dict) else ""
    return response.status in {401, 403} and code in _LACKS


def _get(path: str, **params: str) -> Request:
    return Request(method="GET", path=API + path, params=params)
