"""Plain Faust agents of installed packages: which there are, and what is told of them."""

import logging
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from connectors.kafka_io import Admin
from renkei.folder import Folder
from renkei.metrics import Meter
from renkei.streaming import Nouns, cluster_of, registry_of
from renkei.topology import own_specs, prepare
from rules.errors import refuse

if TYPE_CHECKING:
    from streams.faust_agents import Agents, Register

GROUP = "renkei.agents"
_log = logging.getLogger(__name__)


class Counted:
    """Tells the metrics what agents take, and the log what none of them can."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def taken(self, topic: str, partition: int, count: int) -> None:
        """Records are done."""
        self._meter.events(f"agents/{topic}", partition, count)

    def unreadable(self, topic: str, partition: int, offset: int, why: str) -> None:
        """A record was passed over."""
        self._meter.parked(topic)
        _log.warning("%s/%s at %s cannot be read, and no agent gets it: %s", topic, partition, offset, why)


def installed_agents() -> "dict[str, Register]":
    """What registers the agents of installed packages, by name.

    Raises:
        WorkflowError: two packages claim one name.
    """
    found: dict[str, Register] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name in found:
            refuse(f"two installed packages register agents named '{point.name}'", "Remove one of them.")
        found[point.name] = point.load()
    return found


def agents_of(folder: Folder, broker: str, registers: "dict[str, Register]", meter: Meter) -> "Agents":
    """The agents of a project, with the topics of their own made."""
    from streams.faust_agents import Agents  # noqa: PLC0415 - the broker's libraries, for those who have a broker

    cluster, partitions = cluster_of(folder, broker), folder.settings.kafka.partitions
    agents = Agents(cluster, partitions, Nouns(registry_of(folder)), registers, Counted(meter))
    admin = Admin(f"kafka://{cluster.servers}")
    try:
        prepare(admin, own_specs(folder, agents.topics.owned))
    finally:
        admin.close()
    return agents
