"""What a project's file says about one connection; credentials are never part of it."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

Login = Literal["refresh_token", "client_credentials", "jwt_bearer", "basic"]
"""How a connection proves itself where there is a choice: an OAuth flow, or name and key with every request."""


class SettingsError(ValueError):
    """What the settings of a connection say cannot be; the message says what to write."""


class ConnectionSettings(BaseModel):
    """One connection, checked when it is loaded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connection: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", description="Its name in tabs and workflow files.")
    kind: str = Field(description="Which connector serves it: zoho, salesforce, vtiger, email, webhook, file, ...")
    url: str = Field(default="", description="Where its API lives: https://www.zohoapis.eu, smtp://mail:25, ...")
    login_url: str = Field(default="", description="Where tokens are issued; the url itself where empty.")
    login: Login = Field(default="refresh_token", description="The OAuth flow; basic: Vtiger's cloud.")
    web_url: str = Field(
        default="", description="Where people open its records; links are empty where it is not known."
    )
    allow_private: bool = Field(
        default=False, description="Whether private and loopback addresses, and plain http, may be used."
    )
    ca_file: str = Field(default="", description="Certificates (PEM) of an authority that is trusted instead.")
    timeout: float = Field(default=30.0, gt=0, description="Seconds to wait for an answer.")
    max_answer: int = Field(default=32 * 2**20, gt=0, description="The largest answer that is read, in bytes.")
    user: str = Field(default="", description="The record id of the user that we log in as, by which echoes are known.")
    zone: str = Field(default="UTC", description="The time zone of a CRM that writes times without one (Vtiger).")
    sender: str = Field(default="", description="The sender address of mails.")
    options: dict[str, str] = Field(default={}, description="What only this kind of connection knows.")

    @field_validator("url", "login_url")
    @classmethod
    def _no_secret_in_url(cls, url: str) -> str:
        return without_secret(url).rstrip("/")


def without_secret(url: str) -> str:
    """The url. Raises ValueError where it carries credentials, or is none."""
    if urlsplit(url).username or urlsplit(url).password:
        raise ValueError("a url must not carry credentials: put them in RENKEI_<CONNECTION>_<NAME> instead")
    return url
