"""`./run demo`: a whole practice call on this machine, shown live, recorded, and then accounted for."""

from __future__ import annotations

import time
from importlib.resources import files
from pathlib import Path

from rich.console import Console

from rehearsal.carrier import CallEnded, Phone
from rehearsal.wav import read_ulaw
from ringua import storage
from ringua.rehearsal import LinePlan, rehearsing
from ringua.screen import Screen
from ringua.scripts import script_for
from ringua.settings import Settings
from tutor.script import catalogue

QUIET_MS = 900
ANSWER_S = 45.0
BARGE_IN_S = 3.0
"""How long the caller listens to the long turn before speaking over it."""

NOTICE_OFFLINE = (
    "Offline rehearsal. The caller's voice is recorded human speech (telephone prompts, so the words are others than "
    "the ones shown); the model is a stand-in that follows a script and understands nothing. What you see is scripted, "
    "what you hear and measure is real."
)
NOTICE_REAL = (
    "The model is real. The caller's voice is recorded human speech: telephone prompts, not answers, so expect a "
    "puzzled barista."
)


def _speech(name: str) -> bytes:
    return read_ulaw(files("rehearsal").joinpath("speech", name).read_bytes())


async def run(settings: Settings, record: Path, out: Console) -> None:
    """Places the call and writes ``record``, a stereo WAV (left the caller, right the line). Raises `StorageError`."""
    began = time.monotonic()
    real = bool(settings.openai_api_key)
    out.rule("[bold]Ringua: a practice call")
    out.print(NOTICE_REAL if real else NOTICE_OFFLINE, style="dim")
    plan = LinePlan()
    scene = catalogue.load().scene("cafe_order", native=plan.native, target=plan.target, level=plan.level)
    screen = Screen(scene, out)
    # A line of its own, so that a rehearsal never touches a real line's data.
    settings = settings.model_copy(update={"database_url": None, "data_dir": settings.data_dir / "rehearsal"})
    async with storage.opened(settings) as data:
        for note in data.notes:
            out.print(note, style="yellow")
        script = None if real else script_for(scene)
        async with rehearsing(settings, data, plan=plan, script=script, watch=screen.on_entry) as line:
            result = await line.call(_caller, on_event=screen.on_event)
            violations = line.model.violations if line.model is not None else []
    record.parent.mkdir(parents=True, exist_ok=True)
    result.recording.write_wav(record)
    screen.account(result, violations)
    out.print(f"\nListen to it: [bold]{record}[/bold] (stereo: left the caller, right the line)")
    out.print(f"Done in {time.monotonic() - began:.0f} s.", style="dim")


async def _caller(phone: Phone) -> None:
    """Plays the learner until the call is over; a line that stays silent too long is hung up on."""
    try:
        await _learner(phone)
    except (CallEnded, TimeoutError):
        return


async def _learner(phone: Phone) -> None:
    """Picks the scene, orders, asks for a hint, speaks over the barista once, pays and says goodbye."""
    first, second = _speech("es-woman-1.wav"), _speech("es-woman-2.wav")
    await phone.wait_for("gather", ANSWER_S)
    await phone.pause(5.0)
    await phone.press("1")
    await phone.wait_for("stream", ANSWER_S)
    await phone.hear_silence(QUIET_MS, ANSWER_S)
    await phone.say(first, "ulaw")
    await phone.hear_silence(QUIET_MS, ANSWER_S)
    await phone.press("1")
    await phone.hear_silence(QUIET_MS, ANSWER_S)
    await phone.say(second, "ulaw")
    await phone.hear_speech(ANSWER_S)
    await phone.pause(BARGE_IN_S)
    await phone.say(second, "ulaw")
    await phone.hear_silence(QUIET_MS, ANSWER_S)
    await phone.say(first, "ulaw")
    await phone.wait_for("ended", ANSWER_S)
