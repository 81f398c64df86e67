"""Segments of text messages, against the alphabet as the standard prints it and the shortest way to cut a text."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rehearsal import messages
from telephony.segments import is_gsm7, segments

# 3GPP TS 23.038, the default alphabet by columns of 16 (0x1B is the escape), and the extension by its codes.
COLUMNS = [
    "0040 00A3 0024 00A5 00E8 00E9 00F9 00EC 00F2 00C7 000A 00D8 00F8 000D 00C5 00E5",
    "0394 005F 03A6 0393 039B 03A9 03A0 03A8 03A3 0398 039E .... 00C6 00E6 00DF 00C9",
    "0020 0021 0022 0023 00A4 0025 0026 0027 0028 0029 002A 002B 002C 002D 002E 002F",
    "0030 0031 0032 0033 0034 0035 0036 0037 0038 0039 003A 003B 003C 003D 003E 003F",
    "00A1 0041 0042 0043 0044 0045 0046 0047 0048 0049 004A 004B 004C 004D 004E 004F",
    "0050 0051 0052 0053 0054 0055 0056 0057 0058 0059 005A 00C4 00D6 00D1 00DC 00A7",
    "00BF 0061 0062 0063 0064 0065 0066 0067 0068 0069 006A 006B 006C 006D 006E 006F",
    "0070 0071 0072 0073 0074 0075 0076 0077 0078 0079 007A 00E4 00F6 00F1 00FC 00E0",
]
BASIC = {chr(int(code, 16)) for column in COLUMNS for code in column.split() if code != "...."}
EXTENDED = {chr(code) for code in (0x0C, 0x5E, 0x7B, 0x7D, 0x5C, 0x5B, 0x7E, 0x5D, 0x7C, 0x20AC)}

characters = st.one_of(
    st.sampled_from(sorted(BASIC)), st.sampled_from(sorted(EXTENDED)), st.sampled_from("áíóúçâœ“…你🎉")
)
gsm_texts = st.text(st.sampled_from(sorted(BASIC | EXTENDED)), max_size=500)
texts = st.text(characters, max_size=300)


def fewest_segments(text: str) -> int:
    """The fewest parts a text can be cut into, found by trying: each as long as a part may be, or one unit shorter."""
    if all(character in BASIC | EXTENDED for character in text):
        pieces = ["x" * (2 if character in EXTENDED else 1) for character in text]
        single, part = 160, 153
    else:
        pieces = ["x" * (len(character.encode("utf-16-be")) // 2) for character in text]
        single, part = 70, 67
    if sum(map(len, pieces)) <= single:
        return 1 if text else 0

    ends = []
    at = 0
    for piece in pieces:
        at += len(piece)
        ends.append(at)
    whole = at
    boundaries = {0, *ends}

    @cache
    def cut(start: int) -> int:
        if whole - start <= part:
            return 1
        return 1 + min(cut(end) for end in (start + part, start + part - 1) if end in boundaries)

    return cut(0)


@pytest.mark.parametrize("plane", range(3))
def test_every_character(plane: int) -> None:
    """Of all characters of the first three planes exactly the standard's are GSM, and exactly its extension costs 2."""
    for code in range(plane * 0x10000, (plane + 1) * 0x10000):
        character = chr(code)
        assert is_gsm7(character) == (character in BASIC | EXTENDED), hex(code)
        if 0xD800 <= code < 0xE000:
            continue  # halves of pairs are no characters
        if character in BASIC:
            assert (segments(character * 160), segments(character * 161)) == (1, 2)
        elif character in EXTENDED:
            assert (segments(character * 80), segments(character * 81)) == (1, 2)
        elif plane == 0:
            assert (segments(character * 70), segments(character * 71)) == (1, 2)
        else:
            assert (segments(character * 35), segments(character * 36)) == (1, 2)


@given(st.one_of(gsm_texts, texts))
@example("€" * 153)
@example("a" * 152 + "€" * 2)
@example("a" * 66 + "🎉" * 4)
@example("x" * 160)
@example("")
def test_counts_are_the_fewest_possible(text: str) -> None:
    """Any text is counted as the fewest parts in which no character is torn apart."""
    assert segments(text) == fewest_segments(text)


@given(st.one_of(gsm_texts, texts))
def test_the_carrier_counts_the_same(text: str) -> None:
    """The stand-in for the carrier, written from the same standard by itself, charges what we expect."""
    if text:
        assert segments(text) == messages.segments(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("á" + "a" * 69, 1),
        ("á" + "a" * 70, 2),
        ("á" + "a" * 133, 2),
        ("á" + "a" * 134, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 152, 2),
        ("€" * 153, 3),
        ("🎉" * 35, 1),
        ("🎉" * 66, 2),
        ("🎉" * 67, 3),
    ],
)
def test_limits(text: str, count: int) -> None:
    """The limits are 160 and 153 septets, 70 and 67 units; what takes two stays together."""
    assert segments(text) == count


@pytest.mark.parametrize("language", ["éüñÉÜÑ¿¡", "àæéèùüÇÉÜÆ", "äöüßÄÖÜ", "àèéìòùÉ"])
def test_accents_that_cost_nothing(language: str) -> None:
    """The accented letters that the alphabet has leave the room of a message as it is."""
    assert is_gsm7(language)
