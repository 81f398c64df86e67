"""Personal data: numbers in figures and in words and addresses of mail are found and masked, prices are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.segments import is_gsm7
from tutor.safety.personal import MASK, redact
from tutor.safety.personal import given as gives
from tutor.safety.tokens import tokens

HIDDEN = [
    ("My number is 600 111 222, call me.", "My number is ***, call me."),
    ("+34 600-111-222", "+***"),
    ("06 12 34 56 78", "***"),
    ("Card 4111 1111 1111 1111.", "Card ***."),
    ("Nací el 2010-05-04.", "Nací el ***."),
    ("Mi número es seis cero cero, uno uno uno, dos dos dos.", "Mi número es ***."),
    ("sesenta y uno, veintitrés, cuarenta y cinco, doce", "***"),
    ("It is six double oh, one two three four five.", "It is ***."),
    ("it is 6, 1, 2, 3, 4, 5 ok", "it is *** ok"),
    ("soixante et un, vingt-trois, quarante-cinq, douze", "***"),
    ("Meine Nummer ist null eins sieben zwei drei drei fünf.", "Meine Nummer ist ***."),
    ("O meu é nove um dois, três quatro cinco, seis sete oito", "O meu é ***"),
    ("tre tre nove, uno due zero, cinque", "***"),
    ("我的电话是一三八零零一三八零零零。", "我的电话是***。"),
    ("٠٦١٢٣٤٥٦٧", "***"),
    ("صفر ستة واحد اثنان ثلاثة خمسة سبعة", "***"),
    ("Write to ana.lopez@example.com please", "Write to *** please"),
    ("es ana punto lopez arroba gmail punto com, gracias", "es ***, gracias"),
    ("ana at example dot org", "***"),
]
KEPT = [
    "Cuesta 12,50 y 3,75 euros.",
    "Son las 14:30.",
    "one two three four five six seven eight nine ten",
    "uno, dos, tres, cuatro, cinco, seis, siete",
    "twenty, thirty, forty euros",
    "La habitación cuesta doscientos cincuenta euros.",
    "I was born in 1998, in May.",
    "Call 112 now.",
    "Room four one two, two nights.",
    "We met at the station at ten.",
    "一二三四五六七",
    "In 2026. 2027 we go.",
]


@pytest.mark.parametrize(("text", "masked"), HIDDEN)
def test_what_tells_who_somebody_is_is_masked(text: str, masked: str) -> None:
    """Six digits and more, in figures or in words of any of our languages, and addresses of mail."""
    assert redact(text) == masked


@pytest.mark.parametrize("text", KEPT)
def test_prices_times_and_counting_stay(text: str) -> None:
    """Numbers that name nobody are part of practice."""
    assert redact(text) == text
    assert gives(text, tokens(text)) is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("My number is 600 111 222.", "number"),
        ("seis cero cero, uno uno uno, dos dos dos", "number"),
        ("The booking is 123 456.", None),
        ("ana@example.com", "email"),
        ("ana arroba example punto com", "email"),
        ("I am at home.", None),
    ],
)
def test_what_a_learner_gives_away_is_told(text: str, what: str | None) -> None:
    """A telephone number or an address of mail; a short booking number is none."""
    assert gives(text, tokens(text)) == what


def test_the_mask_keeps_a_text_message_cheap() -> None:
    """It is in the alphabet of text messages."""
    assert is_gsm7(MASK)


@given(st.text(max_size=60))
def test_masking_twice_masks_no_more(text: str) -> None:
    """What is masked is masked, and any text can be."""
    assert redact(redact(text)) == redact(text)


@given(st.integers(10**6, 10**14), st.sampled_from(["", " ", "-", "."]))
def test_no_long_number_gets_through(number: int, between: str) -> None:
    """However a telephone number is written, none of it is left."""
    text = f"Es el {between.join(str(number))}."
    assert not any(char.isdecimal() for char in redact(text))
