"""What the learner's words amount to: how many, how frequent, how often a start was repaired."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.learning.metrics_words import Types, count, forms, repairs, types


@pytest.mark.parametrize(
    ("tag", "text", "words"),
    [
        ("es", "Un café, por favor.", 4),
        ("en", "It's 25 euros", 3),
        ("zh", "我想喝咖啡", 3),
        ("ja", "はい", 1),
        ("fr", "", 0),
    ],
)
def test_words_are_counted_as_the_level_cards_count_them(tag: str, text: str, words: int) -> None:
    """One and a half characters of Chinese weigh a word, two of Japanese."""
    assert count(text, tag) == words


def test_types_fall_into_bands() -> None:
    """Each form counts once, by its rank in the language; what the list lacks is beyond it."""
    # Ranks: de 1, un 10, café 1326, té 4113; xilófono has none. 700 lemmas are 1,400 forms.
    assert types(["Un café, un té", "de xilófono 25"], "es", band=700) == Types(all=5, in_band=3, by_rank=(2, 1, 1, 1))
    assert types([], "es") == Types(0, 0, (0, 0, 0, 0))


def test_a_wider_band_has_more_of_the_words() -> None:
    """The band is in lemmas, two forms each; None is all of the list, and nothing is wider."""
    said = ["Un café, un té de xilófono"]
    assert [types(said, "es", band=band).in_band for band in (1, 700, 2_500, 9_999, None)] == [1, 3, 4, 4, 4]


@pytest.mark.parametrize(
    ("tag", "text", "found"),
    [
        ("fr", "L'eau d'aujourd'hui", {"l", "eau", "d", "aujourd", "hui"}),
        ("en", "I don’t know", {"i", "don't", "know"}),
        ("zh", "我想喝咖啡。", {"我", "想", "喝", "咖啡"}),
        ("ja", "コーヒーをください", {"コーヒー", "を", "ください"}),
        ("es", "CAFÉ café 25", {"café"}),
        ("nl", "Een kopje", {"een", "kopje"}),
    ],
)
def test_forms_are_words_as_the_list_has_them(tag: str, text: str, found: set[str]) -> None:
    """Case folded, numbers left out, the longest words where nothing parts them."""
    assert forms([text], tag) == found


@pytest.mark.parametrize(
    ("tag", "text", "found"),
    [
        ("es", "Yo yo quiero un café", 1),
        ("es", "Quie- quiero un café", 1),
        ("es", "Quiero un, quiero un café", 1),
        ("es", "Quiero té, mejor dicho, café", 1),
        ("es", "Es muy muy bueno, no no", 0),
        ("es", "Un café — con leche", 0),
        ("en", "I wen— took the bus", 1),
        ("en", "The coffee—with milk", 0),
        ("en", "I want a tea, I mean, a coffee", 1),
        ("en", "A well-known place", 0),
        ("de", "Ein- und Ausgang", 0),
        ("de", "Ich ich möchte", 1),
        ("fr", "Nous nous levons", 0),
        ("fr", "Je je veux", 1),
        ("it", "Vorrei un tè, o meglio un caffè", 1),
        ("pt", "Eu eu quero chá, quero dizer, café", 2),
        ("zh", "我想，我想喝茶", 0),
        ("zh", "我想，我想，喝茶", 1),
        ("zh", "看看，好，好", 0),
        ("ja", "はい、はい。", 0),
        ("ja", "みずを、みずを、ください", 1),
        ("es", "", 0),
        ("nl", "ik ik wil", 1),
    ],
)
def test_a_start_that_is_made_anew_is_counted_once(tag: str, text: str, found: int) -> None:
    """Words said twice, words that break off, "I mean"; not what languages double on purpose, nor ordinary dashes."""
    assert repairs(text, tag) == found


@given(
    st.lists(st.text(max_size=30), max_size=5), st.sampled_from(["es", "de", "zh", "ja", "nl"]), st.integers(1, 9_000)
)
def test_bands_add_up_for_any_text(texts: list[str], tag: str, band: int) -> None:
    """The bands make up all types, those of the level are among them, and more text has no fewer."""
    found = types(texts, tag, band=band)
    assert sum(found.by_rank) == found.all == len(forms(texts, tag))
    assert 0 <= found.in_band <= found.all
    assert types(texts[:1], tag).all <= found.all
    assert all(repairs(text, tag) >= 0 for text in texts)
