"""What the carrier is told to do, read back as XML."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.ivr import twiml
from telephony.ivr.steps import Ask
from tests.telephony.plain_language import PLAIN


def read(document: str) -> ET.Element:
    """The document, parsed."""
    root = ET.fromstring(document)
    assert root.tag == "Response"
    return root


def test_ask() -> None:
    """A prompt waits for one key, star and hash included, and always comes back to us, on silence too."""
    root = read(twiml.ask(Ask(("one", "two")), PLAIN, "/twilio/menu?step=1"))
    gather, redirect = root
    assert gather.tag == "Gather"
    assert gather.attrib == {
        "input": "dtmf",
        "numDigits": "1",
        "timeout": "5",
        "finishOnKey": "",
        "action": "/twilio/menu?step=1",
        "method": "POST",
        "actionOnEmptyResult": "true",
    }
    assert [(say.tag, say.text) for say in gather] == [("Say", "one"), ("Say", "two")]
    assert all(say.attrib == {"voice": "Polly.Plain", "language": "xx-XX"} for say in gather)
    assert (redirect.tag, redirect.text, redirect.attrib) == ("Redirect", "/twilio/menu?step=1", {"method": "POST"})


def test_connect() -> None:
    """A stream carries its parameters, uses no undocumented attribute, and is always followed by a redirect."""
    root = read(twiml.connect(("go",), PLAIN, "wss://h/twilio/media", {"token": "t&<>"}, "/twilio/after"))
    assert [verb.tag for verb in root] == ["Say", "Connect", "Redirect"]
    connect, redirect = root[1], root[2]
    assert connect.attrib == {}
    assert connect[0].attrib == {"url": "wss://h/twilio/media"}
    assert [parameter.attrib for parameter in connect[0]] == [{"name": "token", "value": "t&<>"}]
    assert redirect.text == "/twilio/after"


def test_a_parameter_the_carrier_would_cut() -> None:
    """Name and value of a parameter stay under what the carrier carries."""
    with pytest.raises(ValueError, match="too long"):
        twiml.connect((), PLAIN, "wss://h/m", {"token": "x" * 495}, "/after")


def test_hang_up() -> None:
    """A sentence may be said in several languages, each with a voice and language of its own, before the end."""
    root = read(twiml.hang_up((PLAIN, ["one"]), (PLAIN, ["two"])))
    assert [verb.tag for verb in root] == ["Say", "Say", "Hangup"]


def test_reject() -> None:
    """A refused call is not answered: nothing stands before Reject."""
    root = read(twiml.reject())
    assert [(verb.tag, verb.attrib) for verb in root] == [("Reject", {"reason": "rejected"})]


def test_empty() -> None:
    """A callback is acknowledged with an empty document of a type that is not read aloud."""
    assert len(read(twiml.empty())) == 0
    assert twiml.reply(twiml.empty()).headers["content-type"].startswith("text/xml")


@given(st.text())
def test_any_text_stays_text(text: str) -> None:
    """Whatever a school is called, the document stays well-formed, and the name stays one text."""
    (say, _) = read(twiml.hang_up((PLAIN, [text])))
    assert len(say) == 0
    assert say.text is None or len(say.text) <= len(text)
