"""One practice range per test module, and a client for each CRM."""

from collections.abc import Iterator

import pytest

from sandbox.server import Sandbox
from tests.sandbox.clients import SalesforceClient, VtigerClient, ZohoClient


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def zoho(sandbox: Sandbox) -> Iterator[ZohoClient]:
    client = ZohoClient(sandbox.zoho)
    with client.session:
        yield client


@pytest.fixture(scope="module")
def salesforce(sandbox: Sandbox) -> Iterator[SalesforceClient]:
    client = SalesforceClient(sandbox.salesforce)
    with client.session:
        yield client


@pytest.fixture(scope="module")
def vtiger(sandbox: Sandbox) -> Iterator[VtigerClient]:
    client = VtigerClient(sandbox.vtiger)
    with client.session:
        yield client
