"""The few bytes of Kafka's protocol that tell whether a broker answers."""

import socket
import struct

_METADATA, _VERSION = 3, 1
_CLIENT = b"renkei-sandbox"


def members(port: int, limit: float = 2.0) -> frozenset[int]:
    """The numbers of the nodes that the broker on a loopback port knows to be up; none if it does not answer.

    One Metadata request of version 1, about no topic (Kafka protocol guide). ``limit`` is in seconds.
    """
    header = struct.pack(">hhih", _METADATA, _VERSION, 1, len(_CLIENT)) + _CLIENT
    request = header + struct.pack(">i", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=limit) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = _exactly(connection, struct.unpack(">i", _exactly(connection, 4))[0])
        return _nodes(answer)
    except (OSError, struct.error):
        return frozenset()


def _nodes(answer: bytes) -> frozenset[int]:
    """The node ids of a Metadata answer: correlation id, then per broker id, host, port and rack."""
    (count,) = struct.unpack_from(">i", answer, 4)
    found, at = set[int](), 8
    for _ in range(count):
        node, host = struct.unpack_from(">ih", answer, at)
        at += 6 + host + 4
        (rack,) = struct.unpack_from(">h", answer, at)
        at += 2 + max(rack, 0)
        found.add(node)
    return frozenset(found)


def _exactly(connection: socket.socket, count: int) -> bytes:
    taken = b""
    while len(taken) < count:
        part = connection.recv(count - len(taken))
        if not part:
            raise ConnectionResetError("the broker closed the connection")
        taken += part
    return taken
