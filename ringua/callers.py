"""The learners of rehearsals: what they do at their phone, from the menu to the text message. They know no server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from rehearsal.carrier import Behaviour, CallEnded, Phone
from rehearsal.realtime_speech import Speech
from rehearsal.wav import read_ulaw
from telephony.ivr.menu import FREE_TALK
from tutor.script.scene import Scene

ANSWER_S = 45.0
MENU_S = 120.0
"""A menu, and what is said before the role is put through."""
BARGE_IN_S = 3.0
"""How long the caller listens to the long turn before speaking over it."""

RECORDINGS = {"es": ("es-woman-1.wav", "es-woman-2.wav"), "en": ("en-man.wav", "en-man.wav")}
"""Human speech by language: the long one and the short one."""
LONGEST_BYTES = 8 * 5_500
"""Of a recording: 5.5 s at 8 kHz."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a learner takes their time."""

    quiet_ms: float = 900
    """How long the line is quiet before they speak."""
    menu_s: float = 5.0
    """How long they listen to the menu before they choose."""
    briefing_s: float = 8.0
    """How long they listen to the briefing before a key ends it."""
    question_s: float = 2.0
    """How long they think about a question after the call."""
    hears_out: bool = True
    """Whether they listen to help until it ends; else they speak over it."""


PERSON = Pace()
HURRY = Pace(quiet_ms=300, menu_s=0.0, briefing_s=MENU_S, question_s=0.0, hears_out=False)
"""Their line speaks so fast that a briefing ends before a key could."""

VOICE = "verse"
"""The learner's, of the realtime voices, so that nobody takes it for the role's: those are marin, cedar and others."""


def recorded(scene: Scene) -> Behaviour:
    """The learner of the café, on recorded human speech: takes a hint, and speaks over the barista once."""
    first, second = (
        read_ulaw(files("rehearsal").joinpath("speech", name).read_bytes())[:LONGEST_BYTES]
        for name in RECORDINGS[scene.target.base]
    )

    async def behave(phone: Phone) -> None:
        await _choose(phone, scene, PERSON)
        await _listen(phone)
        await phone.say(first, "ulaw")
        await _listen(phone)
        await phone.press("1")
        await _listen(phone)
        await phone.say(second, "ulaw")
        await phone.hear_speech(ANSWER_S)
        await phone.pause(BARGE_IN_S)
        await phone.say(second, "ulaw")
        await _listen(phone)
        await phone.say(first, "ulaw")
        await _finish(phone, PERSON)

    return until_over(behave)


def spoken(scene: Scene, turns: Sequence[bytes], pace: Pace = PERSON) -> Behaviour:
    """The learner of any scene: has the role's first line translated, takes a hint, and says a turn after each line.

    Args:
        scene: decides which key starts it.
        turns: what is said, one after the other, as µ-law at 8 kHz.
        pace: how much time this learner takes.
    """

    async def behave(phone: Phone) -> None:
        await _choose(phone, scene, pace)
        await _listen(phone, pace)
        for number, turn in enumerate(turns, start=1):
            await phone.say(turn, "ulaw")
            if number == len(turns):
                break
            await _listen(phone, pace)
            for key in "41" if number == 1 else "":
                await phone.press(key)
                if pace.hears_out:
                    await _listen(phone, pace)
                else:
                    await phone.hear_speech(ANSWER_S)
        await _finish(phone, pace)

    return until_over(behave)


def voice_of(scene: Scene, speech: Speech, text: str) -> bytes:
    """What the learner says, as µ-law at 8 kHz; tones where there is no voice for it, which ``speech`` notes."""
    return speech.say(text, scene.target.espeak, voice=VOICE, speed=0.9, audio_format="audio/pcmu")


def until_over(behave: Callable[[Phone], Awaitable[None]]) -> Behaviour:
    """Plays a learner until the call is over; a line that stays silent too long is hung up on."""

    async def caller(phone: Phone) -> None:
        try:
            await behave(phone)
        except (CallEnded, TimeoutError):
            return

    return caller


async def _choose(phone: Phone, scene: Scene, pace: Pace) -> None:
    await phone.wait_for("gather", MENU_S)
    await phone.pause(pace.menu_s)
    await phone.press("8" if scene.scenario.id == FREE_TALK else "1")
    try:
        await phone.wait_for("stream", pace.briefing_s)
    except TimeoutError:
        if phone.hears.prompt is not None:
            await phone.press("1")  # any key ends the briefing
    await phone.wait_for("stream", MENU_S)
    await phone.hear_speech(ANSWER_S)  # what was heard before belongs to the menu


async def _listen(phone: Phone, pace: Pace = PERSON) -> None:
    await phone.hear_silence(pace.quiet_ms, ANSWER_S)


async def _finish(phone: Phone, pace: Pace) -> None:
    """Hears the role's goodbye, agrees to a short text, says how sure they feel, and hears the line's goodbye."""
    await phone.wait_for("stream-ended", ANSWER_S)
    await phone.wait_for("gather", ANSWER_S)  # asked once: a short text after your calls?
    await phone.hear_speech(ANSWER_S)
    await phone.pause(pace.question_s)
    await phone.press("1")
    await _listen(phone, pace)  # asked after the first call: how sure do you feel?
    await phone.press("4")
    await phone.wait_for("ended", ANSWER_S)
