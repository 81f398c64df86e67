"""Short sounds: whole frames, soft, within the telephone band."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from telephony.audio import g711
from telephony.audio.earcons import earcon
from tutor.talk.exchange import Earcon


@pytest.mark.parametrize("name", get_args(Earcon))
def test_an_earcon_is_short_soft_and_clear(name: Earcon) -> None:
    """Under half a second, at most an eighth of full scale, and nothing below 300 or above 3,400 Hz that is heard."""
    ulaw = earcon(name)
    assert 0 < len(ulaw) <= 4_000
    assert len(ulaw) % g711.FRAME_BYTES == 0
    wave = np.frombuffer(g711.decode(ulaw), "<i2").astype(float)
    assert 1_000 < np.abs(wave).max() < 4_500
    power = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / 8_000)
    inside = (hertz >= 300) & (hertz <= 3_400)
    assert power[~inside].sum() < power.sum() / 100
