"""What a node of the practice cluster is told: its server properties and where it logs."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Ports(NamedTuple):
    """The loopback ports of a node."""

    client: int
    internal: int
    controller: int


def server_properties(number: int, ports: Mapping[int, Ports], advertised: str, logs: Path) -> dict[str, str]:
    """The properties of one node of a KRaft quorum in which every node is broker and controller.

    Brokers speak with each other on a listener of their own, so that a fault proxy named in ``advertised``
    (host:port) stands between clients and brokers only.
    """
    own = ports[number]
    return {
        "process.roles": "broker,controller",
        "node.id": str(number),
        "controller.quorum.voters": ",".join(f"{node}@127.0.0.1:{one.controller}" for node, one in ports.items()),
        "listeners": _listeners(client=own.client, internal=own.internal, controller=own.controller),
        "advertised.listeners": f"CLIENT://{advertised},{_listeners(internal=own.internal)}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "INTERNAL",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(logs),
        **_copies(len(ports)),
        **_QUICK,
    }


def _listeners(**ports: int) -> str:
    return ",".join(f"{name.upper()}://127.0.0.1:{port}" for name, port in ports.items())


def _copies(brokers: int) -> dict[str, str]:
    """How often everything is kept: three times, two of which must answer, once there are three brokers."""
    copies, quorum = str(min(brokers, 3)), str(min(brokers, 2))
    return {
        "default.replication.factor": copies,
        "min.insync.replicas": quorum,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": quorum,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": quorum,
    }


_QUICK = {
    "auto.create.topics.enable": "false",
    "num.partitions": "4",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "transaction.max.timeout.ms": "900000",
    # A transaction whose owner died is given up when its time is over, not up to ten seconds later.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    # Histories of past years must not be thrown away by their time stamps.
    "log.retention.ms": "-1",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.cleaner.backoff.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "num.recovery.threads.per.data.dir": "1",
    "controlled.shutdown.max.retries": "1",
    # A node that died is noticed and left out within seconds.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "replica.lag.time.max.ms": "5000",
}


def written(properties: Mapping[str, str]) -> str:
    """The text of a properties file."""
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def logging_config(file: Path) -> str:
    """A log4j2 configuration that writes to one file, bounded in size, and nowhere else."""
    return _LOGGING.format(file=file)


_LOGGING = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="ERROR" shutdownHook="disable">
  <Appenders>
    <RollingFile name="node" fileName="{file}" filePattern="{file}.%i">
      <PatternLayout pattern="%d{{ISO8601}} %p %c{{1}} %m%n"/>
      <SizeBasedTriggeringPolicy size="20MB"/>
      <DefaultRolloverStrategy max="1"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Logger name="org.apache.kafka" level="WARN"/>
    <Logger name="kafka" level="WARN"/>
    <Logger name="kafka.server.KafkaRaftServer" level="INFO"/>
    <Root level="WARN"><AppenderRef ref="node"/></Root>
  </Loggers>
</Configuration>
"""
