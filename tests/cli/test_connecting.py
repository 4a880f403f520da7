"""``renkei connect`` against the practice CRMs: it asks, tries, writes the project's file and keeps the secrets."""

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.credentials import SecretFile, variable
from renkei.cli import app
from renkei.folder import read_folder
from sandbox.server import Sandbox
from tests.cli.door import Answer

BEGUN = """# The shop's project.
project: shop

connections:
  mail: {kind: email, url: "smtp://mail.example.com:25"}   # ours

  erp:        # a comment that stays
    kind: webhook
"""
BEHIND = """
# Who works here.
teams:
  Care: [care@example.com]   # 顧客
"""
LOGINS = {"zoho": [], "salesforce": ["--login", "client_credentials"], "vtiger": ["--zone", "Europe/Berlin"]}
WANTED = {
    "zoho": ("client_id", "client_secret", "refresh_token"),
    "salesforce": ("client_id", "client_secret"),
    "vtiger": ("username", "access_key"),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "renkei.yaml").write_text(BEGUN + BEHIND, encoding="utf-8")
    return tmp_path


def connect(kind: str, folder: Path, *words: str, typed: str = "", told: Mapping[str, str] | None = None) -> Answer:
    """Type ``renkei connect`` and the answers to what it asks."""
    result = CliRunner().invoke(
        app, ["connect", kind, "--project", str(folder), *words], input=typed, env={**(told or {})}
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def at(sandbox: Sandbox, kind: str) -> list[str]:
    return ["--url", sandbox.crm(kind).url, "--allow-private", *LOGINS[kind]]


@pytest.mark.parametrize("kind", sorted(WANTED))
def test_what_is_asked_for_is_tried_and_kept(sandbox: Sandbox, folder: Path, kind: str) -> None:
    credentials = sandbox.crm(kind).credentials
    typed = "".join(f"{credentials[name]}\n" for name in WANTED[kind])
    answer = connect(kind, folder, *at(sandbox, kind), typed=typed)
    assert answer.code == 0, answer.err
    assert f"{kind}: the login works. It knows" in answer.out
    assert not any(credentials[name] in answer.out + answer.err for name in WANTED[kind] if name != "username")
    project = read_folder(folder, {})
    part = project.settings.connections[kind]
    assert (part.kind, part.url, part.allow_private) == (kind, sandbox.crm(kind).url, True)
    assert part.key_field
    if kind == "zoho":
        assert part.user == sandbox.seed.zoho.integration_user, "by whom echoes are known"
    kept = project.credentials(kind)
    assert {name: kept.get(name).reveal() for name in WANTED[kind]} == {one: credentials[one] for one in WANTED[kind]}
    assert stat.S_IMODE((folder / ".renkei" / "credentials.yaml").stat().st_mode) == 0o600
    assert project.metadata[kind].users, "what the CRM told of itself is kept"


@pytest.mark.parametrize("kind", sorted(WANTED))
def test_a_script_answers_by_the_environment_and_nothing_secret_is_written(
    sandbox: Sandbox, folder: Path, kind: str
) -> None:
    name = f"{kind}-2"
    told = {variable(name, one): value for one, value in sandbox.crm(kind).credentials.items()}
    told |= {"RENKEI_CONNECT_URL": sandbox.crm(kind).url, "RENKEI_CONNECT_NAME": name}
    answer = connect(kind, folder, "--allow-private", *LOGINS[kind], "--json", told=told)
    assert answer.code == 0, answer.err
    assert answer.json["kept"] == "environment"
    assert not (folder / ".renkei" / "credentials.yaml").exists()
    assert read_folder(folder, {}).settings.connections[name].kind == kind


def test_comments_and_all_else_in_the_file_stay(sandbox: Sandbox, folder: Path) -> None:
    told = {variable("vtiger", one): value for one, value in sandbox.vtiger.credentials.items()}
    assert connect("vtiger", folder, *at(sandbox, "vtiger"), told=told).code == 0
    written = (folder / "renkei.yaml").read_text(encoding="utf-8")
    assert written.startswith(f"{BEGUN}  vtiger:\n")
    assert written.endswith(BEHIND), "the empty line and the comment stay before their section"
    assert connect("vtiger", folder, "--zone", "Asia/Tokyo", told=told).code == 0
    again = (folder / "renkei.yaml").read_text(encoding="utf-8")
    assert again == written.replace("Europe/Berlin", "Asia/Tokyo"), "only what is answered anew is changed"


@pytest.mark.parametrize(
    ("begun", "before", "behind"),
    [
        ("project: shop\n", "project: shop\nconnections:\n", ""),
        ("project: shop\nconnections: {}\n", "project: shop\nconnections:\n", ""),
        (f"project: shop\n\nconnections: {{}}\n{BEHIND}", "project: shop\n\nconnections:\n", BEHIND),
        (f"project: shop\n{BEHIND}# 終わり\n", f"project: shop\n{BEHIND}# 終わり\nconnections:\n", ""),
    ],
)
def test_the_first_connection_stands_before_what_follows(
    sandbox: Sandbox, folder: Path, begun: str, before: str, behind: str
) -> None:
    (folder / "renkei.yaml").write_text(begun, encoding="utf-8")
    told = {variable("vtiger", one): value for one, value in sandbox.vtiger.credentials.items()}
    assert connect("vtiger", folder, *at(sandbox, "vtiger"), told=told).code == 0
    written = (folder / "renkei.yaml").read_text(encoding="utf-8")
    assert written.startswith(f"{before}  vtiger:\n")
    assert written.endswith(behind)
    assert written.count("\n\n") == begun.count("\n\n")


@pytest.mark.parametrize("kind", sorted(WANTED))
def test_a_login_that_is_refused_writes_nothing_and_shows_nothing(sandbox: Sandbox, folder: Path, kind: str) -> None:
    answer = connect(kind, folder, *at(sandbox, kind), typed="canary-wrong\n" * 3)
    assert answer.code == 1
    assert "it does not work yet" in answer.err
    assert "login was refused" in answer.err
    assert "Nothing was written" in answer.err
    assert "canary-wrong" not in answer.out + answer.err
    assert (folder / "renkei.yaml").read_text(encoding="utf-8") == BEGUN + BEHIND
    assert not (folder / ".renkei" / "credentials.yaml").exists()


def test_credentials_are_renewed_by_connecting_again(sandbox: Sandbox, folder: Path) -> None:
    """Enter keeps what is kept."""
    good = sandbox.zoho.credentials
    typed = "".join(f"{good[name]}\n" for name in WANTED["zoho"])
    assert connect("zoho", folder, *at(sandbox, "zoho"), typed=typed).code == 0
    SecretFile(folder / ".renkei" / "credentials.yaml").keep("zoho", {"refresh_token": "revoked"})
    assert connect("zoho", folder, typed="\n\n\n").code == 1
    answer = connect("zoho", folder, typed=f"\n\n{good['refresh_token']}\n")
    assert answer.code == 0, answer.err
    assert read_folder(folder, {}).credentials("zoho").get("refresh_token").reveal() == good["refresh_token"]


def test_a_private_key_is_read_from_its_file(folder: Path) -> None:
    (folder / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nno key\n-----END PRIVATE KEY-----\n")
    words = ["--login", "jwt_bearer", "--url", "https://login.invalid"]
    answer = connect("salesforce", folder, *words, typed=f"id\nann\n{folder / 'key.pem'}\n")
    assert "private_key is no RSA key in PEM form" in answer.err, "it was read, and is none"
    answer = connect("salesforce", folder, *words, typed="id\nann\nnowhere.pem\n")
    assert "the private key cannot be read (FileNotFoundError): name its PEM file" in answer.err


@pytest.mark.parametrize(
    ("words", "typed", "says"),
    [
        (["zoho"], "jp\n", "there is no answer to: Client id"),
        (["zoho"], "", "there is no answer to: Data centre"),
        (["vtiger", "--url", "http://127.0.0.1:1"], "\nann\nkey\n", "only https may be used"),
        (["salesforce", "--login", "client_credentials"], "\nid\nkey\n", "client credentials need the own domain"),
        (["vtiger", "--login", "magic", "--url", "https://x.example"], "\n", "login: Input should be"),
        (["vtiger", "--name", "erp"], "https://x.example\n\n", "connection 'erp' is of kind webhook"),
        (["vtiger", "--url", "https://ann:secret@x.example"], "\na\nb\n", "must not carry credentials"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_words(folder: Path, words: list[str], typed: str, says: str) -> None:
    answer = connect(words[0], folder, *words[1:], typed=typed)
    assert answer.code == 1
    assert says in answer.err
    assert (folder / "renkei.yaml").read_text(encoding="utf-8") == BEGUN + BEHIND
