"""A light model: a Realtime server that says just enough, on a fixed rhythm, and notes when audio arrives.

Every session repeats: a reply of three seconds, generated eight times as fast as it is spoken, then the learner's turn;
every second reply is spoken over. It understands nothing and answers only what a session needs to begin.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import picows
import pybase64

from benchmarks.bridge.line import CODES, LEVEL_OF_CODE, Line, level_of_sample
from telephony.audio import g711

DELTA_MS = 200
DELTAS = 15
DELTA_EVERY_S = 0.025
"""A reply of three seconds in 0.375: replies come several times as fast as they are spoken."""
REPLY_S = DELTA_MS * DELTAS / 1000
AFTER_REPLY_S = 0.6
"""From the reply's end to the learner's first word."""
OVER_REPLY_S = (1.0, 2.4)
"""When in a reply the learner speaks over it."""
LEARNER_S = 1.5
ANSWER_S = 0.5
"""From the end of the learner's turn to the next reply."""
CYCLE_S = 5.0
"""About as long as reply and turn take; sessions begin at a random point of it."""

_APPEND = b'{"type":"input_audio_buffer.append","audio":"'
_APPEND_EXTRA = len(_APPEND) + len(b'"}')
_WORD = " palabra"
_BYTES_PER_ULAW = {"audio/pcm": 6, "audio/pcmu": 1}


def _audio(kind: str, code: bytes) -> bytes:
    """A delta's base64: one level for its whole length."""
    ulaw = code * (DELTA_MS * g711.BYTES_PER_MS)
    if kind == "audio/pcmu":
        return pybase64.b64encode(ulaw)
    sample = g711.decode(code)
    return pybase64.b64encode(sample * (DELTA_MS * 24))


_AUDIO = {kind: tuple(_audio(kind, code) for code in CODES) for kind in _BYTES_PER_ULAW}


class _Sent(msgspec.Struct):
    type: str
    session: dict[str, Any] = {}
    audio_end_ms: int = 0


_decode = msgspec.json.Decoder(_Sent).decode


class ModelSession(picows.WSListener):
    """One session. Talks once it has a `Line` and the client has turned voice detection on."""

    def __init__(self, number: int, opened: asyncio.Queue[ModelSession]) -> None:
        self._number = number
        self._opened = opened
        self._transport: picows.WSTransport | None = None
        self._line: Line | None = None
        self._kind = "audio/pcm"
        self._scale = 6
        self._listens = False
        self._talking: asyncio.Task[None] | None = None
        self._events = 0
        self._audio_ms = 0
        self.ended = asyncio.Event()

    def attach(self, line: Line) -> None:
        """Says whose session this is."""
        self._line = line
        self._begin()

    # --- the socket

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """A session begins with the server's word."""
        self._transport = transport
        self._say("session.created", session={"id": f"sess_{self._number}", "object": "realtime.session"})
        self._opened.put_nowait(self)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Audio is measured; of the rest only what a session needs is read."""
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()
        if frame.msg_type != picows.WSMsgType.TEXT:
            return
        now_s = time.perf_counter()
        message = frame.get_payload_as_bytes()
        if message.startswith(_APPEND):
            self._on_append(message, now_s)
            return
        sent = _decode(message)
        if sent.type == "session.update":
            self._on_update(sent.session)
        elif sent.type == "conversation.item.truncate" and self._line is not None:
            self._line.model_is_told(sent.audio_end_ms)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """The client is gone."""
        if self._talking is not None:
            self._talking.cancel()
        self.ended.set()

    def _on_append(self, message: bytes, now_s: float) -> None:
        characters = len(message) - _APPEND_EXTRA
        size = characters // 4 * 3 - message[-4:-2].count(b"=")
        # Base64 turns three bytes into four characters: the group in the middle holds a sample in the middle.
        middle = len(_APPEND) + characters // 8 * 4
        three = binascii.a2b_base64(message[middle : middle + 4])
        if self._scale == 6:
            level = level_of_sample(int.from_bytes(three[:2], "little", signed=True))
        else:
            level = LEVEL_OF_CODE[three[0]]
        self._audio_ms += size // self._scale // g711.BYTES_PER_MS
        if self._line is not None:
            self._line.model_hears(size // self._scale, level, now_s)

    def _on_update(self, session: dict[str, Any]) -> None:
        audio = session.get("audio", {})
        given = audio.get("input", {})
        if "format" in given:
            self._kind = given["format"]["type"]
            self._scale = _BYTES_PER_ULAW[self._kind]
        if given.get("turn_detection"):
            self._listens = True
        side = {"format": {"type": self._kind}}
        self._say("session.updated", session={"id": f"sess_{self._number}", "audio": {"input": side, "output": side}})
        self._begin()

    def _begin(self) -> None:
        if self._listens and self._line is not None and self._talking is None:
            self._talking = asyncio.create_task(self._talk(self._line), name=f"model-{self._number}")

    def _say(self, kind: str, **fields: Any) -> None:
        assert self._transport is not None
        self._events += 1
        event = {"type": kind, "event_id": f"event_{self._number}_{self._events}", **fields}
        self._transport.send(picows.WSMsgType.TEXT, json.dumps(event).encode())

    # --- the rhythm

    async def _talk(self, line: Line) -> None:
        chance = random.Random(self._number)
        await asyncio.sleep(chance.random() * CYCLE_S)
        for number in range(1_000_000):
            began_s = time.perf_counter()
            await self._reply(line, f"{self._number}_{number}")
            over = number % 2 == 1
            begin_s = chance.uniform(*OVER_REPLY_S) if over else REPLY_S + AFTER_REPLY_S + chance.random() * 0.2
            await asyncio.sleep(began_s + begin_s - time.perf_counter())
            await self._learner(line, f"item_learner_{self._number}_{number}")

    async def _reply(self, line: Line, name: str) -> None:
        response, item = f"resp_{name}", f"item_role_{name}"
        place = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        message = {"id": item, "object": "realtime.item", "type": "message", "role": "assistant"}
        envelope = {"id": response, "object": "realtime.response", "conversation_id": f"conv_{self._number}"}
        level = line.reply_begins()
        self._say("response.created", response={**envelope, "status": "in_progress", "output": []})
        self._say("response.output_item.added", response_id=response, output_index=0, item=message)
        self._say("conversation.item.added", item=message)
        self._say("response.content_part.added", **place, part={"type": "audio", "transcript": ""})
        head = json.dumps({"type": "response.output_audio.delta", "event_id": "event_a", **place})[:-1].encode()
        delta = b'%b,"delta":"%b"}' % (head, _AUDIO[self._kind][level])
        due_s = time.perf_counter()
        for _ in range(DELTAS):
            assert self._transport is not None
            self._say("response.output_audio_transcript.delta", **place, delta=_WORD)
            line.model_speaks(DELTA_MS * g711.BYTES_PER_MS, time.perf_counter())
            self._transport.send(picows.WSMsgType.TEXT, delta)
            due_s += DELTA_EVERY_S
            await asyncio.sleep(due_s - time.perf_counter())
        text = _WORD.strip() + _WORD * (DELTAS - 1)
        whole = {**message, "status": "completed", "content": [{"type": "output_audio", "transcript": text}]}
        self._say("response.output_audio.done", **place)
        self._say("response.output_audio_transcript.done", **place, transcript=text)
        self._say("response.content_part.done", **place, part={"type": "audio", "transcript": text})
        self._say("conversation.item.done", item=whole)
        self._say("response.output_item.done", response_id=response, output_index=0, item=whole)
        usage = {
            "total_tokens": 460,
            "input_token_details": {"text_tokens": 300, "audio_tokens": 60, "cached_tokens": 256},
            "output_token_details": {"text_tokens": 40, "audio_tokens": 60},
        }
        self._say("response.done", response={**envelope, "status": "completed", "output": [whole], "usage": usage})
        self._say("rate_limits.updated", rate_limits=[{"name": "tokens", "limit": 1, "remaining": 1}])

    async def _learner(self, line: Line, item: str) -> None:
        now_s = time.perf_counter()
        line.learner_begins(now_s)
        self._say("input_audio_buffer.speech_started", item_id=item, audio_start_ms=self._audio_ms)
        await asyncio.sleep(LEARNER_S)
        message = {"id": item, "object": "realtime.item", "type": "message", "role": "user", "status": "completed"}
        self._say("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=self._audio_ms)
        self._say("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        self._say("conversation.item.added", item=message)
        self._say("conversation.item.done", item=message)
        await asyncio.sleep(ANSWER_S / 2)
        self._say(
            "conversation.item.input_audio_transcription.completed",
            item_id=item,
            content_index=0,
            transcript="un café con leche, por favor",
            usage={"type": "tokens", "input_tokens": 15, "output_tokens": 8, "total_tokens": 23},
        )
        await asyncio.sleep(ANSWER_S / 2)


class LightModel:
    """The server. `opened` gets every session as it begins."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.opened: asyncio.Queue[ModelSession] = asyncio.Queue()
        self.sessions: list[ModelSession] = []

    def _session(self, request: picows.WSUpgradeRequest) -> ModelSession:
        session = ModelSession(len(self.sessions), self.opened)
        self.sessions.append(session)
        return session


@asynccontextmanager
async def running() -> AsyncIterator[LightModel]:
    """Serves on a free port of this machine for as long as the block lasts."""
    made: list[LightModel] = []
    server = await picows.ws_create_server(lambda request: made[0]._session(request), "127.0.0.1", 0)
    made.append(LightModel(server.sockets[0].getsockname()[1]))
    try:
        yield made[0]
    finally:
        server.close()
