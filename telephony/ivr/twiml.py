"""Writes what the line decides as TwiML, the carrier's call script in XML.

It may not decide anything, and knows no database. Every text is escaped by the library's builder; every document that
opens a stream says what comes after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from starlette.responses import Response
from twilio.twiml.voice_response import Connect, Gather, Say, VoiceResponse

from telephony.ivr.steps import Ask, Takes
from tutor.learning.said import SLOW, Line, Said
from tutor.script.language import Language

GATHERED_KEYS: Final[Mapping[Takes, int]] = {"key": 1, "pin": 4, "speech": 1}
_HEARD_LOCALES: Final = {"cmn-CN": "cmn-Hans-CN", "arb": "ar-AE"}
"""Locales whose voice and whose speech recognition the carrier names differently."""
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PARAMETER_LIMIT: Final = 500  # the carrier: name and value together stay under this


def ask(step: Ask, native: Language, action: str, *, first: Iterable[Line] = ()) -> str:
    """Says the prompt, interruptible, and posts the answer (or none, after the prompt's timeout) to ``action``.

    The answer is one key, four for a PIN, or speech, which the carrier writes down and a key ends. Keys that are
    pressed during what is said ``first`` do not count.

    ``finishOnKey`` is empty because ``#`` and ``*`` are keys of ours. The ``Redirect`` is for carriers that fall
    through on silence although ``actionOnEmptyResult`` asks them not to.
    """
    response = VoiceResponse()
    _say(response, native, first)
    spoken = {"language": _HEARD_LOCALES.get(native.say_locale, native.say_locale), "speech_timeout": "auto"}
    gather = Gather(
        input="dtmf speech" if step.takes == "speech" else "dtmf",
        num_digits=GATHERED_KEYS[step.takes],
        timeout=step.timeout_s,
        finish_on_key="",
        action=action,
        method="POST",
        action_on_empty_result=True,
        **(spoken if step.takes == "speech" else {}),
    )
    _say(gather, native, step.says)
    response.append(gather)
    response.redirect(action, method="POST")
    return _xml(response)


def connect(says: Iterable[Line], native: Language, stream_url: str, parameters: Mapping[str, str], after: str) -> str:
    """Says ``says``, opens the two-way media stream, and goes on at ``after`` however the stream ends.

    Args:
        stream_url: absolute ``wss://`` address; its query would be dropped by the carrier.
        parameters: come back in the stream's ``start``.
        after: address of the document that follows the stream, also when its socket could not be opened.

    Raises:
        ValueError: a parameter is longer than the carrier carries.
    """
    response = VoiceResponse()
    _say(response, native, says)
    opening = Connect()
    stream = opening.stream(url=stream_url)
    for name, value in parameters.items():
        if len(name) + len(value) >= _PARAMETER_LIMIT:
            raise ValueError(f"The stream parameter {name} is too long for the carrier ({_PARAMETER_LIMIT}).")
        stream.parameter(name=name, value=value)
    response.append(opening)
    response.redirect(after, method="POST")
    return _xml(response)


def hang_up(*spoken: tuple[Language, Iterable[Line]]) -> str:
    """Says each text in its language, then ends the call."""
    response = VoiceResponse()
    for language, says in spoken:
        _say(response, language, says)
    response.hangup()
    return _xml(response)


def hold(native: Language, sentence: str, url: str, *, pause_s: int = 1) -> str:
    """Says a sentence, waits a moment and asks again at ``url``."""
    response = VoiceResponse()
    _say(response, native, [sentence])
    response.pause(length=pause_s)
    response.redirect(url, method="POST")
    return _xml(response)


def reject() -> str:
    """Refuses the call without answering it: the caller hears that the number is not in use, and nobody pays."""
    response = VoiceResponse()
    response.reject(reason="rejected")
    return _xml(response)


def empty() -> str:
    """Acknowledges a callback that expects no instructions."""
    return _xml(VoiceResponse())


def reply(document: str) -> Response:
    """Wraps a document as a response; any other content type could be read aloud."""
    return Response(document, media_type="text/xml")


def _say(verb: VoiceResponse | Gather, native: Language, says: Iterable[Line]) -> None:
    for line in says:
        said = Said.of(line, native) if isinstance(line, str) else line
        text = _NOT_XML.sub(" ", said.text)
        # Both always: the default voice is an account setting, and one that does not match the language fails.
        if said.slow:
            slowly = Say(voice=said.voice, language=said.locale)
            slowly.prosody(text, rate=f"{SLOW:.0%}")
            verb.append(slowly)
        else:
            verb.say(text, voice=said.voice, language=said.locale)


def _xml(response: VoiceResponse) -> str:
    return str(response.to_xml())
