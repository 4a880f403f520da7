"""The client of Salesforce's Pub/Sub API: a channel to a public address, schemas by id, and one subscription.

Facts: the vendor's Pub/Sub API guide. A subscription is pulled: nothing comes that was not asked for.
"""

import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import grpc

from connectors.addresses import is_public
from connectors.base import AuthenticationFailed, NotSent
from connectors.capture import CaptureFailed
from connectors.salesforce.events import EventSchema
from schemas import eventbus

URL = "https://api.pubsub.salesforce.com:7443"
MOST = 100
"""Events that may be asked for at once."""

SILENCE = 330.0
"""Seconds after which a subscription counts as dead: the service says something every 270 at the latest."""

_TIMEOUT = 15.0
_LARGEST = 16 * 2**20
_WORDS = re.compile(r"[\w.]{1,80}")


class Lost(Exception):  # noqa: N818
    """The replay id is too old or no longer valid: what happened since is not told any more."""


class Proof(NamedTuple):
    """What every call carries: the access token, the address of the organisation, and its id."""

    token: str
    instance: str
    organisation: str

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """As gRPC sends it."""
        return (("accesstoken", self.token), ("instanceurl", self.instance), ("tenantid", self.organisation))


class Batch(NamedTuple):
    """What the service sent at once: events (id, schema id, payload, replay id) and the newest replay id."""

    events: list[tuple[str, str, bytes, bytes]]
    latest: bytes


def dial(url: str, allow_private: bool, roots: bytes | None = None) -> grpc.Channel:
    """A channel to the service. Raises NotSent: no such name, a private address, or no TLS."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    if not parts.hostname or not (secure or (parts.scheme == "http" and allow_private)):
        raise NotSent("Pub/Sub: only https may be used; check the option pubsub_url")
    # The address that was looked at is the one that is dialled: a name may lead elsewhere at the next look.
    target = _address(parts.hostname, parts.port or (7443 if secure else 80), allow_private)
    options: list[tuple[str, Any]] = [
        ("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", _LARGEST),
        ("grpc.service_config_disable_resolution", 1),
    ]  # fmt: skip
    if not secure:
        return grpc.insecure_channel(target, options)
    named = [("grpc.ssl_target_name_override", parts.hostname), ("grpc.default_authority", parts.netloc)]
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), [*options, *named])


def _address(host: str, port: int, allow_private: bool) -> str:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise NotSent(f"Pub/Sub: {host} has no address") from None
    number = str(address[0])
    if not (allow_private or is_public(number)):
        raise NotSent("Pub/Sub: a private address; set allow_private if this is meant")
    return f"ipv6:[{number}]:{port}" if family == socket.AF_INET6 else f"ipv4:{number}:{port}"


class Bus:
    """The service as one capture uses it; ``open_channel`` dials, ``proof`` tells who we are. Not thread-safe."""

    def __init__(self, open_channel: Callable[[], grpc.Channel], proof: Callable[[], Proof]) -> None:
        self._open, self._proof = open_channel, proof
        self._channel: grpc.Channel | None = None
        self._schemas: dict[str, EventSchema] = {}

    def schema(self, schema_id: str) -> EventSchema:
        """A schema, asked for once. Raises NotSent, CaptureFailed or Unreadable."""
        if schema_id not in self._schemas:
            told = self._call("GetSchema", "SchemaRequest", "SchemaInfo", schema_id=schema_id)
            self._schemas[schema_id] = EventSchema(told.schema_json)
        return self._schemas[schema_id]

    def refuses(self, topic: str) -> str:
        """Why nobody here may subscribe to a topic; empty where we may. Raises NotSent."""
        try:
            told = self._call("GetTopic", "TopicRequest", "TopicInfo", topic_name=topic)
        except CaptureFailed as refused:
            return str(refused)
        return (
            "" if told.can_subscribe else "the login may not subscribe to its change events: give it 'View All' on it"
        )

    def subscribe(self, topic: str, replay: bytes) -> "Subscription":
        """The events after a replay id; without one, those from now on."""
        call = self._reach().stream_stream(
            eventbus.method("Subscribe"),
            request_serializer=eventbus.message("FetchRequest").SerializeToString,
            response_deserializer=eventbus.message("FetchResponse").FromString,
        )
        return Subscription(call, self._proof().metadata(), topic, replay)

    def close(self) -> None:
        """Let go of the connection; the next call dials anew."""
        if self._channel is not None:
            self._channel.close()
        self._channel = None

    def _reach(self) -> grpc.Channel:
        if self._channel is None:
            self._channel = self._open()
        return self._channel

    def _call(self, method: str, request: str, response: str, **fields: str) -> Any:
        call = self._reach().unary_unary(
            eventbus.method(method),
            request_serializer=eventbus.message(request).SerializeToString,
            response_deserializer=eventbus.message(response).FromString,
        )
        try:
            return call(eventbus.message(request)(**fields), timeout=_TIMEOUT, metadata=self._proof().metadata())
        except grpc.RpcError as error:
            raise refusal(error) from None


class Subscription:
    """One subscription; a thread takes what arrives, and no more arrives than was asked for."""

    def __init__(self, call: Any, metadata: tuple[tuple[str, str], ...], topic: str, replay: bytes) -> None:
        self._asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._arrived: queue.SimpleQueue[Batch | grpc.RpcError] = queue.SimpleQueue()
        self._first = {"topic_name": topic, "replay_preset": eventbus.LATEST}
        if replay:
            self._first |= {"replay_preset": eventbus.CUSTOM, "replay_id": replay}
        self._open = 0
        self._heard = time.monotonic()
        self._stream = call(iter(self._asked.get, None), metadata=metadata)
        threading.Thread(target=self._take, daemon=True, name="pubsub").start()

    def ask(self, number: int) -> None:
        """Ask for events, so that this many may come."""
        more = number - self._open
        if more > 0:
            self._asked.put(eventbus.message("FetchRequest")(num_requested=more, **self._first))
            self._first, self._open = {}, number

    def take(self, wait: float) -> list[Batch]:
        """What has arrived; where nothing has, what arrives within some seconds.

        Raises NotSent, CaptureFailed or Lost: the subscription is over.
        """
        batches: list[Batch] = []
        if time.monotonic() - self._heard > SILENCE:
            raise NotSent("Pub/Sub: the subscription fell silent, so it is opened anew")
        for batch in self._waiting(wait):
            self._heard = time.monotonic()
            if isinstance(batch, grpc.RpcError):
                if batches:
                    self._arrived.put(batch)
                    break
                raise refusal(batch)
            batches.append(batch)
            self._open -= len(batch.events)
        return batches

    def close(self) -> None:
        """End the subscription."""
        self._asked.put(None)
        self._stream.cancel()

    def _waiting(self, wait: float) -> Iterator[Batch | grpc.RpcError]:
        try:
            yield self._arrived.get(timeout=wait)
            while True:
                yield self._arrived.get_nowait()
        except queue.Empty:
            return

    def _take(self) -> None:
        try:
            for told in self._stream:
                self._arrived.put(_batch(told))
        except grpc.RpcError as error:
            self._arrived.put(error)
        else:
            self._arrived.put(_Ended())


class _Ended(grpc.RpcError):
    """The service ended the subscription without an error."""


def _batch(told: Any) -> Batch:
    events = [(one.event.id, one.event.schema_id, one.event.payload, one.replay_id) for one in told.events]
    return Batch(events, events[-1][3] if events else told.latest_replay_id)


def refusal(error: grpc.RpcError) -> Exception:
    """What an error of the service means: a new login, waiting, starting over, or something for the operator."""
    status = error.code() if isinstance(error, grpc.Call) else None
    trailing: Any = error.trailing_metadata() if isinstance(error, grpc.Call) else None
    told = next((str(value) for key, value in trailing or () if key == "error-code"), "").removeprefix(eventbus.ERROR)
    code = told if _WORDS.fullmatch(told) else ""
    name = code or (status.name.lower() if status is not None else "the stream ended")
    if status is grpc.StatusCode.UNAUTHENTICATED or code == "service.auth.error":
        return AuthenticationFailed(f"Pub/Sub refused the login ({name}); renew the connection's credentials")
    if code.startswith("subscription.fetch.replayid"):
        return Lost(name)
    if status in _FOR_THE_OPERATOR:
        hint = "select the object for Change Data Capture, or set the option capture to polling"
        return CaptureFailed(f"Pub/Sub refused the subscription ({name}): {hint}")
    return NotSent(f"Pub/Sub is not available ({name})")


_FOR_THE_OPERATOR = frozenset(
    {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT}
)
