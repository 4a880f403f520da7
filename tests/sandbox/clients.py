"""Thin HTTP clients of the three CRMs, written after the vendors' documents and not after the emulators."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import requests

from sandbox.server import Crm

TIMEOUT = 10


class ZohoClient:
    def __init__(self, crm: Crm) -> None:
        self.crm = crm
        self.session = requests.Session()
        self.login()

    def login(self) -> None:
        form = {**self.crm.credentials, "grant_type": "refresh_token"}
        answer = self.session.post(f"{self.crm.url}/oauth/v2/token", data=form, timeout=TIMEOUT)
        self.session.headers["Authorization"] = f"Zoho-oauthtoken {answer.json()['access_token']}"

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None, **params: object
    ) -> requests.Response:
        content = None if body is None else json.dumps(body)
        query: Any = params
        return self.session.request(
            method, f"{self.crm.url}/crm/v8{path}", data=content, params=query, headers=headers, timeout=TIMEOUT
        )

    def insert(self, module: str, *rows: Mapping[str, object]) -> list[str]:
        answer = self.call("POST", f"/{module}", {"data": list(rows)})
        return [row["details"]["id"] for row in answer.json()["data"]]

    def coql(self, text: str) -> requests.Response:
        return self.call("POST", "/coql", {"select_query": text})


class SalesforceClient:
    def __init__(self, crm: Crm) -> None:
        self.crm = crm
        self.session = requests.Session()
        self.login()

    def login(self) -> None:
        form = {**self.crm.credentials, "grant_type": "client_credentials"}
        answer = self.session.post(f"{self.crm.url}/services/oauth2/token", data=form, timeout=TIMEOUT)
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None, **params: object
    ) -> requests.Response:
        url = self.crm.url + (path if path.startswith("/services") else f"/services/data/v60.0{path}")
        query: Any = params
        return self.session.request(method, url, json=body, params=query, headers=headers, timeout=TIMEOUT)

    def query(self, text: str) -> list[dict[str, Any]]:
        answer = self.call("GET", "/query", q=text)
        assert answer.status_code == 200, answer.text
        records: list[dict[str, Any]] = answer.json()["records"]
        return records


class VtigerClient:
    def __init__(self, crm: Crm) -> None:
        self.crm = crm
        self.session = requests.Session()
        self.name = ""
        self.login()

    def login(self) -> None:
        user = self.crm.credentials["username"]
        token = self.raw("GET", operation="getchallenge", username=user).json()["result"]["token"]
        key = hashlib.md5((token + self.crm.credentials["access_key"]).encode()).hexdigest()
        answer = self.raw("POST", operation="login", username=user, accessKey=key).json()
        self.name = answer["result"]["sessionName"]

    def raw(self, method: str, **parameters: str) -> requests.Response:
        url = f"{self.crm.url}/webservice.php"
        if method == "GET":
            return self.session.get(url, params=parameters, timeout=TIMEOUT)
        return self.session.post(url, data=parameters, timeout=TIMEOUT)

    def get(self, operation: str, **parameters: str) -> Any:
        return self.raw("GET", operation=operation, sessionName=self.name, **parameters).json()

    def post(self, operation: str, **parameters: str) -> Any:
        return self.raw("POST", operation=operation, sessionName=self.name, **parameters).json()

    def create(self, module: str, **fields: object) -> dict[str, Any]:
        answer = self.post("create", elementType=module, element=json.dumps(fields))
        assert answer["success"], answer
        result: dict[str, Any] = answer["result"]
        return result

    def query(self, text: str) -> Any:
        return self.get("query", query=text)
