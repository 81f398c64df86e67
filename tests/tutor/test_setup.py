"""The session's settings that come from the class: the words the transcriber listens for, and a voice that exists."""

from __future__ import annotations

import pytest

from tests.tutor.scenes import cafe
from tutor.script.catalogue import load
from tutor.script.class_prompt import ClassPrompt
from tutor.script.scenario import UnknownVoice
from tutor.script.scene import Scene
from tutor.talk.setup import MAX_KEYWORD_CHARS, MAX_KEYWORDS, expected_words, session_config, transcription

CATALOGUE = load()


def practising(material: ClassPrompt) -> Scene:
    """The café with a class's material."""
    return CATALOGUE.scene("cafe_order", native="en", target="es", level="A1", class_prompt=material)


def test_the_class_s_words_are_listened_for() -> None:
    """What is due comes first, then the scene's keywords, then the rest of the week; each once, whatever its case."""
    week = ClassPrompt(vocabulary=(*(f"palabra {n}" for n in range(10)), "PARA LLEVAR"), must_use=("la cuenta",))
    scene = practising(week)
    expected = expected_words(scene)
    assert tuple(expected[:8]) == scene.due
    assert set(scene.target_strings.keywords) - {"para llevar"} <= set(expected)
    assert {word.casefold() for word in week.vocabulary} <= {word.casefold() for word in expected}
    assert len({word.casefold() for word in expected}) == len(expected)


def test_keywords_are_bounded_and_plain() -> None:
    """However much a class writes, seventy short one-line entries at most reach the transcriber."""
    week = ClassPrompt(
        vocabulary=(*(f"w{n}" for n in range(57)), "x" * (MAX_KEYWORD_CHARS + 1), "a\nb", "  "),
        must_use=tuple(f"m{n}" for n in range(30)),
    )
    expected = expected_words(practising(week))
    assert len(expected) == MAX_KEYWORDS
    assert all(word.strip() and word.isprintable() and len(word) <= MAX_KEYWORD_CHARS for word in expected)
    assert "a b" in expected_words(practising(ClassPrompt(vocabulary=("a\nb",))))


def test_keywords_are_part_of_the_session() -> None:
    """The one full session carries them where the transcriber takes keywords, and only there."""
    scene = practising(ClassPrompt(vocabulary=("la servilleta",)))
    config = session_config(
        scene, mode="pcm", voice="marin", model="gpt-realtime-2.1", transcribe_model="gpt-transcribe"
    )
    assert "la servilleta" in config["audio"]["input"]["transcription"]["keywords"]
    assert "keywords" not in transcription(scene, "gpt-4o-mini-transcribe")


def test_a_voice_that_does_not_exist_is_refused() -> None:
    """A session is never asked for a voice that the server would refuse in the middle of a call."""
    with pytest.raises(UnknownVoice, match=r"no voice nova; it has alloy, .*, cedar\."):
        session_config(cafe(), mode="pcm", voice="nova", model="gpt-realtime-2.1", transcribe_model="gpt-transcribe")
