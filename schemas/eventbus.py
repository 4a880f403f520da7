"""The messages of Salesforce's Pub/Sub API (``eventbus.v1``), described at run time from a table.

Facts: the vendor's Pub/Sub API guide, methods and messages. The classes live in a pool of their own, so that generated
classes of the same names may be loaded beside them.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "eventbus.v1"
SERVICE = f"{PACKAGE}.PubSub"
ERROR = "sfdc.platform.eventbus.grpc."
"""Before each error code in the trailing metadata."""

LATEST, EARLIEST, CUSTOM = 0, 1, 2
"""Where a subscription begins: with new events, with the oldest that are kept, or after a replay id."""

MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "TopicRequest": {"topic_name": (1, "string")},
    "TopicInfo": {
        "topic_name": (1, "string"), "tenant_guid": (2, "string"), "can_publish": (3, "bool"),
        "can_subscribe": (4, "bool"), "schema_id": (5, "string"), "rpc_id": (6, "string"),
    },
    "SchemaRequest": {"schema_id": (1, "string")},
    "SchemaInfo": {"schema_json": (1, "string"), "schema_id": (2, "string"), "rpc_id": (3, "string")},
    "EventHeader": {"key": (1, "string"), "value": (2, "bytes")},
    "ProducerEvent": {
        "id": (1, "string"), "schema_id": (2, "string"), "payload": (3, "bytes"), "headers": (4, "EventHeader*"),
    },
    "ConsumerEvent": {"event": (1, "ProducerEvent"), "replay_id": (2, "bytes")},
    "FetchRequest": {
        "topic_name": (1, "string"), "replay_preset": (2, "int32"), "replay_id": (3, "bytes"),
        "num_requested": (4, "int32"), "auth_refresh": (5, "string"),
    },
    "FetchResponse": {
        "events": (1, "ConsumerEvent*"), "latest_replay_id": (2, "bytes"), "rpc_id": (3, "string"),
        "pending_num_requested": (4, "int32"),
    },
}  # fmt: skip
"""Fields by message: number and type; ``*`` is any number of them. An enum is an ``int32`` on the wire."""

_SCALARS = {
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
}


@cache
def message(name: str) -> Any:
    """The class of a message, by its name in the table."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


def method(name: str) -> str:
    """The path of a method: ``/eventbus.v1.PubSub/Subscribe``."""
    return f"/{SERVICE}/{name}"


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="eventbus.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _describe(described.field.add(name=field, number=number), kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _describe(field: descriptor_pb2.FieldDescriptorProto, kind: str) -> None:
    single = kind.removesuffix("*")
    many, one = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED, descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    field.label = many if kind != single else one
    field.type = _SCALARS.get(single, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE)
    if single not in _SCALARS:
        field.type_name = f".{PACKAGE}.{single}"
