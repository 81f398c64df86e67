"""One session of the realtime stand-in, sans-I/O: what the client sent goes in with the time, what to send comes out.

It recognises no speech: transcripts come from the script by turn, turns from the energy of the audio. It knows no
socket and no clock of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rehearsal.detector import SpeechStarted
from rehearsal.realtime_bill import TRANSCRIBED, Bill, Charge
from rehearsal.realtime_config import default_session, is_reasoning, updated
from rehearsal.realtime_input import InputBuffer
from rehearsal.realtime_items import Conversation, Item, Part, decode_audio, from_client
from rehearsal.realtime_reply import Replies
from rehearsal.realtime_response import PIECE, Response
from rehearsal.realtime_rules import HINTED_TRANSCRIPTION, check_event
from rehearsal.realtime_schema import Refused
from rehearsal.realtime_script import Script, Spending, Turn
from rehearsal.realtime_speech import Speech
from rehearsal.realtime_usage import Ledger, transcription_usage
from rehearsal.realtime_wire import Wire

LIMIT_MS = 60 * 60 * 1_000.0
RATE_LIMITS_AFTER_MS = 43.0  # after response.done, in a live capture of 2026-09-18
TOKENS_PER_MINUTE = 40_000


class Session(Wire):
    """The server's side of one connection.

    `heard` is all appended audio in the wire format, kept only with `keep_audio`. `pace` is a multiple of real time at
    which responses are generated, None a burst; the script's goes before it. `limit_ms` is how long a session may last.
    `safety_identifier` is whom the client named; `bill` is what the session costs so far.
    """

    def __init__(
        self,
        script: Script,
        *,
        model: str,
        speech: Speech,
        now_ms: float,
        unix_s: int = 0,
        pace: float | None = None,
        limit_ms: float = LIMIT_MS,
        faults: Spending | None = None,
        keep_audio: bool = False,
        seed: int = 0,
        safety_identifier: str | None = None,
    ) -> None:
        super().__init__(now_ms=now_ms, seed=seed, faults=faults or Spending())
        self.id = self.new_id("sess")
        self.script = script
        self.safety_identifier = safety_identifier
        self.bill = Bill()
        self.opened_ms = now_ms
        self.settings = default_session(self.id, model, unix_s + round(limit_ms / 1000))
        self.conversation = Conversation()
        self.conversation_id = self.new_id("conv")
        self.ledger = Ledger(reasoning=is_reasoning(model))
        self.speech = speech
        self.has_spoken = False
        self.heard = bytearray()
        self.replies = Replies(self, pace=pace if script.pace is None else script.pace, faults=self._faults)
        self._keep_audio = keep_audio
        self._input = InputBuffer()
        self._input.configure("audio/pcm", self._turn_detection)
        self._speech: tuple[str, int] | None = None
        self._playback_end_ms = now_ms
        self._idle = 0
        self._transcribing: dict[str, tuple[Item, str | None]] = {}
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "output_audio_buffer.clear": self._clear_output,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve,
            "conversation.item.delete": self._delete,
            "conversation.item.truncate": self._truncate,
            "response.create": self._create_response,
            "response.cancel": self._cancel,
        }
        self.emit("session.created", session=self.settings)
        self.at(now_ms + limit_ms, self.expire)
        self.arm(script.faults)

    @property
    def _turn_detection(self) -> dict[str, Any] | None:
        detection: dict[str, Any] | None = self.settings["audio"]["input"]["turn_detection"]
        return detection

    def receive(self, message: str | bytes, now_ms: float) -> None:
        """Takes one frame of the client: a str is a text frame, bytes are a binary one, which the server refuses."""
        self.tick(now_ms)
        event: object = None
        try:
            if isinstance(message, bytes):
                raise Refused("invalid_event", "Invalid event: binary frames are not supported.")
            try:
                event = json.loads(message)
            except ValueError as error:
                raise Refused("invalid_json", "Invalid JSON: the message could not be parsed.") from error
            if isinstance(event, dict):
                self._received(event)
            if self.is_closed or self._is_mute:
                return
            kind, checked = check_event(event)
            self._handlers[kind](checked)
        except Refused as refused:
            self.refuse(refused, event)

    def forget_audio(self) -> None:
        """Frees the audio of a session that has ended; the records stay."""
        if not self._keep_audio:
            for item in self.conversation.items:
                for part in item.content:
                    part.audio.clear()
            self._input.clear()

    def hang_up(self) -> None:
        """The connection has ended, by whichever side: nothing runs on, nothing is told any more.

        What was made of answers is billed, and so are turns that were being transcribed.
        """
        self.is_closed = True
        self.replies.abandon()
        for item, transcript in list(self._transcribing.values()):
            self._transcribe(item, transcript)
        self.forget_audio()

    def response_ended(self, response: Response) -> None:
        """Bills it, starts the idle timer where playback would end, and tells the rate limits a little later."""
        self.replies.ended(response)
        usage = response.usage or {}
        self.bill.add(
            Charge("response", response.id, self.settings["model"], usage, metadata=response.settings.metadata)
        )
        if self.script.rate_limits:
            spent = usage["total_tokens"]
            self.at(self.now_ms + RATE_LIMITS_AFTER_MS, lambda: self._tell_rate_limits(spent))
        if response.in_band:
            self._playback_end_ms = max(self._playback_end_ms, self.now_ms) + response.audio_ms
            if response.was_cancelled:
                self._playback_end_ms = self.now_ms
            self._wait_for_idle()

    # What clients send

    def _update(self, event: dict[str, Any]) -> None:
        self.settings = updated(
            self.settings,
            event["session"],
            has_spoken=self.has_spoken,
            is_responding=self.replies.active is not None,
        )
        self._input.configure(self.settings["audio"]["input"]["format"]["type"], self._turn_detection)
        self.emit("session.updated", session=self.settings)

    def _append(self, event: dict[str, Any]) -> None:
        audio = decode_audio(event["audio"], "audio")
        if self._keep_audio:
            self.heard += audio
        for found in self._input.append(audio):
            if isinstance(found, SpeechStarted):
                self._speech_started(found.start_ms)
            else:
                self._speech_stopped(found.end_ms)
        self._input.trim()

    def _commit(self, event: dict[str, Any]) -> None:
        item_id = self._speech[0] if self._speech else self.new_id("item")
        audio = self._input.commit()
        self._speech = None
        self._add_user_audio(item_id, audio)

    def _clear(self, event: dict[str, Any]) -> None:
        self._input.clear()
        self._speech = None
        self.emit("input_audio_buffer.cleared")

    def _clear_output(self, event: dict[str, Any]) -> None:
        raise Refused("invalid_event", "'output_audio_buffer.clear' is only supported over WebRTC and SIP.", "type")

    def _create_item(self, event: dict[str, Any]) -> None:
        audio_format = self.settings["audio"]["input"]["format"]["type"]
        item = from_client(event["item"], self.new_id("item"), self.new_id("call"), audio_format)
        previous = self.conversation.insert(item, event.get("previous_item_id"))
        if item.role == "system":
            self.replies.steering.append(item.text)
        self.emit("conversation.item.added", previous_item_id=previous, item=item.wire())
        self.emit("conversation.item.done", previous_item_id=previous, item=item.wire())

    def _retrieve(self, event: dict[str, Any]) -> None:
        item = self.conversation.get(event["item_id"])
        self.emit("conversation.item.retrieved", item=item.wire(with_audio=True))

    def _delete(self, event: dict[str, Any]) -> None:
        self.conversation.delete(event["item_id"])
        self.emit("conversation.item.deleted", item_id=event["item_id"])

    def _truncate(self, event: dict[str, Any]) -> None:
        told = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
        self.conversation.truncate(**told)
        self.emit("conversation.item.truncated", **told)

    def _create_response(self, event: dict[str, Any]) -> None:
        self._idle += 1
        self.replies.create(event.get("response", {}))

    def _cancel(self, event: dict[str, Any]) -> None:
        self.replies.cancel(event.get("response_id"))

    # What the caller's audio does

    def _speech_started(self, start_ms: int) -> None:
        self._idle += 1
        self._speech = (self.new_id("item"), start_ms)
        self.emit("input_audio_buffer.speech_started", audio_start_ms=start_ms, item_id=self._speech[0])
        detection = self._turn_detection
        if detection is not None and detection["interrupt_response"] and self.replies.active is not None:
            self.replies.active.cancel("turn_detected")

    def _speech_stopped(self, end_ms: int) -> None:
        # None when a fault or the client's commit took the utterance away in the middle of an append.
        if self._speech is None or self.is_closed:
            return
        (item_id, start_ms), self._speech = self._speech, None
        self.emit("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=item_id)
        self._add_user_audio(item_id, self._input.take(start_ms, end_ms))
        detection = self._turn_detection
        if detection is not None and detection["create_response"]:
            self._answer()

    def _answer(self, *, idle: bool = False) -> None:
        try:
            self.replies.create({}, idle=idle)
        except Refused as refused:  # the server's own doing, so nobody's violation
            self.error("invalid_request_error", refused.code, refused.message)

    def _add_user_audio(self, item_id: str, audio: bytes, *, is_silence: bool = False) -> None:
        part = Part("input_audio", audio_format=self.settings["audio"]["input"]["format"]["type"])
        part.audio += audio
        item = Item(item_id, "message", "user", content=[part], is_silence=is_silence)
        previous = self.conversation.append(item)
        self.emit("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
        self.emit("conversation.item.added", previous_item_id=previous, item=item.wire())
        self.emit("conversation.item.done", previous_item_id=previous, item=item.wire())
        if self.settings["audio"]["input"]["transcription"] is None:
            return
        scripted = Turn() if is_silence else self.replies.role.turn(self.conversation.user_turns) or Turn()
        self._transcribing[item.id] = (item, scripted.hears)
        if scripted.transcript_delay_ms:
            self.at(self.now_ms + scripted.transcript_delay_ms, lambda: self._transcribe(item, scripted.hears))
        else:
            self._transcribe(item, scripted.hears)

    def _transcribe(self, item: Item, transcript: str | None) -> None:
        del self._transcribing[item.id]
        transcription = self.settings["audio"]["input"]["transcription"]
        if transcription is None:
            return
        kind, where = "conversation.item.input_audio_transcription", {"item_id": item.id, "content_index": 0}
        if transcript is None:
            message = "Input transcription failed for this item: the script has no transcript for it."
            error = {"type": "transcription_error", "code": "audio_unintelligible", "message": message, "param": None}
            self.emit(f"{kind}.failed", **where, error=error)
            return
        model = transcription["model"]
        for piece in [transcript] if model == "whisper-1" else PIECE.findall(transcript):
            self.emit(f"{kind}.delta", **where, delta=piece)
        part = item.content[0]
        part.transcript = transcript
        usage = transcription_usage(model, part.audio_ms, transcript, self.script.transcript_usage)
        detected = (
            {"languages": [{"code": self.script.language.split("-")[0]}]} if model in HINTED_TRANSCRIPTION else {}
        )
        self.bill.add(Charge("transcription", item.id, model, usage))
        self.emit(TRANSCRIBED, **where, transcript=transcript, usage=usage, **detected)

    # What time does

    def _wait_for_idle(self) -> None:
        detection = self._turn_detection
        timeout_ms = detection.get("idle_timeout_ms") if detection else None
        if timeout_ms is None or self._speech is not None:
            return
        self._idle += 1
        version = self._idle

        def playback_ended() -> None:
            start_ms = self._input.position_ms
            self.at(self.now_ms + timeout_ms, lambda: self._idled(version, start_ms))

        self.at(self._playback_end_ms, playback_ended)

    def _idled(self, version: int, start_ms: int) -> None:
        detection = self._turn_detection
        if version != self._idle or detection is None or self.replies.active is not None:
            return
        end_ms, item_id = self._input.position_ms, self.new_id("item")
        self.emit("input_audio_buffer.timeout_triggered", audio_start_ms=start_ms, audio_end_ms=end_ms, item_id=item_id)
        self._add_user_audio(item_id, self._input.take(start_ms, end_ms), is_silence=True)
        self._answer(idle=True)

    def _tell_rate_limits(self, spent: int) -> None:
        remaining = max(0, TOKENS_PER_MINUTE - spent)
        reset_s = round(spent * 60 / TOKENS_PER_MINUTE, 3)
        limit = {"name": "tokens", "limit": TOKENS_PER_MINUTE, "remaining": remaining, "reset_seconds": reset_s}
        self.emit("rate_limits.updated", rate_limits=[limit])
