"""The Salesforce emulator over TLS, for clients that insist on it."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import requests
import trustme
import uvicorn
from requests.adapters import HTTPAdapter

from sandbox.clock import Clock
from sandbox.salesforce.emulator import Salesforce
from sandbox.seed import load_seed
from sandbox.server import Crm

LOGIN = "https://login.salesforce.com"


class Secured(NamedTuple):
    """A running emulator: its address, the file of the authority that signed its certificate, and its inside."""

    url: str
    authority: str
    emulator: Salesforce
    crm: Crm


class Elsewhere(HTTPAdapter):
    """Sends what is meant for the vendor's login host to the emulator: a client cannot be told another."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = (request.url or "").replace(LOGIN, self._url)
        return super().send(request, *args, **kwargs)


@contextmanager
def secured(folder: Path, seed: Mapping[str, Any]) -> Iterator[Secured]:
    """The emulator with a certificate for the loopback address, until the block ends."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    leaf.private_key_and_cert_chain_pem.write_to_path(folder / "leaf.pem")
    planted = load_seed(seed)
    emulator = Salesforce(planted.salesforce, Clock())
    crm = Crm("salesforce", emulator, planted.salesforce)
    config = uvicorn.Config(
        emulator.app, ws="none", lifespan="off", log_config=None, ssl_certfile=str(folder / "leaf.pem")
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield Secured(f"https://127.0.0.1:{listener.getsockname()[1]}", str(folder / "authority.pem"), emulator, crm)
        server.should_exit = True
        thread.join(10)


@contextmanager
def session_of(there: Secured) -> Iterator[requests.Session]:
    """A session that trusts the emulator's certificate and finds it under the vendor's login host too."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = there.authority
        session.mount(LOGIN, Elsewhere(there.url))
        yield session
