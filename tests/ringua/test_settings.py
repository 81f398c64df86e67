"""Settings: what is missing or wrong stops the start with one sentence that names it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ringua.settings import SettingsError, load
from tutor.script import catalogue

SID = "AC" + "0" * 32


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches these tests."""
    for name in ("DATABASE_URL", "PORT", "PUBLIC_BASE_URL", "OPENAI_API_KEY", "TWILIO_ACCOUNT_SID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RINGUA_DATA_DIR", str(tmp_path))


def test_nothing_needs_to_be_set_for_a_rehearsal() -> None:
    """A bare environment has the defaults of the documentation."""
    settings = load()
    assert (settings.port, settings.audio, settings.max_calls) == (8080, "pcm", 50)
    assert settings.realtime_model == "gpt-realtime-2.1"


@pytest.mark.parametrize("preset", ["ringua", "seed"])
def test_a_preset_of_level_cards_is_chosen_by_a_variable(monkeypatch: pytest.MonkeyPatch, preset: str) -> None:
    """Both presets of the catalogue can be set, and each is one that the catalogue has."""
    monkeypatch.setenv("RINGUA_LEVEL_PRESET", preset)
    assert catalogue.load().with_preset(load().level_preset).preset == preset


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """`PORT=` in an environment file is not an error."""
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert load().port == 8080
    assert load().openai_api_key is None


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "http", "PORT is wrong (it is 'http')"),
        ("PORT", "70000", "PORT is wrong (it is '70000')"),
        ("RINGUA_AUDIO", "mp3", "RINGUA_AUDIO is wrong (it is 'mp3')"),
        ("RINGUA_LEVEL_PRESET", "fast", "RINGUA_LEVEL_PRESET is wrong (it is 'fast')"),
        ("PUBLIC_BASE_URL", "practice.example.org", "it must be a whole address"),
        ("PUBLIC_BASE_URL", "https://my_line.example.org", "underscore"),
        ("RINGUA_MAX_CALLS", "0", "RINGUA_MAX_CALLS is wrong"),
        ("RINGUA_MAX_CALL_MINUTES", "90", "RINGUA_MAX_CALL_MINUTES is wrong"),
        ("TWILIO_ACCOUNT_SID", SID, "TWILIO_AUTH_TOKEN is missing"),
        ("TWILIO_AUTH_TOKEN", "secret", "TWILIO_ACCOUNT_SID is missing"),
        ("DATABASE_URL", "postgresql://db/ringua", "RINGUA_SECRET_KEY is missing"),
        ("RINGUA_SECRET_KEY", "short", "RINGUA_SECRET_KEY is too short"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    """Whoever starts the service learns what is wrong and what to do."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_wrong_settings_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to start three times to learn of three mistakes."""
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("RINGUA_AUDIO", "x")
    with pytest.raises(SettingsError) as caught:
        load()
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["PORT", "RINGUA_AUDIO"]


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a wrong one."""
    monkeypatch.setenv("RINGUA_SECRET_KEY", "hunter2")
    with pytest.raises(SettingsError) as caught:
        load()
    assert "hunter2" not in str(caught.value)


def test_an_account_needs_the_address_it_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the public address no signature could be checked."""
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", SID)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "secret")
    with pytest.raises(SettingsError, match="PUBLIC_BASE_URL is missing"):
        load()
    monkeypatch.setenv("PUBLIC_BASE_URL", "https://practice.example.org/")
    assert load().public_base_url == "https://practice.example.org"


def test_the_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """The key that protects numbers survives a restart."""
    first = load().secret()
    assert load().secret() == first
    assert len(first) == 64
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_a_damaged_secret_is_not_used(tmp_path: Path) -> None:
    """An empty key file would make every number's hash guessable."""
    (tmp_path / "secret-key").write_text("")
    with pytest.raises(SettingsError, match="is damaged"):
        load().secret()
