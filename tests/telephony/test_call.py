"""The driver of a call between a leg, a model and a conversation, on a virtual clock."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telephony.audio.transcode import transcoder
from telephony.call import Call
from telephony.clips import ClipKey
from telephony.leg import EndedBy, LegInfo, LegListener
from tests import virtual_time
from tests.tutor.scenes import cafe
from tutor.learning.timeline import Timeline
from tutor.realtime import protocol
from tutor.realtime.session import ModelUnavailable
from tutor.realtime.tab import Used
from tutor.talk.conversation import Conversation
from tutor.talk.rules import Rules
from tutor.talk.setup import turn_detection

SCENE = cafe()
VOICE = "marin"


class Carrier:
    """A leg whose carrier plays in real time without latency, echoes marks on play and on clear, and keeps a diary."""

    def __init__(self) -> None:
        self.info = LegInfo("CA1", "AC1", "twilio")
        self.diary: list[tuple[int, str]] = []
        self.heard = 0
        self._listener: LegListener | None = None
        self._loop = asyncio.get_running_loop()
        self._free_at = 0.0
        self._pending: dict[str, asyncio.TimerHandle] = {}
        self._ended = self._loop.create_future()

    def note(self, what: str) -> None:
        self.diary.append((round(self._loop.time() * 1000), what))

    def send_audio(self, ulaw: bytes) -> None:
        assert len(ulaw) % 160 == 0
        now = self._loop.time()
        if now >= self._free_at:
            self.note("sound")
        self._free_at = max(self._free_at, now) + len(ulaw) / 8000
        self.heard += len(ulaw)

    def send_mark(self, name: str) -> None:
        self._pending[name] = self._loop.call_at(self._free_at, self._echo, name)

    def clear(self) -> None:
        self.note("clear")
        self._free_at = self._loop.time()
        for name, timer in list(self._pending.items()):
            timer.cancel()
            self._loop.call_soon(self._echo, name)

    def _echo(self, name: str) -> None:
        if self._pending.pop(name, None) is not None and self._listener is not None:
            self._listener.on_mark(name)

    async def run(self, listener: LegListener) -> None:
        self._listener = listener
        by, detail = await self._ended
        listener.on_leg_end(by, detail)

    async def close(self) -> None:
        self.note("closed")
        self.end("app")

    def end(self, by: EndedBy, detail: str = "") -> None:
        if not self._ended.done():
            self._ended.set_result((by, detail))

    def speak(self, ms: int, code: int = 0x10) -> None:
        assert self._listener is not None
        for _ in range(ms // 20):
            self._listener.on_caller_audio(bytes([code]) * 160)

    def press(self, digit: str) -> None:
        assert self._listener is not None
        self._listener.on_key(digit)


class ModelSession:
    """The model's end of a session: what it was sent, and words put into its mouth."""

    def __init__(self, receive: Callable[[bytes], None], lost: Callable[[protocol.ModelFailed], None]) -> None:
        self.lost = lost
        self.sent: list[dict[str, Any]] = []
        self.leaving: list[dict[str, Any]] | None = None
        """What was sent since the call was over, which is answered."""
        self.closed = False
        self.expires_at: int | None = None
        self._receive = receive

    def send(self, message: bytes) -> None:
        event = json.loads(message)
        if self.leaving is None:
            self.sent.append(event)
            return
        self.leaving.append(event)
        answer: dict[str, Any] = {"session": {}}
        if event["type"] == "response.cancel":
            answer = {"response": {"id": event["response_id"], "status": "cancelled", "usage": {"total_tokens": 7}}}
        kind = "response.done" if event["type"] == "response.cancel" else "session.updated"
        asyncio.get_running_loop().call_soon(lambda: self.says(kind, **answer))

    async def close(self) -> None:
        self.closed = True

    def types(self) -> list[str]:
        return [event["type"] for event in self.sent]

    def says(self, type_: str, **fields: Any) -> None:
        self._receive(json.dumps({"type": type_, **fields}).encode())

    def speaks(
        self,
        response: str,
        item: str,
        ms: int,
        text: str,
        *,
        metadata: dict[str, str] | None = None,
        whole: bool = True,
    ) -> None:
        self.says("response.created", response={"id": response, "metadata": metadata})
        self.says("response.output_item.added", response_id=response, item={"id": item})
        ids = {"response_id": response, "item_id": item}
        self.says("response.output_audio_transcript.delta", **ids, delta=text)
        self.says("response.output_audio.delta", **ids, delta=base64.b64encode(b"\x55" * ms * 8).decode())
        if whole:
            self.says("response.output_audio.done", **ids)
            self.says("response.output_audio_transcript.done", **ids, transcript=text)
            self.says("response.done", response={"id": response, "status": "completed"})


class Stage:
    """A call with everything around it."""

    def __init__(self, *, cached: bool = True, limit_ms: int = 600_000, refuse: bool = False) -> None:
        self.loop = asyncio.get_running_loop()
        self.carrier = Carrier()
        self.timeline = Timeline()
        self.talk = Conversation(SCENE, Rules(limit_ms), self.timeline)
        self.clips: dict[ClipKey, bytes] = {}
        self.used: list[Used] = []
        self.used_when_settled = 0
        self.sessions: list[ModelSession] = []
        self.refuse = refuse
        if cached:
            self.clips[self.key(SCENE.greeting, "es")] = b"\x33" * 8000
        self.call = Call(
            self.carrier,
            self.connect,
            self.talk,
            transcoder=transcoder("pcmu"),
            clips=self,
            voice=VOICE,
            turn_detection=turn_detection(SCENE),
            on_usage=self.used.append,
            clock=self.loop.time,
        )
        self.running = asyncio.create_task(self.serve())

    async def serve(self) -> None:
        await self.call.run()
        for session in self.sessions:
            session.leaving = []
        await self.call.settle()
        self.used_when_settled = len(self.used)
        await self.call.close()

    def key(self, text: str, language: str) -> ClipKey:
        return ClipKey(text, language, VOICE, SCENE.level.speed)

    def get(self, key: ClipKey) -> bytes | None:
        return self.clips.get(key)

    def keep(self, key: ClipKey, ulaw: bytes) -> None:
        self.clips[key] = ulaw

    async def connect(
        self, *, receive: Callable[[bytes], None], lost: Callable[[protocol.ModelFailed], None]
    ) -> ModelSession:
        await asyncio.sleep(0.5)
        if self.refuse:
            raise ModelUnavailable("The model's server refused the API key.", code="invalid_api_key", again=False)
        self.sessions.append(ModelSession(receive, lost))
        return self.sessions[-1]

    @property
    def model(self) -> ModelSession:
        return self.sessions[-1]

    async def until(self, ms: int) -> None:
        await asyncio.sleep(ms / 1000 - self.loop.time())


def on_stage(play: Callable[[Stage], Awaitable[None]], **options: Any) -> Stage:
    """Plays a scene to its end; the call must have ended by then, with its session closed."""

    async def main() -> Stage:
        stage = Stage(**options)
        await play(stage)
        await asyncio.wait_for(stage.running, 60)
        assert all(session.closed for session in stage.sessions)
        return stage

    return virtual_time.run(main())


def test_a_cached_greeting_sounds_at_once_while_the_model_still_connects() -> None:
    """The caller hears the role before the model's server has even answered."""

    async def play(stage: Stage) -> None:
        await stage.until(400)
        assert stage.carrier.diary == [(0, "sound")]
        assert stage.sessions == []
        stage.carrier.end("caller")

    on_stage(play)


def test_what_the_caller_says_over_the_greeting_is_kept_and_sent_when_listening_begins() -> None:
    """Only the last second: a "hello?" is not lost, and does not cut the greeting."""

    async def play(stage: Stage) -> None:
        await stage.until(600)
        stage.carrier.speak(1_500)
        await stage.until(1_100)
        stage.carrier.end("caller")

    stage = on_stage(play)
    sent = stage.model.sent
    listening = next(n for n, event in enumerate(sent) if event["type"] == "session.update")
    assert sent[0]["item"]["role"] == "assistant"
    assert sent[listening]["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert sent[listening + 1]["type"] == "input_audio_buffer.append"
    assert len(base64.b64decode(sent[listening + 1]["audio"])) == 8_000


def test_an_answer_that_the_caller_hung_up_on_is_paid_for() -> None:
    """It is stopped and its usage told before the call is written down, without another word to the conversation."""

    async def play(stage: Stage) -> None:
        await stage.until(2_000)
        stage.model.speaks("r1", "i1", 900, "Claro que sí", whole=False)
        await stage.until(2_100)
        stage.carrier.end("caller")

    stage = on_stage(play)
    assert stage.model.leaving is not None
    assert [event["type"] for event in stage.model.leaving] == ["session.update", "response.cancel"]
    assert [used.id for used in stage.used] == ["r1"]
    assert stage.used_when_settled == 1
    assert stage.model.closed


def test_a_cold_greeting_is_read_by_the_model_and_becomes_a_clip() -> None:
    """The second caller hears it at once."""

    async def play(stage: Stage) -> None:
        await stage.until(600)
        asked = stage.model.sent[-1]["response"]
        assert asked["conversation"] == "none"
        assert f"«{SCENE.greeting}»" in asked["instructions"]
        stage.model.speaks("r1", "i1", 900, SCENE.greeting, metadata=asked["metadata"])
        await stage.until(2_000)
        stage.carrier.end("caller")

    stage = on_stage(play, cached=False)
    assert stage.clips[stage.key(SCENE.greeting, "es")] == b"\x55" * 7_200
    assert stage.timeline.of("listening")


def test_a_greeting_that_was_misread_is_heard_but_not_kept() -> None:
    """A clip lasts: only the exact words may become one."""

    async def play(stage: Stage) -> None:
        await stage.until(600)
        metadata = stage.model.sent[-1]["response"]["metadata"]
        stage.model.speaks("r1", "i1", 900, "Claro, con gusto leo esto", metadata=metadata)
        await stage.until(2_000)
        stage.carrier.end("caller")

    stage = on_stage(play, cached=False)
    assert stage.clips == {}
    assert stage.timeline.of("listening")


def test_barge_in_clears_first_and_truncates_to_what_was_heard() -> None:
    """The role's second sentence is cut after 400 ms: the line is silent at once, the model forgets the rest."""

    async def play(stage: Stage) -> None:
        await stage.until(2_000)
        stage.model.speaks("r1", "i1", 3_000, "Claro que sí, ¿lo quiere con leche o sin leche?")
        await stage.until(2_400)
        before = stage.carrier.heard
        stage.model.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=100)
        assert stage.carrier.diary[-1] == (2_400, "clear")
        truncated = stage.model.sent[-1]
        assert truncated["type"] == "conversation.item.truncate"
        assert abs(truncated["audio_end_ms"] - 400) <= 20
        stage.model.speaks("r1", "i1", 500, "más", whole=False)
        await stage.until(4_000)
        assert stage.carrier.heard == before
        stage.carrier.end("caller")

    stage = on_stage(play)
    (cut,) = [turn for turn in stage.timeline.turns if turn.cut and turn.speaker == "role"]
    assert cut.text is not None
    assert "Claro que sí".startswith(cut.text)


def test_a_key_cuts_the_role_and_its_tone_is_not_taken_for_speech() -> None:
    """150 ms of audio after a key reach the model as silence."""

    async def play(stage: Stage) -> None:
        await stage.until(2_000)
        stage.carrier.press("2")
        stage.carrier.speak(100)
        await stage.until(2_200)
        stage.carrier.speak(20)
        stage.carrier.end("caller")

    stage = on_stage(play)
    frames = [base64.b64decode(e["audio"]) for e in stage.model.sent if e["type"] == "input_audio_buffer.append"]
    assert frames[-6:] == [b"\xff" * 160] * 5 + [b"\x10" * 160]
    assert "clear" in [what for _, what in stage.carrier.diary]


def test_repeat_plays_the_last_turn_again_without_the_model() -> None:
    """Key 3 comes from our own buffer."""

    async def play(stage: Stage) -> None:
        await stage.until(2_000)
        stage.model.speaks("r1", "i1", 500, "¿Con leche?")
        await stage.until(3_000)
        before, asked = stage.carrier.heard, len(stage.model.sent)
        stage.carrier.press("3")
        await stage.until(4_000)
        assert stage.carrier.heard - before == 4_000
        assert len(stage.model.sent) == asked
        stage.carrier.end("caller")

    on_stage(play)


def test_two_readings_never_mix_and_the_role_waits_for_them() -> None:
    """A reading that is still being generated is finished before the role's next turn is heard."""

    async def play(stage: Stage) -> None:
        await stage.until(2_000)
        stage.carrier.press("4")
        metadata = stage.model.sent[-1]["response"]["metadata"]
        stage.model.speaks("r1", "i1", 200, "Good", metadata=metadata, whole=False)
        stage.model.speaks("r2", "i2", 300, "¿Algo más?")
        before = stage.carrier.heard
        await stage.until(2_100)
        assert stage.carrier.heard == before
        ids = {"response_id": "r1", "item_id": "i1"}
        stage.model.says("response.output_audio.delta", **ids, delta=base64.b64encode(b"\x55" * 1_600).decode())
        stage.model.says("response.output_audio.done", **ids)
        stage.model.says("response.done", response={"id": "r1", "status": "completed"})
        await stage.until(4_000)
        assert stage.carrier.heard - before == 1_600 + 2_400
        stage.carrier.end("caller")

    stage = on_stage(play)
    assert [turn.item for turn in stage.timeline.turns if turn.speaker == "role"][-1] == "i2"


def test_the_roles_goodbye_is_heard_whole_before_the_line_is_closed() -> None:
    """end_call comes while three seconds of goodbye are still to be heard."""

    async def play(stage: Stage) -> None:
        await stage.until(2_000)
        stage.model.speaks("r1", "i1", 3_000, "¡Muchas gracias y hasta luego!", whole=False)
        item = {"id": "f1", "type": "function_call", "name": "end_call", "call_id": "c1", "arguments": "{}"}
        stage.model.says("response.output_audio.done", response_id="r1", item_id="i1")
        stage.model.says("response.output_item.done", response_id="r1", item={**item, "status": "completed"})
        stage.model.says("response.done", response={"id": "r1", "status": "completed"})
        await stage.until(4_000)
        stage.model.says("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=100)

    stage = on_stage(play)
    assert stage.carrier.diary[-1] == (5_300, "closed")
    assert "clear" not in [what for _, what in stage.carrier.diary]
    assert stage.talk.end_reason == "role"


@pytest.mark.parametrize("at_ms", [100, 700, 2_000])
def test_a_hang_up_at_any_time_closes_the_models_session(at_ms: int) -> None:
    """While connecting, in the greeting, in a turn: nothing is left open, and the timeline is whole."""

    async def play(stage: Stage) -> None:
        await stage.until(at_ms)
        stage.carrier.end("caller")

    stage = on_stage(play)
    assert stage.talk.end_reason == "caller_hung_up"
    assert stage.carrier.diary[-1][1] != "closed"


def test_a_model_that_refuses_ends_the_call_with_what_can_still_be_said() -> None:
    """The greeting plays on; then the apology, when there is a clip of it; then the carrier says the rest."""

    async def play(stage: Stage) -> None:
        apology = SCENE.native.say("call.lost")
        stage.clips[stage.key(apology, "en")] = b"\x44" * 8_000

    stage = on_stage(play, refuse=True)
    assert stage.talk.end_reason == "model_lost"
    assert stage.carrier.heard == 16_000
    assert stage.carrier.diary[-1] == (2_300, "closed")
