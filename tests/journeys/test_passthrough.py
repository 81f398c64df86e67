"""A whole turn with the carrier's bytes passed through: RINGUA_AUDIO=pcmu."""

from __future__ import annotations

import pytest

from rehearsal.carrier import Phone
from ringua.scripts import script_for
from ringua.settings import load
from ringua.storage import Storage
from tests.journeys.line import PATIENCE_S, QUIET_MS, practising, speech
from tests.tutor.scenes import cafe

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_call_without_our_transcoder_sounds_the_same_to_the_stand_ins(
    storage: Storage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The model is asked for µ-law both ways, hears the caller's turn, and its answer is heard."""
    settings = load(data_dir=tmp_path_factory.mktemp("data"), audio="pcmu")

    async def behave(phone: Phone) -> None:
        await phone.wait_for("gather", PATIENCE_S)
        await phone.press("1")
        await phone.wait_for("stream", PATIENCE_S)
        await phone.hear_silence(QUIET_MS, PATIENCE_S)
        await phone.say(speech("es-woman-2"), "ulaw")
        await phone.hear_silence(QUIET_MS, PATIENCE_S)

    async with practising(settings, storage, script=script_for(cafe())) as line:
        result = await line.rehearsal.call(behave)
        assert line.of(result, "role_said")
        formats = line.session(result).settings["audio"]
        assert formats["input"]["format"] == formats["output"]["format"] == {"type": "audio/pcmu"}
        assert line.model.violations == []
