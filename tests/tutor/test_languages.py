"""Every language of the catalogue: complete, in its own script, kind, and fit for a telephone."""

from __future__ import annotations

import math
import re
import unicodedata
from itertools import product
from pathlib import Path

import pytest

from tests.tutor.phrases import native_phrases, phrases, target_phrases
from tutor.script.catalogue import CatalogueError, load
from tutor.script.language import NATIVE_STRINGS, TARGET_PHRASES, Language
from tutor.script.scenario import Scenario

CATALOGUE = load()
LANGUAGES = [CATALOGUE.language(tag) for tag in CATALOGUE.tags]
NATIVES, TARGETS = CATALOGUE.natives, CATALOGUE.targets


def tag(value: Language | Scenario) -> str:
    """How a language or a scenario is called in a test's name."""
    return value.tag if isinstance(value, Language) else value.id


each_language = pytest.mark.parametrize("language", LANGUAGES, ids=tag)
each_native = pytest.mark.parametrize("language", NATIVES, ids=tag)
each_target = pytest.mark.parametrize("language", TARGETS, ids=tag)
each_native_scene = pytest.mark.parametrize(
    ("language", "scenario"), list(product(NATIVES, CATALOGUE.scenarios)), ids=tag
)
each_target_scene = pytest.mark.parametrize(
    ("language", "scenario"), list(product(TARGETS, CATALOGUE.scenarios)), ids=tag
)

NOTICE = {
    "ar": ("ذكاء اصطناعي", "غير مسجّلة"),
    "en": ("AI", "not recorded"),
    "es": ("inteligencia artificial", "no se graba"),
    "fr": ("intelligence artificielle", "pas enregistré"),
    "pt": ("inteligência artificial", "não é gravada"),
    "zh": ("人工智能", "不会录音"),
}
"""What each native language's first sentence must contain: that an AI answers, and that the call is not recorded."""

SCRIPTS = {
    "Latn": ("LATIN",),
    "Cyrl": ("CYRILLIC",),
    "Grek": ("GREEK",),
    "Arab": ("ARABIC",),
    "Hans": ("CJK",),
    "Jpan": ("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC"),
}
UNSPACED = {"Hans", "Jpan"}
"""Scripts without spaces between words; there two characters count as one word."""

CHARACTERS = {"Hans": "gb2312", "Jpan": "shift_jis"}
"""National character sets: the one has simplified characters only, the other none that Japan does not write."""

MARKS = {"Hans": r"[,.?!:;]|(?<!…)…(?!…)", "Jpan": r"[,.?!:;]|(?<!…)…(?!…)", "Arab": r"[,?;]"}
"""Marks that a script replaces by its own: a full-width one, the doubled ellipsis, the Arabic comma."""

CODES = {"zh": ("zh", "cmn"), "ar": ("ar", "arb")}
"""Language codes that carriers and espeak use beside the tag's own."""


def folded(text: str) -> str:
    """Letters and digits only, without case and accents, words separated by one space."""
    plain = unicodedata.normalize("NFD", text.lower().replace("’", "'"))
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.findall(r"[\w']+", letters))


def words(language: Language, text: str) -> int:
    """How many words a text has."""
    if language.script in UNSPACED:
        return math.ceil(len("".join(folded(text).split())) / 2)
    return len(folded(text).split())


def sentences(text: str) -> list[str]:
    """Each sentence by itself; a colon or a semicolon is a place to breathe and counts as an end."""
    return [part for part in re.split(r"[.!?…:;。！？：；؟؛]+", text) if folded(part)]


def contains(language: Language, text: str, word: str) -> bool:
    """Whether a text holds a word, whatever its case and accents."""
    if language.script in UNSPACED:
        return folded(word) in folded(text)
    return f" {folded(word)} " in f" {folded(text)} "


@each_language
def test_a_language_has_strings_for_every_scenario(language: Language) -> None:
    """No pair of languages lacks a scene, and a language has nothing for the side it does not serve."""
    assert set(language.scenes) == {scenario.id for scenario in CATALOGUE.scenarios}
    assert language.is_native or language.is_target
    assert set(language.target) == (set(TARGET_PHRASES) if language.is_target else set())
    for strings in language.scenes.values():
        assert bool(strings.title) == language.is_native
        assert bool(strings.greeting) == language.is_target


@pytest.mark.parametrize("native", NATIVES, ids=tag)
def test_every_speaker_can_learn_every_other_language(native: Language) -> None:
    """Each pair of two languages makes a scene; a language and itself, or its own region, do not."""
    for target in TARGETS:
        if native.base == target.base:
            with pytest.raises(CatalogueError, match="are one language"):
                CATALOGUE.pair(native.tag, target.tag)
        else:
            scene = CATALOGUE.scene("cafe_order", native=native.tag, target=target.tag, level="A1")
            assert (scene.native, scene.target) == (native, target)
            assert scene.title
            assert scene.greeting


@each_native
def test_every_sentence_takes_the_same_parameters_in_every_language(language: Language) -> None:
    """Each native string can be said with exactly the parameters of its key."""
    for key, parameters in NATIVE_STRINGS.items():
        spoken = language.say(key, **{name: f"<{name}>" for name in parameters})
        assert all(f"<{name}>" in spoken for name in parameters)
        assert "{" not in spoken


@each_native
def test_the_first_sentence_says_that_an_ai_answers_and_nothing_is_recorded(language: Language) -> None:
    """New and returning callers both hear it, on every call."""
    for key in ("menu.notice", "menu.welcome_back", "callers.hello"):
        for needed in NOTICE[language.base]:
            assert needed in language.says[key]


@each_language
def test_phrases_are_written_in_the_language_s_script(language: Language) -> None:
    """Every letter belongs to the script; other scripts than Latin may borrow a Latin word."""
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
        if other.tag == language.base:
            continue
        theirs = dict(phrases(other))
        same = [where for where, text in phrases(language) if text == theirs.get(where) and not where.endswith(".0")]
        assert not same, f"the same in {other.tag}"
    assert not [where for where, text in phrases(language) if folded(text) == folded(where.split(".")[-1]) != ""]


@each_native
def test_the_line_never_judges_and_never_takes_a_praise_back(language: Language) -> None:
    """No sentence to the caller holds a teacher's or examiner's word, or a "but"."""
    assert language.teacher_words
    assert language.but_words
    for where, text in native_phrases(language):
        for word in (*language.teacher_words, *language.but_words):
            assert not contains(language, text, word), where


@each_target
def test_roles_do_not_talk_like_teachers(language: Language) -> None:
    """Greetings and fixed phrases hold no teacher's word, so that no role begins like a lesson."""
    assert len(language.teacher_words) >= 5
    for where, text in target_phrases(language):
        if ".hints." not in where:  # learners may say what they like
            assert not [word for word in language.teacher_words if contains(language, text, word)], where


@each_native
def test_what_the_line_says_is_short_enough_for_a_telephone(language: Language) -> None:
    """No sentence has more than twenty-one words, no message more than forty-five; badges and headings need no mark."""
    for key, text in language.says.items():
        assert words(language, text) <= 45, key
        assert all(words(language, sentence) <= 21 for sentence in sentences(text)), key
        ends = text.rstrip("}")[-1] in ".!?。！？؟" or text.endswith("{phrase}")
        assert ends or key.startswith(("badge.", "page.")), key


@each_native
def test_a_language_can_name_every_other(language: Language) -> None:
    """Each tag of the catalogue has a name in each language; a region falls back to its language."""
    for known in CATALOGUE.tags:
        assert language.name_of(known) not in ("", known)
    assert language.name_of(f"{language.base}-ZZ") == language.name_of(language.base)


@each_native
def test_a_spoken_list_ends_with_an_and(language: Language) -> None:
    """Nothing, one, two and three things are joined as people say them."""
    between, last = language.list_between, language.list_last
    assert between.strip()
    assert last.strip()
    assert language.enumerate([]) == ""
    assert language.enumerate(["x"]) == "x"
    assert language.enumerate(["x", "y"]) == f"x{last}y"
    assert language.enumerate(["x", "y", "z"]) == f"x{between}y{last}z"


@each_native_scene
def test_a_preview_is_one_breath(language: Language, scenario: Scenario) -> None:
    """A preview has at most sixteen words, who answers at most twenty-one, a title five; a can-do is no sentence."""
    strings = language.scenes[scenario.id]
    assert 5 <= words(language, strings.preview) <= 16
    assert strings.preview.endswith((".", "。"))
    assert 5 <= words(language, strings.who) <= 21
    assert strings.who.endswith((".", "。"))
    assert words(language, strings.title) <= 5
    for can_do in strings.can_do.values():
        assert words(language, can_do) <= 11
        assert not can_do.endswith((".", "。"))


@each_target_scene
def test_hints_climb_from_a_word_to_the_whole_phrase(language: Language, scenario: Scenario) -> None:
    """The whole phrase contains the keyword and begins with the sentence start; the three rungs differ."""
    for goal, (keyword, start, whole) in language.scenes[scenario.id].hints.items():
        assert folded(keyword) in folded(whole), goal
        assert folded(whole).startswith(folded(start)), goal
        assert len({folded(keyword), folded(start), folded(whole)}) == 3, goal
        assert "…" in start, goal
        assert "…" not in keyword + whole, goal


@each_target_scene
def test_hints_and_greetings_fit_the_easiest_level_of_the_scene(language: Language, scenario: Scenario) -> None:
    """No sentence is longer than the level card allows the role (one word of grace), no hint over twenty-four words."""
    strings = language.scenes[scenario.id]
    level = CATALOGUE.level(scenario.cefr[0])
    longest = (level.max_sentence_words or 99) + 1
    for text in (strings.greeting, *(whole for _, _, whole in strings.hints.values())):
        assert all(words(language, sentence) <= longest for sentence in sentences(text)), text
        assert words(language, text) <= 24, text
    assert len(sentences(strings.greeting)) <= level.max_sentences + 2, strings.greeting


@each_target_scene
def test_keywords_prepare_the_transcriber(language: Language, scenario: Scenario) -> None:
    """Each scene expects three to eight words or short phrases, none of them twice."""
    keywords = language.scenes[scenario.id].keywords
    assert 3 <= len(keywords) <= 8
    assert len(set(keywords)) == len(keywords)


@each_language
def test_a_voice_speaks_the_locale_it_is_paired_with(language: Language) -> None:
    """The carrier fails on mismatched pairs, so voice, locale and transcription code agree with the tag."""
    codes = CODES.get(language.base, (language.base,))
    assert language.say_locale.partition("-")[0] in codes
    assert language.espeak.partition("-")[0] in codes
    assert language.transcription == language.base


@each_target
def test_a_role_knows_how_to_address_the_caller(language: Language) -> None:
    """Every target has an accent and a way of address for formal and for informal scenes."""
    assert language.accent
    assert set(language.address) == {"formal", "informal"}


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language.base == "es"], ids=tag)
def test_spanish_questions_and_exclamations_open_and_close(language: Language) -> None:
    """Spanish opens what it closes."""
    for where, text in phrases(language):
        assert text.count("¿") == text.count("?"), where
        assert text.count("¡") == text.count("!"), where


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language.base == "fr"], ids=tag)
def test_french_is_typed_plainly(language: Language) -> None:
    """French sentences are spoken, not printed: no space before a mark, none that is narrow or hard."""
    for where, text in phrases(language):
        assert not re.search(r"\s[!?:;»]|«\s|[\u00a0\u202f]|[’]", text), where


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language.script in CHARACTERS], ids=tag)
def test_characters_are_those_of_the_country(language: Language) -> None:
    """No traditional character stands in simplified Chinese, and no Chinese form in Japanese."""
    for where, text in phrases(language):
        charset = CHARACTERS[language.script]
        assert text.encode(charset, "ignore").decode(charset) == text, where


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language.script in MARKS], ids=tag)
def test_marks_are_those_of_the_script(language: Language) -> None:
    """Chinese, Japanese and Arabic are not punctuated like English, which voices would read with wrong pauses."""
    for where, text in phrases(language):
        assert not re.search(MARKS[language.script], text), where


@pytest.mark.parametrize("regional", CATALOGUE.regions, ids=tag)
def test_a_region_differs_only_where_it_says_so(regional: Language) -> None:
    """A region keeps its language's goals and most of its phrases, and has a name and an accent of its own."""
    base = CATALOGUE.language(regional.base)
    assert (regional.name, regional.accent) != (base.name, base.accent)
    ours, theirs = dict(phrases(regional)), dict(phrases(base))
    assert ours.keys() == theirs.keys()
    assert sum(ours[where] == theirs[where] for where in ours) > 0.8 * len(ours)


def test_language_files_stay_readable() -> None:
    """No file of a language passes 500 lines."""
    for file in (Path(__file__).parents[2] / "tutor/catalogue").rglob("*.toml"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 500, file
