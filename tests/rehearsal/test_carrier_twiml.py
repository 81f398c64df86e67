"""The strict reading of TwiML."""

from __future__ import annotations

import pytest
from twilio.twiml.voice_response import Connect as BuiltConnect
from twilio.twiml.voice_response import Gather as BuiltGather
from twilio.twiml.voice_response import VoiceResponse

from rehearsal.twiml import (
    Document,
    Gather,
    Hangup,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    Stream,
    TwimlError,
    parse,
)


def read(verbs: str) -> Document:
    """A document of these verbs, read as XML."""
    return parse(f'<?xml version="1.0" encoding="UTF-8"?><Response>{verbs}</Response>'.encode(), "text/xml")


def codes(document: Document) -> list[int]:
    """The codes of what was found wrong."""
    return [finding.code for finding in document.findings]


def test_what_the_official_builder_makes_is_clean() -> None:
    """A document built with the carrier's own library is understood verb by verb and without a finding."""
    response = VoiceResponse()
    gather = BuiltGather(num_digits=1, timeout=7, action="/menu?step=1", action_on_empty_result=True, finish_on_key="")
    gather.say("Pulse uno, ¿vale?", voice="Polly.Lucia-Neural", language="es-ES")
    gather.play("/clip.wav")
    gather.pause(length=2)
    response.append(gather)
    connect = BuiltConnect()
    connect.stream(url="wss://voice.example.org/media", name="s1").parameter(name="token", value="a&b<c>")
    response.append(connect)
    response.redirect("/after", method="POST")
    document = parse(str(response).encode(), "text/xml; charset=utf-8")
    assert document.findings == ()
    assert document.verbs == (
        Gather(
            prompts=(Say("Pulse uno, ¿vale?", "Polly.Lucia-Neural", "es-ES"), Play("/clip.wav"), Pause(2)),
            action="/menu?step=1",
            num_digits=1,
            timeout_s=7,
            finish_on_key="",
            action_on_empty_result=True,
        ),
        Stream("wss://voice.example.org/media", "s1", parameters={"token": "a&b<c>"}),
        Redirect("/after"),
    )


def test_defaults_are_the_documented_ones() -> None:
    """A bare Gather waits five seconds, ends on #, posts, and falls through when nothing comes."""
    (gather, hangup) = read("<Gather/><Hangup/>").verbs
    assert gather == Gather((), None, "POST", None, 5, "#", False)
    assert hangup == Hangup()


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"<Response><Say>a & b</Say></Response>", "text/xml", 12100),
        (b"", "text/xml", 12100),
        (b"<html></html>", "text/html", 12100),
        (b"<Response/>", "application/json", 12300),
        (b"<Response/>", "", 12300),
        (b"<Response><Dial>+15550100</Dial></Response>", "text/xml", 0),
        (b"<Response><Connect><Room>x</Room></Connect></Response>", "text/xml", 0),
    ],
)
def test_documents_that_cannot_be_carried_out(body: bytes, content_type: str, code: int) -> None:
    """Bad XML, a wrong root, a wrong type, and verbs beyond the stand-in fail the call instead of being guessed at."""
    with pytest.raises(TwimlError) as caught:
        parse(body, content_type)
    assert caught.value.code == code


def test_plain_text_is_read_aloud() -> None:
    """An unstyled error page reaches people's ears, and the finding says so; TwiML under that type still runs."""
    spoken = parse(b"Internal Server Error", "text/plain; charset=utf-8")
    assert spoken.verbs == (Say("Internal Server Error"),)
    assert codes(spoken) == [12300]
    assert parse(b"<Response><Hangup/></Response>", "text/plain").verbs == (Hangup(),)


@pytest.mark.parametrize(
    ("verbs", "kept"),
    [
        ("<Speak>hi</Speak><Hangup/>", (Hangup(),)),
        ("<say>hi</say><Hangup/>", (Hangup(),)),
        ('<Say volume="3">hi</Say>', (Say("hi"),)),
        ("hello<Hangup/>", (Hangup(),)),
        ('<Pause length="-1"/>', (Pause(1),)),
        ('<Pause length="1.5"/>', (Pause(1),)),
        ('<Redirect method="PUT">/x</Redirect>', (Redirect("/x"),)),
        ("<Gather><Redirect>/x</Redirect></Gather>", (Gather(),)),
        ('<Gather numDigits="0"/>', (Gather(),)),
        ('<Gather finishOnKey="12"/>', (Gather(),)),
        ('<Gather actionOnEmptyResult="yes"/>', (Gather(),)),
        ('<Gather input="keys"/>', (Gather(),)),
        ('<Reject reason="full"/>', (Reject(),)),
        ("<Play/>", ()),
        ('<Play digits="12x"/>', ()),
        ("<Connect/>", ()),
        ('<Connect><Stream url="wss://a/1"/><Stream url="wss://a/2"/></Connect>', ()),
        ('<Connect><Stream url="wss://a/1"><Param/></Stream></Connect>', (Stream("wss://a/1"),)),
        ('<Connect><Stream url="wss://a/1"><Parameter name="x"/></Stream></Connect>', (Stream("wss://a/1"),)),
        (
            f'<Connect><Stream url="wss://a/1"><Parameter name="x" value="{"y" * 499}"/></Stream></Connect>',
            (Stream("wss://a/1"),),
        ),
        ("<Say>hi</Say><Reject/>", (Say("hi"), Reject())),
    ],
)
def test_liberties_are_found_and_left_out(verbs: str, kept: tuple[object, ...]) -> None:
    """What the schema does not have gives finding 12200, and the rest is carried out without it."""
    document = read(verbs)
    assert set(codes(document)) == {12200}
    assert document.verbs == kept


def test_a_parameter_just_short_enough_passes() -> None:
    """Name and value together may have 499 characters."""
    document = read(f'<Connect><Stream url="wss://a/1"><Parameter name="x" value="{"y" * 498}"/></Stream></Connect>')
    assert document.findings == ()


def test_ssml_is_spoken_without_its_tags() -> None:
    """Prosody and breaks inside Say are allowed and not read aloud; other elements are found."""
    document = read('<Say>Un <prosody rate="slow">café</prosody>,<break time="1s"/> por favor</Say>')
    assert document.verbs == (Say("Un café, por favor"),)
    assert document.findings == ()
    assert codes(read("<Say>a <b>b</b></Say>")) == [12200]


@pytest.mark.parametrize(
    ("say", "code"),
    [
        ('<Say voice="Polly.Lucia-Neural" language="fr-FR">hola</Say>', 13512),
        ('<Say voice="Polly.Nobody" language="fr-FR">hola</Say>', 13512),
        ('<Say voice="Google.es-ES-Standard-A" language="en-US">hola</Say>', 13512),
        ("<Say> </Say>", 13520),
        (f"<Say>{'a' * 4097}</Say>", 13520),
    ],
)
def test_a_prompt_that_would_fail_on_the_line_is_dropped(say: str, code: int) -> None:
    """A voice that does not speak the language, an empty text and an endless one say nothing, with their code."""
    document = read(say + "<Hangup/>")
    assert codes(document) == [code]
    assert document.verbs == (Hangup(),)


def test_unreachable_verbs_are_remarked_upon() -> None:
    """Verbs behind Redirect are never reached: a remark, since the carrier itself is silent about it."""
    assert codes(read("<Redirect>/x</Redirect><Hangup/>")) == [0]
