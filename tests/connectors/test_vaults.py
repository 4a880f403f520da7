"""Where secrets are kept: environment over file over keyring or an installed place; never in the project's file."""

import stat
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from connectors.credentials import CredentialError, SecretFile, SecretKeeper, credentials
from connectors.vaults import Keyring, place_of
from tests.cli.door import project, renkei

CANARY = "canary-5ecret"
VAULT = EntryPoint("vault", "tests.connectors.test_vaults:Vault", "renkei.secrets")
NO_VAULT = EntryPoint("broken", "tests.connectors.test_vaults:Path", "renkei.secrets")


class Vault:
    """A place that an installed package brings."""

    def __init__(self, project: str) -> None:
        self._project = project

    def secrets(self, connection: str) -> Mapping[str, str]:
        """What the vault holds for it."""
        return {"client_id": f"{self._project}-{connection}", "client_secret": CANARY}


class Desktop:
    """A keyring of an operating system; a locked one refuses."""

    def __init__(self, locked: bool = False) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = locked

    def get_password(self, service: str, user: str) -> str | None:
        """An entry."""
        if self.locked:
            raise RuntimeError(f"locked, and {CANARY} shown by mistake")
        return self.entries.get((service, user))

    def set_password(self, service: str, user: str, password: str) -> None:
        """Keeps an entry."""
        self.entries[service, user] = password


def test_the_environment_wins_over_the_file_and_the_file_over_the_place(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yaml"
    SecretFile(file).keep("zoho", {"client_secret": "of the file", "refresh_token": "of the file"})
    desktop = Desktop()
    Keyring("shop", desktop).keep("zoho", dict.fromkeys(("client_id", "client_secret"), "of the keyring"))
    environment = {"RENKEI_ZOHO_REFRESH_TOKEN": "of the environment", "RENKEI_ZOHO_CLIENT_ID": ""}
    found = credentials("zoho", environment, file, Keyring("shop", desktop))
    assert {name: found.get(name).reveal() for name in ("client_id", "client_secret", "refresh_token")} == {
        "client_id": "of the keyring", "client_secret": "of the file", "refresh_token": "of the environment",
    }  # fmt: skip
    assert set(desktop.entries) == {("renkei", "shop/zoho")}


@settings(max_examples=30)
@given(some.dictionaries(some.from_regex(r"[a-z_]{1,10}", fullmatch=True), some.text(), max_size=4))
def test_what_is_kept_comes_back_from_every_place(
    tmp_path_factory: pytest.TempPathFactory, told: dict[str, str]
) -> None:
    places: list[SecretKeeper] = [SecretFile(tmp_path_factory.mktemp("x") / "c.yaml"), Keyring("shop", Desktop())]
    for place in places:
        place.keep("zoho", {"other": "stays"})
        place.keep("zoho", told)
        place.keep("vtiger", {"access_key": "beside"})
        assert place.secrets("zoho") == {"other": "stays", **told}


def test_the_file_is_private_from_its_first_byte_and_a_wide_one_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "credentials.yaml"
    SecretFile(file).keep("zoho", {"client_secret": "ひみつ: # 🔑"})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SecretFile(file).secrets("zoho") == {"client_secret": "ひみつ: # 🔑"}
    file.chmod(0o644)
    with pytest.raises(CredentialError, match="chmod 600"):
        SecretFile(file).keep("zoho", {"client_secret": CANARY})
    assert CANARY not in file.read_text(encoding="utf-8")


def test_a_keyring_that_cannot_be_used_says_what_to_do_and_shows_nothing() -> None:
    with pytest.raises(CredentialError, match=r"\(RuntimeError\): keep the secrets in the credentials file") as caught:
        Keyring("shop", Desktop(locked=True)).secrets("zoho")
    assert CANARY not in str(caught.value)
    desktop = Desktop()
    desktop.entries["renkei", "shop/zoho"] = f"[{CANARY}"
    with pytest.raises(CredentialError, match="is not ours") as caught:
        Keyring("shop", desktop).secrets("zoho")
    assert CANARY not in str(caught.value)


def test_an_installed_place_is_found_by_its_name() -> None:
    place = place_of("vault", "shop", [VAULT])
    assert credentials("zoho", {}, None, place).text("client_id") == "shop-zoho"
    assert place_of("file", "shop", []) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [("volt", "Did you mean 'vault'?"), ("xyz", "There are: file, keyring, vault"), ("broken", "no SecretSource")],
)
def test_a_place_that_is_none_says_which_there_are(name: str, says: str) -> None:
    with pytest.raises(CredentialError, match=says.replace("?", r"\?")):
        place_of(name, "shop", [VAULT, NO_VAULT])


@pytest.mark.parametrize(
    "written",
    [f"client_secret: {CANARY}", f"refresh_token: {CANARY}", f"password: {CANARY}", f"access_key: {CANARY}",
     f"options: {{apiKey: {CANARY}}}", f"options: {{Private-Key: {CANARY}}}", f"api_token: [{CANARY}]"],
)  # fmt: skip
def test_a_secret_in_the_project_file_is_refused_and_not_shown(tmp_path: Path, written: str) -> None:
    told = f"project: shop\nconnections:\n  zoho:\n    kind: zoho\n    {written}\n"
    answer = renkei("check", project(tmp_path, "rules: {}\n", settings=told), "--offline")
    assert answer.code == 1
    assert "secrets do not stand in renkei.yaml: remove it here" in answer.err
    assert CANARY not in answer.out + answer.err


def test_a_password_in_a_url_is_refused_and_not_shown(tmp_path: Path) -> None:
    told = f"project: shop\nconnections:\n  mail: {{kind: email}}\n  zoho:\n    kind: zoho\n    url: https://a:{CANARY}@crm.example\n"
    answer = renkei("check", project(tmp_path, "rules: {}\n", settings=told), "--offline")
    assert answer.code == 1
    assert "a url must not carry credentials" in answer.err
    assert CANARY not in answer.out + answer.err
