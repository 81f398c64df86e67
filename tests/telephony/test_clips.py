"""Fixed texts as audio: from memory, from the table, shared by schools."""

from __future__ import annotations

import pytest

from db.engine import Database
from telephony.clips import ClipKey, ClipShelf, SchoolClips
from telephony.greetings import greetings
from telephony.ivr.record import MenuRecord
from tests.db.conftest import Place, make_place
from tutor.script import catalogue
from tutor.script.voice_choice import voice_for

HOLA = ClipKey("Hola.", "es", "marin", 0.85)


@pytest.fixture
async def place(database: Database) -> Place:
    """A school."""
    return await make_place(database, "North", "+34910000001")


async def test_a_clip_outlives_the_process_and_serves_every_school(database: Database, place: Place) -> None:
    """What one call's model read aloud greets another school's caller after a restart."""
    shelf = ClipShelf(database)
    SchoolClips(shelf, place.school_id).keep(HOLA, b"\x01" * 160)
    await shelf.close()
    elsewhere = await make_place(database, "South", "+34910000002")
    restarted = ClipShelf(database)
    assert restarted.get(HOLA) is None
    await restarted.fetch(elsewhere.school_id, [HOLA])
    assert restarted.get(HOLA) == b"\x01" * 160


def test_text_language_voice_and_speed_make_a_clip() -> None:
    """Another voice or pace is another recording."""
    others = [
        ClipKey("Hola!", "es", "marin", 0.85),
        ClipKey("Hola.", "es-MX", "marin", 0.85),
        ClipKey("Hola.", "es", "cedar", 0.85),
        ClipKey("Hola.", "es", "marin", 0.95),
    ]
    assert len({key.digest() for key in (HOLA, *others)}) == 5


async def test_memory_is_bounded(database: Database, place: Place) -> None:
    """The least recently used go first; the table still has them."""
    shelf = ClipShelf(database, memory_bytes=1_000)
    keys = [ClipKey(f"Frase {n}.", "es", "marin", 1.0) for n in range(4)]
    for key in keys[:3]:
        shelf.keep(place.school_id, key, b"\x02" * 400)
        shelf.get(keys[0])
    assert [shelf.get(key) is not None for key in keys[:3]] == [True, False, True]
    await shelf.close()
    await shelf.fetch(place.school_id, keys)
    assert shelf.get(keys[1]) is not None


async def test_greetings_of_what_is_offered_are_at_hand_before_a_key_is_pressed(
    database: Database, place: Place
) -> None:
    """While the menu speaks, the first lines of its scenes come into memory, in the voice and pace of this caller."""
    shelf = catalogue.load()
    menu = MenuRecord(
        native="en",
        school="North",
        returning=True,
        scenarios=("cafe_order", "gone_since", "hotel_checkin"),
        free_talk=False,
        slower=True,
        level="A2",
        target="es",
        voice=1,
    )
    keys = greetings(shelf, menu)
    spoken = [shelf.scene(scene, native="en", target="es", level="A2") for scene in ("cafe_order", "hotel_checkin")]
    assert [(key.text, key.speed) for key in keys] == [(scene.greeting, scene.level.speed - 0.1) for scene in spoken]
    assert [key.voice for key in keys] == [voice_for(scene.scenario.voice, 1) for scene in spoken]
    earlier = ClipShelf(database)
    earlier.keep(place.school_id, keys[1], b"\x03" * 160)
    await earlier.close()
    clips = ClipShelf(database)
    clips.fetch_soon(place.school_id, keys)
    await clips.close()
    assert [clips.get(key) for key in keys] == [None, b"\x03" * 160]
