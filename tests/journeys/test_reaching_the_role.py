"""How long it takes from the answer to the role's first sound, on the carrier's clock, with prompts at a tenth of life.

What is spoken counts ten times, so that the figures are those of a real call; everything else counts as it is.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from db import lines
from rehearsal.carrier import Phone
from rehearsal.report import CallResult
from rehearsal.verbs import spoken_ms
from ringua.rehearsal import SCHOOL
from tests.journeys.line import PATIENCE_S, PracticeLine
from tests.tutor.scenes import cafe
from tutor.script.catalogue import load
from tutor.script.voice_choice import voice_for
from tutor.talk.keypad import SPEED_STEP

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCALE = 10
"""Prompts of these lines are spoken ten times as fast as in life (``practising``)."""
EN = load().language("en")
CAFE = EN.scenes["cafe_order"]
CALLER = "+12025550177"


class Learner:
    """A caller who presses 1 as soon as a sentence begins; ``heard_ms`` is when the role was first heard."""

    def __init__(self, begins: str) -> None:
        self._begins = begins
        self.heard_ms = 0.0

    async def __call__(self, phone: Phone) -> None:
        """Chooses the recommended scene, listens to all that comes before the role, and hangs up."""
        await phone.wait_for("gather", PATIENCE_S)
        while phone.hears.prompt != self._begins:
            await phone.pause(0.01)
        await phone.press("1")
        await phone.wait_for("stream", PATIENCE_S)
        self.heard_ms = await phone.hear_speech(PATIENCE_S)


def lasted_s(result: CallResult, until_ms: float) -> float:
    """How long a call had lasted at a moment, had its prompts been spoken at the speed of life."""
    assert result.answered_ms is not None
    said_ms = sum(
        min(after.at_ms - event.at_ms, spoken_ms(event.text) / SCALE)
        for event, after in pairwise(result.transcript)
        if event.kind == "say" and event.at_ms < until_ms
    )
    return (until_ms - result.answered_ms + said_ms * (SCALE - 1)) / 1_000


async def test_new_and_returning_callers(line: PracticeLine) -> None:
    """Whoever is new hears who answers, what key 1 does and the briefing, and talks within 45 s; later in 12 s."""
    await without_texts(line)
    new = Learner(EN.say("menu.settings"))
    said = said_in(result := await line.rehearsal.call(new, from_=CALLER))
    assert EN.say("menu.recommended", title=CAFE.title, preview=CAFE.preview) in said
    assert CAFE.who in said
    assert EN.say("briefing.keys") in said
    assert 15 < lasted_s(result, new.heard_ms) <= 45
    back = Learner(EN.say("menu.recommended", title=CAFE.title, preview=CAFE.preview))
    said = said_in(result := await line.rehearsal.call(back, from_=CALLER))
    assert EN.say("menu.welcome_back", school=SCHOOL) in said
    assert CAFE.who not in said
    assert 1 < lasted_s(result, back.heard_ms) <= 12


async def test_a_slower_voice_of_another_kind(line: PracticeLine) -> None:
    """A voice and a speed that were chosen in the settings are those of the scene that begins then."""

    async def choosy(phone: Phone) -> None:
        for key in ("0", "4", "2", "1"):
            await phone.wait_for("gather", PATIENCE_S)
            while phone.hears.prompt is None:
                await phone.pause(0.01)
            await phone.press(key)
            await phone.wait_for("gathered", PATIENCE_S)
        await phone.wait_for("stream", PATIENCE_S)
        await phone.hear_speech(PATIENCE_S)

    await without_texts(line)
    await line.rehearsal.call(choosy, from_="+12025550178")
    scene = cafe()
    output = line.model.sessions[-1].settings["audio"]["output"]
    assert output["voice"] == voice_for(scene.scenario.voice, 1) != scene.scenario.voice
    assert output["speed"] == round(scene.level.speed - SPEED_STEP, 2)


def said_in(result: CallResult) -> list[str]:
    """What was said to the caller before the stream."""
    return [event.text for event in result.transcript if event.kind == "say"]


async def without_texts(line: PracticeLine) -> None:
    """Switches texts off: the question for them comes once in a caller's life, and is not what is measured here."""
    async with line.storage.database.anyone() as session:
        found = await lines.by_number(session, line.rehearsal.line)
    assert found is not None
    async with line.storage.database.school(found.school_id) as session:
        assert await lines.update(session, found.id, texts=False)
