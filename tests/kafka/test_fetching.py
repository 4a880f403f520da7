"""Kafka comes whole, checked and once, or the message says what to do."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.broker.errors import BrokerError, BrokerUnavailableError
from sandbox.broker.jars import CHECKSUMS, VERSION, jars, java

HERE = Path(__file__).resolve().parents[2]


def start(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python -m sandbox.broker start`` in an environment of its own."""
    words = [sys.executable, "-m", "sandbox.broker", "start", "--folder", str(folder)]
    return subprocess.run(
        words, cwd=HERE, env=environment, capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip


def program(folder: Path, name: str, script: str) -> Path:
    """A shell script in the place of a program."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.parametrize("script", ["", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2", "exit 1"])
def test_without_java_17_it_says_what_to_install(tmp_path: Path, script: str) -> None:
    path = program(tmp_path / "bin", "java" if script else "nothing", script)
    result = start(tmp_path / "kafka", PATH=str(path))
    assert result.returncode == 1
    assert "needs Java 17 or newer: install it" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_maven_it_says_what_to_install(kafka_here: None, tmp_path: Path) -> None:
    path = program(tmp_path / "bin", "java", f'exec {java().path} "$@"')
    result = start(tmp_path / "kafka", PATH=str(path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert result.returncode == 1
    assert "there is no mvn. Kafka is fetched by Maven: install it" in result.stderr
    assert not list((tmp_path / "cache").rglob("*.jar"))


def test_what_maven_complains_about_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = program(tmp_path / "bin", "mvn", "echo '[ERROR] Unknown host'; exit 1")
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")
    with pytest.raises(BrokerUnavailableError, match=r"could not fetch Kafka: \[ERROR\] Unknown host\. Look at"):
        jars(tmp_path / "kafka")


def test_a_jar_that_is_another_is_refused_and_named(kafka_here: None, tmp_path: Path) -> None:
    folder = tmp_path / "kafka"
    shutil.copytree(jars(), folder)
    assert jars(folder) == folder
    with (folder / "kafka-clients-4.1.1.jar").open("ab") as jar:
        jar.write(b"\0")
    with pytest.raises(BrokerError, match=rf"checksum of kafka-clients-4\.1\.1\.jar .* Remove {folder}"):
        jars(folder)


@pytest.mark.parametrize("change", ["less", "more"])
def test_a_jar_too_few_or_too_many_is_refused_and_named(kafka_here: None, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "kafka"
    shutil.copytree(jars(), folder)
    if change == "less":
        (folder / "slf4j-api-1.7.36.jar").unlink()
    else:
        (folder / "evil.jar").write_bytes(b"")
    with pytest.raises(BrokerError, match=r"^(slf4j-api-1\.7\.36\.jar is not here|evil\.jar is here)"):
        jars(folder)


def test_what_was_fetched_wrong_never_gets_into_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = (
        'for word; do case "$word" in -DoutputDirectory=*) mkdir "${word#*=}"; : > "${word#*=}/evil.jar";; esac; done'
    )
    monkeypatch.setenv("PATH", f"{program(tmp_path / 'bin', 'mvn', script)}:{os.environ['PATH']}")
    with pytest.raises(BrokerError, match="is not here, but a jar of checksums"):
        jars(tmp_path / "cache" / "kafka")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["kafka.lock"]


def test_the_list_is_of_the_version_that_is_asked_for() -> None:
    names = [line.split()[1] for line in CHECKSUMS.read_text(encoding="ascii").splitlines()]
    assert f"kafka_2.13-{VERSION}.jar" in names
    assert f"<version>{VERSION}</version>" in (CHECKSUMS.parent / "pom.xml").read_text(encoding="utf-8")
    assert len(names) == len(set(names))
