"""A strict reading of TwiML: a server's answer becomes verbs, and every liberty it took becomes a finding.

Pure: bytes in, verbs and findings out. What cannot be read at all raises `TwimlError`; what the schema does not have is
left out with finding 12200, as the carrier does. Which verbs follow which is for `rehearsal.verbs`.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rehearsal.webhooks import Method


@dataclass(frozen=True, slots=True)
class Say:
    """Text to be spoken; ``text`` is what remains when SSML is taken away. ``loop`` 0 means without end."""

    text: str
    voice: str | None = None
    language: str | None = None
    loop: int = 1


@dataclass(frozen=True, slots=True)
class Play:
    """A sound file to be played, or ``digits`` to be dialled (``w`` waits half a second)."""

    url: str
    loop: int = 1
    digits: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence."""

    length_s: int = 1


@dataclass(frozen=True, slots=True)
class Gather:
    """Collects keys while its prompts are spoken and for ``timeout_s`` after them or after the last key."""

    prompts: tuple[Say | Play | Pause, ...] = ()
    action: str | None = None
    method: Method = "POST"
    num_digits: int | None = None
    timeout_s: int = 5
    finish_on_key: str = "#"
    action_on_empty_result: bool = False


@dataclass(frozen=True, slots=True)
class Redirect:
    """Goes on with another document."""

    url: str
    method: Method = "POST"


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuses the call without answering it."""

    reason: Literal["rejected", "busy"] = "rejected"


@dataclass(frozen=True, slots=True)
class Hangup:
    """Ends the call."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Where the call's sound goes, both ways; ``<Connect><Stream>``."""

    url: str
    name: str | None = None
    track: str = "inbound_track"
    status_callback: str | None = None
    status_callback_method: Method = "POST"
    parameters: Mapping[str, str] = field(default_factory=dict)


Verb = Say | Play | Pause | Gather | Redirect | Reject | Hangup | Stream


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the document the carrier would complain of."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """Verbs in the order in which they are carried out, and what was wrong with how they were written."""

    verbs: tuple[Verb, ...]
    findings: tuple[Finding, ...] = ()


class TwimlError(ValueError):
    """The document cannot be carried out; ``code`` 12100 is bad XML, 12300 a bad type, 0 beyond this stand-in."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


_XML_TYPES = {"text/xml", "application/xml", "text/html"}
_BEYOND_US = {"Dial", "Record", "Start", "Stop", "Enqueue", "Leave", "Refer", "Pay", "Prompt", "Sms", "Queue", "Echo"}
_BEYOND_US_CONNECT = {"ConversationRelay", "Room", "VirtualAgent", "Conversation", "Autopilot", "AiSession"}
_SSML = {"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w", "amazon:effect"}
_GATHER_SPEECH = {
    "language", "hints", "partialResultCallback", "partialResultCallbackMethod", "profanityFilter", "speechTimeout",
    "maxSpeechTime", "bargeIn", "speechModel", "enhanced", "debug", "minConfidence",
}  # fmt: skip
_ATTRIBUTES = {
    "Say": {"voice", "language", "loop"},
    "Play": {"loop", "digits"},
    "Pause": {"length"},
    "Gather": {"input", "action", "method", "numDigits", "timeout", "finishOnKey", "actionOnEmptyResult"}
    | _GATHER_SPEECH,
    "Redirect": {"method"},
    "Reject": {"reason"},
    "Hangup": set[str](),
    "Connect": {"action", "method"},
    "Stream": {"url", "name", "track", "statusCallback", "statusCallbackMethod", "connectorName", "audioFormat",
               "sampleRate"},
    "Parameter": {"name", "value"},
}  # fmt: skip

# The voices of Amazon Polly by locale, so that a voice asked to speak another language is noticed (13512).
_POLLY_LOCALES = {
    "arb": "Zeina", "ar-AE": "Hala Zayd", "ca-ES": "Arlet", "cmn-CN": "Zhiyu", "cs-CZ": "Jitka", "cy-GB": "Gwyneth",
    "da-DK": "Mads Naja Sofie", "de-AT": "Hannah", "de-CH": "Sabrina", "de-DE": "Hans Marlene Vicki Daniel",
    "en-AU": "Nicole Olivia Russell", "en-GB": "Amy Arthur Brian Emma", "en-GB-WLS": "Geraint", "en-IE": "Niamh",
    "en-IN": "Raveena Kajal Aditi", "en-NZ": "Aria", "en-SG": "Jasmine", "en-ZA": "Ayanda",
    "en-US": "Danielle Gregory Ivy Joanna Joey Justin Kendra Kevin Kimberly Matthew Patrick Ruth Salli Stephen",
    "es-ES": "Conchita Enrique Lucia Sergio Raul Alba", "es-MX": "Mia Andres", "es-US": "Lupe Miguel Penelope Pedro",
    "fi-FI": "Suvi", "fr-BE": "Isabelle", "fr-CA": "Chantal Gabrielle Liam",
    "fr-FR": "Celine Lea Mathieu Remi Ambre Florian", "hi-IN": "Aditi Kajal", "is-IS": "Dora Karl",
    "it-IT": "Bianca Carla Giorgio Adriano Beatrice Lorenzo", "ja-JP": "Kazuha Mizuki Takumi Tomoko",
    "ko-KR": "Seoyeon Jihye", "nb-NO": "Ida Liv", "nl-BE": "Lisa", "nl-NL": "Laura Lotte Ruben",
    "pl-PL": "Ewa Jacek Jan Maja Ola", "pt-BR": "Camila Ricardo Thiago Vitoria", "pt-PT": "Cristiano Ines",
    "ro-RO": "Carmen", "ru-RU": "Maxim Tatyana", "sv-SE": "Astrid Elin", "tr-TR": "Burcu Filiz", "yue-CN": "Hiujin",
}  # fmt: skip
_LONGEST_SAY = 4096
_PARAMETER_LIMIT = 500


def parse(body: bytes, content_type: str) -> Document:
    """Reads a server's answer to a voice webhook. Sound (``audio/*``) is for the caller of this to notice.

    Plain text that is not TwiML is *spoken*, with finding 12300, which is how error pages reach people's ears.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/plain":
        finding = Finding(12300, "the answer is text/plain: the carrier speaks it unless it happens to be TwiML")
        try:
            document = _Reader().document(body)
        except TwimlError:
            return Document((Say(body.decode("utf-8", "replace")),), (finding,))
        return Document(document.verbs, (finding, *document.findings))
    if kind not in _XML_TYPES:
        raise TwimlError(12300, f"Content-Type {content_type or '(none)'!r} is neither TwiML nor sound")
    return _Reader().document(body)


class _Skip(Exception):
    """This verb is not carried out; why has been found already."""


class _Reader:
    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._verbs: Mapping[str, Callable[[ET.Element], Verb]] = {
            "Say": self._say, "Play": self._play, "Pause": self._pause, "Gather": self._gather,
            "Redirect": self._redirect, "Reject": self._reject, "Hangup": self._hangup, "Connect": self._connect,
        }  # fmt: skip

    def document(self, body: bytes) -> Document:
        try:
            root = ET.fromstring(body)  # noqa: S314 - the rehearsed server's own words
        except ET.ParseError as error:
            raise TwimlError(12100, f"not well-formed XML: {error}") from None
        if root.tag != "Response":
            raise TwimlError(12100, f"the document is a <{root.tag}>, not a <Response>")
        self._only(root, set())
        verbs = self._children(root, self._verbs)
        for at, verb in enumerate(verbs):
            if at and isinstance(verb, Reject):
                self._find(12200, "<Reject> must be the first verb: by now the call is answered and billed")
            if isinstance(verb, (Redirect, Reject, Hangup)) and at + 1 < len(verbs):
                self._find(0, f"nothing after <{type(verb).__name__}> is ever reached")
        return Document(tuple(verbs), tuple(self._findings))

    def _children(self, parent: ET.Element, known: Mapping[str, Callable[[ET.Element], Verb]]) -> list[Verb]:
        self._no_text(parent)
        verbs = []
        for element in parent:
            if element.tag in _BEYOND_US and parent.tag == "Response":
                raise TwimlError(0, f"<{element.tag}> is TwiML, but this stand-in does not do it")
            if element.tag not in known:
                self._find(12200, f"<{parent.tag}> cannot hold <{element.tag}>; it is left out")
                continue
            if element.tag in _ATTRIBUTES:
                self._only(element, _ATTRIBUTES[element.tag])
            try:
                verbs.append(known[element.tag](element))
            except _Skip:
                continue
        return verbs

    def _say(self, element: ET.Element) -> Say:
        for inner in element.iter():
            if inner is not element and inner.tag not in _SSML:
                self._find(12200, f"<Say> cannot hold <{inner.tag}>")
        text = " ".join("".join(element.itertext()).split())
        if not text:
            self._drop(13520, "<Say> has nothing to say")
        if len(text) > _LONGEST_SAY:
            self._drop(13520, f"<Say> has {len(text)} characters, more than {_LONGEST_SAY}")
        voice, language = element.get("voice"), element.get("language")
        if locales := _locales(voice):
            if language is not None and language not in locales:
                self._drop(13512, f"the voice {voice} does not speak {language}")
        elif voice is not None and voice.startswith("Polly."):
            self._drop(13512, f"there is no voice {voice}")
        return Say(text, voice, language, self._number(element, "loop", 1, least=0))

    def _play(self, element: ET.Element) -> Play:
        self._no_children(element)
        url, digits = (element.text or "").strip(), element.get("digits")
        if digits is not None and not re.fullmatch(r"[0-9A-D*#wW]+", digits):
            self._drop(12200, f"<Play digits> cannot dial {digits!r}")
        if not url and digits is None:
            self._drop(12200, "<Play> has neither a URL nor digits")
        return Play(url, self._number(element, "loop", 1, least=0), digits)

    def _pause(self, element: ET.Element) -> Pause:
        self._empty(element)
        return Pause(self._number(element, "length", 1, least=0))

    def _gather(self, element: ET.Element) -> Gather:
        given = element.get("input", "dtmf")
        if not set(given.split()) <= {"dtmf", "speech"} or not given.split():
            self._find(12200, f"<Gather input> cannot be {given!r}")
        elif "speech" in given.split():
            self._find(0, "this stand-in hears no speech in <Gather>; keys work")
        timeout_s = 5 if element.get("timeout") == "auto" else self._number(element, "timeout", 5, least=1)
        finish = element.get("finishOnKey", "#")
        if finish not in {"", *"0123456789*#"}:
            self._find(12200, f"<Gather finishOnKey> is one key or none, not {finish!r}")
            finish = "#"
        empty = element.get("actionOnEmptyResult", "false")
        if empty not in {"true", "false"}:
            self._find(12200, f"<Gather actionOnEmptyResult> is true or false, not {empty!r}")
        prompts = self._children(element, {"Say": self._say, "Play": self._play, "Pause": self._pause})
        return Gather(
            prompts=tuple(prompt for prompt in prompts if isinstance(prompt, (Say, Play, Pause))),
            action=element.get("action"),
            method=self._method(element, "method"),
            num_digits=self._number(element, "numDigits", 0, least=1) or None,
            timeout_s=timeout_s,
            finish_on_key=finish,
            action_on_empty_result=empty == "true",
        )

    def _redirect(self, element: ET.Element) -> Redirect:
        self._no_children(element)
        url = (element.text or "").strip()
        if not url:
            self._find(12200, "an empty <Redirect> asks for its own document again")
        return Redirect(url, self._method(element, "method"))

    def _reject(self, element: ET.Element) -> Reject:
        self._empty(element)
        reason = element.get("reason", "rejected")
        if reason not in {"rejected", "busy"}:
            self._find(12200, f"<Reject reason> is rejected or busy, not {reason!r}")
        return Reject("busy" if reason == "busy" else "rejected")

    def _hangup(self, element: ET.Element) -> Hangup:
        self._empty(element)
        return Hangup()

    def _connect(self, element: ET.Element) -> Stream:
        for child in element:
            if child.tag in _BEYOND_US_CONNECT:
                raise TwimlError(0, f"<Connect><{child.tag}> is TwiML, but this stand-in does not do it")
        streams = [verb for verb in self._children(element, {"Stream": self._stream}) if isinstance(verb, Stream)]
        if len(streams) != 1:
            self._drop(12200, f"<Connect> holds exactly one <Stream>, not {len(streams)}")
        return streams[0]

    def _stream(self, element: ET.Element) -> Stream:
        for name in ("audioFormat", "sampleRate", "connectorName"):
            if name in element.attrib:
                self._find(0, f"<Stream {name}> is not documented")
        url = element.get("url", "").strip()
        if not url:
            self._drop(31923, "<Stream> has no url")
        self._no_text(element)
        parameters: dict[str, str] = {}
        for child in element:
            if child.tag == "Parameter":
                self._parameter(child, parameters)
            else:
                self._find(12200, f"<Stream> cannot hold <{child.tag}>; it is left out")
        return Stream(
            url=url,
            name=element.get("name"),
            track=element.get("track", "inbound_track"),
            status_callback=element.get("statusCallback"),
            status_callback_method=self._method(element, "statusCallbackMethod"),
            parameters=parameters,
        )

    def _parameter(self, element: ET.Element, into: dict[str, str]) -> None:
        self._only(element, _ATTRIBUTES["Parameter"])
        self._empty(element)
        name, value = element.get("name"), element.get("value")
        if not name or value is None:
            self._find(12200, "a <Parameter> has a name and a value")
        elif len(name) + len(value) >= _PARAMETER_LIMIT:
            self._find(12200, f"<Parameter> {name} has {len(name) + len(value)} characters; under 500 are allowed")
        elif name in into:
            self._find(12200, f"<Parameter> {name} twice")
        else:
            into[name] = value

    def _number(self, element: ET.Element, name: str, default: int, *, least: int) -> int:
        given = element.get(name)
        if given is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", given) or int(given) < least:
            self._find(12200, f"<{element.tag} {name}> is a whole number from {least}, not {given!r}")
            return default
        return int(given)

    def _method(self, element: ET.Element, name: str) -> Method:
        given = element.get(name, "POST")
        if given not in {"GET", "POST"}:
            self._find(12200, f"<{element.tag} {name}> is GET or POST, not {given!r}")
        return "GET" if given == "GET" else "POST"

    def _only(self, element: ET.Element, allowed: set[str]) -> None:
        for name in sorted(element.attrib.keys() - allowed):
            self._find(12200, f"<{element.tag}> has no attribute {name}; it is left out")

    def _empty(self, element: ET.Element) -> None:
        self._no_text(element)
        self._no_children(element)

    def _no_text(self, element: ET.Element) -> None:
        text = (element.text or "") + "".join(child.tail or "" for child in element)
        if text.strip():
            self._find(12200, f"<{element.tag}> cannot hold text, but says {text.strip()[:40]!r}")

    def _no_children(self, element: ET.Element) -> None:
        for child in element:
            self._find(12200, f"<{element.tag}> cannot hold <{child.tag}>")

    def _find(self, code: int, text: str) -> None:
        self._findings.append(Finding(code, text))

    def _drop(self, code: int, text: str) -> None:
        self._find(code, text)
        raise _Skip


def _locales(voice: str | None) -> set[str]:
    """The languages a named voice speaks; empty when we cannot tell."""
    if voice is None:
        return set()
    maker, _, name = voice.partition(".")
    if maker == "Google":
        match = re.match(r"[a-z]{2,3}-[A-Z]{2}", name)
        return {match.group()} if match else set()
    if maker != "Polly":
        return set()
    name = name.partition("-")[0]
    return {locale for locale, names in _POLLY_LOCALES.items() if name in names.split()}
