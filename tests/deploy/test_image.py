"""The image is built of what was pinned, carries the house and nothing of the workshop, and runs without powers."""

import re

from tests.deploy.files import DEPLOY, HOME, services
from tests.test_architecture import MAY_IMPORT

DOCKERFILE = (HOME / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STEPS = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
LAST = STEPS[max(index for index, line in enumerate(STEPS) if line.startswith("FROM")) :]


def pins(path: str) -> dict[str, str]:
    """The pinned versions of a lock file, each with its hashes."""
    text = (HOME / path).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(";")[0] for line in text.splitlines() if line and not line.startswith("#")]
    assert all("--hash=sha256:" in line for line in text.splitlines() if "==" in line)
    return dict(line.split()[0].split("==") for line in lines)


def test_packages_come_from_the_locks_with_hashes() -> None:
    installs = re.findall(r"pip install[^&]*", DOCKERFILE)
    assert len(installs) == 3
    assert all("--require-hashes" in one or "--no-deps /wheels/" in one for one in installs)
    assert all(re.search(r":\d+\.\d+-slim\b", line) for line in STEPS if line.startswith("FROM"))


def test_the_image_has_the_pins_of_development_without_its_tools() -> None:
    whole, running = pins("requirements.lock"), pins("deploy/requirements.lock")
    assert running.items() <= whole.items()
    assert {"pytest", "mypy", "ruff", "hypothesis", "hatchling"} <= whole.keys() - running.keys()
    assert {"faust-streaming", "kafka-python", "pydantic"} <= running.keys()


def test_the_image_carries_all_of_the_house() -> None:
    copied = {line.split()[1] for line in STEPS if re.fullmatch(r"COPY (\w+) \1", line)}
    assert copied == set(MAY_IMPORT)


def test_what_is_copied_is_let_in() -> None:
    let_in = {line[1:] for line in (HOME / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}
    wanted = {
        word for line in STEPS if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    }
    assert wanted == let_in
    assert all((HOME / path).exists() for path in wanted)


def test_it_runs_as_nobody_special_and_tells_whether_it_is_ready() -> None:
    assert "USER renkei" in LAST
    (check,) = (line for line in LAST if line.startswith("HEALTHCHECK"))
    assert ":9464/readyz" in check
    ports = {str(one["command"][one["command"].index("--metrics-port") + 1]) for one in _measured()}
    assert ports == {"9464"}


def _measured() -> list[dict[str, list[str]]]:
    return [dict(one) for one in services().values() if "--metrics-port" in one.get("command", ())]


def test_real_credentials_stay_out_of_the_repository() -> None:
    assert "deploy/credentials.env" in (HOME / ".gitignore").read_text(encoding="utf-8").split()
    assert sorted(path.name for path in DEPLOY.glob("*.env")) in (["practice.env"], ["credentials.env", "practice.env"])
