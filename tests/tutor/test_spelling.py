"""Every phrase in a language of the Latin alphabet is spelled as its dictionary spells it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import spelling
from tutor.script.catalogue import load
from tutor.script.language import Language

LANGUAGES = spelling.spelled(load())
each_language = pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.tag)


@each_language
def test_every_word_is_in_the_dictionary_or_meant(language: Language) -> None:
    """What hunspell does not know is a name, a loan word or a regional word, and listed as such."""
    name = spelling.dictionary(language)
    if not spelling.installed(name):
        pytest.skip(f"hunspell with the dictionary {name} is not installed")
    assert spelling.unknown(language) == {}


@pytest.mark.parametrize("base", sorted({language.base for language in LANGUAGES}))
def test_every_listed_exception_is_still_said(base: str) -> None:
    """A word that no phrase of the language or its regions uses any more leaves the list."""
    said = {part for language in LANGUAGES if language.base == base for part in spelling.parts(language)}
    assert spelling.exceptions(base) <= said


def test_a_misspelled_word_is_found_with_its_place() -> None:
    """The check itself works: a wrong word in one phrase is named together with the phrase's key."""
    language = next(language for language in LANGUAGES if language.tag == "es")
    if not spelling.installed(spelling.dictionary(language)):
        pytest.skip("hunspell with a Spanish dictionary is not installed")
    assert spelling.unknown(replace(language, target=dict(language.target) | {"goodbye": "¡Asta luego, adios!"})) == {
        "adios": "target.goodbye"
    }
