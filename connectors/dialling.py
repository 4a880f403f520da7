"""A first look at the way to a connection: its name, its addresses, whether somebody listens, until when it is trusted.

Nothing is sent but the greeting of TLS.
"""

import socket
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography.x509 import load_der_x509_certificate

from connectors.addresses import is_public

PORTS = {"http": 80, "https": 443, "smtp": 25, "smtps": 465}
PATIENCE = 10.0
"""Seconds for each step."""


class Dialled(NamedTuple):
    """What was found: nothing wrong, or the check that failed, why, and what to do; when the certificate ends (ms)."""

    problem: str = ""
    check: str = "address"
    next: str = ""
    ends_at: int | None = None


def dial(url: str, allow_private: bool) -> Dialled:
    """Look at the way to a url. Never raises."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        return Dialled("this is no url", next="Correct `url:` in renkei.yaml.")
    if parts.scheme == "http" and not allow_private:
        return Dialled("only https may be used", next="Write `https://…`, or `allow_private: true` if this is meant.")
    host = parts.hostname or ""
    try:
        with _connected(host, port) as plain:
            address = str(plain.getpeername()[0])
            if not allow_private and not is_public(address):
                hint = "Write `allow_private: true` if this is meant; else ask who answers for that name."
                return Dialled("it leads to a private address", next=hint)
            return _greeted(plain, host) if parts.scheme == "https" else Dialled()
    except socket.gaierror:
        return Dialled("there is no such name", next="Correct `url:` in renkei.yaml, or mend the name service.")
    except OSError as error:
        hint = "Check the address, the firewall and that the server runs."
        return Dialled(f"nobody answers at port {port} ({type(error).__name__})", next=hint)


def _connected(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=PATIENCE)


def _greeted(plain: socket.socket, host: str) -> Dialled:
    """Until when the certificate is good. Whether it is trusted is judged by the login, which uses the same rules."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with context.wrap_socket(plain, server_hostname=host) as secret:
            shown = secret.getpeercert(binary_form=True) or b""
    except (ssl.SSLError, OSError) as error:
        hint = "Check that this port speaks TLS."
        return Dialled(f"it does not speak TLS ({type(error).__name__})", "tls", hint)
    try:
        ends_at = load_der_x509_certificate(shown).not_valid_after_utc
    except ValueError:
        return Dialled("its certificate cannot be read", "tls", "Ask whoever runs that server.")
    return Dialled(ends_at=int(ends_at.timestamp() * 1000))
