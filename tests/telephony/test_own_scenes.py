"""Calls of a school with scenes and dated material of its own: what the menu offers, and what a call is held with."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text

from db import class_prompts, lines, scenarios
from db.class_prompts import day_in
from db.engine import Database
from db.keyring import Keyring
from tests.telephony.school_line import Service, service, spoken, verbs
from tests.tutor.test_own_scene import EXAMPLE
from tutor.script.catalogue import load
from tutor.script.class_prompt import ClassPrompt

SCENES = ["own_pharmacy", "cafe_order"]


async def add_scene(line: Service, toml: str = EXAMPLE) -> None:
    """Adds the documented scene to the line's school."""
    async with line.database.school(line.school_id) as session:
        await scenarios.put(session, line.school_id, toml, load())


async def add_prompt(line: Service, starts_on: date, ends_on: date | None = None) -> int:
    """Adds a version of the line's class prompt."""
    async with line.database.school(line.school_id) as session:
        (row,) = await lines.list_all(session)
        material = ClassPrompt(theme="Food")
        return await class_prompts.add(session, row.id, material, starts_on=starts_on, ends_on=ends_on)


async def test_a_scene_of_the_school_s_own_is_offered_and_begun(database: Database, keyring: Keyring) -> None:
    """It stands in the menu in the line's order, by its title, and a key begins it like any other."""
    async with service(database, keyring, scenarios=SCENES, level="A2") as line:
        await add_scene(line)
        menu = await line.told("/twilio/voice")
        assert "At the pharmacy" in spoken(menu)
        await line.chosen()
        assert (await line.row()).scenario == "own_pharmacy"


async def test_a_scene_without_the_line_s_languages_is_not_offered(database: Database, keyring: Keyring) -> None:
    """A French-speaking line has no title to read, so the packaged scene comes first; alone, the line is closed."""
    async with service(database, keyring, scenarios=SCENES, native="fr", level="A2") as line:
        await add_scene(line)
        menu = spoken(await line.told("/twilio/voice"))
        assert load().language("fr").scenes["cafe_order"].title in menu
        assert "At the pharmacy" not in menu
    async with database.school(line.school_id) as session:
        (row,) = await lines.list_all(session)
        await lines.update(session, row.id, scenarios=["own_pharmacy"])
    assert "Hangup" in verbs(await line.told("/twilio/voice", CallSid="CA" + "7" * 32))


async def test_a_scene_added_a_moment_ago_is_known_to_every_process(database: Database, keyring: Keyring) -> None:
    """A process that read the school's scenes before looks again when a menu holds one it does not know."""
    async with service(database, keyring, scenarios=SCENES, level="A2") as line:
        await line.told("/twilio/voice")  # now this process believes that the school has none
        await add_scene(line)
        menu = await line.told("/twilio/voice", CallSid="CA" + "8" * 32)
        assert "At the pharmacy" in spoken(menu)


async def test_another_school_s_scene_is_not_offered(database: Database, keyring: Keyring) -> None:
    """A line that names a scene which only another school has does not offer it."""
    async with service(database, keyring, scenarios=SCENES, level="A2") as line:
        async with database.anyone() as session:
            await session.execute(text("SELECT school_create(gen_random_uuid(), 'South', 'UTC')"))
            (south,) = (await session.execute(text("SELECT id FROM school_list() WHERE name = 'South'"))).one()
        async with database.school(south) as session:
            await scenarios.put(session, south, EXAMPLE, load())
        menu = spoken(await line.told("/twilio/voice"))
        assert "At the café" in menu
        assert "At the pharmacy" not in menu


async def test_a_call_holds_the_version_that_was_live_when_it_began(database: Database, keyring: Keyring) -> None:
    """A newer version changes the next call, not this one; repeated webhooks change nothing; past weeks are past."""
    async with service(database, keyring) as line:
        today = day_in("Europe/Madrid", datetime.now(UTC))
        await add_prompt(line, today - timedelta(days=14), today - timedelta(days=7))
        await line.told("/twilio/voice")
        assert (await line.row()).class_prompt_version is None
        live = await add_prompt(line, today - timedelta(days=1), today + timedelta(days=2))
        await line.told("/twilio/voice")
        assert (await line.row()).class_prompt_version is None
        other = "CA" + "9" * 32
        await line.told("/twilio/voice", CallSid=other)
        assert (await line.row(other)).class_prompt_version == live
