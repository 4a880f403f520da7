"""``renkei sandbox``: the practice CRMs and their mail server, until stopped."""

import fcntl
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, gettempdir
from typing import Annotated

import typer
from rich.console import Console

from connectors.credentials import variable
from renkei.options import JsonOption, say_json, told
from renkei.planning import FaultsFile, plan_faults, read_faults
from renkei.printing import print_sandbox
from sandbox.hosting import Address
from sandbox.salesforce.tokens import USERNAME, private_key
from sandbox.seed import JOURNEY
from sandbox.server import Sandbox

Port = Annotated[int, typer.Option(help="Zoho's; the others follow. Free ports unless named.", show_default=False)]
HostName = Annotated[str, typer.Option("--host", help="Where to listen. Other machines cannot reach the loopback.")]
FaultFile = Annotated[
    Path | None, typer.Option("--faults", metavar="FILE", help="What shall go wrong, and when.", show_default=False)
]
SeedFile = Annotated[Path, typer.Option(metavar="FILE", help="Tabs, users and first records.", show_default=False)]
_KEY_FILE = "renkei-sandbox-"


def sandbox(
    port: Port = 0,
    host: HostName = "127.0.0.1",
    seed: SeedFile = JOURNEY,
    faults: FaultFile = None,
    as_json: JsonOption = False,
) -> None:
    """Serve practice CRMs (Zoho, Salesforce with its Pub/Sub API, Vtiger) and a mail server, until stopped."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with told(as_json):
        plan = read_faults(faults) if faults else FaultsFile(ahead={})
    with told(as_json), Sandbox(seed, address=Address(host, port)) as running, _key_file() as key:
        planned = plan_faults(running, plan)
        if as_json:
            assertion = {"username": USERNAME, "private_key": key}
            urls, secrets = _urls(running), variables(running)
            say_json({"urls": urls, "variables": secrets, "jwt_bearer": assertion, "faults": planned})
        else:
            _tell(Console(), running, planned, key)
        stopped.wait()


@contextmanager
def _key_file() -> Iterator[str]:
    """A file, until the end, that only its owner may read: the key of Salesforce logins by JWT."""
    _remove_left_ones()
    key = private_key()
    with NamedTemporaryFile("w", prefix=_KEY_FILE, suffix=".pem", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(key)
        file.flush()
        yield file.name


def _remove_left_ones() -> None:
    """Remove the key files of sandboxes that were killed: nobody locks them any more.

    One that is empty stays: its sandbox begins, and may not have locked it yet.
    """
    for path in Path(gettempdir()).glob(f"{_KEY_FILE}*.pem"):
        with suppress(OSError):  # it is in use, somebody else's, or gone
            if path.is_file():
                with path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if file.read(1):
                        path.unlink()


def _tell(console: Console, running: Sandbox, planned: list[str], key: str) -> None:
    print_sandbox(console, running)
    for line in planned:
        console.print(f"  goes wrong  {line}", soft_wrap=True, highlight=False, markup=False)
    console.print(
        "\nA project uses them with these variables, and allow_private: true in its connections:", soft_wrap=True
    )
    for name, value in variables(running).items():
        console.print(f"  {name}={value}", soft_wrap=True, highlight=False)
    console.print(f"\nSalesforce's login jwt_bearer: username {USERNAME}, private key in {key}", soft_wrap=True)
    console.print("\nStop it with Ctrl-C.")


def _urls(running: Sandbox) -> dict[str, str]:
    urls: dict[str, str] = {crm.kind: crm.url for crm in (running.zoho, running.salesforce, running.vtiger)}
    return {**urls, "pubsub": running.pubsub.url, "mail": f"smtp://{running.mail.host}:{running.mail.port}"}


def variables(running: Sandbox) -> dict[str, str]:
    """The practice credentials as a connection named after its CRM reads them; they open nothing else."""
    return {
        variable(crm.kind, name): value
        for crm in (running.zoho, running.salesforce, running.vtiger)
        for name, value in crm.credentials.items()
    }
