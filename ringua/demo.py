"""`./run demo`: a whole practice call on this machine, shown live, recorded, and then accounted for."""

from __future__ import annotations

import asyncio
import secrets
import time
from importlib.resources import files
from pathlib import Path

from rich.console import Console
from sqlalchemy import select

from db import calls, debriefs, jobs
from db.models import Message
from rehearsal.carrier import CallEnded, Phone
from rehearsal.wav import read_ulaw
from ringua import storage
from ringua.jobs import all_jobs
from ringua.jobs.debrief import KIND
from ringua.rehearsal import LinePlan, rehearsing
from ringua.screen import Screen
from ringua.scripts import script_for
from ringua.settings import Settings
from ringua.storage import Storage
from tutor.learning.debrief import Debrief
from tutor.script import catalogue

QUIET_MS = 900
ANSWER_S = 45.0
BARGE_IN_S = 3.0
"""How long the caller listens to the long turn before speaking over it."""

AFTERWARDS_S = 20
"""How long the demo waits for the debrief and the text: the worker takes a second or two, in the right order."""

SETTLED = frozenset({"sent", "delivered", "failed", "suppressed"})

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
    plan = LinePlan(scenarios=("cafe_order", "hotel_checkin", "flat_viewing", "free_talk"))
    scene = catalogue.load().scene("cafe_order", native=plan.native, target=plan.target, level=plan.level)
    screen = Screen(scene, out)
    # A line of its own, so that a rehearsal never touches a real line's data.
    settings = settings.model_copy(update={"database_url": None, "data_dir": settings.data_dir / "rehearsal"})
    async with storage.opened(settings) as data:
        for note in data.notes:
            out.print(note, style="yellow")
        script = None if real else script_for(scene)
        async with rehearsing(settings, data, plan=plan, script=script, watch=screen.on_entry) as line:
            worker = asyncio.create_task(jobs.run_worker(data.url, all_jobs(data, line.settings), signals=False))
            # A new caller each time: one who is known would be offered the next scene, and the script is the café's.
            number = f"+1202555{1000 + secrets.randbelow(9000)}"
            result = await line.call(_caller, from_=number, on_event=screen.on_event)
            violations = line.model.violations if line.model is not None else []
            out.print("Waiting for the debrief and the text message …", style="dim")
            debrief, texts = await _afterwards(data, result.sid)
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
    record.parent.mkdir(parents=True, exist_ok=True)
    result.recording.write_wav(record)
    screen.account(result, violations)
    screen.debrief(debrief, texts)
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
    await phone.wait_for("stream-ended", ANSWER_S)
    await phone.wait_for("gather", ANSWER_S)  # asked once: a short text after your calls?
    await phone.hear_speech(ANSWER_S)
    await phone.pause(2.0)
    await phone.press("1")
    await phone.wait_for("ended", ANSWER_S)


async def _afterwards(data: Storage, carrier_sid: str) -> tuple[Debrief | None, list[str]]:
    """What the worker made of a call: its debrief, and the texts that were sent; waited for a while."""
    async with data.database.anyone() as session:
        found = await calls.find(session, carrier_sid)
    if found is None:
        return None, []
    debrief, texts = None, []
    for _ in range(AFTERWARDS_S):
        async with data.database.school(found.school_id) as session:
            kept = await debriefs.get(session, found.call_id)
            mine = (await session.scalars(select(Message).where(Message.call_id == found.call_id))).all()
        debrief = Debrief.read(kept.content) if kept is not None else None
        texts = [message.body for message in sorted(mine, key=lambda message: message.created_at)]
        settled = {message.kind for message in mine if message.state in SETTLED}
        if debrief is not None and KIND in settled and len(settled) == len(mine):
            break
        await asyncio.sleep(1.0)
    return debrief, texts
