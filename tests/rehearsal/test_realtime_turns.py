"""Turns of the realtime stand-in: event order, audio time, barge-in, idle time, transcripts. No socket, no clock."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from rehearsal import g711
from rehearsal.realtime_input import APPEND_LIMIT_BYTES
from rehearsal.realtime_items import BYTES_PER_MS
from tests.rehearsal.realtime_judge import Desk, audio_of, lines, noise, one, recording, script, types

CAFE = script(
    language="es",
    opening="Buenos días, ¿qué le pongo?",
    turns=[
        {"hears": "un café por favor", "says": ["Muy bien, un café. ¿Algo más?"]},
        {"hears": "nada más", "says": ["Son dos euros."], "delay_ms": 300},
    ],
    closing="Hasta luego.",
)

SPOKEN = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
COMMITTED = ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]


def detection(**fields: Any) -> dict[str, Any]:
    """Returns the audio part of a session.update that sets server detection."""
    return {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500, **fields}}}


def test_the_first_event_is_the_session_with_its_defaults() -> None:
    """session.created comes unasked, alone, and shows the defaults the live server was seen to have."""
    desk = Desk()
    session = one(desk.events, "session.created")["session"]
    assert types(desk.events) == ["session.created"]
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24_000},
        "voice": "alloy",
        "speed": 1.0,
    }
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }
    assert session["truncation"] == "auto"
    assert session["expires_at"] == 1_800_000_000 + 3_600
    assert session["id"].startswith("sess_")


def test_a_spoken_response_has_the_documented_order() -> None:
    """One response of audio sends its skeleton in order, deltas between content_part.added and output_audio.done."""
    desk = Desk(CAFE)
    events = desk.send("response.create")
    assert types(events) == SPOKEN
    kinds = types(events, deltas=True)
    inner = kinds[kinds.index("response.content_part.added") + 1 : kinds.index("response.output_audio.done")]
    assert set(inner) == {"response.output_audio.delta", "response.output_audio_transcript.delta"}
    assert inner[0] == "response.output_audio_transcript.delta"
    said = "".join(event["delta"] for event in events if event["type"].endswith("transcript.delta"))
    assert said == one(events, "response.output_audio_transcript.done")["transcript"] == CAFE.opening
    assert one(events, "response.content_part.done")["part"] == {"type": "audio", "transcript": CAFE.opening}
    assert one(events, "response.done")["response"]["output"][0]["content"] == [
        {"type": "output_audio", "transcript": CAFE.opening}
    ]
    assert len({event["event_id"] for event in desk.events}) == len(desk.events)


def test_audio_deltas_vary_and_are_whole_samples() -> None:
    """Deltas have many lengths, none a promise of multiples of 20 ms, all of whole 16-bit samples, 1/14 s a letter."""
    desk = Desk(CAFE)
    chunks = [
        len(base64.b64decode(event["delta"]))
        for event in desk.send("response.create")
        if event["type"] == "response.output_audio.delta"
    ]
    assert len(set(chunks)) == len(chunks) > 3
    assert all(size % 2 == 0 for size in chunks)
    assert any(size % 960 for size in chunks)
    assert sum(chunks) / 48_000 == pytest.approx(len(CAFE.opening) / 14, abs=0.1)


def test_a_turn_of_the_caller_brings_an_answer_and_later_a_transcript() -> None:
    """Speech starts, stops and is committed in audio time; the response follows at once, the transcript later."""
    desk = Desk(CAFE)
    desk.update(transcription={"model": "gpt-transcribe", "languages": ["es"]}, audio=detection())
    desk.append(bytes(48_000))
    events = desk.say(600, silence_ms=600)
    assert types(events)[:2] == ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"]
    assert types(events)[2:5] == COMMITTED
    assert types(events)[5:15] == SPOKEN
    started, stopped = (
        one(events, "input_audio_buffer.speech_started"),
        one(events, "input_audio_buffer.speech_stopped"),
    )
    assert started["audio_start_ms"] == 1_000 - 300
    assert stopped["audio_end_ms"] == 1_000 + 600 + 500
    item_id = started["item_id"]
    assert stopped["item_id"] == item_id == one(events, "input_audio_buffer.committed")["item_id"]
    assert lines(events) == list(CAFE.turns[0].says)
    later = desk.wait(250)
    completed = one(later, "conversation.item.input_audio_transcription.completed")
    assert completed["item_id"] == item_id
    assert completed["transcript"] == "un café por favor"
    assert completed["usage"] == {"type": "duration", "seconds": 1.4}
    assert completed["languages"] == [{"code": "es"}]
    told = "".join(event["delta"] for event in later if event["type"].endswith("transcription.delta"))
    assert told == "un café por favor"


def test_items_of_a_conversation_are_chained() -> None:
    """Each item names the one before it, whoever made it."""
    desk = Desk(CAFE)
    desk.send("response.create")
    desk.say()
    desk.say()
    added = [event for event in desk.events if event["type"] == "conversation.item.added"]
    assert [event["item"]["role"] for event in added] == ["assistant", "user", "assistant", "user", "assistant"]
    assert [event["previous_item_id"] for event in added] == [None, *(event["item"]["id"] for event in added[:-1])]


def test_every_turn_of_the_script_answers_its_user_message() -> None:
    """Turn k answers the k-th user message, then the closing line; asked again, the last line comes again."""
    desk = Desk(CAFE)
    said = [lines(desk.say() + desk.wait(2_000)) for _ in range(4)]
    assert said == [["Muy bien, un café. ¿Algo más?"], ["Son dos euros."], ["Hasta luego."], ["Hasta luego."]]
    assert lines(desk.send("response.create")) == ["Hasta luego."]


def test_a_transcript_may_come_before_the_response() -> None:
    """With a delay of 0 the transcript is there before response.created; without one asked for there is none."""
    early = script(turns=[{"hears": "hola", "says": ["Hola."], "transcript_delay_ms": 0}])
    desk = Desk(early)
    assert not any("transcription" in kind for kind in types(desk.say()))
    desk = Desk(early)
    desk.update(transcription={"model": "whisper-1"})
    kinds = types(desk.say())
    assert kinds.index("conversation.item.input_audio_transcription.completed") < kinds.index("response.created")


def test_a_transcription_may_fail_and_be_billed_by_tokens() -> None:
    """`hears: null` sends transcription.failed; the 4o models bill tokens, or whatever the script says."""
    desk = Desk(script(turns=[{"hears": None}, {"hears": "adiós amigo"}], transcript_usage="tokens"))
    desk.update(transcription={"model": "gpt-transcribe"})
    failed = one(desk.say(), "conversation.item.input_audio_transcription.failed")
    assert failed["error"]["code"] == "audio_unintelligible"
    completed = one(desk.say(600), "conversation.item.input_audio_transcription.completed")
    assert completed["usage"]["type"] == "tokens"
    assert completed["usage"]["input_tokens"] == 11  # 300 + 600 + 200 ms, one for 100 ms
    assert completed["usage"]["output_tokens"] == 3


@pytest.mark.parametrize("name", ["es-woman-1", "es-woman-2"])
def test_a_recorded_caller_is_one_turn_in_both_formats(name: str) -> None:
    """A person at 8 kHz µ-law is heard as one turn, and the committed audio is hers."""
    person, _ = recording(name)
    desk = Desk(CAFE)
    desk.update(audio={"input": {"format": {"type": "audio/pcmu"}, **detection(silence_duration_ms=800)["input"]}})
    ulaw = g711.encode(bytes(16_000) + person + bytes(32_000))
    events = desk.append(ulaw, frame_bytes=160)
    item_id = one(events, "input_audio_buffer.committed")["item_id"]
    item = one(desk.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")["item"]
    audio = base64.b64decode(item["content"][0]["audio"])
    start_ms = one(events, "input_audio_buffer.speech_started")["audio_start_ms"]
    end_ms = one(events, "input_audio_buffer.speech_stopped")["audio_end_ms"]
    assert audio == ulaw[start_ms * 8 : end_ms * 8]


def test_offsets_do_not_depend_on_how_audio_is_appended() -> None:
    """One append of everything decides the same as frames of 20 ms and as odd pieces."""
    pcm = bytes(24_000) + noise(500, -20.0) + bytes(48_000) + noise(400, -25.0) + bytes(48_000)
    told = []
    for size in (len(pcm), 960, 1_111):
        desk = Desk(CAFE)
        desk.update(audio=detection(silence_duration_ms=400))
        events = desk.append(pcm, frame_bytes=size)
        told.append(
            [
                (event["type"], event.get("audio_start_ms", event.get("audio_end_ms")))
                for event in events
                if "buffer.speech" in event["type"]
            ]
        )
    assert len(told[0]) == 4
    assert told[0] == told[1] == told[2]


def test_replies_in_u_law_are_8_khz() -> None:
    """audio/pcmu out is one byte a sample, as long as the same line at 24 kHz."""
    desk = Desk(CAFE)
    desk.update(audio={"output": {"format": {"type": "audio/pcmu"}}})
    narrow = audio_of(desk.send("response.create"))
    other = Desk(CAFE)
    wide = audio_of(other.send("response.create"))
    assert len(narrow) / 8 == pytest.approx(len(wide) / 48, abs=1)


def test_speed_changes_the_length_between_turns_only() -> None:
    """At 0.5 a line takes twice as long; during a response another speed is refused."""
    normal = audio_of(Desk(CAFE).send("response.create"))
    desk = Desk(CAFE)
    desk.update(audio={"output": {"speed": 0.5}})
    slow = audio_of(desk.send("response.create"))
    assert len(slow) == pytest.approx(2 * len(normal), rel=0.01)
    paced = Desk(CAFE, pace=1.0)
    paced.send("response.create")
    assert (
        one(paced.update(audio={"output": {"speed": 0.5}}), "error")["error"]["param"] == "session.audio.output.speed"
    )
    assert one(paced.update(audio={"output": {"speed": 1.0}}), "session.updated")


def test_barge_in_cancels_a_response_that_is_still_generated() -> None:
    """speech_started, then at once the closing events and response.done: cancelled, turn_detected, partial usage."""
    desk = Desk(CAFE, pace=1.0)
    desk.send("response.create")
    events = desk.wait(1_000)
    events = desk.append(noise(300, -20.0))
    kinds = types(events)
    at = kinds.index("input_audio_buffer.speech_started")
    assert kinds[at + 1 : at + 7] == SPOKEN[4:]
    response = one(events, "response.done")["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert response["output"][0]["status"] == "incomplete"
    assert CAFE.opening.startswith(response["output"][0]["content"][0]["transcript"])
    assert 0 < response["usage"]["output_token_details"]["audio_tokens"] <= 1_500 // 50
    assert "response.output_audio.delta" not in types(desk.wait(5_000), deltas=True)


def test_barge_in_on_a_finished_response_is_only_speech_started() -> None:
    """A burst was generated long before it is heard: there is nothing to cancel."""
    desk = Desk(CAFE)
    desk.send("response.create")
    desk.wait(100)
    assert types(desk.append(noise(300, -20.0))) == ["input_audio_buffer.speech_started"]


def test_without_interrupt_response_generation_goes_on() -> None:
    """interrupt_response false leaves the response alone; an answer while it runs fails, which is no one's fault."""
    desk = Desk(CAFE, pace=0.5)
    desk.update(audio=detection(interrupt_response=False))
    desk.send("response.create")
    events = desk.say()
    assert one(events, "error")["error"]["code"] == "conversation_already_has_active_response"
    assert desk.session.violations == desk.session.races == []
    assert one(desk.wait(10_000), "response.done")["response"]["status"] == "completed"


def test_late_deltas_come_after_a_cancel_when_the_script_says_so() -> None:
    """Audio of a cancelled response may still arrive after its response.done."""
    late = script(opening="Esta es una frase bastante larga para que se pueda interrumpir.", pace=1.0,
                  faults=[{"kind": "late_deltas"}])  # fmt: skip
    desk = Desk(late)
    desk.send("response.create")
    desk.wait(500)
    kinds = types(desk.send("response.cancel"), deltas=True)
    assert kinds[kinds.index("response.done") + 1 :] == ["response.output_audio.delta"] * 3


def test_create_response_false_leaves_the_response_to_the_client() -> None:
    """Detection commits and creates nothing; the client's response.create plays the turn."""
    desk = Desk(CAFE)
    desk.update(audio=detection(create_response=False))
    assert types(desk.say())[-3:] == COMMITTED
    assert one(desk.send("response.create"), "response.done")["response"]["status"] == "completed"


def test_without_detection_the_client_commits() -> None:
    """turn_detection null: no speech events, a commit takes everything since the last one and creates no response."""
    desk = Desk(CAFE)
    desk.update(audio={"input": {"turn_detection": None}})
    assert desk.append(noise(500, -20.0)) == []
    events = desk.send("input_audio_buffer.commit")
    assert types(events) == COMMITTED
    item_id = one(events, "input_audio_buffer.committed")["item_id"]
    item = one(desk.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")["item"]
    assert base64.b64decode(item["content"][0]["audio"]) == noise(500, -20.0)
    desk.append(bytes(96 * 40))
    error = one(desk.send("input_audio_buffer.commit"), "error")["error"]
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert "at least 100ms of audio, but buffer only has 80.00ms" in error["message"]
    assert desk.session.violations == []
    assert len(desk.session.races) == 1


def test_clearing_the_buffer_forgets_speech_and_keeps_counting() -> None:
    """After input_audio_buffer.clear speech starts anew, at its position since the session began."""
    desk = Desk(CAFE)
    desk.append(noise(200, -20.0))
    assert types(desk.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert desk.append(bytes(48 * 600)) == []
    started = one(desk.append(noise(200, -20.0)), "input_audio_buffer.speech_started")
    assert started["audio_start_ms"] == 500


def test_detection_switched_on_later_counts_all_audio() -> None:
    """Offsets count from the session's first audio, detection or not."""
    desk = Desk(CAFE)
    desk.update(audio={"input": {"turn_detection": None}})
    desk.append(bytes(48 * 2_000))
    desk.update(audio=detection())
    started = one(desk.append(bytes(48 * 400) + noise(200, -20.0)), "input_audio_buffer.speech_started")
    assert started["audio_start_ms"] == 2_100


def test_changing_flags_in_mid_speech_does_not_end_it() -> None:
    """A session.update that leaves the detector's numbers alone leaves the utterance alone."""
    desk = Desk(CAFE)
    desk.update(audio=detection())
    desk.append(noise(300, -20.0))
    desk.update(audio=detection(create_response=False))
    events = desk.append(noise(300, -20.0) + bytes(48 * 600))
    assert types(events) == ["input_audio_buffer.speech_stopped", *COMMITTED]


def test_semantic_detection_waits_by_its_eagerness() -> None:
    """The stand-in understands nothing: low eagerness is a longer silence, high a shorter one."""
    ends = []
    for eagerness in ("high", "auto", "low"):
        desk = Desk(CAFE)
        desk.update(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": eagerness}}})
        ends.append(one(desk.say(500, silence_ms=1_500), "input_audio_buffer.speech_stopped")["audio_end_ms"])
    assert ends == [800, 1_100, 1_700]


def test_the_idle_timeout_counts_from_the_end_of_playback() -> None:
    """After response.done, the audio's length and the timeout, silence is committed and answered; it is no turn."""
    idle = script(opening="Hola.", turns=[{"says": ["Uno."]}], idle="¿Sigue ahí?")
    desk = Desk(idle)
    desk.update(audio=detection(idle_timeout_ms=6_000))
    spoken = audio_of(desk.send("response.create"))
    length_ms = len(spoken) / BYTES_PER_MS["audio/pcm"]
    before = desk.append(bytes(48 * (int(length_ms) + 5_900)))
    assert "input_audio_buffer.timeout_triggered" not in types(before)
    events = desk.append(bytes(48 * 200))
    triggered = one(events, "input_audio_buffer.timeout_triggered")
    assert triggered["audio_end_ms"] - triggered["audio_start_ms"] == pytest.approx(6_000, abs=40)
    assert types(events)[:4] == ["input_audio_buffer.timeout_triggered", *COMMITTED]
    assert lines(events) == ["¿Sigue ahí?"]
    assert lines(desk.say()) == ["Uno."]


def test_speech_stops_the_idle_timer() -> None:
    """Whoever speaks before the timeout is not asked whether they are still there."""
    desk = Desk(script(opening="Hola.", turns=[{"says": ["Uno."]}]))
    desk.update(audio=detection(idle_timeout_ms=5_000, create_response=False))
    desk.send("response.create")
    desk.append(bytes(48 * 3_000) + noise(500, -20.0))
    assert "input_audio_buffer.timeout_triggered" not in types(desk.append(bytes(48 * 20_000)))


def test_too_much_audio_at_once_is_refused() -> None:
    """An append over 15 MiB is an error and adds nothing."""
    desk = Desk(CAFE)
    big = base64.b64encode(bytes(APPEND_LIMIT_BYTES + 2)).decode()
    assert one(desk.send("input_audio_buffer.append", audio=big), "error")["error"]["param"] == "audio"
    assert one(desk.send("input_audio_buffer.append", audio="no base64!"), "error")["error"]["param"] == "audio"
    assert types(desk.send("input_audio_buffer.commit")) == ["error"]


def test_the_session_ends_after_an_hour() -> None:
    """At 60 minutes the error session_expired comes, then close 1001 with the same sentence."""
    desk = Desk(CAFE)
    events = desk.wait(60 * 60 * 1_000)
    assert one(events, "error")["error"]["code"] == "session_expired"
    assert desk.closed is not None
    assert (desk.closed.code, desk.closed.reason) == (1001, "Your session hit the maximum duration of 60 minutes.")


def test_memory_of_a_long_silent_call_stays_small() -> None:
    """With detection on, old silence is dropped; the records of a run of appends are one."""
    desk = Desk(CAFE)
    desk.append(bytes(48_000 * 60), frame_bytes=9_600)
    assert desk.session._input.pending_ms <= 1_600
    assert [(record.type, record.count) for record in desk.session.received] == [("input_audio_buffer.append", 300)]
