"""The Pub/Sub protocol as the vendor describes it, spoken to the emulator by a plain gRPC client."""

import json
import queue
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import fastavro
import grpc
import pytest
import trustme

from connectors.salesforce.bus import Bus, Proof, dial
from sandbox.salesforce.pubsub import MOST, PubSubHost
from sandbox.salesforce.tokens import ORGANISATION
from sandbox.server import Sandbox
from schemas import eventbus
from schemas.values import HOUR
from tests.sandbox.clients import SalesforceClient

TOPIC = "/data/ContractChangeEvent"
CONTRACT = {"AccountId": "0015g000000001dAAA", "Status": "Draft"}


class Client:
    """One subscriber with a login of its own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.rest = SalesforceClient(sandbox.salesforce)
        token = str(self.rest.session.headers["Authorization"]).removeprefix("Bearer ")
        self.metadata = [("accesstoken", token), ("instanceurl", sandbox.salesforce.url), ("tenantid", ORGANISATION)]
        self.channel = grpc.insecure_channel(sandbox.pubsub.url.removeprefix("http://"))
        self.calls: list[Any] = []

    def ask(self, method: str, request: str, response: str, **fields: Any) -> Any:
        call = self.channel.unary_unary(
            eventbus.method(method),
            request_serializer=eventbus.message(request).SerializeToString,
            response_deserializer=eventbus.message(response).FromString,
        )
        return call(eventbus.message(request)(**fields), metadata=tuple(self.metadata), timeout=10)

    def subscribe(self, *asked: int, topic: str = TOPIC, **first: Any) -> tuple[Any, "queue.SimpleQueue[Any]"]:
        """The answers, and where to put further requests; none ends them."""
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for place, number in enumerate(asked):
            named = {"topic_name": topic, **first} if not place else {}
            requests.put(eventbus.message("FetchRequest")(num_requested=number, **named))
        call = self.channel.stream_stream(
            eventbus.method("Subscribe"),
            request_serializer=eventbus.message("FetchRequest").SerializeToString,
            response_deserializer=eventbus.message("FetchResponse").FromString,
        )(iter(requests.get, None), metadata=tuple(self.metadata), timeout=20)
        self.calls.append((call, requests))
        return call, requests

    def close(self) -> None:
        for call, requests in self.calls:
            requests.put(None)
            call.cancel()
        self.channel.close()
        self.rest.session.close()

    def insert(self, number: int = 1) -> list[str]:
        return [self.sandbox.salesforce.insert("Contract", CONTRACT) for _ in range(number)]

    def read(self, event: Any) -> dict[str, Any]:
        schema = self.ask("GetSchema", "SchemaRequest", "SchemaInfo", schema_id=event.event.schema_id)
        parsed = fastavro.parse_schema(json.loads(schema.schema_json))
        told = fastavro.schemaless_reader(BytesIO(event.event.payload), parsed, None)
        assert isinstance(told, dict)
        return told


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def client(running: Sandbox) -> Iterator[Client]:
    running.pubsub.service.keep_alive = 0.01
    made = Client(running)
    yield made
    made.close()
    running.clock.follow_the_wall()


def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as error:
        list(call)
    raised: Any = error.value
    trailing = dict(raised.trailing_metadata())
    assert "rpcId: " in raised.details()
    return raised.code(), trailing["error-code"].removeprefix("sfdc.platform.eventbus.grpc.")


def test_a_topic_names_its_schema(client: Client) -> None:
    topic = client.ask("GetTopic", "TopicRequest", "TopicInfo", topic_name=TOPIC)
    schema = client.ask("GetSchema", "SchemaRequest", "SchemaInfo", schema_id=topic.schema_id)
    described = json.loads(schema.schema_json)
    assert (topic.topic_name, topic.can_subscribe, topic.can_publish) == (TOPIC, True, False)
    assert (described["name"], described["namespace"]) == ("ContractChangeEvent", "com.sforce.eventbus")
    assert described["fields"][0]["name"] == "ChangeEventHeader"
    assert "Status" in [field["name"] for field in described["fields"]]


def test_a_subscriber_gets_what_it_asked_for_and_no_more(client: Client) -> None:
    call, requests = client.subscribe(2)
    assert not next(call).events
    ids = client.insert(5)
    first = next(answer for answer in call if answer.events)
    assert len(first.events) <= 2
    got = list(first.events)
    while len(got) < 2:
        got += next(call).events
    assert [client.read(event)["ChangeEventHeader"]["recordIds"] for event in got] == [[one] for one in ids[:2]]
    requests.put(eventbus.message("FetchRequest")(num_requested=100))
    while len(got) < 5:
        answer = next(call)
        got += answer.events
    assert answer.pending_num_requested == 97
    assert answer.latest_replay_id == got[-1].replay_id


def test_an_event_tells_who_changed_what(client: Client) -> None:
    call, _ = client.subscribe(10)
    next(call)
    created = client.rest.call(
        "POST", "/sobjects/Contract", CONTRACT, headers={"Sforce-Call-Options": "client=stranger"}
    ).json()["id"]
    client.sandbox.salesforce.update("Contract", created, {"Status": "Activated", "StartDate": None})
    events: list[Any] = []
    while len(events) < 2:
        events += next(call).events
    made, changed = (client.read(event) for event in events)
    header = made["ChangeEventHeader"]
    assert (header["changeType"], header["changeOrigin"]) == ("CREATE", "com/salesforce/api/rest/60.0;client=stranger")
    assert (made["Status"], made["AccountId"]) == ("Draft", CONTRACT["AccountId"])
    header = changed["ChangeEventHeader"]
    assert (header["changeType"], header["changeOrigin"], header["commitUser"]) == ("UPDATE", "", "0055g0000000002AAA")
    assert (changed["Status"], changed["AccountId"]) == ("Activated", None)
    assert header["changedFields"][0].startswith("0x")


def test_a_subscriber_comes_back_after_the_last_event_it_saw(client: Client) -> None:
    call, _ = client.subscribe(10)
    start = next(call).latest_replay_id
    ids = client.insert(3)
    events: list[Any] = []
    while len(events) < 3:
        events += next(call).events
    for replay, expected in ((start, ids), (events[0].replay_id, ids[1:])):
        again, _ = client.subscribe(100, replay_preset=eventbus.CUSTOM, replay_id=replay)
        got: list[Any] = []
        while len(got) < len(expected):
            got += next(again).events
        assert [client.read(event)["ChangeEventHeader"]["recordIds"][0] for event in got] == expected


def test_the_oldest_events_are_kept_for_three_days(client: Client) -> None:
    client.insert()
    client.sandbox.clock.advance(71 * HOUR)
    client.rest.login()
    client.metadata[0] = ("accesstoken", str(client.rest.session.headers["Authorization"]).removeprefix("Bearer "))
    call, _ = client.subscribe(100, replay_preset=eventbus.EARLIEST)
    first = next(call)
    assert first.events
    client.sandbox.clock.advance(2 * HOUR - 1)
    client.rest.login()
    client.metadata[0] = ("accesstoken", str(client.rest.session.headers["Authorization"]).removeprefix("Bearer "))
    old = first.events[0].replay_id
    late, _ = client.subscribe(1, replay_preset=eventbus.CUSTOM, replay_id=old)
    assert refused(late) == (grpc.StatusCode.INVALID_ARGUMENT, "subscription.fetch.replayid.corrupted")
    none, _ = client.subscribe(1, replay_preset=eventbus.EARLIEST)
    assert not next(none).events


@pytest.mark.parametrize(
    ("asked", "first", "code"),
    [
        (MOST + 1, {}, "subscription.fetch.requested.events.invalid"),
        (0, {}, "subscription.fetch.requested.events.invalid"),
        (1, {"replay_preset": eventbus.CUSTOM}, "subscription.fetch.replayid.validation.failed"),
        (1, {"replay_preset": eventbus.CUSTOM, "replay_id": b"nonsense"}, "subscription.fetch.replayid.corrupted"),
        (1, {"topic": "/data/NopeChangeEvent"}, "topic.not.found"),
    ],
)
def test_a_wrong_request_is_refused_with_the_vendors_code(
    client: Client, asked: int, first: dict[str, Any], code: str
) -> None:
    call, _ = client.subscribe(asked, **first)
    assert refused(call)[1] == code


@pytest.mark.parametrize(
    ("place", "value", "code"),
    [(0, "stale", "service.auth.error"), (1, "", "service.auth.headers.invalid"),
     (2, "00D000000000000", "service.auth.headers.invalid")],
)  # fmt: skip
def test_every_call_proves_who_it_is_from(client: Client, place: int, value: str, code: str) -> None:
    client.metadata[place] = (client.metadata[place][0], value)
    call, _ = client.subscribe(1)
    assert refused(call)[1] == code


def test_a_stream_that_nobody_asks_any_more_ends(client: Client) -> None:
    client.sandbox.pubsub.service.patience = 0.05
    call, requests = client.subscribe(1)
    next(call)
    client.insert()
    requests.put(None)
    assert [len(answer.events) for answer in call if answer.events] == [1]
    client.sandbox.pubsub.service.patience = 60.0


def test_the_connectors_client_speaks_tls_to_a_server_whose_certificate_it_trusts(client: Client) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    key, chain = leaf.private_key_pem.bytes(), b"".join(part.bytes() for part in leaf.cert_chain_pems)
    host = PubSubHost(client.sandbox.pubsub.service, credentials=grpc.ssl_server_credentials([(key, chain)]))
    host.start()
    url = host.url.replace("127.0.0.1", "localhost")
    topic = client.ask("GetTopic", "TopicRequest", "TopicInfo", topic_name=TOPIC)
    proof = Proof(client.metadata[0][1], client.metadata[1][1], ORGANISATION)
    bus = Bus(lambda: dial(url, True, authority.cert_pem.bytes()), lambda: proof)
    assert "Status" in bus.schema(topic.schema_id).names
    bus.close()
    host.stop()
