"""The linter of everything that leaves the house, and quotations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tutor.phrases import native_phrases
from tutor.learning import quotes
from tutor.learning.wording import in_script, problems
from tutor.script.catalogue import load
from tutor.script.language import Language

CATALOGUE = load()
each_native = pytest.mark.parametrize("language", CATALOGUE.natives, ids=lambda language: language.tag)


@each_native
def test_every_sentence_of_the_catalogue_passes(language: Language) -> None:
    """Nothing the line says or writes judges, counts errors or takes a praise back."""
    for where, text in native_phrases(language):
        assert problems(text, language) == [], where


@each_native
def test_every_forbidden_word_is_found(language: Language) -> None:
    """Whatever its case, between other words, and with a mark behind it."""
    between = "" if language.script == "Hans" else " "
    for word in (*language.teacher_words, *language.but_words):
        text = between.join(("x", word.upper(), "x"))
        assert problems(text, language), text
        assert problems(f"{word}!", language), word


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("en", "You got 5 errors."),
        ("en", "CORRECT!"),
        ("en", "Well done, but speak up."),
        ("en", "You understood 85% of it."),
        ("en", "8/10 today!"),
        ("es", "¡Muy bien! Sin embargo, practique más."),
        ("es", "Ha cometido un error."),
        ("es", "INCORRECTO"),
        ("es", "Perfect and correct!"),
        ("fr", "Il n'y a pas d'erreur."),
        ("fr", "Bravo, mais parlez plus fort."),
        ("pt", "Você falou bem, mas devagar."),
        ("zh", "您说得不错，但是有错误。"),
        ("ar", "هذا خطأ."),
        ("ar", "ممتاز، ولكن تكلموا أكثر."),
    ],
)
def test_what_nobody_may_be_told_is_found(tag: str, text: str) -> None:
    """Verdicts, counts of errors, scores, and a "but"."""
    assert problems(text, CATALOGUE.language(tag))


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("en", "You spoke 12 times!"),
        ("en", "The butter and the lessons of life"),
        ("es", "Ha notado enseguida lo que faltaba."),
        ("fr", "Vous avez commandé du maïs."),
        ("pt", "Falou com a mãe."),
    ],
)
def test_innocent_words_are_left_alone(tag: str, text: str) -> None:
    """Only whole words count, and numbers that count no errors."""
    assert problems(text, CATALOGUE.language(tag)) == []


@pytest.mark.parametrize(
    ("text", "script", "is_in"),
    [
        ("¿Qué tal?", "Latn", True),
        ("我想要咖啡", "Latn", False),
        ("我想要一杯 latte", "Hans", True),
        ("I want coffee", "Hans", False),
        ("コーヒーをください", "Jpan", True),
        ("أريد قهوة", "Arab", True),
        ("12!", "Arab", True),
        ("whatever", "Zzzz", True),
    ],
)
def test_a_script_is_told_by_its_letters(text: str, script: str, is_in: bool) -> None:
    """A loan word may stand in another script; digits and marks belong to all."""
    assert in_script(text, script) == is_in


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("un cafe con leche", "Quisiera un café con leche, por favor.", "un café con leche"),
        ("QUISIERA UN CAFÉ", "Quisiera un café con leche.", "Quisiera un café"),
        ("quisiera un café", "Quisiera un café. Gracias.", "Quisiera un café."),
        ("me pone un café", "Hola. ¿Me pone un café? Gracias.", "¿Me pone un café?"),
        ("¿Me pone?", "¿Me pone un café?", "Me pone"),
        ("un café", "¿Me pone un café?", "un café"),
        ("l'eau d'abord", "Alors, l’eau d’abord!", "l’eau d’abord"),
        ("一杯拿铁", "我想要一杯拿铁，谢谢。", "一杯拿铁"),
        ("un te", "Quisiera un café.", None),
        ("café un", "Quisiera un café.", None),
        ("caf", "Quisiera un café.", None),
        ("¿?", "¿?", None),
        ("", "Quisiera un café.", None),
    ],
)
def test_a_phrase_is_found_and_spelled_as_it_was_said(phrase: str, text: str, found: str | None) -> None:
    """Word by word, whatever its accents and marks; what comes back is the text's own."""
    assert quotes.find(phrase, ["Nada.", text]) == found


def test_what_stands_between_quotation_marks_is_told() -> None:
    """All usual pairs; an apostrophe is none."""
    text = "You said \"uno\", “dos tres”, «cuatro», „cinco“, 'seis', ‘siete’ and l'eau d'abord; 「八」"
    assert sorted(quotes.marked(text)) == sorted(["uno", "dos tres", "cuatro", "cinco", "八", "siete", "seis"])


words = st.text("abcdeéñ", min_size=1, max_size=5)


@given(st.lists(words, min_size=1, max_size=8), st.data())
def test_every_stretch_of_a_text_is_found_in_it(text: list[str], data: st.DataObject) -> None:
    """Any run of words, in any case, and what is found has the same words."""
    first = data.draw(st.integers(0, len(text) - 1))
    last = data.draw(st.integers(first, len(text) - 1))
    phrase = " ".join(text[first : last + 1])
    found = quotes.find(phrase.upper(), [", ".join(text)])
    assert found is not None
    assert quotes.has(found, phrase)
    assert len(found.split()) == last - first + 1


@given(st.text(max_size=40), st.text(max_size=40))
def test_what_is_found_is_a_piece_of_the_text(phrase: str, text: str) -> None:
    """Nothing is ever made up."""
    found = quotes.find(phrase, [text])
    assert found is None or (found in text and found)
