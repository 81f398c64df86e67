"""How a call listens: to whom, through which noise, and who else may read the words. On a virtual clock."""

from __future__ import annotations

from typing import Any

from telephony.clips import ClipKey
from tests.telephony.test_call import SCENE, VOICE, Stage, on_stage

NATIVE = SCENE.native


def detections(stage: Stage) -> list[dict[str, Any] | None]:
    """Every change of the voice detection, in order."""
    updates = [event["session"] for event in stage.model.sent if event["type"] == "session.update"]
    return [update["audio"]["input"]["turn_detection"] for update in updates if "input" in update.get("audio", {})]


async def hear(stage: Stage, item: str, text: str) -> None:
    """The model heard the learner say something."""
    stage.model.says("input_audio_buffer.speech_started", item_id=item, audio_start_ms=0)
    stage.model.says("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=500)
    stage.model.says("input_audio_buffer.committed", item_id=item)
    stage.model.says(
        "conversation.item.input_audio_transcription.completed", item_id=item, content_index=0, transcript=text
    )


def test_a_word_for_the_helper_is_not_answered_by_the_role_and_is_forgotten() -> None:
    """Key 5: the model listens without answering, and what was said leaves its conversation."""

    async def play(stage: Stage) -> None:
        question = NATIVE.say("keys.word_ask", native=NATIVE.name_of("en"), target=NATIVE.name_of("es"))
        stage.clips[stage.key(question, "en")] = b"\x44" * 4000
        await stage.until(3000)
        stage.carrier.press("5")
        await stage.until(5000)
        await hear(stage, "u1", "oat milk")
        await stage.until(6000)
        stage.carrier.end("caller")

    stage = on_stage(play)
    asked = detections(stage)[-1]
    assert asked is not None
    assert asked["create_response"] is False
    assert {"type": "conversation.item.delete", "item_id": "u1"}.items() <= stage.model.sent[-2].items()
    assert stage.model.sent[-1]["response"]["conversation"] == "none"


def test_a_pause_plays_soft_sounds_and_hears_nothing() -> None:
    """Key 8: the voice detection is off, and every quarter of a minute something says that the line stands."""

    async def play(stage: Stage) -> None:
        stage.clips[stage.key(NATIVE.say("keys.pause"), "en")] = b"\x44" * 8000
        await stage.until(3000)
        stage.carrier.press("8")
        await stage.until(21_000)
        stage.carrier.end("caller")

    stage = on_stage(play)
    assert detections(stage)[-1] is None
    assert [at_ms // 1000 for at_ms, what in stage.carrier.diary if what == "sound"] == [0, 3, 19]


def test_a_loud_line_raises_the_threshold() -> None:
    """Ten seconds in which speech hardly stands out of the noise."""

    async def play(stage: Stage) -> None:
        stage.clips[stage.key(NATIVE.say("keys.noisy"), "en")] = b"\x44" * 8000
        await stage.until(2000)
        assert stage.carrier._listener is not None
        room, voice = 0x30, 0x20  # six decibels apart
        for second in range(30):
            stage.carrier.speak(400, room)
            stage.carrier.speak(600, voice if second > 2 else room)
            await stage.until(2000 + 1000 * (second + 1))
        stage.carrier.end("caller")

    stage = on_stage(play)
    raised = [one["threshold"] for one in detections(stage) if one is not None]
    assert raised[0] == 0.5
    assert 0.6 <= raised[-1] <= 0.7
    assert len(stage.timeline.of("noisy")) == 1


def test_after_a_change_of_speed_the_holding_phrase_is_still_at_hand() -> None:
    """A clip at the call's first speed will do; a lost model could not read it anew."""

    async def play(stage: Stage) -> None:
        stage.clips[ClipKey(NATIVE.say("call.holding"), "en", VOICE, SCENE.level.speed)] = b"\x44" * 8000
        await stage.until(3000)
        stage.carrier.press("2")
        await stage.until(6000)
        stage.refuse = False
        stage.model.says("error", error={"type": "server_error", "code": "session_expired", "message": "gone"})
        await stage.until(6100)
        stage.carrier.end("caller")

    stage = on_stage(play)
    assert any(at_ms == 6000 for at_ms, what in stage.carrier.diary if what == "sound")


def test_somebody_else_may_read_the_words() -> None:
    """Each turn of the role and of the learner, with its item."""
    read: list[tuple[str, str]] = []

    async def play(stage: Stage) -> None:
        stage.call._on_words = lambda item, text: read.append((item, text))
        await stage.until(3000)
        await hear(stage, "u1", "un café")
        stage.model.speaks("r1", "i1", 500, "¿Con leche?")
        await stage.until(4000)
        stage.carrier.end("caller")

    on_stage(play)
    assert read == [("u1", "un café"), ("i1", "¿Con leche?")]
