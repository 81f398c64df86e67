"""Settings: environment variables, read once at the start. A missing or wrong one stops it with one sentence."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ringua.mail import Mail
from tutor.safety.minors import Minors


class SettingsError(Exception):
    """A setting is missing or wrong; the text says which, what it means and what to do."""


def default_data_dir() -> Path:
    """Where an embedded database and the secret live: root's would be unreadable for the database's own user."""
    return Path("/var/lib/ringua") if os.geteuid() == 0 else Path.home() / ".ringua"


class Settings(BaseSettings):
    """Every setting, with the name of its environment variable as alias."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, frozen=True, env_ignore_empty=True)

    database_url: str | None = Field(None, alias="DATABASE_URL")
    data_dir: Path = Field(default_factory=default_data_dir, alias="RINGUA_DATA_DIR")
    port: int = Field(8080, alias="PORT", ge=0, le=65535)
    public_base_url: str | None = Field(None, alias="PUBLIC_BASE_URL")
    stream_url: str | None = Field(None, alias="RINGUA_STREAM_URL")
    secret_key: str | None = Field(None, alias="RINGUA_SECRET_KEY")

    twilio_account_sid: str | None = Field(None, alias="TWILIO_ACCOUNT_SID")
    twilio_auth_token: str | None = Field(None, alias="TWILIO_AUTH_TOKEN")
    twilio_auth_token_2: str | None = Field(None, alias="TWILIO_AUTH_TOKEN_2")
    twilio_api_base_url: str = Field("https://api.twilio.com", alias="TWILIO_API_BASE_URL")

    openai_api_key: str | None = Field(None, alias="OPENAI_API_KEY")
    openai_base_url: str = Field("https://api.openai.com/v1", alias="OPENAI_BASE_URL")
    realtime_model: str = Field("gpt-realtime-2.1", alias="RINGUA_REALTIME_MODEL", min_length=1)
    text_model: str = Field("gpt-6-luna", alias="RINGUA_TEXT_MODEL", min_length=1)
    transcribe_model: str = Field("gpt-transcribe", alias="RINGUA_TRANSCRIBE_MODEL", min_length=1)

    smtp_url: str | None = Field(None, alias="SMTP_URL")
    """The server for mail to people at schools, as `ringua.mail` reads it; unset: alerts are in the log alone."""

    level_preset: Literal["ringua", "seed"] = Field("ringua", alias="RINGUA_LEVEL_PRESET")
    """How long the line waits for a learner: our silences, or the shorter ones of the first plan (levels.toml)."""
    audio: Literal["pcm", "pcmu"] = Field("pcm", alias="RINGUA_AUDIO")
    max_calls: int = Field(50, alias="RINGUA_MAX_CALLS", ge=1, le=10_000)
    max_call_minutes: float = Field(15, alias="RINGUA_MAX_CALL_MINUTES", gt=0, le=55)
    minors: Minors = Field("none", alias="RINGUA_MINORS")
    """The youngest callers any line may have; `under13` needs `zdr_attested`."""
    zdr_attested: bool = Field(False, alias="RINGUA_ZDR_ATTESTED")
    """The operator says that the model's server keeps nothing (zero data retention), as it must for children."""
    drain_s: float = Field(20, alias="RINGUA_DRAIN_SECONDS", ge=0, le=3600)
    """How long live calls may go on after SIGTERM before they are handed over; hosts kill after 30 s as a rule."""

    @field_validator("public_base_url", "stream_url", "openai_base_url", "twilio_api_base_url")
    @classmethod
    def _whole_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("it must be a whole address such as https://practice.example.org")
        if "_" in parts.hostname:
            raise ValueError("carriers refuse host names with an underscore")
        return value.rstrip("/")

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: str | None) -> str | None:
        if value is not None:
            Mail.parse(value)
        return value

    @model_validator(mode="after")
    def _belong_together(self) -> Settings:
        if self.database_url and not self.secret_key:
            raise ValueError(
                "RINGUA_SECRET_KEY is missing: with DATABASE_URL several machines share the data, so they must share "
                "the key that protects callers' numbers; make one with `openssl rand -hex 32` and set it everywhere."
            )
        if self.secret_key and len(self.secret_key) < 32:
            raise ValueError(
                "RINGUA_SECRET_KEY is too short to protect callers' numbers: make one with `openssl rand -hex 32`."
            )
        if self.twilio_account_sid and not re.fullmatch(r"AC[0-9a-fA-F]{32}", self.twilio_account_sid):
            raise ValueError(
                "TWILIO_ACCOUNT_SID is not an account: it starts with AC and has 32 more characters; copy it from "
                "the carrier's console."
            )
        if bool(self.twilio_account_sid) != bool(self.twilio_auth_token):
            missing = "TWILIO_AUTH_TOKEN" if self.twilio_account_sid else "TWILIO_ACCOUNT_SID"
            raise ValueError(f"{missing} is missing: a carrier account needs both, so set it, or unset the other.")
        if self.twilio_account_sid and not self.public_base_url:
            raise ValueError(
                "PUBLIC_BASE_URL is missing: the carrier signs the address it calls, so set it to the address under "
                "which this service is reached, such as https://practice.example.org."
            )
        if self.minors == "under13" and not self.zdr_attested:
            raise ValueError(
                "RINGUA_MINORS=under13 is not allowed yet: no data of children under 13 may reach the model before "
                "zero data retention is in force, so have it approved for your account, then set "
                "RINGUA_ZDR_ATTESTED=true; until then use RINGUA_MINORS=13+ or none."
            )
        return self

    def secret(self) -> str:
        """The key that protects numbers: the setting, else one made once in the data directory.

        Raises `SettingsError` when the file cannot be made or read.
        """
        if self.secret_key:
            return self.secret_key
        path = self.data_dir / "secret-key"
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                pass
            else:
                with os.fdopen(handle, "w") as file:
                    file.write(secrets.token_hex(32))
            secret = path.read_text().strip()
        except OSError as error:
            raise SettingsError(
                f"The key file {path} cannot be made or read ({error.strerror}): set RINGUA_DATA_DIR to a directory "
                "you may write to, or set RINGUA_SECRET_KEY."
            ) from error
        if len(secret) < 32:
            raise SettingsError(f"The key file {path} is damaged: put back its copy, or set RINGUA_SECRET_KEY.")
        return secret


def load(**overrides: object) -> Settings:
    """Reads the environment. Raises `SettingsError` with one sentence a wrong setting, all of them at once."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # names are checked by pydantic
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(problem) for problem in error.errors())) from error


def _sentence(problem: object) -> str:
    assert isinstance(problem, dict)
    name = ".".join(str(part) for part in problem["loc"])
    message: str = problem["msg"].removeprefix("Value error, ")
    if not name:
        return message
    given = problem.get("input")
    shown = "" if _secret(name) or given is None else f" (it is {str(given)[:60]!r})"
    message = message[:1].lower() + message[1:]
    return f"{name} is wrong{shown}: {message.rstrip('.')}."


def _secret(name: str) -> bool:
    return any(word in name for word in ("KEY", "TOKEN", "SECRET", "DATABASE_URL", "SMTP_URL"))
