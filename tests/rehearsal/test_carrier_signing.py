"""Signatures, judged by the published vectors and by the carrier's own library."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import HMAC_SHA256, RequestValidator

from rehearsal.signing import SETTINGS_HEADER, SIGNATURE_HEADER, SharedKey, Signer, Signing, signature, signed_url

TOKEN = "12345"
FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]


@pytest.mark.parametrize(
    ("url", "form", "expected"),
    [
        ("https://mycompany.com/myapp.php?foo=1&bar=2", FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com:443/myapp.php?foo=1&bar=2", FORM, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com:80/myapp.php?foo=1&bar=2", FORM, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", FORM, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        ("wss://voice.example.org/media", [], "9iVEYaMLVrxt02FwJW/GK+JpfD8="),
        ("wss://voice.example.org/media/", [], "R00Zwh3SFlKSEBwZ89H5Eonf0QQ="),
        ("wss://voice.example.org:8443/media", [], "3V2xlmnbBfZTv31uD+N3DdUjdo8="),
    ],
)
def test_published_vectors(url: str, form: list[tuple[str, str]], expected: str) -> None:
    """The official vectors come out to the last character."""
    assert signature(TOKEN, url, form) == expected


def test_the_newer_algorithm() -> None:
    """HMAC-SHA256 over the same string gives the vector computed with the official library."""
    made = signature(TOKEN, "https://voice.example.org/twilio/voice", [("CallSid", "CA1")], algorithm="HMAC_SHA256")
    assert made == "qvzBfeQQqzaeSpSSOdQNxa4HKGuoFXBy78sCPLA30TA="


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12), max_size=8))
def test_the_official_library_makes_and_accepts_the_same(form: dict[str, str]) -> None:
    """For any form, blank and unicode values included, both sides compute the same and accept each other's."""
    url = "https://voice.example.org/twilio/voice"
    validator = RequestValidator(TOKEN)
    made = signature(TOKEN, url, form.items())
    assert made == validator.compute_signature(url, form)
    assert validator.validate(url, form, made)
    assert not RequestValidator("other").validate(url, form, made)


def test_repeated_pairs_count_once() -> None:
    """A name with two values is signed with both, sorted; the same pair twice counts once."""
    assert signature(TOKEN, "https://h/", [("a", "2"), ("a", "1"), ("a", "2")]) == signature(
        TOKEN, "https://h/", [("a", "1"), ("a", "2")]
    )


@pytest.mark.parametrize(
    ("url", "purpose", "expected"),
    [
        ("https://h:8443/p?q=%20a#rc=2", "voice", "https://h/p?q=%20a"),
        ("https://h:8443/p", "message", "https://h:8443/p"),
        ("http://user:secret@H:8080/p", "voice", "http://H:8080/p"),
        ("wss://h:8443/p", "socket", "wss://h:8443/p"),
        ("https://h?x=1", "voice", "https://h?x=1"),
    ],
)
def test_what_of_a_url_is_signed(url: str, purpose: str, expected: str) -> None:
    """No fragment, no user, no port for voice over https; all else as it was requested."""
    assert signed_url(url, purpose) == expected  # type: ignore[arg-type]


def test_the_ways_to_sign() -> None:
    """Each way gives the header it promises; a slash is added for sockets only, and wrong is wrong."""
    signer = Signer(TOKEN, SharedKey("webhooks_sharedkey_1", "s3cret"))
    url = "wss://voice.example.org/media"

    def made(how: Signing) -> str:
        return signer.headers(url, purpose="socket", how=how)[SIGNATURE_HEADER]

    assert made(Signing.SHA1) == "9iVEYaMLVrxt02FwJW/GK+JpfD8="
    assert made(Signing.TRAILING_SLASH) == "R00Zwh3SFlKSEBwZ89H5Eonf0QQ="
    assert made(Signing.PORT_443) == RequestValidator(TOKEN).compute_signature("wss://voice.example.org:443/media", {})
    assert made(Signing.WRONG) not in {made(Signing.SHA1), made(Signing.TRAILING_SLASH)}
    assert signer.headers(url, purpose="socket", how=Signing.MISSING) == {}
    webhook = "https://voice.example.org/voice"
    assert signer.headers(webhook, FORM, purpose="voice", how=Signing.TRAILING_SLASH) == signer.headers(
        webhook, FORM, purpose="voice"
    )


def test_a_shared_key_is_named_in_a_header() -> None:
    """The newer signature comes with the settings header, and the official library accepts it."""
    headers = Signer(TOKEN, SharedKey("k1", "s3cret")).headers(
        "https://h/voice", FORM, purpose="voice", how=Signing.SHA256_SHARED_KEY
    )
    assert headers[SETTINGS_HEADER] == "key=k1,algorithm=HMAC_SHA256"
    assert RequestValidator("s3cret").validate("https://h/voice", dict(FORM), headers[SIGNATURE_HEADER], HMAC_SHA256)
    with pytest.raises(ValueError, match="no shared key"):
        Signer(TOKEN).headers("https://h/voice", purpose="voice", how=Signing.SHA256_SHARED_KEY)
