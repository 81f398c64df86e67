"""espeak-ng behind one method: sound in many languages, at any rate and speed, or one sentence that says why not."""

from __future__ import annotations

import importlib.util
import threading

import numpy as np
import pytest

from rehearsal import g711, voices
from rehearsal.realtime_speech import Speech, tones
from rehearsal.voices import NATIVE_HZ, Voices, VoicesError, available, resample, to_pcm16

needs_espeak = pytest.mark.skipif(not available(), reason="the extra `voices` is not installed")

LINE = "Buenos días, ¿qué le pongo hoy?"


def spectrum_db(samples: np.ndarray, rate_hz: int, low_hz: float, high_hz: float) -> float:
    """Returns the power between two frequencies in dB."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    return float(10 * np.log10(power[(frequencies >= low_hz) & (frequencies < high_hz)].sum() + 1e-9))


@needs_espeak
@pytest.mark.parametrize("language", ["es", "es-MX", "fr", "de", "it", "pt-BR", "en", "en-GB", "ja", "zh", "ar", "uk"])
def test_many_languages_speak(language: str) -> None:
    """A line is seconds of sound in every language, a regional tag too."""
    pcm = Voices().speak(LINE, language)
    assert 1.0 < len(pcm) / 48_000 < 10.0
    assert np.abs(np.frombuffer(pcm, "<i2")).max() > 3_000


@needs_espeak
def test_speed_and_rate_are_honoured() -> None:
    """Twice the speed is half as long; another sample rate is the same length in time."""
    speaker = Voices()
    normal = len(speaker.speak(LINE, "es"))
    assert len(speaker.speak(LINE, "es", speed=2.0)) == pytest.approx(normal / 2, rel=0.15)
    assert len(speaker.speak(LINE, "es", speed=0.75)) == pytest.approx(normal / 0.75, rel=0.15)
    assert len(speaker.speak(LINE, "es", rate_hz=8_000)) == pytest.approx(normal / 3, abs=4)


@needs_espeak
def test_voices_differ_and_repeat() -> None:
    """A variant sounds different, the same request is the same bytes from the cache."""
    speaker = Voices()
    first = speaker.speak(LINE, "es", variant="f3")
    assert speaker.speak(LINE, "es", variant="f3") is first
    assert speaker.speak(LINE, "es", variant="m3") != first


@needs_espeak
def test_an_unknown_language_is_a_sentence() -> None:
    """A language that espeak-ng lacks is named, with what to use instead; the line before is not spoken for it."""
    with pytest.raises(VoicesError, match="no voice for the language `xx`"):
        Voices().speak(LINE, "xx")


@needs_espeak
@pytest.mark.parametrize(("text", "script"), [("请稍等，对话马上开始。", "zh"), ("لحظة من فضلكم", "ar")])
def test_a_script_that_a_voice_cannot_read_is_read_by_its_own(text: str, script: str) -> None:
    """A helper's sentence in the learner's language sounds as in that language, whatever language the call is in."""
    speaker = Voices()
    assert len(speaker.speak(text, "fr")) == len(speaker.speak(text, script))


@needs_espeak
def test_japanese_is_read_in_kana_and_refused_with_kanji() -> None:
    """espeak-ng would say of each kanji that it is one; a sentence says so instead."""
    assert Voices().speak("ゆっくり", "ja")
    with pytest.raises(VoicesError, match="no kanji"):
        Voices().speak("大丈夫ですよ", "ja")


@needs_espeak
def test_threads_do_not_mix_their_lines() -> None:
    """Lines spoken from several threads at once are as long as those spoken one after the other."""
    lines = ["Una mesa, por favor. " * number for number in range(1, 7)]
    alone = [len(Voices().speak(line, "es")) for line in lines]
    together: dict[int, bytes] = {}
    speaker = Voices()
    threads = [
        threading.Thread(target=lambda n=number: together.update({n: speaker.speak(lines[n], "es")}))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [len(together[number]) for number in range(6)] == pytest.approx(alone, abs=200)


@needs_espeak
def test_the_cache_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache keeps to its size in bytes."""
    monkeypatch.setattr(voices, "CACHE_BYTES", 100_000)
    speaker = Voices()
    first = speaker.speak(LINE, "es")
    speaker.speak("Otra frase distinta.", "es")
    assert speaker.speak(LINE, "es") is not first


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """`available` is false and Voices() names the extra."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not available()
    monkeypatch.setitem(__import__("sys").modules, "espeakng_loader", None)
    monkeypatch.setattr(voices._Engine, "_shared", None)
    with pytest.raises(VoicesError, match=r"extra `voices` \(espeak-ng, GPL-3\): run `pip install"):
        Voices()


def test_rates_and_speeds_are_positive() -> None:
    """A speed or rate of nothing is a programmer's error."""
    speaker = Voices.__new__(Voices)
    with pytest.raises(ValueError, match="positive"):
        speaker.speak(LINE, "es", speed=0)


@pytest.mark.parametrize(("tone_hz", "rate_hz"), [(300, 8_000), (1_000, 8_000), (3_300, 8_000), (9_000, 24_000)])
def test_resampling_keeps_what_fits(tone_hz: int, rate_hz: int) -> None:
    """A tone below the new half-rate keeps its frequency and its level within 0.1 dB."""
    time = np.arange(NATIVE_HZ) / NATIVE_HZ
    samples = 10_000 * np.sin(2 * np.pi * tone_hz * time)
    changed = resample(samples, NATIVE_HZ, rate_hz)
    assert len(changed) == rate_hz
    middle = changed[rate_hz // 4 : -rate_hz // 4]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(10_000 / np.sqrt(2), rel=0.012)
    peak = np.argmax(np.abs(np.fft.rfft(changed)))
    assert peak == pytest.approx(tone_hz, abs=1)


def test_resampling_lets_nothing_fold_back() -> None:
    """A tone above the new half-rate is gone: 60 dB and more below itself."""
    time = np.arange(NATIVE_HZ) / NATIVE_HZ
    loud = 10_000 * np.sin(2 * np.pi * 5_000 * time) * np.hanning(NATIVE_HZ)
    left = resample(loud, NATIVE_HZ, 8_000)
    assert spectrum_db(loud, NATIVE_HZ, 0, 11_025) - spectrum_db(left, 8_000, 0, 4_001) > 60


@pytest.mark.parametrize("length", [0, 1, 7, 441, 10_007])
def test_resampling_has_exact_lengths(length: int) -> None:
    """n samples give ceil(n * to / from)."""
    assert len(resample(np.zeros(length), NATIVE_HZ, 24_000)) == -(-length * 160 // 147)
    assert len(resample(np.zeros(length), 24_000, 8_000)) == -(-length // 3)


def test_tones_stand_for_speech_without_voices() -> None:
    """Without voices a line is tones as long as 14 characters a second, the same for the same text, faster at speed."""
    speech = Speech(None)
    settings = {"voice": "alloy", "audio_format": "audio/pcm"}
    line = speech.say(LINE, "es", speed=1.0, **settings)
    assert len(line) / 48_000 == pytest.approx(len(LINE) / 14, abs=0.05)
    assert speech.say(LINE, "es", speed=1.5, **settings) != line
    assert Speech(None).say(LINE, "es", speed=1.0, **settings) == line
    assert len(speech.say(LINE, "es", speed=0.5, **settings)) == pytest.approx(2 * len(line), rel=0.01)
    assert to_pcm16(tones("Sí.")) != to_pcm16(tones("No."))


def test_u_law_is_the_same_line() -> None:
    """The line as µ-law is the line at 8 kHz."""
    speech = Speech(None)
    narrow = speech.say(LINE, "es", voice="alloy", speed=1.0, audio_format="audio/pcmu")
    wide = np.frombuffer(speech.say(LINE, "es", voice="alloy", speed=1.0, audio_format="audio/pcm"), "<i2")
    expected = resample(wide.astype(np.float64), 24_000, 8_000)
    heard = np.frombuffer(g711.decode(narrow), "<i2").astype(np.float64)
    noise = np.mean((heard - expected[: len(heard)]) ** 2)
    assert 10 * np.log10(np.mean(expected**2) / noise) > 30


@needs_espeak
def test_a_language_without_a_voice_is_spoken_in_tones_and_noted() -> None:
    """The stand-in goes on with tones and says so once."""
    speech = Speech(Voices())
    for line in ("a b c", "d e f"):
        assert speech.say(line, "xx", voice="alloy", speed=1.0, audio_format="audio/pcm")
    assert len(speech.notes) == 1
    assert speech.notes[0].endswith("Tones stand for it.")


@needs_espeak
def test_a_line_without_words_still_sounds() -> None:
    """Punctuation alone, which espeak-ng leaves silent, becomes a tone: a response is never without audio."""
    assert Speech(Voices()).say("…", "es", voice="alloy", speed=1.0, audio_format="audio/pcm")
