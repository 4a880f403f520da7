"""The practice broker keeps what it acknowledged, at the same address, whatever is done to it."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.broker.cluster import Cluster
from sandbox.broker.errors import AlreadyRunningError, BrokerError
from sandbox.network import Line, Network
from sandbox.ports import free_ports
from tests.cli.door import renkei
from tests.kafka.clients import create, producer, read, send


def test_a_record_comes_back(broker: Cluster, topics: str) -> None:
    create(broker.bootstrap, topics + "deals")
    send(broker.bootstrap, topics + "deals", "商談 🤝".encode())
    assert read(broker.bootstrap, topics + "deals", 1) == ["商談 🤝".encode()]


def test_a_stopped_and_a_killed_node_come_back_with_all_they_acknowledged(own: Cluster) -> None:
    address = own.bootstrap
    create(address, "deals")
    send(address, "deals", b"1", b"2")
    own.node(1).stop()
    assert own.node(1).pid is None
    own.node(1).start()
    send(address, "deals", b"3")
    own.node(1).kill()
    own.node(1).start()
    assert own.bootstrap == address
    assert read(address, "deals", 3) == [b"1", b"2", b"3"]


def test_a_second_start_says_where_the_first_runs(own: Cluster) -> None:
    with pytest.raises(AlreadyRunningError, match=rf"runs in .* already: kafka://{own.bootstrap} \(pid \d+\)"):
        Cluster(own.folder).start()
    assert own.node(1).known == {1}


def test_a_frozen_node_answers_again_when_it_goes_on(own: Cluster) -> None:
    node = own.node(1)
    node.pause()
    assert node.known == frozenset()
    node.resume()
    node.wait_until(lambda: node.known == {1})
    node.pause()
    node.stop(limit=10)
    assert node.pid is None


_TESTER = """
import pathlib, sandbox.broker.cluster
sandbox.broker.cluster.Cluster(pathlib.Path("kafka")).start()
print("up", flush=True)
input()
"""


def test_it_ends_with_the_program_that_started_it(kafka_here: None, tmp_path: Path) -> None:
    words = [sys.executable, "-c", _TESTER]
    with subprocess.Popen(words, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tester:
        assert tester.stdout is not None
        assert tester.stdout.readline() == b"up\n"
        node = Cluster.of(tmp_path / "kafka").node(1)
        assert node.pid is not None
        tester.kill()
    assert node.ends_within(20)


@pytest.mark.installation
def test_a_cluster_of_three_outlives_any_one(kafka_here: None, tmp_path: Path) -> None:
    with Cluster(tmp_path / "kafka", brokers=3) as cluster:
        create(cluster.bootstrap, "deals", copies=3)
        send(cluster.bootstrap, "deals", b"1")
        cluster.node(1).kill()
        send(cluster.bootstrap, "deals", b"2")
        assert read(cluster.bootstrap, "deals", 2) == [b"1", b"2"]
        cluster.node(1).start()
        cluster.node(2).kill()
        send(cluster.bootstrap, "deals", b"3")
        assert read(cluster.bootstrap, "deals", 3) == [b"1", b"2", b"3"]


def test_clients_go_through_the_proxy_that_is_advertised(kafka_here: None, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "kafka")
    with Network() as network:
        door = network.proxy(cluster.bootstrap)
        cluster.advertise(1, door.address)
        with cluster:
            create(door.address, "deals")
            with producer(cluster.bootstrap) as out:
                out.send("deals", b"1").get(timeout=30)
                before = door.counted.up
                assert before > 0
                door.reset()
                sent = out.send("deals", b"2")
                sent.get(timeout=30)
                assert door.counted.up > before
                door.set(Line(is_cut=True))
                late = out.send("deals", b"3")
                assert cluster.node(1).known == {1}
                assert not late.is_done
                door.heal()
                late.get(timeout=60)
            assert read(door.address, "deals", 3) == [b"1", b"2", b"3"]


def test_a_port_that_is_taken_is_named(kafka_here: None, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", port)):
        cluster = Cluster(tmp_path / "kafka", port=port)
        with pytest.raises(BrokerError, match=f"port {port} is taken by another program"):
            cluster.start()
    assert not cluster.is_running


def test_a_person_starts_looks_and_stops(kafka_here: None, tmp_path: Path) -> None:
    folder, (port,) = ["--folder", str(tmp_path / "kafka")], free_ports(1)
    assert asked("status", *folder).returncode == 1
    try:
        started = asked("start", *folder, "--port", str(port))
        assert started.stdout.split() == [f"kafka://127.0.0.1:{port}", f"127.0.0.1:{port}"]
        again = asked("start", *folder)
        assert (again.returncode, "Use it, or stop it: renkei broker stop" in again.stderr) == (1, True)
        wrong = asked("start", *folder, "--brokers", "3")
        assert (wrong.returncode, "holds a cluster of 1 broker" in wrong.stderr) == (1, True)
        status = asked("status", *folder)
        assert (status.returncode, "node 1: answers" in status.stdout) == (0, True)
    finally:
        stopped = asked("stop", *folder)
    assert stopped.stdout == "stopped\n"
    assert asked("stop", *folder).stdout == "it did not run\n"
    assert asked("status", *folder).returncode == 1


def test_the_command_tells_how_a_broker_is(broker: Cluster, tmp_path: Path) -> None:
    seen = renkei("broker", "status", "--folder", broker.folder, "--json").json
    assert seen == {"broker": broker.url, "nodes": {"1": "answers"}}
    assert f"Next: --broker {broker.url}" in renkei("broker", "status", "--folder", broker.folder).out
    nowhere = renkei("broker", "stop", "--folder", tmp_path)
    assert nowhere.code == 1
    assert f"there is no cluster in {tmp_path}. Start one: renkei broker start --folder {tmp_path}" in nowhere.err


def asked(*words: str) -> subprocess.CompletedProcess[str]:
    """What a person types, with what comes back."""
    command = [sys.executable, "-m", "sandbox.broker", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
