"""Salesforce's Pub/Sub API over gRPC: topics, schemas and subscriptions to change events (sheet 3.2)."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, NoReturn, Protocol
from uuid import uuid4

import grpc

from sandbox.hosting import LOOPBACK, Address
from sandbox.salesforce.changes import ChangeLog, Shape, Told, event_name
from sandbox.salesforce.tokens import ORGANISATION, Tokens
from sandbox.store import Store
from schemas import eventbus

MOST = 100
"""Events that one request may ask for."""
ALL = "/data/ChangeEvents"
_LOOK_EVERY = 0.05
_CLIENTS = 32


class Organisation(Protocol):
    """What the service needs of the emulator."""

    store: Store
    tokens: Tokens
    changes: ChangeLog


class Refusal(NamedTuple):
    """An error as the service tells it: gRPC's status, the vendor's own code, and words."""

    status: grpc.StatusCode
    code: str
    text: str


_BAD_LOGIN = Refusal(grpc.StatusCode.UNAUTHENTICATED, "service.auth.error", "Authentication error")
_BAD_HEADERS = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "service.auth.headers.invalid", "Invalid auth headers")
_NO_TOPIC = Refusal(grpc.StatusCode.NOT_FOUND, "topic.not.found", "The topic is not there")
_NO_SCHEMA = Refusal(grpc.StatusCode.NOT_FOUND, "schema.not.found", "The schema is not there")
_BAD_NUMBER = Refusal(
    grpc.StatusCode.INVALID_ARGUMENT, "subscription.fetch.requested.events.invalid", "1 to 100 events"
)
_NO_REPLAY = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "subscription.fetch.replayid.validation.failed", "no replay id")
_BAD_REPLAY = Refusal(
    grpc.StatusCode.INVALID_ARGUMENT, "subscription.fetch.replayid.corrupted", "The replay id is not valid"
)


class PubSub:
    """The service; ``keep_alive`` and ``patience`` are seconds: between empty answers, and until a stream that is
    asked for nothing ends. ``broken`` is what the next calls are refused with, if anything."""

    def __init__(self, organisation: Organisation) -> None:
        self._store, self._tokens = organisation.store, organisation.tokens
        self.log = organisation.changes
        self._schemas = {shape.id: shape for shape in self.log.shapes.values()}
        self._topics = {f"/data/{event_name(name)}": shape for name, shape in self.log.shapes.items()}
        self.keep_alive, self.patience = 270.0, 60.0
        self.broken: list[Refusal] = []

    def service(self) -> grpc.GenericRpcHandler:
        """The service as gRPC hosts it."""
        return grpc.method_handlers_generic_handler(
            eventbus.SERVICE,
            {
                "GetTopic": _unary(self.topic, "TopicRequest", "TopicInfo"),
                "GetSchema": _unary(self.schema, "SchemaRequest", "SchemaInfo"),
                "Subscribe": _stream(self.subscribe, "FetchRequest", "FetchResponse"),
            },
        )

    def topic(self, request: Any, context: grpc.ServicerContext) -> Any:
        """``GetTopic``."""
        self._admit(context)
        shape = self._shape(request.topic_name, context)
        return eventbus.message("TopicInfo")(
            topic_name=request.topic_name, tenant_guid=f"core/test/{ORGANISATION}", can_publish=False,
            can_subscribe=True, schema_id="" if shape is None else shape.id, rpc_id=str(uuid4()),
        )  # fmt: skip

    def schema(self, request: Any, context: grpc.ServicerContext) -> Any:
        """``GetSchema``."""
        self._admit(context)
        shape = self._schemas.get(request.schema_id)
        if shape is None:
            _abort(context, _NO_SCHEMA)
        return eventbus.message("SchemaInfo")(schema_json=shape.text, schema_id=shape.id, rpc_id=str(uuid4()))

    def subscribe(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """``Subscribe``: events as they are asked for, and an empty answer where nothing happens for long."""
        token = self._admit(context)
        first = next(requests, None)
        if first is None:
            return
        shape = self._shape(first.topic_name, context)
        flow = _Flow(self._store.changed, self._start(first, context), token)
        if not flow.ask(first):
            _abort(context, _BAD_NUMBER)
        threading.Thread(target=flow.read, args=(requests,), daemon=True).start()
        tab = "" if shape is None else shape.sobject.name
        quiet = time.monotonic()
        while context.is_active() and not flow.is_over(time.monotonic() - quiet > self.patience):
            self._check(flow, context)
            events = self.log.after(flow.position, tab, flow.left) if flow.left else []
            if events or (flow.left and time.monotonic() - quiet > self.keep_alive):
                quiet = time.monotonic()
                yield self._answer(flow, events)
            else:
                flow.wait()

    def _answer(self, flow: "_Flow", events: list[Told]) -> Any:
        flow.position = events[-1].replay if events else self.log.latest()
        flow.left -= len(events)
        return eventbus.message("FetchResponse")(
            events=[_event(event) for event in events], latest_replay_id=_bytes(flow.position), rpc_id=str(uuid4()),
            pending_num_requested=flow.left,
        )  # fmt: skip

    def _start(self, first: Any, context: grpc.ServicerContext) -> int:
        if first.replay_preset == eventbus.LATEST:
            return self.log.latest()
        if first.replay_preset == eventbus.EARLIEST:
            return self.log.earliest()
        if not first.replay_id:
            _abort(context, _NO_REPLAY)
        replay = int.from_bytes(first.replay_id) if len(first.replay_id) == 8 else -1
        if not self.log.is_valid(replay):
            _abort(context, _BAD_REPLAY)
        return replay

    def _check(self, flow: "_Flow", context: grpc.ServicerContext) -> None:
        if self.broken:
            _abort(context, self.broken.pop(0))
        if flow.is_wrong:
            _abort(context, _BAD_NUMBER)
        if not self._tokens.lives(flow.token):
            _abort(context, _BAD_LOGIN)

    def _admit(self, context: grpc.ServicerContext) -> str:
        sent = {str(key): value for key, value in context.invocation_metadata() or ()}
        if self.broken:
            _abort(context, self.broken.pop(0))
        if not sent.get("instanceurl") or sent.get("tenantid") not in (ORGANISATION, ORGANISATION[:15]):
            _abort(context, _BAD_HEADERS)
        token = str(sent.get("accesstoken", ""))
        if not self._tokens.admit(f"Bearer {token}"):
            _abort(context, _BAD_LOGIN)
        return token

    def _shape(self, topic: str, context: grpc.ServicerContext) -> Shape | None:
        if topic != ALL and topic not in self._topics:
            _abort(context, _NO_TOPIC)
        return self._topics.get(topic)


class _Flow:
    """What one subscriber has asked for and not got yet."""

    def __init__(self, changed: threading.Condition, position: int, token: str) -> None:
        self._changed = changed
        self.position, self.token = position, token
        self.left = 0
        self.is_wrong = self._ended = False

    def ask(self, request: Any) -> bool:
        """Count what a request asks for; false where it asks for too many or too few."""
        if not 0 < request.num_requested <= MOST:
            return False
        self.left += request.num_requested
        self.token = request.auth_refresh or self.token
        return True

    def read(self, requests: Iterator[Any]) -> None:
        """Take further requests until the subscriber closes its side."""
        try:
            for request in requests:
                self.is_wrong = not self.ask(request)
                with self._changed:
                    self._changed.notify_all()
        except grpc.RpcError:
            pass  # the subscriber went away
        finally:
            self._ended = True

    def is_over(self, impatient: bool) -> bool:
        """Whether nothing is asked for and nothing will be."""
        return not self.left and (self._ended or impatient)

    def wait(self) -> None:
        """Until something happens."""
        with self._changed:
            self._changed.wait(_LOOK_EVERY)


class PubSubHost:
    """Serves Pub/Sub from ``start`` until ``stop``, without TLS unless credentials are given."""

    def __init__(
        self, service: PubSub, address: Address = LOOPBACK, credentials: grpc.ServerCredentials | None = None
    ) -> None:
        self.service = service
        self.url = ""
        self._address, self._credentials = address, credentials
        self._server: grpc.Server | None = None

    def start(self) -> None:
        """Begin to answer. Raises OSError: the port is taken."""
        # Ports are not shared, so that a taken one is told.
        options = (("grpc.so_reuseport", 0),)
        server = grpc.server(ThreadPoolExecutor(_CLIENTS, "sandbox-pubsub"), [self.service.service()], options=options)
        where = f"{self._address.host}:{self._address.port}"
        try:
            secure = self._credentials
            port = server.add_secure_port(where, secure) if secure else server.add_insecure_port(where)
        except RuntimeError:
            raise OSError(f"{where} is taken; name another port") from None
        self._server = server
        self.url = f"{'https' if secure else 'http'}://{self._address.host}:{port}"
        server.start()

    def stop(self) -> None:
        """End, with all subscriptions cut."""
        if self._server is not None:
            self._server.stop(None).wait(10)


def _event(told: Told) -> Any:
    event = eventbus.message("ProducerEvent")(id=told.id, schema_id=told.schema_id, payload=told.payload)
    return eventbus.message("ConsumerEvent")(event=event, replay_id=_bytes(told.replay))


def _bytes(replay: int) -> bytes:
    return replay.to_bytes(8)


def _abort(context: grpc.ServicerContext, refusal: Refusal) -> NoReturn:
    context.set_trailing_metadata((("error-code", eventbus.ERROR + refusal.code),))
    context.abort(refusal.status, f"{refusal.text}. rpcId: {uuid4()}")
    raise AssertionError("abort raises")


def _unary(call: Callable[..., Any], request: str, response: str) -> "grpc.RpcMethodHandler[Any, Any]":
    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=eventbus.message(request).FromString,
        response_serializer=eventbus.message(response).SerializeToString,
    )


def _stream(call: Callable[..., Any], request: str, response: str) -> "grpc.RpcMethodHandler[Any, Any]":
    return grpc.stream_stream_rpc_method_handler(
        call,
        request_deserializer=eventbus.message(request).FromString,
        response_serializer=eventbus.message(response).SerializeToString,
    )
