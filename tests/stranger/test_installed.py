"""A package that somebody else wrote is found by its entry points, and does its work in a real project."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.stranger.installing import HOUSE, install
from tests.stranger.test_chat import CHEER


class Chat:
    """A chat server on loopback that is busy at first; ``heard`` holds each message once."""

    def __init__(self) -> None:
        self.heard: dict[str, Any] = {}
        self.busy = 1
        chat = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(chat.hear(json.loads(body)) if self.path == "/messages" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def hear(self, message: dict[str, Any]) -> int:
        if self.busy:
            self.busy -= 1
            return 429
        self.heard.setdefault(message.pop("id"), message)
        return 201


@pytest.fixture
def chat() -> Iterator[Chat]:
    running = Chat()
    thread = threading.Thread(target=running.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.server.shutdown()
    thread.join()
    running.server.server_close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for packages with the stranger's package in it."""
    return install(tmp_path_factory.mktemp("site"))


def project(folder: Path, url: str) -> Path:
    (folder / "workflows").mkdir()
    (folder / "workflows" / "cheer.yaml").write_text(CHEER, encoding="utf-8")
    chat = f"{{kind: chat, url: '{url}', allow_private: true}}"
    settings = f"project: cheer\nconnections:\n  zoho: {{kind: zoho}}\n  facts: {{kind: file}}\n  chat: {chat}\n"
    (folder / "renkei.yaml").write_text(settings, encoding="utf-8")
    return folder


def test_a_strangers_package_is_found_and_works_end_to_end(site: Path, chat: Chat, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.stranger.scenario", str(project(tmp_path, chat.url))],
        cwd=HOUSE, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert "chat" in told["kinds"]
    assert "message" in told["actions"]
    assert told["stages"] == ["reductions"]
    assert sorted(told["done"]) == ["haggled facts:Deals/1", "won zoho:Deals/2"]
    messages = sorted(chat.heard.values(), key=lambda message: str(message["text"]))
    assert [one["text"] for one in messages] == ["Deal 1 was lowered 2 times", "Deal 2 is won"]


def test_without_the_package_nothing_of_it_is_there(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.stranger.scenario", str(project(tmp_path, "http://127.0.0.1:1"))],
        cwd=HOUSE, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "`message`" in ran.stderr
