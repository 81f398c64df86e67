"""The sound of a call on its page: for its learner alone, for a day, in parts as players ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from console.pages import MOST_BYTES
from db import flags, recordings
from db.endings import NewEvent
from db.engine import Database
from db.flags import NewFlag
from db.forgetting import forget_learner
from db.keyring import Keyring
from db.models_keeping import Recording
from tests.console.practice import SAID, Practice, practising
from tests.console.test_debrief_page import Outline
from tests.db.keeping_rows import put_sound
from tutor.script.catalogue import load

CATALOGUE = load()
NATIVES = [language.tag for language in CATALOGUE.natives]
SOUND = bytes(range(256)) * 10


@pytest.fixture
async def practice(database: Database, keyring: Keyring) -> AsyncIterator[Practice]:
    """An English-speaking learner of Spanish."""
    async with practising(database, keyring) as ready:
        yield ready


async def record(practice: Practice, call_id: UUID, sound: bytes | None = SOUND) -> Recording:
    """Leaves a recording of a call; None: its file is on another machine."""
    async with practice.database.school(practice.school_id) as session:
        row = await recordings.add(session, call_id, timedelta(hours=24))
    if sound is not None:
        await asyncio.to_thread(put_sound, practice.files, row.path, sound)
    return row


def players(html: str) -> list[dict[str, str]]:
    """The players of a page."""
    return Outline(html).all("audio")


async def test_a_learner_can_listen_to_a_call(practice: Practice) -> None:
    """A player without any script, that loads nothing by itself; beside it, until when, by the school's clocks."""
    call_id = await practice.call()
    token = await practice.link(call_id)
    assert players((await practice.open(token)).text) == []
    row = await record(practice, call_id)
    page = (await practice.open(token)).text
    (player,) = players(page)
    assert (player["src"], player["preload"], player["controls"]) == (f"{token}/sound/1", "none", "")
    assert "autoplay" not in player
    until = f"{row.expires_at.astimezone(ZoneInfo('Europe/Madrid')):%A %H:%M}"
    english = CATALOGUE.language("en")
    assert english.say("page.sound") in Outline(page).said
    assert english.say("page.sound_until", until=until) in Outline(page).said
    heard = await practice.ask("GET", f"/d/{token}/sound/1")
    assert (heard.status_code, heard.content) == (200, SOUND)
    assert heard.headers["content-type"] == "audio/wav"
    assert heard.headers["cache-control"] == "no-store"
    assert "noindex" in heard.headers["x-robots-tag"]
    assert "content-disposition" not in heard.headers
    assert row.path not in str(heard.headers)


async def test_players_ask_for_parts(practice: Practice) -> None:
    """Telephones ask for the first two bytes, then for the rest; a part that is not there is refused."""
    call_id = await practice.call()
    token = await practice.link(call_id)
    await record(practice, call_id)
    address = f"/d/{token}/sound/1"
    part = await practice.ask("GET", address, Range="bytes=0-1")
    assert (part.status_code, part.content) == (206, SOUND[:2])
    assert part.headers["content-range"] == f"bytes 0-1/{len(SOUND)}"
    assert part.headers["cache-control"] == "no-store"
    rest = await practice.ask("GET", address, Range="bytes=2000-")
    assert (rest.status_code, rest.content) == (206, SOUND[2000:])
    assert (await practice.ask("GET", address, Range="bytes=9000-")).status_code == 416
    head = await practice.ask("HEAD", address)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(SOUND)))
    assert head.headers["accept-ranges"] == "bytes"


async def test_what_is_gone_is_not_there(practice: Practice, superuser: Any) -> None:
    """After its time, after it was deleted, on another machine, or when it never was: not shown, and 404."""
    call_id = await practice.call()
    token = await practice.link(call_id)
    over = await record(practice, call_id)
    await superuser("UPDATE recordings SET expires_at = now()")
    assert await gone(practice, token, 1)
    assert practice.files.find(over.path) is not None
    deleted = await record(practice, call_id)
    assert not await gone(practice, token, 1)
    practice.files.remove(deleted.path)
    assert await gone(practice, token, 1)
    await record(practice, call_id, sound=None)
    assert await gone(practice, token, 1)
    for number in ("0", "2", "3", "-1", "x", "1.wav", "%2e%2e"):
        assert (await practice.ask("GET", f"/d/{token}/sound/{number}")).status_code == 404
    assert (await practice.ask("GET", f"/d/{'A' * 22}/sound/1")).status_code == 404


async def gone(practice: Practice, token: str, number: int) -> bool:
    """Whether a recording is neither shown nor played."""
    shown = bool(players((await practice.open(token)).text))
    status = (await practice.ask("GET", f"/d/{token}/sound/{number}")).status_code
    assert shown == (status == 200)
    return not shown


async def test_only_the_learner_s_own_page_plays_it(practice: Practice) -> None:
    """Not the family's, not the page of another call, and not once it is nobody's any more."""
    call_id, other = await practice.call(), await practice.call()
    row = await record(practice, call_id)
    for token in (await practice.link(call_id, "family"), await practice.link(other)):
        assert await gone(practice, token, 1)
    token = await practice.link(call_id)
    assert not await gone(practice, token, 1)
    async with practice.database.school(practice.school_id) as session:
        await recordings.end_now(session, [], practice.learner_id)
    assert await gone(practice, token, 1)
    assert practice.files.find(row.path) is not None, "its job deletes it"


@pytest.mark.parametrize(
    ("event", "flag"),
    [
        (NewEvent(2_000, "safe_exit"), None),
        (None, NewFlag(0, "self_harm", "care", "words", "rule")),
        (None, NewFlag(0, "report", "stop", "key", "page/report")),
    ],
)
async def test_a_call_that_somebody_must_look_at_is_not_played(
    practice: Practice, event: NewEvent | None, flag: NewFlag | None
) -> None:
    """As its words are not shown: whatever was left of it after a crash stays unheard."""
    call_id = await practice.call(events=[event] if event is not None else [])
    await record(practice, call_id)
    if flag is not None:
        async with practice.database.school(practice.school_id) as session:
            await flags.record(session, call_id, [flag])
    assert await gone(practice, await practice.link(call_id), 1)


async def test_each_stream_has_its_player(practice: Practice) -> None:
    """A call that was taken up again: both parts, in order; what another machine has is left out, numbers stay."""
    call_id = await practice.call()
    token = await practice.link(call_id)
    await record(practice, call_id, b"first")
    await record(practice, call_id, None)
    await record(practice, call_id, b"third")
    page = (await practice.open(token)).text
    assert [player["src"] for player in players(page)] == [f"{token}/sound/1", f"{token}/sound/3"]
    heard = [(await practice.ask("GET", f"/d/{token}/sound/{number}")).content for number in (1, 3)]
    assert heard == [b"first", b"third"]
    assert (await practice.ask("GET", f"/d/{token}/sound/2")).status_code == 404


async def test_deleting_all_data_takes_the_sound_along(practice: Practice, superuser: Any) -> None:
    """The button on the page ends it in the same transaction; the file goes by its job."""
    call_id = await practice.call()
    token = await practice.link(call_id)
    await record(practice, call_id)
    assert (await practice.ask("POST", f"/d/{token}/delete")).status_code == 200
    assert (await practice.ask("GET", f"/d/{token}/sound/1")).status_code == 404
    assert await superuser("SELECT learner_id, expires_at <= now() FROM recordings") == [(None, True)]
    due = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s AND coalesce(scheduled_at, now()) <= now()"
    assert await superuser(due, [recordings.JOB]) == [(1,)]
    async with practice.database.school(practice.school_id) as session:
        assert not (await forget_learner(session, practice.learner_id)).found


@pytest.mark.parametrize("native", NATIVES)
async def test_it_is_told_in_every_language(native: str, database: Database, keyring: Keyring) -> None:
    """With as long a conversation as fits and three players, the page stays small."""
    target = "en" if CATALOGUE.language(native).base != "en" else "es"
    async with practising(database, keyring, native=native, target=target) as practice:
        call_id = await practice.call(said=[line for _ in range(60) for line in SAID[target]])
        for _ in range(3):
            await record(practice, call_id)
        page = (await practice.open(await practice.link(call_id))).text
    language = CATALOGUE.language(native)
    told = Outline(page).said
    assert language.say("page.sound") in told
    begin = language.say("page.sound_until", until="§").partition("§")[0]
    assert sum(sentence.startswith(begin) for sentence in told) == 3
    assert len(page.encode()) < MOST_BYTES
