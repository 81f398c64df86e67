"""`./run demo`: a whole practice call on this machine, shown live, recorded, and then accounted for."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from sqlalchemy import select

from db import calls, debriefs, jobs
from db.models import Message
from rehearsal.carrier import Behaviour
from rehearsal.realtime_script import Script
from rehearsal.realtime_speech import Speech
from rehearsal.voices import Voices, available
from ringua import storage
from ringua.callers import RECORDINGS, recorded, spoken, voice_of
from ringua.jobs import all_jobs
from ringua.jobs.debrief import KIND
from ringua.rehearsal import LinePlan, rehearsing
from ringua.screen import Screen
from ringua.scripts import following, script_for, written_by_hand
from ringua.settings import Settings
from ringua.storage import Storage
from tutor.learning.debrief import Debrief
from tutor.script import catalogue
from tutor.script.scene import Scene

AFTERWARDS_S = 20
"""How long the demo waits for the debrief and the text: the worker takes a second or two, in the right order."""

SETTLED = frozenset({"sent", "delivered", "failed", "suppressed"})

WHAT_IS_REAL = (
    "the model is a stand-in that follows a script and understands nothing. What you see is scripted, "
    "what you hear and measure is real."
)
NOTICE_RECORDED = (
    "Offline rehearsal. The caller's voice is recorded human speech (telephone prompts, so the words are others than "
    f"the ones shown); {WHAT_IS_REAL}"
)
NOTICE_SPOKEN = f"Offline rehearsal. The caller's voice is a computer's (eSpeak NG); {WHAT_IS_REAL}"
NOTICE_TONES = f"Offline rehearsal. Tones stand for the caller's voice; {WHAT_IS_REAL}"
NOTICE_REAL_RECORDED = (
    "The model is real. The caller's voice is recorded human speech: telephone prompts, not answers, so expect a "
    "puzzled barista."
)
NOTICE_REAL_SPOKEN = (
    "The model is real. The caller's voice is a computer's, or tones: it says what it came to say, whatever the answer."
)

CAFE_MENU = ("cafe_order", "hotel_checkin", "flat_viewing", "free_talk")


def scene_of(scenario: str, *, native: str, target: str, level: str) -> Scene:
    """The scene to rehearse. Raises `CatalogueError`, whose sentence lists what there is."""
    return catalogue.load().scene(scenario, native=native, target=target, level=level.upper())


def plan_of(scene: Scene) -> LinePlan:
    """A line on which the scene can be rehearsed, and the one after it is offered."""
    settings = {"native": scene.native.tag, "target": scene.target.tag, "level": scene.level.name}
    if written_by_hand(scene):
        return LinePlan(**settings, scenarios=CAFE_MENU)
    words = scene.target_strings.keywords or tuple(scene.hint(goal.id, 0) for goal in scene.scenario.goals)
    return LinePlan(
        **settings, scenarios=(scene.scenario.id, following(scene)), class_prompt=f"Words: {', '.join(words)}."
    )


def caller_of(scene: Scene, script: Script) -> tuple[Behaviour, list[str]]:
    """Who calls, and what a listener should know about their voice."""
    if written_by_hand(scene) and scene.target.base in RECORDINGS:
        return recorded(scene), []
    speech = Speech(Voices() if available() else None)
    turns = [voice_of(scene, speech, turn.hears or "") for turn in script.turns]
    if not available():
        return spoken(scene, turns), ["No voices are installed (pip install 'ringua[voices]'): tones stand for speech."]
    return spoken(scene, turns), speech.notes


async def run(settings: Settings, record: Path, out: Console, scene: Scene | None = None) -> None:
    """Places the call and writes ``record``, a stereo WAV (left the caller, right the line).

    Args:
        settings: with an API key the model is real.
        record: where the recording goes.
        out: where the call is shown.
        scene: what is rehearsed (`scene_of`); without one, the café in Spanish for an English speaker at A1.

    Raises:
        StorageError: the rehearsal's database cannot be used.
    """
    began = time.monotonic()
    real = bool(settings.openai_api_key)
    scene = scene or scene_of("cafe_order", native="en", target="es", level="A1")
    plan, script = plan_of(scene), script_for(scene)
    caller, notes = caller_of(scene, script)
    out.rule("[bold]Ringua: a practice call")
    for told in (_notice(scene, notes, real=real), *notes):
        out.print(told, style="dim", markup=False)
    screen = Screen(scene, out)
    # A line of its own, so that a rehearsal never touches a real line's data.
    settings = settings.model_copy(update={"database_url": None, "data_dir": settings.data_dir / "rehearsal"})
    async with storage.opened(settings) as data:
        for note in data.notes:
            out.print(note, style="yellow")
        watch, played = screen.on_entry, None if real else script
        async with rehearsing(settings, data, plan=plan, script=played, watch=watch) as line:
            worker = asyncio.create_task(jobs.run_worker(data.url, all_jobs(data, line.settings), signals=False))
            # A new caller each time: one who is known would be offered the next scene, and the script is this one's.
            number = f"+1202555{1000 + secrets.randbelow(9000)}"
            result = await line.call(caller, from_=number, on_event=screen.on_event)
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


def _notice(scene: Scene, notes: Sequence[str], *, real: bool) -> str:
    """What is real in this rehearsal and what is not."""
    by_hand = written_by_hand(scene)
    if real:
        return NOTICE_REAL_RECORDED if by_hand else NOTICE_REAL_SPOKEN
    return NOTICE_RECORDED if by_hand else NOTICE_TONES if notes else NOTICE_SPOKEN


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
