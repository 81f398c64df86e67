"""Syllables are counted from the spelling, by the rules of each language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.learning.syllables import syllables

WORDS = {
    "es": "ca-fé con le-che por fa-vor bue-nos dí-as quie-ro te-a-tro po-e-ta gui-ta-rra ver-güen-za ciu-dad muy "
    "pa-ís a-é-re-o a-gua va-ya le-er via-je i-de-a ba-hí-a pro-hi-bi-do lim-pie-za hue-vo ma-rí-a y",
    "pt": "ca-fé di-a não li-ções mãe á-gua pa-da-ri-a ri-o his-tó-ria fa-mí-lia pi-a-no vi-a-gem qua-tro guar-da "
    "que-ri-a sa-ú-de pa-ís te-a-tro coi-sa pou-co lu-a a-í mui-to eu re-a-li-da-de es-ta-ção vo-o lín-gua "
    "rá-dio",
    "it": "caf-fè buon-gior-no gra-zie vor-rei pia-ce-re mi-o zi-a te-a-tro gio-va-ne pa-e-se ac-qua guar-da-re "
    "quan-to più può già sei l'a-mi-co po-e-ta a-iu-to au-to la-scia-re man-gia-re sta-zio-ne vi-a cit-tà "
    "chia-mo",
    "fr": "ca-fé bon-jour s'il vous plaît vou-drais l'eau thé-âtre no-ël par-ler fille na-tion com-bien ma-dame oui "
    "a-mie rue voi-ture chambre qu'est c'est lieu vien-dra gâ-teau beau-coup nuit é-tu-diant cré-er jour-née "
    "hier œufs po-ème langue man-geons crois-sant plages a-é-ro-port",
    "de": "gu-ten tag möch-te ei-nen kaf-fee the-a-ter häu-ser fa-mi-li-e vie-len na-ti-on rei-se neu ra-di-o "
    "i-ta-li-en see quel-le fünf-und-zwan-zig mu-se-um fe-ri-en hier pa-pier ge-nau-er",
    "en": "ta-ble peo-ple cof-fee please want-ed walked cre-ate hous-es i-de-a na-tion ques-tion some-thing "
    "yes-ter-day time ma-chine chang-es var-i-ous fa-mous re-al be-ing play-ing love-ly ar-e-a ra-di-o qui-et "
    "sta-tion spe-cial lan-guage ice try-ing pi-an-o don't would-n't bot-tles mu-se-um di-et eyes you they've "
    "sci-ence ex-pe-ri-ence",
}
"""With a hyphen where a syllable ends."""


@pytest.mark.parametrize(("tag", "word"), [(tag, word) for tag, words in WORDS.items() for word in words.split()])
def test_a_word_has_as_many_syllables_as_its_speakers_hear(tag: str, word: str) -> None:
    """In each language: diphthongs, hiatus, mute letters."""
    assert syllables(word.replace("-", ""), tag) == word.count("-") + 1


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("コーヒー", 4),
        ("きょう", 2),
        ("がっこう", 4),
        ("ｺｰﾋｰ", 4),
        ("ください。", 4),
        ("日本", 4),  # two characters at 1.75: 3.5, and Python rounds that to the even 4
        ("お茶をください", 8),  # 6 kana and one character
        ("Wi-Fiはありますか", 8),
    ],
)
def test_japanese_counts_morae(text: str, count: int) -> None:
    """A kana is one, a small one belongs to the one before, a long vowel and a stop count, a character is a mean."""
    assert syllables(text, "ja") == count


@pytest.mark.parametrize(("text", "count"), [("我想喝咖啡。", 5), ("你好！", 2), ("OK，可以", 3), ("", 0), ("……", 0)])
def test_chinese_counts_characters(text: str, count: int) -> None:
    """Each is a syllable; marks are none."""
    assert syllables(text, "zh") == count


@pytest.mark.parametrize(
    ("tag", "count"), [("es", 4), ("en", 3), ("de", 4), ("fr", 2), ("zh", 3), ("ja", 4), ("xx", 4)]
)
def test_numbers_count_as_they_are_said(tag: str, count: int) -> None:
    """Transcripts have digits: so many syllables each, as the language has on the whole."""
    assert syllables("25", tag) == count


def test_a_region_is_counted_as_its_language_and_another_language_by_its_vowels() -> None:
    """A language without rules is still counted."""
    assert syllables("Buenos días", "es-PR") == 4
    assert syllables("Goedemorgen", "nl") == 4


@given(
    st.lists(st.text(max_size=20), max_size=5), st.sampled_from(["de", "en", "es", "fr", "it", "ja", "pt", "zh", "ar"])
)
def test_any_text_has_a_number_of_syllables(parts: list[str], tag: str) -> None:
    """Never negative, and a text of several lines has no fewer than one of them."""
    whole = syllables(" \n ".join(parts), tag)
    assert whole >= 0
    assert all(whole >= syllables(part, tag) - 1 for part in parts)  # the parts' halves are rounded once each
