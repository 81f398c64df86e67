"""How a rehearsal's carrier speaks its prompts."""

from __future__ import annotations

import pytest

from rehearsal.voices import Voices, available
from ringua.rehearsal import prompt_voice

needs_espeak = pytest.mark.skipif(not available(), reason="the extra `voices` is not installed")


def test_without_voices_a_carrier_has_none() -> None:
    """It then plays tones of its own, as long as its prompts would take."""
    assert prompt_voice(None) is None


@needs_espeak
@pytest.mark.parametrize(
    ("text", "locale"), [("Buenos días", "es-MX"), ("لحظة من فضلكم", "arb"), ("请稍等。", "cmn-CN")]
)
def test_a_prompt_is_spoken_in_the_carriers_own_locales(text: str, locale: str) -> None:
    """The carrier's names of languages are known: `arb` is Arabic, `cmn-CN` Chinese."""
    say = prompt_voice(Voices())
    assert say is not None
    spoken = Voices().speak(text, locale, rate_hz=8_000)
    assert abs(len(say(text, locale)) - len(spoken)) < 800


@needs_espeak
def test_a_prompt_that_no_voice_can_read_is_played_in_tones() -> None:
    """A rehearsal never fails for want of a voice."""
    say = prompt_voice(Voices())
    assert say is not None
    assert len(say("大丈夫ですよ", "ja-JP")) > 4_000
