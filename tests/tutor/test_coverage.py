"""Which of a class's words were used in a call: folded, forgiving about endings, never about order or meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.learning.coverage import Coverage, coverage
from tutor.script.catalogue import load

CATALOGUE = load()


@dataclass(frozen=True)
class Turn:
    """A turn as it is kept."""

    speaker: Literal["role", "learner", "helper"]
    text: str | None


def learner_used(tag: str, item: str, said: str) -> bool:
    """Whether an item counts as used when a learner says something."""
    return coverage([item], [Turn("learner", said)], CATALOGUE.language(tag)).used_by_learner == (item,)


@pytest.mark.parametrize(
    ("tag", "item", "said"),
    [
        ("es", "café", "Un CAFE, por favor."),
        ("es", "el café", "Quisiera un café con leche."),
        ("es", "quisiera", "Quisiéramos dos tés."),
        ("es", "la manzana", "Dos manzanas."),
        ("es", "¿cuánto cuesta(n)?", "¿Y cuánto cuestan las fresas?"),
        ("es", "caro/a", "¡Qué caro!"),
        ("es", "me pone", "¿Me puede poner dos? ¿O me lo pone para llevar?"),
        ("fr", "l'addition", "Je voudrais l’addition, s'il vous plaît."),
        ("fr", "réserver", "J'ai réservé une table."),
        ("it", "prenotare", "Ho prenotato una camera."),
        ("pt", "a conta", "Pode trazer a conta?"),
        ("de", "die Rechnung", "Kann ich die Rechnungen haben?"),
        ("en", "to order", "I ordered a sandwich."),
        ("en", "check in", "I'd like to check in, please."),
        ("zh", "咖啡", "我要一杯咖啡。"),
        ("zh", "多少钱", "请问，多少 钱？"),
        ("ja", "お願いします", "コーヒーをお願いします。"),
        ("es-PR", "la guagua", "¿Dónde paran las guaguas?"),
    ],
)
def test_an_item_that_was_put_to_use_counts(tag: str, item: str, said: str) -> None:
    """Case, accents, articles of a word list, a teacher's asides and simple endings do not matter."""
    assert learner_used(tag, item, said)


@pytest.mark.parametrize(
    ("tag", "item", "said"),
    [
        ("es", "café", "Un té, por favor."),
        ("es", "casa", "Me caso mañana."),
        ("es", "por favor", "Favor, por."),
        ("es", "la cuenta", "La leche."),
        ("es", "cantar", "¿Puede contar conmigo?"),
        ("en", "check in", "In a minute I will check."),
        ("de", "der Tisch", "Der Hund."),
        ("zh", "咖啡", "我要一杯茶。"),
        ("ja", "がき", "かき"),
        ("fr", "le", "La."),
    ],
)
def test_what_was_not_said_does_not_count(tag: str, item: str, said: str) -> None:
    """Other words, other orders, words far apart, short words with other endings and mere articles are no use."""
    assert not learner_used(tag, item, said)


def test_words_far_apart_are_no_phrase() -> None:
    """The words of an item stand near each other: three others may come between, no more."""
    assert learner_used("es", "me pone", "me a b c pone")
    assert not learner_used("es", "me pone", "me a b c d pone")


def test_role_and_learner_are_kept_apart() -> None:
    """Each side has what it used, in the class's order and spelling; the helper's turns belong to neither."""
    turns = [
        Turn("role", "¿Le pongo leche?"),
        Turn("learner", "Sí, leche y azúcar."),
        Turn("helper", "para llevar"),
        Turn("learner", None),
    ]
    items = ["azúcar", "la leche", "para llevar", "azúcar"]
    found = coverage(items, turns, CATALOGUE.language("es"))
    assert found == Coverage(used_by_role=("la leche",), used_by_learner=("azúcar", "la leche"))
    assert found.write() == {"used_by_role": ("la leche",), "used_by_learner": ("azúcar", "la leche")}


TEXT = st.text(st.sampled_from("aábcdeéfgñ ., A咖啡か"), max_size=40)
TURNS = st.lists(st.builds(Turn, st.sampled_from(["role", "learner", "helper"]), st.none() | TEXT), max_size=6)
TAG = st.sampled_from([language.tag for language in CATALOGUE.targets])


@given(items=st.lists(TEXT, max_size=6), turns=TURNS, more=TURNS, tag=TAG)
def test_more_talk_never_takes_an_item_back(items: list[str], turns: list[Turn], more: list[Turn], tag: str) -> None:
    """What is used is among the items, once each; further turns can only add."""
    language = CATALOGUE.language(tag)
    before, after = coverage(items, turns, language), coverage(items, turns + more, language)
    for used, later in ((before.used_by_role, after.used_by_role), (before.used_by_learner, after.used_by_learner)):
        assert set(used) <= set(later) <= set(items)
        assert len(set(later)) == len(later)


@given(item=st.text(st.sampled_from("aábcdeéfgñ A咖啡か"), min_size=1, max_size=20), tag=TAG)
def test_an_item_said_as_it_is_written_counts(item: str, tag: str) -> None:
    """Whatever a class writes, a learner who says just that has used it, in any case; blanks alone are nothing."""
    assert learner_used(tag, item, f"eh {item.upper()}") == bool(item.strip())
