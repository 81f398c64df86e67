"""G.711 against the standard's own tables, written down here without a line of the codec's bit tricks."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np

from telephony.audio import g711
from tests.telephony.audio.tones import PCM16, samples

# Table 2a/G.711: eight segments of sixteen intervals. The first is one unit wide, the rest of its segment two;
# each further segment's intervals are twice as wide. Units are those of 14-bit samples, a quarter of 16-bit ones.
WIDTHS = [1, *[2] * 15, *[2 ** (segment + 1) for segment in range(1, 8) for _ in range(16)]]
DECISIONS = np.concatenate([[0], np.cumsum(WIDTHS)])
VALUES = np.array([0, *[(low + high) // 2 for low, high in pairwise(DECISIONS[1:])]])


def test_the_table_is_the_standards() -> None:
    """The segments end at 31, 95, 223, 479, 991, 2015, 4063 and 8159, and the largest value is 8031."""
    assert list(DECISIONS[16::16]) == [31, 95, 223, 479, 991, 2015, 4063, 8159]
    assert (VALUES[1], VALUES[16], VALUES[-1]) == (2, 33, 8031)


def test_every_code_decodes_to_the_standards_value() -> None:
    """All 256 codes: the bits count downwards from 0xFF for positive and from 0x7F for negative values."""
    decoded = samples(g711.decode(bytes(range(256))))
    for interval, value in enumerate(VALUES):
        assert decoded[0xFF - interval] == 4 * value
        assert decoded[0x7F - interval] == -4 * value


def test_every_sample_encodes_to_the_standards_interval() -> None:
    """All 65,536 samples: the interval of the 14-bit sample's magnitude, the outermost one beyond the end."""
    every = np.arange(-32768, 32768)
    encoded = np.frombuffer(g711.encode(every.astype(PCM16).tobytes()), np.uint8)
    magnitude = np.abs(every >> 2)
    interval = np.minimum(np.searchsorted(DECISIONS, magnitude, side="right") - 1, 127)
    assert np.array_equal(encoded, np.where(every >= 0, 0xFF, 0x7F) - interval)


def test_every_sample_comes_back_within_half_an_interval() -> None:
    """Coding moves a sample by at most half its interval and the two bits dropped, except beyond the largest one."""
    every = np.arange(-32635, 32636)
    came = samples(g711.decode(g711.encode(every.astype(PCM16).tobytes())))
    widths = 4 * np.array(WIDTHS)[np.searchsorted(DECISIONS, np.abs(every >> 2), side="right").clip(1, 128) - 1]
    assert np.all(np.abs(came - every) <= np.maximum(widths / 2, 4) + 3)


def test_codes_survive_a_round_trip() -> None:
    """Decoding and encoding again gives the same code; of the two zeros the positive one."""
    every = bytes(range(256))
    assert g711.encode(g711.decode(every)) == every.replace(b"\x7f", b"\xff")


def test_full_scale_saturates() -> None:
    """The loudest samples become the loudest codes and keep their sign."""
    assert g711.encode(np.array([32767, -32768], PCM16).tobytes()) == b"\x80\x00"


def test_silence_and_units() -> None:
    """Silence decodes to zero, and a frame is 20 ms of eight bytes a millisecond."""
    assert g711.decode(g711.SILENCE) == b"\0\0"
    assert g711.FRAME_BYTES == 20 * g711.BYTES_PER_MS
    assert g711.decode(b"") == g711.encode(b"") == b""


def test_importing_warns_nobody_even_where_warnings_are_errors() -> None:
    """The library's announcement of its own departure is no concern of ours, and hides no other warning."""
    code = "import warnings, telephony.audio.g711; warnings.warn('other', DeprecationWarning)"
    done = subprocess.run(  # a fresh interpreter: the module was imported here long ago
        [sys.executable, "-W", "error::DeprecationWarning", "-c", code], capture_output=True, text=True, check=False
    )
    assert "DeprecationWarning: other" in done.stderr
    assert "audioop" not in done.stderr
