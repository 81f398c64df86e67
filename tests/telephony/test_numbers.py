"""Who is calling, from what carriers write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.numbers import Guest, KnownCaller, identify, last_two, normalise, region_of


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "anonymous",
        "Anonymous",
        "ANONYMOUS",
        "unknown",
        "Restricted",
        "Unavailable",
        "private",
        "+266696687",
        "+7378742833",
        "+2562533",
        "+8656696",
        "+86282452253",
        "266696687",
        " 266696687",
        "+7 378 742-833",
        "client:ana",
        "client:+34911234567",
        "sip:ana@example.org",
        "sip:+34911234567@example.org",
        "+",
        "++34911234567",
        "+34",
        "+349112345678901234567890",
        "+34911234567;ext=1",
        "+34911234567 x5",
        "1-800-FLOWERS",
        "٣٤٩١١٢٣٤٥٦٧",
        "+34９11234567",
        "\x00",
    ],
)
def test_withheld(raw: str) -> None:
    """Every way of withholding a number, and whatever cannot be read, is a guest."""
    assert identify(raw) == Guest()
    assert identify(raw, region="US") == Guest()


@pytest.mark.parametrize(
    ("raw", "region", "e164"),
    [
        ("+34911234567", None, "+34911234567"),
        (" 34911234567", None, None),  # a plus that a form decoder turned into a space: not guessed at
        ("+1 (415) 555-0100", None, "+14155550100"),
        ("415.555.0100", "US", "+14155550100"),
        ("911 23 45 67", "ES", "+34911234567"),
        ("911 23 45 67", None, None),
        ("5550100", "US", None),
        ("112", "ES", None),
    ],
)
def test_normalise(raw: str, region: str | None, e164: str | None) -> None:
    """Numbers become E.164; a national one only where a region is given, a local or short one never."""
    assert normalise(raw, region=region) == e164


def test_known_caller_hides_its_number() -> None:
    """A caller printed by accident shows two digits, not a number."""
    caller = identify("+34911234567")
    assert caller == KnownCaller("+34911234567")
    assert repr(caller) == "KnownCaller(…67)"
    assert last_two("+34911234567") == "67"


@pytest.mark.parametrize(("e164", "region"), [("+34911234567", "ES"), ("+14155550100", "US"), ("+80012345678", None)])
def test_region(e164: str, region: str | None) -> None:
    """A line's region helps to read national caller IDs; a freephone number has none."""
    assert region_of(e164) == region


@given(st.text(max_size=40), st.sampled_from([None, "US", "ES", "DE"]))
def test_anything(raw: str, region: str | None) -> None:
    """Whatever a carrier writes, the caller is a guest or a number in E.164."""
    caller = identify(raw, region=region)
    assert isinstance(caller, Guest) or (caller.e164[0] == "+" and caller.e164[1:].isdecimal())


@pytest.mark.parametrize(
    ("verstat", "known"),
    [
        ("", True),
        ("No-TN-Validation", True),
        ("No-TN-Validation-Diverted", True),
        ("TN-Validation-Passed-A", True),
        ("TN-Validation-Passed-C-Passthrough", True),
        ("TN-Validation-Failed", False),
        ("TN-Validation-Failed-B", False),
        ("tn-validation-failed-a-diverted", False),
        ("something new", True),
    ],
)
def test_a_signature_that_is_wrong_identifies_nobody(verstat: str, known: bool) -> None:
    """A number is believed unless its carrier's signature was checked and found wrong; most calls bear none."""
    caller = identify("+12025550100", verstat=verstat)
    assert caller == (KnownCaller("+12025550100") if known else Guest())
