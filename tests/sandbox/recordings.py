"""Recordings of real Vtigers: reading them, seeding an emulator from them, and sending them again in order."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import requests

from sandbox.seed import CrmSeed, Seed
from sandbox.server import Crm, Sandbox
from sandbox.vtiger.native import tab_of
from sandbox.vtiger.tables import NUMBERS
from schemas.metadata import Tab, Team, User

BESIDE_THE_PROJECT = Path(__file__).parents[3] / "shared" / "crm" / "vtiger-recordings"
RECORDINGS = Path(os.environ.get("RENKEI_VTIGER_RECORDINGS", BESIDE_THE_PROJECT))
MISSING = "no recordings of a real Vtiger here: name their folder in RENKEI_VTIGER_RECORDINGS"
VERSIONS = ("8.3.0", "8.4.0")

FOREIGN_SESSIONS = frozenset({"null", "deadbeefdeadbeef"})
SESSIONS_OF_SAM = frozenset({"users-inactive"})
"""Recordings that begin with a session whose login was not recorded, and was not the administrator's."""

_ID = re.compile(r"(?<!\w)(\d+)x(\d+)(?!\d)")
_KEPT = frozenset(
    {
        "lastname",
        "company",
        "assigned_user_id",
        "subject",
        "activitytype",
        "accountname",
        "cf_int_l",
        "folderid",
    }
)
"""What is planted of a record that no recorded request made."""

_PAGES = 230
"""Leads called ``Page 000`` and so on, which lay there for the queries; some answers show ids alone."""

_TABLES = frozenset(str(number) for number in NUMBERS.values())
_TRIMMED = re.compile(r"\.\.\.\((?:trimmed, )?(\d+) char(?:acter)?s\)")


class Exchange(NamedTuple):
    """One recorded request and its answer."""

    file: str
    label: str
    at: int
    request: Mapping[str, Any]
    response: Mapping[str, Any]

    @property
    def parameters(self) -> Mapping[str, str]:
        """Those of query and form."""
        return {**(self.request.get("query") or {}), **(self.request.get("form") or {})}

    @property
    def operation(self) -> str:
        """Its name in lower case; empty where there is none."""
        return str(self.parameters.get("operation", "")).lower()

    @property
    def name(self) -> str:
        """The recording and the label."""
        return f"{self.file}: {self.label}"


def exchanges(version: str) -> list[Exchange]:
    """All exchanges with one Vtiger, in the order in which they happened; none where there are no recordings."""
    found = [
        Exchange(path.stem, row["label"], int(row["at_unix"] * 1000), row["request"], row["response"])
        for path in sorted((RECORDINGS / version).glob("*.jsonl"))
        for row in map(json.loads, path.read_text(encoding="utf-8").strip().split("\n"))
    ]
    return sorted(found, key=lambda one: one.at)


def result_of(exchange: Exchange) -> Any:
    """What a successful answer holds."""
    body = exchange.response.get("body")
    return body.get("result") if isinstance(body, dict) else None


def rows_of(result: Any) -> Iterator[dict[str, Any]]:
    """The records in an answer, wherever they are."""
    if isinstance(result, dict) and isinstance(result.get("id"), str):
        yield result
    elif isinstance(result, dict):
        yield from rows_of(result.get("updated"))
    elif isinstance(result, list):
        for one in result:
            yield from rows_of(one)


def recorded_seed(version: str) -> Seed:
    """A seed of the modules as the recorded Vtiger described them to its administrator."""
    asked = [one for one in exchanges(version) if one.file == "metadata"]
    native = {told["name"]: told for one in asked if one.operation == "describe" and (told := result_of(one))}
    labels = next(result_of(one) for one in asked if one.label == "listtypes")["information"]
    tabs = {name: Tab(name=name, label=told["label"]) for name, told in labels.items()}
    # Later descriptions tell of unique fields that were switched on meanwhile.
    later = [result_of(one) for one in exchanges(version) if one.operation == "describe" and result_of(one)]
    tabs |= {told["name"]: tab_of(told) for told in (*later, *native.values())}
    unique = {(told["name"], row["name"]) for told in later for row in told["fields"] if row.get("isunique")}
    tabs = {name: _with_unique(tab, unique) for name, tab in tabs.items()}
    relations = {one.parameters["elementType"]: result_of(one) for one in asked if one.operation == "relatedtypes"}
    users = (
        User(id="19x1", name="Administrator", email="admin@example.test", roles=("H2",)),
        User(id="19x5", name="Sam", email="sam@example.test", roles=("H5",)),
    )
    names = ((2, "Team Selling"), (3, "Marketing Group"), (4, "Support Group"))
    return Seed(
        vtiger=CrmSeed(
            integration_user="19x1", person="19x1", users=users, tabs=tabs, native=native,
            teams=tuple(Team(id=f"20x{n}", name=name, members=("19x5",) if n == 2 else ()) for n, name in names),
            relations={name: _labels(told) for name, told in relations.items()},
            records={"Currency": ({"id": "21x1"},), "DocumentFolders": ({"id": "22x1"},)},
            options={"version": version, "private": "Leads"},
        )
    )  # fmt: skip


def _with_unique(tab: Tab, unique: set[tuple[str, str]]) -> Tab:
    fields = {
        name: field.model_copy(update={"unique": (tab.name, name) in unique}) for name, field in tab.fields.items()
    }
    return tab.model_copy(update={"fields": fields})


def _labels(related: Mapping[str, Any]) -> dict[str, str]:
    return {label: told["name"] for label, told in related["information"].items()}


class Replay:
    """Sends recorded requests at their time, with today's ids and sessions, and learns both as it goes."""

    def __init__(self, sandbox: Sandbox, recorded: Sequence[Exchange]) -> None:
        self._crm = sandbox.vtiger
        self._clock = sandbox.clock
        self._http = requests.Session()
        self._numbers: dict[str, str] = {}
        self._sessions: dict[str, str] = {}
        self._tokens: dict[str, str] = {}
        self._newest: dict[str, str] = {}
        self._planted = _unrecorded(recorded)
        self._fields = {name: {*tab.fields} for name, tab in sandbox.seed.vtiger.tabs.items()}

    def send(self, exchange: Exchange, later: int = 0) -> requests.Response:
        """The emulator's answer to a recorded request, sent so many milliseconds later than then."""
        while self._planted and self._planted[0].at <= exchange.at:
            self._plant(self._planted.pop(0))
        self._clock.set(exchange.at)
        request = self._prepared(exchange)
        self._clock.set(exchange.at + later)
        answer = self._http.send(request, timeout=20)
        self._learn(exchange, answer)
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _prepared(self, exchange: Exchange) -> requests.PreparedRequest:
        request = exchange.request
        query, form = (self._today(exchange, request.get(part) or {}) for part in ("query", "form"))
        body = request.get("raw_body") or (urlencode(form) if form else None)
        kind = "application/json" if request.get("raw_body") else "application/x-www-form-urlencoded"
        headers = {"Content-Type": kind} if body else {}
        cookie = request["headers"].get("Cookie", "").removeprefix("PHPSESSID=")
        headers |= {"Cookie": f"PHPSESSID={self._session(exchange, cookie)}"} if cookie else {}
        url = f"{self._crm.url}/webservice.php"
        return requests.Request(request["method"], url, params=query, data=body, headers=headers).prepare()

    def _today(self, exchange: Exchange, parameters: Mapping[str, Any]) -> dict[str, str]:
        today = {key: _ID.sub(self._id, _untrimmed(str(value))) for key, value in parameters.items()}
        if "sessionName" in today:
            today["sessionName"] = self._session(exchange, today["sessionName"])
        if today.get("accessKey"):
            today["accessKey"] = self._proof(exchange, today)
        return today

    def _id(self, found: re.Match[str]) -> str:
        return found[0] if found[1] in _TABLES else f"{found[1]}x{self._numbers.get(found[2], found[2])}"

    def _session(self, exchange: Exchange, then: str) -> str:
        """Today's session for that of then; its login may not have been recorded."""
        collected = exchange.label.startswith("session file collected")  # the server knows it no more
        if then not in FOREIGN_SESSIONS and then not in self._sessions and not collected:
            self._sessions[then] = login(self._crm, "sam" if exchange.file in SESSIONS_OF_SAM else "admin")
        return self._sessions.get(then, then)

    def _proof(self, exchange: Exchange, today: Mapping[str, str]) -> str:
        """Today's answer to today's challenge, as right or wrong as it was then."""
        if any(sign in exchange.label for sign in ("wrong key", "password", "unknown user")):
            return today["accessKey"]
        label = "getchallenge A" if "token A" in exchange.label else today["username"].lower()
        proof = key_of(self._newest.get(label, ""), self._crm)
        return proof.upper() if "upper-case" in exchange.label else proof

    def _learn(self, exchange: Exchange, answer: requests.Response) -> None:
        then, now = result_of(exchange), _result(answer)
        if not isinstance(then, dict) or not isinstance(now, dict):
            return
        if exchange.operation == "getchallenge":
            for label in (exchange.label, exchange.parameters["username"].lower()):
                self._newest[label] = now["token"]
        elif exchange.operation == "login":
            self._sessions[then["sessionName"]] = now["sessionName"]
        elif exchange.operation == "create":
            self._numbers[_number(then["id"])] = _number(now["id"])
        elif exchange.operation == "convertlead":
            self._numbers |= {_number(then[tab]): _number(now[tab]) for tab in then if tab in now}

    def _plant(self, record: "Planted") -> None:
        """Add by hand what was in the recorded Vtiger, and was made by no recorded request."""
        self._clock.set(record.at)
        known = {name: value for name, value in record.fields.items() if name in _KEPT & self._fields[record.tab]}
        self._numbers[record.number] = _number(self._crm.insert(record.tab, known))


def login(crm: Crm, user: str) -> str:
    """A session of a user."""
    url = f"{crm.url}/webservice.php"
    asked = requests.get(url, params={"operation": "getchallenge", "username": user}, timeout=10).json()
    proof = key_of(asked["result"]["token"], crm)
    form = {"operation": "login", "username": user, "accessKey": proof}
    return str(requests.post(url, data=form, timeout=10).json()["result"]["sessionName"])


def key_of(token: str, crm: Crm) -> str:
    """The answer to a challenge."""
    return hashlib.md5((token + crm.credentials["access_key"]).encode()).hexdigest()


class Planted(NamedTuple):
    """A record that answers tell of and no recorded request made; ``at`` is when it was made at the latest."""

    number: str
    tab: str
    fields: Mapping[str, Any]
    at: int


def _unrecorded(recorded: Sequence[Exchange]) -> list[Planted]:
    """Such records in the order in which they were made."""
    prefixes = _prefixes(recorded)
    made = {_number(result_of(one)["id"]) for one in recorded if one.operation == "create" and result_of(one)}
    made |= {_number(i) for one in recorded if one.operation == "convertlead" for i in (result_of(one) or {}).values()}
    found: dict[str, Planted] = {}
    for exchange in recorded:
        for row in (*rows_of(result_of(exchange)), *_left_out(exchange)):
            prefix, _, number = row["id"].partition("x")
            if prefix in prefixes and number not in made:
                before = found.get(number) or Planted(number, prefixes[prefix], {}, exchange.at)
                at = min(before.at, _born(row) or before.at)
                found[number] = before._replace(fields={**row, **before.fields}, at=at)
    return _rising(sorted(_named(found).values(), key=lambda record: int(record.number)))


def _left_out(exchange: Exchange) -> Iterator[dict[str, Any]]:
    """Ids and times of rows that were left out of a recorded answer."""
    told = (exchange.response.get("trimmed") or {}).get("all_ids_and_times", ())
    return ({"id": record_id, "modifiedtime": time} for record_id, time in told)


def _named(found: dict[str, Planted]) -> dict[str, Planted]:
    """The leads that were made for the queries, whose answers leave out what they were asked by."""
    first = next(record for record in found.values() if record.fields.get("lastname") == "Page 000")
    for record in list(found.values()):
        if record.tab == "Leads" and "company" not in record.fields:
            found[record.number] = record._replace(fields={**record.fields, "company": "Quoting"})
    for index in range(_PAGES):
        number = str(int(first.number) + index)
        page = {"lastname": f"Page {index:03}", "company": "Page", "cf_int_l": index}
        found[number] = Planted(number, "Leads", page, found.get(number, first).at)
    return found


def _rising(records: Sequence[Planted]) -> list[Planted]:
    """The records in the order of their ids, none made later than those that follow."""
    latest, found = records[-1].at, []
    for record in reversed(records):
        latest = min(latest, record.at)
        found.append(record._replace(at=latest))
    return found[::-1]


def _prefixes(recorded: Sequence[Exchange]) -> dict[str, str]:
    described = (result_of(one) for one in recorded if one.operation == "describe")
    return {told["idPrefix"]: told["name"] for told in described if told and told["name"] not in NUMBERS}


def _born(row: Mapping[str, Any]) -> int:
    text = row.get("createdtime") or row.get("modifiedtime")
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000) if text else 0


def _untrimmed(text: str) -> str:
    """A parameter that was shortened in the recording, as long as it was."""
    found = _TRIMMED.search(text)
    if found is None:
        return text
    left, length = text[: found.start()], int(found[1])
    if left.startswith("{"):
        return left + left[-1] * (length - len(left) - 2) + '"}'
    return left[: left.rindex(",")] + ",'Page 000'" * ((length - len(left)) // 11) + ");"


def _number(record_id: str) -> str:
    return record_id.partition("x")[2]


def _result(answer: requests.Response) -> Any:
    body = body_of(answer)
    return body.get("result") if isinstance(body, dict) else None


def body_of(answer: requests.Response) -> Any:
    """The answer's JSON; none where it has none."""
    try:
        return answer.json()
    except ValueError:
        return None
