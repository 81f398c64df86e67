"""The messages of the media socket: exact shapes out, nothing but exact shapes in."""

from __future__ import annotations

import base64
import json

import pytest

from rehearsal.frames import Clear, Mark, Media, Sender, WrongFrame, connected, parse

SID = "MZ1"
PAYLOAD = base64.b64encode(b"\xff" * 160).decode()


def test_the_three_messages_a_server_may_send() -> None:
    """Media, mark and clear in their documented shape are understood, whatever the order of fields."""
    assert parse(json.dumps({"event": "media", "streamSid": SID, "media": {"payload": PAYLOAD}}), SID) == Media(
        b"\xff" * 160
    )
    assert parse(json.dumps({"mark": {"name": "a"}, "streamSid": SID, "event": "mark"}), SID) == Mark("a")
    assert parse('{"event":"clear","streamSid":"MZ1"}', SID) == Clear()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\xff\xff", "binary"),
        ("hello", "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "unknown event None"),
        ('{"event":["media"]}', "unknown event"),
        ('{"event":"stop","streamSid":"MZ1"}', "unknown event 'stop'"),
        ('{"event":"clear"}', "clear without streamSid"),
        ('{"event":"clear","streamSid":"MZ2"}', "but this one is MZ1"),
        ('{"event":"clear","streamSid":1}', "but this one is MZ1"),
        ('{"event":"clear","streamSid":"MZ1","sequenceNumber":"4"}', "sequenceNumber, which does not belong"),
        ('{"event":"clear","event":"clear","streamSid":"MZ1"}', "a field twice"),
        ('{"event":"mark","streamSid":"MZ1"}', "mark without mark"),
        ('{"event":"mark","streamSid":"MZ1","mark":"a"}', "not an object"),
        ('{"event":"mark","streamSid":"MZ1","mark":{}}', "without name"),
        ('{"event":"mark","streamSid":"MZ1","mark":{"name":7}}', "not a string"),
        ('{"event":"media","streamSid":"MZ1","media":{"payload":"?"}}', "not base64"),
        ('{"event":"media","streamSid":"MZ1","media":{"payload":"////","track":"outbound"}}', "track, which"),
        ('{"event":"media","streamSid":"MZ1","media":{"payload":null}}', "not a string"),
    ],
)
def test_anything_else_is_wrong(message: str | bytes, reason: str) -> None:
    """A field too few, a field too many, a wrong type, a wrong stream: each is refused with its reason."""
    with pytest.raises(WrongFrame, match=reason):
        parse(message, SID)


def test_what_the_carrier_sends() -> None:
    """Numbers are strings except in mediaFormat; one counter for all messages, one for chunks; connected has none."""
    sender = Sender(SID, "AC1", "CA1")
    first, *rest = (
        json.loads(message)
        for message in (
            connected(),
            sender.start({"token": "ä"}),
            sender.media(b"\xff" * 160, 20),
            sender.dtmf("#"),
            sender.media(b"\xff" * 160, 40),
            sender.mark("m"),
            sender.stop(),
        )
    )
    assert first == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert [message["sequenceNumber"] for message in rest] == ["1", "2", "3", "4", "5", "6"]
    assert all(message["streamSid"] == SID for message in rest)
    start, media, dtmf, later, mark, stop = rest
    assert start["start"] == {
        "accountSid": "AC1",
        "streamSid": SID,
        "callSid": "CA1",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": "ä"},
    }
    assert media["media"] == {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": PAYLOAD}
    assert later["media"]["chunk"] == "2"
    assert dtmf["dtmf"] == {"track": "inbound_track", "digit": "#"}
    assert mark["mark"] == {"name": "m"}
    assert stop["stop"] == {"accountSid": "AC1", "callSid": "CA1"}
