"""Loopback ports that a server of the practice range finds free again when it is started anew."""

import random
import socket

_PORTS = range(20_000, 30_000)
"""Below those that outgoing connections get."""


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nobody listens on now; fewer than asked where there are no more."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            break
    return found


def is_free(port: int) -> bool:
    """Whether nobody listens on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
