"""What callers hear when safety comes first, and the linter over every string of the catalogue."""

from __future__ import annotations

import pytest

from tests.tutor.phrases import native_phrases, target_phrases
from tutor.learning.quotes import has
from tutor.learning.wording import in_script, problems
from tutor.safety import words
from tutor.safety.phrases import Phrasebook
from tutor.script.catalogue import load
from tutor.script.language import Language

CATALOGUE = load()
each_native = pytest.mark.parametrize("language", CATALOGUE.natives, ids=lambda language: language.tag)
each_target = pytest.mark.parametrize("language", CATALOGUE.targets, ids=lambda language: language.tag)

SECRET = {
    "en": ("secret", "between us", "nobody will know", "confidential"),
    "es": ("secreto", "entre nosotros", "nadie lo sabrá", "confidencial"),
    "fr": ("secret", "entre nous", "personne ne le saura", "confidentiel"),
    "pt": ("segredo", "entre nós", "ninguém vai saber", "confidencial"),
    "zh": ("秘密", "保密", "不会告诉"),
    "ar": ("سر", "سري", "بيننا", "لن يعرف أحد"),
}
SPOKEN_S = {"Hans": 0.25, "Latn": 0.42, "Arab": 0.5}
"""Seconds a character (Chinese) or a word takes a calm voice."""


@each_native
def test_care_names_the_helpline_where_there_is_one(language: Language) -> None:
    """The line's own helpline is said as it was given; without one the emergency number is named."""
    assert "988" in language.say("safety.care", helpline="988")
    assert "988" not in language.say("safety.care_no_helpline")


@each_native
def test_no_script_takes_longer_than_twenty_seconds(language: Language) -> None:
    """Care is short enough to be listened to."""
    told = language.says["safety.told"]
    care = (f"{language.says[key]} {told}" for key in ("safety.care", "safety.care_no_helpline"))
    for text in (*care, *(language.says[f"safety.{key}"] for key in ("stop", "exit_reported", "kid_notice"))):
        units = len([char for char in text if char.isalnum()]) if language.script == "Hans" else len(text.split())
        assert units * SPOKEN_S[language.script] <= 20, text


@each_native
def test_nothing_promises_secrecy(language: Language) -> None:
    """What a caller discloses is told to the school, so no sentence may say otherwise."""
    for key, text in language.says.items():
        if key.startswith("safety."):
            assert not [word for word in SECRET[language.base] if has(text, word)], key


@each_native
def test_every_sentence_to_a_learner_passes_the_linter(language: Language) -> None:
    """No verdict, no count of errors, no "but", in any native language."""
    for where, text in native_phrases(language):
        assert problems(text, language) == [], where


@each_target
def test_every_line_of_a_role_passes_the_linter(language: Language) -> None:
    """No verdict and no score in any of the languages that are learned; hints are the learner's own lines."""
    assert language.teacher_words
    for where, text in target_phrases(language):
        if ".hints." not in where:
            verdicts = [said for said in problems(text, language) if "takes a praise back" not in said]
            assert verdicts == [], where
            assert in_script(text, language.script), where


@pytest.mark.parametrize("tag", words.LANGUAGES)
def test_every_list_can_be_read(tag: str) -> None:
    """Each language has idioms and phrases of every category."""
    lists = words.of(tag)
    assert lists is not None
    assert isinstance(lists.harmless, Phrasebook)
    assert words.of(f"{tag}-XX") is not None


def test_a_language_without_lists_has_none() -> None:
    """An unknown tag is no error: nothing is found in it."""
    assert words.of("tlh") is None
