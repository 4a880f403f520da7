"""The Compose file is valid, bounded and closed to the outside, and says only what the programs understand."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from jsonschema.validators import validator_for

from renkei.cli import commands
from renkei.commands.sandbox import variables
from renkei.folder import read_folder
from sandbox.server import Sandbox
from tests.deploy.files import DEPLOY, HOME, Service, compose, ours, services

NOT_YET: set[str] = set()
"""Commands that the services use and that are not built yet; one that is built must be taken out."""

OFFICIAL = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
"""The Compose specification's own JSON Schema (compose-spec/compose-spec, Apache-2.0), in the package check-jsonschema.

Only the file is read: the package itself wants a newer click than Faust allows.
"""


def test_it_is_valid_by_the_specification() -> None:
    file = Path(str(distribution("check-jsonschema").locate_file(OFFICIAL)))
    schema = json.loads(file.read_text(encoding="utf-8"))
    validator = validator_for(schema)(schema)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(compose())] == []
    wrong = compose()
    wrong["services"]["kafka"]["health_check"] = {}
    assert not validator.is_valid(wrong)


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in ours() if words[0] not in NOT_YET])
def test_a_command_line_is_understood_by_the_program(words: list[str]) -> None:
    command = commands()[words[0]]
    with command.make_context(words[0], list(words[1:])) as parsed:
        assert not parsed.args


def test_what_is_not_built_yet_is_not_built_yet() -> None:
    used = {words[0] for _, words in ours()}
    assert not NOT_YET & set(commands())
    assert used - set(commands()) <= NOT_YET


def test_a_service_waits_for_what_can_tell_that_it_is_ready() -> None:
    known = services()
    assert any(one.get("depends_on") for one in known.values())
    for one in known.values():
        for other, wanted in one.get("depends_on", {}).items():
            assert _can_become(known[other], wanted["condition"]), other


def _can_become(service: Service, condition: str) -> bool:
    if condition == "service_completed_successfully":
        return str(service["restart"]).startswith("on-failure")
    has_check = "healthcheck" in service or service["image"] == "renkei"
    return condition == "service_healthy" and has_check and not service.get("healthcheck", {}).get("disable")


def test_volumes_are_declared_used_and_found() -> None:
    named, bound = set[str](), set[str]()
    for one in services().values():
        for volume in one.get("volumes", []):
            source = volume.partition(":")[0]
            (bound if source.startswith(".") else named).add(source)
    assert named == set(compose()["volumes"])
    assert [path for path in bound if not (HOME / path).exists()] == []


def test_every_service_is_bounded_and_comes_back() -> None:
    for name, one in services().items():
        assert set(one["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert re.fullmatch(r"unless-stopped|on-failure:\d+", one["restart"]), name
        assert set(one["logging"]["options"]) == {"max-size", "max-file"}, name


def test_nothing_listens_beyond_this_machine() -> None:
    published = [port for one in services().values() for port in one.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_images_are_of_one_version_and_ours_have_no_powers() -> None:
    for name, one in services().items():
        if one["image"] != "renkei":
            assert re.search(r":v?\d+\.\d+\.\d+$", one["image"]), name
        else:
            assert one["read_only"], name
            assert one["cap_drop"] == ["ALL"], name
            assert one["security_opt"] == ["no-new-privileges:true"], name


def test_no_secret_stands_in_the_compose_file() -> None:
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
    assert not [key for one in services().values() for key in one.get("environment", {}) if secret.search(key)]


def test_every_connection_of_the_practice_project_has_a_worker() -> None:
    project = read_folder(DEPLOY / "practice")
    assert {words[1] for _, words in ours() if words[0] == "connectors"} == set(project.settings.connections)


def test_the_practice_project_is_the_example_led_to_the_sandbox_service() -> None:
    example = HOME / "examples" / "won_and_contracted"
    for folder in ("workflows", "templates"):
        assert _texts(DEPLOY / "practice" / folder) == _texts(example / folder)
    led, own = read_folder(DEPLOY / "practice").settings, read_folder(example).settings
    seeds = Sandbox().seed
    ports = iter(range(8101, 8105))
    assert led.connections.keys() == own.connections.keys()
    for name, part in led.connections.items():
        assert re.fullmatch(rf"(http|smtp)://sandbox:{next(ports)}", part.url), name
        assert (part.kind, part.login, part.key_field) == _of_kind(own.connections[name])
        assert part.user == getattr(getattr(seeds, name, None), "integration_user", ""), name


def _of_kind(part: Any) -> tuple[str, str, str]:
    return part.kind, part.login, part.key_field


def _texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def test_the_practice_credentials_are_those_of_the_sandbox() -> None:
    lines = (DEPLOY / "practice.env").read_text(encoding="utf-8").splitlines()
    written = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert written == variables(Sandbox())
