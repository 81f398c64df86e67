"""Signatures, judged by the official vectors and by the library's own signer."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.datastructures import FormData, UploadFile
from twilio.request_validator import HMAC_SHA256, RequestValidator

from telephony.twilio.signature import SigningKeys, Verifier, parse_form

KEYS = SigningKeys(("12345",))
OFFICIAL = {
    "CallSid": "CA1234567890ABCDE",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
    "Caller": "+14158675309",
}
BASE = "https://voice.example.org"


def scope(path: str, query: str = "", **headers: str) -> dict[str, Any]:
    """What a server hands on of a request; the Host is a lie on purpose."""
    sent = [(b"host", b"attacker.example")]
    sent += [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": sent}


def signed(url: str, params: Any, token: str = "12345", algorithm: str | None = None) -> str:
    """A signature by the library, which is the outside judge here."""
    return str(RequestValidator(token).compute_signature(url, params, algorithm))


@pytest.mark.parametrize(
    ("base", "signature"),
    [
        ("https://mycompany.com", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com", "kvajT1Ptam85bY51eRf/AJRuM3w="),  # signed with :443
        ("http://mycompany.com", "0ZXoZLH/DfblKGATFgpif+LLRf4="),  # signed with :80
        ("http://mycompany.com:1234", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
    ],
)
def test_official_vectors(base: str, signature: str) -> None:
    """The carrier's own test vectors verify, whether the port was signed or not."""
    request = scope("/myapp.php", "foo=1&bar=2", X_Twilio_Signature=signature)
    assert Verifier(base).form(request, FormData(OFFICIAL), KEYS)


def test_official_vector_with_duplicate_parameters() -> None:
    """Repeated names count with each distinct value, sorted."""
    form = FormData(
        [*OFFICIAL.items(), ("MediaUrl", "https://a"), ("MediaUrl", "https://b"), ("MediaUrl", "https://a")]
    )
    signature = signed("https://mycompany.com/myapp.php?foo=1&bar=2", form)
    request = scope("/myapp.php", "foo=1&bar=2", X_Twilio_Signature=signature)
    assert Verifier("https://mycompany.com").form(request, form, KEYS)
    official = FormData([*OFFICIAL.items(), ("MediaUrl", "https://a"), ("MediaUrl", "https://c")])
    assert not Verifier("https://mycompany.com").form(request, official, KEYS)


def test_official_vector_of_duplicates() -> None:
    """The official suite's own case of repeated names."""
    form = FormData(
        [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
    )
    request = scope("/myapp.php", "foo=1&bar=2", X_Twilio_Signature="IK+Dwps556ElfBT0I3Rgjkr1wJU=")
    assert Verifier("https://mycompany.com").form(request, form, KEYS)


def test_official_vector_with_a_json_body() -> None:
    """The official JSON case signs the address alone; its body is no form of ours and is refused."""
    query = "foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
    request = scope("/myapp.php", query, X_Twilio_Signature="a9nBmqA0ju/hNViExpshrM61xv4=")
    assert Verifier("https://mycompany.com").form(request, FormData(), KEYS)
    body = parse_form(b'{"property": "value", "boolean": true}')
    assert not Verifier("https://mycompany.com").form(request, body, KEYS)


@pytest.mark.parametrize(
    ("base", "signature"),
    [
        (BASE, "9iVEYaMLVrxt02FwJW/GK+JpfD8="),
        (BASE, "R00Zwh3SFlKSEBwZ89H5Eonf0QQ="),  # signed with a trailing slash
        ("https://voice.example.org:8443", "3V2xlmnbBfZTv31uD+N3DdUjdo8="),
        ("wss://voice.example.org", "9iVEYaMLVrxt02FwJW/GK+JpfD8="),
    ],
)
def test_websocket_vectors(base: str, signature: str) -> None:
    """Socket upgrades verify against wss, with and without trailing slash and port."""
    assert Verifier(base).upgrade(scope("/media", x_twilio_signature=signature), KEYS)


@pytest.mark.parametrize("path", ["/media", "/media/"])
@pytest.mark.parametrize("address", ["wss://voice.example.org:443/media", "wss://voice.example.org:443/media/"])
def test_websocket_signed_with_its_port(path: str, address: str) -> None:
    """A signature over port 443 verifies, which the library alone would refuse."""
    assert not RequestValidator("12345").validate("wss://voice.example.org/media", {}, signed(address, {}))
    assert Verifier(BASE).upgrade(scope(path, x_twilio_signature=signed(address, {})), KEYS)


@pytest.mark.parametrize(
    "address",
    [
        "https://voice.example.org/media",
        "ws://voice.example.org/media",
        "wss://voice.example.org:80/media",
        "wss://attacker.example/media",
        "wss://voice.example.org/media?token=1",
        "wss://voice.example.org/other",
    ],
)
def test_websocket_signed_for_something_else(address: str) -> None:
    """Another scheme, port, host, query or path does not verify."""
    assert not Verifier(BASE).upgrade(scope("/media", x_twilio_signature=signed(address, {})), KEYS)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (BASE, "wss://voice.example.org/twilio/media"),
        ("http://127.0.0.1:8080/", "ws://127.0.0.1:8080/twilio/media"),
        ("https://example.org/ringua/", "wss://example.org/ringua/twilio/media"),
    ],
)
def test_websocket_address(base: str, url: str) -> None:
    """The address given to the carrier is one whose signature verifies."""
    verifier = Verifier(base)
    assert verifier.websocket_url("/twilio/media") == url
    assert verifier.upgrade(scope("/twilio/media", x_twilio_signature=signed(url, {})), KEYS)


@pytest.mark.parametrize("kind", ["form", "upgrade"])
def test_path_prefix(kind: str) -> None:
    """A public address with a path prefix is kept in front of the path that the proxy hands on."""
    verifier = Verifier("https://example.org/ringua/")
    if kind == "form":
        url = "https://example.org/ringua/twilio/voice"
        assert verifier.form(scope("/twilio/voice", X_Twilio_Signature=signed(url, {})), FormData(), KEYS)
    else:
        url = "wss://example.org/ringua/twilio/media"
        assert verifier.upgrade(scope("/twilio/media", X_Twilio_Signature=signed(url, {})), KEYS)


def test_shared_key_vector() -> None:
    """A shared key signs with SHA-256 when it is configured and the request says so."""
    keys = SigningKeys(("12345",), shared_key="12345")
    request = scope(
        "/twilio/voice",
        X_Twilio_Signature="qvzBfeQQqzaeSpSSOdQNxa4HKGuoFXBy78sCPLA30TA=",
        X_Twilio_Webhooks_Signature_Settings="key=k1,algorithm=HMAC_SHA256",
    )
    assert Verifier(BASE).form(request, FormData({"CallSid": "CA1"}), keys)
    assert not Verifier(BASE).form(request, FormData({"CallSid": "CA1"}), KEYS), "not configured: not honoured"


@pytest.mark.parametrize(
    ("secret", "algorithm", "settings", "accepted"),
    [
        ("shared", HMAC_SHA256, "key=k1,algorithm=HMAC_SHA256", True),
        ("shared", HMAC_SHA256, "key=k1,algorithm=hmac_sha256", True),
        ("token", None, "", True),
        ("token", None, "key=k1,algorithm=HMAC_SHA1", True),
        ("shared", None, "key=k1,algorithm=HMAC_SHA1", False),  # a weaker hash under the better key
        ("token", HMAC_SHA256, "key=k1,algorithm=HMAC_SHA256", False),
        ("token", None, "key=k1,algorithm=HMAC_SHA256", False),
        ("shared", HMAC_SHA256, "", False),
        ("token", None, "key=k1,algorithm=NONE", False),
        ("shared", HMAC_SHA256, "key=k1,algorithm=HMAC_SHA512", False),
    ],
)
def test_request_cannot_choose_another_secret(
    secret: str, algorithm: str | None, settings: str, accepted: bool
) -> None:
    """The settings header picks between what is configured and mixes nothing."""
    signature = signed(f"{BASE}/twilio/voice", {"CallSid": "CA1"}, secret, algorithm)
    request = scope("/twilio/voice", X_Twilio_Signature=signature, X_Twilio_Webhooks_Signature_Settings=settings)
    keys = SigningKeys(("token",), shared_key="shared")
    assert Verifier(BASE).form(request, FormData({"CallSid": "CA1"}), keys) is accepted


def test_rotation() -> None:
    """While a token is being rotated both verify, and a third does not."""
    keys = SigningKeys(("new", "old"))
    for token, accepted in (("new", True), ("old", True), ("older", False)):
        request = scope("/twilio/voice", X_Twilio_Signature=signed(f"{BASE}/twilio/voice", {}, token))
        assert Verifier(BASE).form(request, FormData(), keys) is accepted


def test_blank_repeated_and_unicode_values_from_the_wire() -> None:
    """A body with blank values, spaces at the ends, repeated names and other scripts verifies as it came."""
    pairs = [("ToCity", ""), ("FromCity", " Málaga "), ("Digits", "1"), ("Digits", "2"), ("CallerName", "Ñandú 電話")]
    form = parse_form(urlencode(pairs).encode())
    assert form.multi_items() == pairs
    url = f"{BASE}/twilio/menu?step=1&x=%C3%A1%20b"
    signature = signed(url, FormData([(name, value) for name, value in pairs]))
    assert Verifier(BASE).form(scope("/twilio/menu", "step=1&x=%C3%A1%20b", X_Twilio_Signature=signature), form, KEYS)
    dropped = FormData([(name, value) for name, value in pairs if value])
    assert not Verifier(BASE).form(
        scope("/twilio/menu", "step=1&x=%C3%A1%20b", X_Twilio_Signature=signature), dropped, KEYS
    )


@pytest.mark.parametrize("tampered", ["query", "path", "value", "added", "removed", "missing", "empty", "cut", "latin"])
def test_tampering(tampered: str) -> None:
    """One changed byte anywhere is refused, and so is a signature that is missing, empty, cut or no text at all."""
    form = dict(OFFICIAL)
    signature = signed(f"{BASE}/twilio/menu?step=1", form)
    path, query, headers = "/twilio/menu", "step=1", {"X_Twilio_Signature": signature}
    if tampered == "query":
        query = "step=2"
    elif tampered == "path":
        path = "/twilio/voice"
    elif tampered == "value":
        form["Digits"] = "1235"
    elif tampered == "added":
        form["Extra"] = ""
    elif tampered == "removed":
        del form["Digits"]
    elif tampered == "missing":
        headers = {}
    else:
        headers = {"X_Twilio_Signature": {"empty": "", "cut": signature[:-1], "latin": "é" * 28}[tampered]}
    assert not Verifier(BASE).form(scope(path, query, **headers), FormData(form), KEYS)


def test_no_keys() -> None:
    """Without a key nothing verifies, not even what an empty key signed."""
    for keys in (SigningKeys(), SigningKeys(("",)), SigningKeys((), shared_key="")):
        request = scope("/twilio/voice", X_Twilio_Signature=signed(f"{BASE}/twilio/voice", {}, ""))
        assert not Verifier(BASE).form(request, FormData(), keys)


def test_parts_the_signer_cannot_sign() -> None:
    """A file instead of a value, or text that is no Unicode, is refused instead of raising."""
    request = scope("/twilio/voice", X_Twilio_Signature="RSOYDt4T1cUTdK1PDd93/VVr8B8=")
    with open(__file__, "rb") as file:
        assert not Verifier(BASE).form(request, FormData([("Digits", UploadFile(file))]), KEYS)
    assert not Verifier(BASE).form(request, FormData([("Digits", "\ud800")]), KEYS)


def test_form_limits() -> None:
    """A form with absurdly many fields, or that is not UTF-8, is no form."""
    with pytest.raises(ValueError):
        parse_form(b"&".join(b"a=%d" % n for n in range(201)))
    with pytest.raises(ValueError):
        parse_form(b"a=\xff")


def test_keys_are_not_printed() -> None:
    """Keys printed by accident show how many there are."""
    assert "secret" not in repr(SigningKeys(("secret", "secret-2"), "secret-3"))


@pytest.mark.parametrize("url", ["", "voice.example.org", "ftp://voice.example.org", "https://"])
def test_addresses_that_cannot_be_reached(url: str) -> None:
    """A public address without scheme or host stops the start."""
    with pytest.raises(ValueError, match="not an address"):
        Verifier(url)
