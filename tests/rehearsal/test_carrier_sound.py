"""The stand-in's own G.711 tables and sound files, against the standard library."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from rehearsal.g711 import decode, encode, is_audible
from rehearsal.wav import Recording, read_ulaw

ALL_CODES = bytes(range(256))
ALL_SAMPLES = np.arange(-32768, 32768, dtype="<i2").tobytes()


def test_tables_agree_with_the_standard_library() -> None:
    """Every code decodes, and every 16-bit sample encodes, as audioop does it."""
    audioop = pytest.importorskip("audioop")
    assert decode(ALL_CODES) == audioop.ulaw2lin(ALL_CODES, 2)
    assert encode(ALL_SAMPLES) == audioop.lin2ulaw(ALL_SAMPLES, 2)


def test_decoding_and_encoding_again_is_exact() -> None:
    """Each code survives a round trip; the two zeros become one."""
    assert encode(decode(ALL_CODES)) == ALL_CODES.replace(b"\x7f", b"\xff")


def test_known_values_of_the_recommendation() -> None:
    """The ends and the middle of the scale have the published values."""
    assert struct.unpack("<4h", decode(b"\x00\x80\xff\x7f")) == (-32124, 32124, 0, 0)


def test_an_odd_length_is_refused() -> None:
    """Half a sample is an error, not a shrug."""
    with pytest.raises(ValueError, match="multiple"):
        encode(b"\x00")


def test_comfort_noise_is_not_audible() -> None:
    """Zeros of both signs and the smallest steps are silence; a voice is not."""
    assert not is_audible(b"\xff\x7f\xfe\x7e" * 40)
    assert not is_audible(b"")
    assert is_audible(b"\xff" * 159 + b"\x20")


def test_recording_is_stereo_and_aligned(tmp_path: Path) -> None:
    """The file is 8 kHz 16-bit stereo, left the caller, right the line, the shorter side padded with silence."""
    recording = Recording.of(caller=b"\x00" * 80, line=b"\xff" * 160 + b"\x80" * 160)
    recording.write_wav(tmp_path / "call.wav")
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (2, 2, 8000, 320)
        left, right = np.frombuffer(file.readframes(320), dtype="<i2").reshape(-1, 2).T
    assert (left[:80] == -32124).all()
    assert not left[80:].any()
    assert (right[160:] == 32124).all()
    assert not right[:160].any()
    assert recording.audible("caller") == [True, False]
    assert recording.audible("line") == [False, True]
    assert recording.duration_ms == 40


def test_files_of_both_kinds_are_read() -> None:
    """16-bit PCM and µ-law WAV files come out as µ-law, other chunks are passed over, other formats refused."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(decode(b"\x10\x20\x30"))
    assert read_ulaw(file.getvalue()) == b"\x10\x20\x30"
    form = struct.pack("<4sIHHIIHHH", b"fmt ", 18, 7, 1, 8000, 8000, 1, 8, 0)
    odd = struct.pack("<4sI", b"LIST", 3) + b"abc\0"
    body = b"WAVE" + form + odd + struct.pack("<4sI", b"data", 4) + b"\x01\x02\x03\x04"
    assert read_ulaw(b"RIFF" + struct.pack("<I", len(body)) + body) == b"\x01\x02\x03\x04"
    wrong = body.replace(struct.pack("<I", 8000), struct.pack("<I", 16000))
    with pytest.raises(ValueError, match="16000 Hz"):
        read_ulaw(b"RIFF" + struct.pack("<I", len(wrong)) + wrong)
    with pytest.raises(ValueError, match="not a WAV"):
        read_ulaw(b"ID3 an mp3")
