"""Every language of the catalogue: complete, in its own script, kind, and fit for a telephone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from tutor.script.catalogue import load
from tutor.script.language import NATIVE_STRINGS, Language, SceneStrings
from tutor.script.scenario import Scenario

CATALOGUE = load()
LANGUAGES = [CATALOGUE.language(tag) for tag in CATALOGUE.tags]
SCENES = [(language, scenario) for language in LANGUAGES for scenario in CATALOGUE.scenarios]

each_language = pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.tag)
each_scene = pytest.mark.parametrize(
    ("language", "scenario"), SCENES, ids=lambda value: getattr(value, "tag", None) or value.id
)

NOTICE = {"en": ("AI", "not recorded"), "es": ("inteligencia artificial", "no se graba")}
"""What each language's first sentence must contain: that an AI answers, and that the call is not recorded."""

SCRIPTS = {"Latn": ("LATIN",), "Cyrl": ("CYRILLIC",), "Grek": ("GREEK",), "Arab": ("ARABIC",)}


def folded(text: str) -> str:
    """Letters and digits only, without case and accents, words separated by one space."""
    plain = unicodedata.normalize("NFD", text.lower().replace("’", "'"))
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.findall(r"[\w']+", letters))


def sentences(text: str) -> list[list[str]]:
    """The words of each sentence; a colon or a semicolon is a place to breathe and counts as an end."""
    return [words for part in re.split(r"[.!?…:;]+", text) if (words := folded(part).split())]


def native_phrases(language: Language) -> Iterator[tuple[str, str]]:
    """What the line says to speakers of the language, with where it stands."""
    for key, text in language.says.items():
        yield f"says.{key}", text
    for scene_id, strings in language.scenes.items():
        yield f"{scene_id}.title", strings.title
        yield f"{scene_id}.preview", strings.preview
        for goal, text in strings.can_do.items():
            yield f"{scene_id}.can_do.{goal}", text


def target_phrases(language: Language) -> Iterator[tuple[str, str]]:
    """What a role and a learner of the language say, with where it stands."""
    for key, text in language.target.items():
        yield f"target.{key}", text
    for scene_id, strings in language.scenes.items():
        yield f"{scene_id}.greeting", strings.greeting
        for goal, rungs in strings.hints.items():
            for rung, text in enumerate(rungs):
                yield f"{scene_id}.hints.{goal}.{rung}", text


def phrases(language: Language) -> Iterator[tuple[str, str]]:
    """Everything that is spoken."""
    yield from native_phrases(language)
    yield from target_phrases(language)


@each_language
def test_a_language_has_strings_for_every_scenario(language: Language) -> None:
    """No pair of languages lacks a scene."""
    assert set(language.scenes) == {scenario.id for scenario in CATALOGUE.scenarios}


@each_language
def test_every_sentence_takes_the_same_parameters_in_every_language(language: Language) -> None:
    """Each native string can be said with exactly the parameters of its key."""
    for key, parameters in NATIVE_STRINGS.items():
        spoken = language.say(key, **{name: f"<{name}>" for name in parameters})
        assert all(f"<{name}>" in spoken for name in parameters)
        assert "{" not in spoken


@each_language
def test_the_first_sentence_says_that_an_ai_answers_and_nothing_is_recorded(language: Language) -> None:
    """New and returning callers both hear it, on every call."""
    for key in ("menu.notice", "menu.welcome_back"):
        for needed in NOTICE[language.tag.partition("-")[0]]:
            assert needed in language.says[key]


@each_language
def test_phrases_are_written_in_the_language_s_script(language: Language) -> None:
    """Every letter belongs to the script; other scripts than Latin may borrow a Latin word."""
    if language.script not in SCRIPTS:
        pytest.skip("a script that mixes several alphabets")
    for where, text in phrases(language):
        letters = [unicodedata.name(c) for c in re.sub(r"\{\w+\}", "", text) if c.isalpha()]
        own = sum(name.startswith(SCRIPTS[language.script]) for name in letters)
        assert own == len(letters) if language.script == "Latn" else own >= 0.6 * len(letters), where


@each_language
def test_phrases_are_clean_text(language: Language) -> None:
    """Composed characters, no double or outer spaces, no digits (voices read them each in their own way)."""
    for where, text in phrases(language):
        assert text == unicodedata.normalize("NFC", text).strip(), where
        assert "  " not in text, where
        assert "..." not in text, where
        assert not re.search(r"\d", text), where


@each_language
def test_no_phrase_is_left_untranslated(language: Language) -> None:
    """No phrase equals another language's at the same place, nor its own id; single hint words may coincide."""
    for other in CATALOGUE.languages:
        if other.tag == language.tag.partition("-")[0]:
            continue
        theirs = dict(phrases(other))
        same = [where for where, text in phrases(language) if text == theirs.get(where) and not where.endswith(".0")]
        assert not same, f"the same in {other.tag}"
    assert not [where for where, text in phrases(language) if folded(text) == folded(where.split(".")[-1]) != ""]


@each_language
def test_the_line_never_judges_and_never_takes_a_praise_back(language: Language) -> None:
    """No sentence to the caller holds a teacher's or examiner's word, or a "but"."""
    banned = {folded(word) for word in (*language.teacher_words, *language.but_words)}
    for where, text in native_phrases(language):
        spoken = f" {folded(text)} "
        assert not [word for word in banned if f" {word} " in spoken], where


@each_language
def test_roles_do_not_talk_like_teachers(language: Language) -> None:
    """Greetings and fixed phrases hold no teacher's word, so that no role begins like a lesson."""
    banned = {folded(word) for word in language.teacher_words}
    for where, text in target_phrases(language):
        spoken = "" if ".hints." in where else f" {folded(text)} "  # learners may say what they like
        assert not [word for word in banned if f" {word} " in spoken], where


@each_language
def test_what_the_line_says_is_short_enough_for_a_telephone(language: Language) -> None:
    """No sentence has more than twenty-one words, no message more than forty-five."""
    for key, text in language.says.items():
        assert len(folded(text).split()) <= 45, key
        assert all(len(words) <= 21 for words in sentences(text)), key
        assert text.rstrip("}")[-1] in ".!?。！？" or text.endswith("{phrase}"), key


@each_language
def test_a_language_can_name_every_other(language: Language) -> None:
    """Each tag of the catalogue has a name in each language; a region falls back to its language."""
    for tag in CATALOGUE.tags:
        assert language.name_of(tag) not in ("", tag)
    assert language.name_of(f"{language.tag.partition('-')[0]}-ZZ") == language.name_of(language.tag.partition("-")[0])


@each_language
def test_a_spoken_list_ends_with_an_and(language: Language) -> None:
    """Nothing, one, two and three things are joined as people say them."""
    last = language.list_last
    assert last.strip()
    assert language.enumerate([]) == ""
    assert language.enumerate(["x"]) == "x"
    assert language.enumerate(["x", "y"]) == f"x{last}y"
    assert language.enumerate(["x", "y", "z"]) == f"x, y{last}z"


@each_scene
def test_a_preview_is_one_breath(language: Language, scenario: Scenario) -> None:
    """A preview has at most sixteen words and a title at most five; a can-do is a phrase, not a sentence."""
    strings = language.scenes[scenario.id]
    assert 5 <= len(folded(strings.preview).split()) <= 16
    assert strings.preview.endswith((".", "。"))
    assert len(folded(strings.title).split()) <= 5
    for can_do in strings.can_do.values():
        assert len(folded(can_do).split()) <= 11
        assert not can_do.endswith(".")


@each_scene
def test_hints_climb_from_a_word_to_the_whole_phrase(language: Language, scenario: Scenario) -> None:
    """The whole phrase contains the keyword and begins with the sentence start; the three rungs differ."""
    for goal, (keyword, start, whole) in language.scenes[scenario.id].hints.items():
        assert folded(keyword) in folded(whole), goal
        assert folded(whole).startswith(folded(start)), goal
        assert len({folded(keyword), folded(start), folded(whole)}) == 3, goal
        assert "…" in start, goal
        assert "…" not in keyword + whole, goal


@each_scene
def test_hints_and_greetings_fit_the_easiest_level_of_the_scene(language: Language, scenario: Scenario) -> None:
    """No sentence is longer than the level card allows the role (one word of grace), no hint over twenty words."""
    strings: SceneStrings = language.scenes[scenario.id]
    level = CATALOGUE.level(scenario.cefr[0])
    longest = (level.max_sentence_words or 99) + 1
    for text in (strings.greeting, *(whole for _, _, whole in strings.hints.values())):
        assert all(len(words) <= longest for words in sentences(text)), text
        assert len(folded(text).split()) <= 24, text
    assert len(sentences(strings.greeting)) <= level.max_sentences + 2, strings.greeting


@each_scene
def test_keywords_prepare_the_transcriber(language: Language, scenario: Scenario) -> None:
    """Each scene expects three to eight words or short phrases, none of them twice."""
    keywords = language.scenes[scenario.id].keywords
    assert 3 <= len(keywords) <= 8
    assert len(set(keywords)) == len(keywords)


@each_language
def test_a_voice_speaks_the_locale_it_is_paired_with(language: Language) -> None:
    """The carrier fails on mismatched pairs, so voice, locale and transcription code agree with the tag."""
    base = language.tag.partition("-")[0]
    assert language.say_locale.startswith(f"{base}-")
    assert language.espeak.startswith(base)
    assert language.transcription == base
    assert set(language.address) == {"formal", "informal"}


def test_the_notice_table_covers_every_language() -> None:
    """Whoever adds a language also says how its first sentence names the AI and the recording."""
    assert set(NOTICE) == {language.tag for language in CATALOGUE.languages}


@pytest.mark.parametrize("tag", [tag for tag in CATALOGUE.tags if tag.startswith("es")])
def test_spanish_questions_and_exclamations_open_and_close(tag: str) -> None:
    """Spanish opens what it closes."""
    for where, text in phrases(CATALOGUE.language(tag)):
        assert text.count("¿") == text.count("?"), where
        assert text.count("¡") == text.count("!"), where


@pytest.mark.parametrize("region", [language.tag for language in CATALOGUE.regions])
def test_a_region_differs_only_where_it_says_so(region: str) -> None:
    """A region keeps its language's goals and most of its phrases, and has a name and an accent of its own."""
    regional, base = CATALOGUE.language(region), CATALOGUE.language(region.partition("-")[0])
    assert (regional.name, regional.accent) != (base.name, base.accent)
    ours, theirs = dict(phrases(regional)), dict(phrases(base))
    assert ours.keys() == theirs.keys()
    assert sum(ours[where] == theirs[where] for where in ours) > 0.8 * len(ours)


def test_language_files_stay_readable() -> None:
    """No file of a language passes 500 lines."""
    for file in (Path(__file__).parents[2] / "tutor/catalogue").rglob("*.toml"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 500, file
