"""A learner of whom everything is known, planted into every table, and a search that finds it wherever it is left."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from db import (
    assignments,
    calls,
    classes,
    consents,
    debriefs,
    endings,
    guardians,
    learners,
    ledger,
    messages,
    pages,
    pins,
    policies,
    recordings,
    reviews,
    topics,
)
from db.endings import Ending, NewEvent, NewTurn
from db.engine import Database
from db.flags import NewFlag
from db.keyring import Keyring, KeyringError
from db.ledger import NewEntry
from db.limits import Payer
from db.models import CallerIdentity
from telephony.ivr.menu import Person
from telephony.ivr.record import MenuRecord, Told
from tests.db.conftest import Place, Query
from tests.db.learning_rows import remember

NUMBER: Final = "+34655512387"
SHARED: Final = "+34655512388"
"""A telephone of the family, from which a sister calls too."""
PARENT: Final = "+34655512389"
NAME: Final = "Quetzalina"
SENTENCE: Final = "Mi perro Fosforito vive en la azotea"
SISTER: Final = "Berenguela"

NOW: Final = datetime(2026, 11, 23, 9, tzinfo=UTC)
_HEX = re.compile(r"\\x((?:[0-9a-f]{2})+)")
_FERNET = re.compile(r"gAAAA[\w-]+=*")


@dataclass
class Planted:
    """Who was planted where."""

    place: Place
    learner_id: UUID
    sister_id: UUID
    call_id: UUID
    """The learner's own, with everything."""
    guest_id: UUID
    """A guest's, from the learner's own telephone."""
    sister_call_id: UUID
    """The sister's, whose menu offered both names."""
    family_id: UUID
    """A parent's, who was told what the child said."""
    recordings: list[str] = field(default_factory=list)
    """Names of files to be."""


SISTERS: Final = "Un café con leche, por favor"


def turns(said: str = SENTENCE) -> list[NewTurn]:
    """A conversation in which something was said."""
    return [
        NewTurn("role", 0, 1_200, f"¿Cómo? ¿{said}?", "item_1"),
        NewTurn("learner", 1_500, 2_600, said, "item_2"),
    ]


def events(said: str = SENTENCE) -> list[NewEvent]:
    """Events of every sort that holds words, and some that hold none."""
    return [
        NewEvent(100, "learner_said", {"item": "item_2", "text": said}),
        NewEvent(200, "goal", {"goal": "order_drink", "quote": said, "evidence": "quote"}),
        NewEvent(300, "error_note", {"type": "gender", "severity": "minor", "context": said, "handling": "recast"}),
        NewEvent(400, "goals_asked", {"done": ["order_drink"], "notes": [said]}),
        NewEvent(500, "key", {"digit": "1", "spoken": True}),
        NewEvent(600, "pace", {"step": -1, "speed": 0.9}),
        NewEvent(700, "topic", {"topic": said.split()[2]}),
        NewEvent(750, "fact", {"fact": said.split()[2]}),
        NewEvent(800, "forget", {"what": "this_call"}),
        NewEvent(900, "ended", {"reason": "caller_hung_up", "detail": said}),
    ]


def content() -> dict[str, Any]:
    """A debrief that quotes."""
    return {
        "praise": f"You told it well: {SENTENCE}.",
        "can_dos": ["order_drink"],
        "keep": SENTENCE,
        "keep_meaning": "Fosforito",
        "next_step": f"Tell more of: {SENTENCE}",
        "next_scenario": "cafe_order",
        "teacher": {"summary": SENTENCE, "turns": 8},
        "family": [SENTENCE],
        "coverage": {"due": [SENTENCE], "used_by_role": [], "used_by_learner": [SENTENCE]},
    }


def menu(**details: Any) -> MenuRecord:
    """A learner's menu."""
    values: dict[str, Any] = {
        "native": "en",
        "school": "North",
        "returning": True,
        "scenarios": ("cafe_order",),
        "free_talk": False,
        "slower": False,
        "level": "A1",
        "target": "es",
        **details,
    }
    return MenuRecord(**values)


async def call_of(
    database: Database,
    place: Place,
    sid: str,
    *,
    learner_id: UUID | None,
    caller_hash: bytes | None,
    scenario: str | None = "cafe_order",
    menu_record: MenuRecord | None = None,
    close: bool = True,
    account: str = "AC1",
    said: str = SENTENCE,
) -> UUID:
    """A call; ``close`` ends it with all that was said and done."""
    async with database.school(place.school_id) as session:
        call = await calls.open_call(
            session,
            school_id=place.school_id,
            line_id=place.line_id,
            carrier_sid=sid,
            account_sid=account,
            max_calls=100,
            caller_hash=caller_hash,
            learner_id=learner_id,
            level="A1",
        )
        await calls.save_menu(session, call.id, 0, (menu_record or menu()).write())
        if scenario is not None:
            await calls.begin(session, call.id, scenario=scenario, level="A1")
            stream = await calls.connected(session, call.id)
            assert stream is not None
            await calls.checkpoint(session, call.id, {"turns": [said]}, stream=stream)
    if close:
        await close_call(database, place, call.id, spoken=scenario is not None, said=said)
    return call.id


async def close_call(
    database: Database, place: Place, call_id: UUID, *, spoken: bool = True, said: str = SENTENCE
) -> None:
    """The caller hangs up; the snapshot stays, to go on with."""
    left: dict[str, Any] = {"turns": turns(said), "events": events(said), "flags": [NewFlag.key(5)]}
    ending = Ending("caller_hung_up", **left, cost_micro_usd=12_345, resumable=True)
    async with database.school(place.school_id) as session:
        assert await endings.finish(session, call_id, ending if spoken else Ending("caller_hung_up"))


async def plant(
    database: Database, keyring: Keyring, place: Place, *, account: str = "AC1", own_sid: str = "CA" + "1" * 32
) -> Planted:
    """A learner with two telephones, a parent, a sister on one of them, and one of everything there is."""
    own, shared, parent = (keyring.hash_number(number) for number in (NUMBER, SHARED, PARENT))
    ids: dict[str, Any] = {"school_id": place.school_id}
    async with database.school(place.school_id) as session:
        languages: dict[str, Any] = {"native": "en", "target": "es", "level": "A1"}
        learner = await learners.create_with_number(
            session, **ids, number_hash=own, last_two="87", first_name=NAME, **languages
        )
        await learners.set_message_number(session, own, keyring.encrypt(NUMBER))
        sister = await learners.create_with_number(
            session, **ids, number_hash=shared, last_two="88", first_name=SISTER, **languages
        )
        session.add(CallerIdentity(**ids, learner_id=learner.id, number_hash=shared, last_two="88"))
        await learners.save_settings(session, learner.id, {"grade": "3", "likes": SENTENCE})
        await guardians.put(session, keyring, **ids, learner_id=learner.id, number=PARENT, consent=f"form of {NAME}")
        await consents.record(session, **ids, number_hash=own, given=True, carrier_sid=own_sid, wording="en:1")
        await consents.give(session, **ids, number_hash=shared, carrier_sid="SM" + "7" * 32, wording="START")
        await pins.issue(session, keyring, **ids, line_id=place.line_id, role="family", learner_id=learner.id)
        await pins.check(session, keyring, **ids, line_id=place.line_id, caller_hash=own, digits="0000")
        made = await classes.add(session, place.school_id, "4B")
        await classes.enrol(session, place.school_id, made.id, learner.id, ref=f"17 {NAME}")
        monday = date(2026, 11, 23)
        await assignments.add(
            session,
            place.school_id,
            class_id=made.id,
            scenario="cafe_order",
            starts_on=monday,
            ends_on=monday + timedelta(days=6),
        )
        await policies.change(session, place.school_id, audio_hours=24)
    both = (Person(str(learner.id), NAME), Person(str(sister.id), SISTER))
    call_id = await call_of(database, place, own_sid, learner_id=learner.id, caller_hash=own, account=account)
    guest_id = await call_of(database, place, "CA" + "2" * 32, learner_id=None, caller_hash=own, account=account)
    sister_call = await call_of(
        database,
        place,
        "CA" + "3" * 32,
        learner_id=sister.id,
        caller_hash=shared,
        menu_record=menu(earlier=menu(people=both)),
        account=account,
        said=SISTERS,
    )
    family_id = await call_of(
        database,
        place,
        "CA" + "4" * 32,
        learner_id=None,
        caller_hash=parent,
        scenario=None,
        menu_record=menu(role="family", told=(Told(SENTENCE, "es"),)),
        account=account,
    )
    planted = Planted(place, learner.id, sister.id, call_id, guest_id, sister_call, family_id)
    async with database.school(place.school_id) as session:
        await _remember(session, keyring, planted, account)
    return planted


async def _remember(session: Any, keyring: Keyring, planted: Planted, account: str) -> None:
    place, call_id, learner_id = planted.place, planted.call_id, planted.learner_id
    ids: dict[str, Any] = {"school_id": place.school_id, "learner_id": learner_id}
    await remember(session, place.school_id, learner_id, call_id)
    await debriefs.put(session, school_id=place.school_id, call_id=call_id, content=content(), source="model")
    card: dict[str, Any] = {"kind": "phrase", "text": SENTENCE, "situation": SENTENCE, "state": {}, "due_at": NOW}
    await reviews.put(session, **ids, target="es", **card)
    await topics.put(session, **ids, target="es", topics=["Fosforito on the roof"], call_id=call_id, at=NOW)
    assert await topics.keep_fact(session, learner_id=learner_id, fact="a dog, Fosforito", call_id=call_id, at=NOW)
    await messages.add(
        session,
        **ids,
        call_id=call_id,
        account_sid=account,
        sender=place.number,
        kind="debrief",
        key=f"debrief:{call_id}",
        body=SENTENCE,
        number_hash=keyring.hash_number(NUMBER),
    )
    await pages.issue(session, keyring, pages.new_token(), **ids, call_id=call_id, audience="learner")
    payer = Payer(place.school_id, place.line_id, learner_id, call_id)
    await ledger.book(session, payer, [NewEntry("response", f"response:{call_id}", 12_345, 12_345)])
    planted.recordings.append((await recordings.add(session, call_id, timedelta(hours=24))).path)


async def age(superuser: Query, days: float) -> None:
    """Makes every call, learner and message so many days older."""
    for table, columns in (
        ("calls", ("started_at", "connected_at", "heartbeat_at", "ended_at")),
        ("learners", ("created_at", "heard_at")),
        ("messages", ("created_at",)),
    ):
        older = ", ".join(f"{column} = {column} - make_interval(secs => %(s)s)" for column in columns)
        await superuser(f"UPDATE {table} SET {older}", {"s": days * 86_400})


async def found(superuser: Query, keyring: Keyring, *needles: str | bytes) -> list[str]:
    """Where one of these is, in any column of any table: as text, inside JSON, as hex, or encrypted."""
    tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    names = await superuser(tables)
    places = []
    for (name,) in sorted(names):
        for (row,) in await superuser(f'SELECT to_jsonb(t) FROM public."{name}" t'):
            for column, value in row.items():
                if _holds(str(value), keyring, needles):
                    places.append(f"{name}.{column}")
    return sorted(set(places))


def _holds(shown: str, keyring: Keyring, needles: tuple[str | bytes, ...]) -> bool:
    # bytea is shown as \x and hex; of that, both the hex and what it says are looked at.
    says = "".join(bytes.fromhex(part).decode("utf-8", "replace") for part in _HEX.findall(shown))
    opened = []
    for sealed in _FERNET.findall(shown + says):
        try:
            opened.append(keyring.decrypt(sealed.encode()))
        except KeyringError:
            continue
    whole = "\n".join((shown, says, *opened)).lower()
    forms = [needle if isinstance(needle, bytes) else needle.encode() for needle in needles]
    texts = [needle.lower() for needle in needles if isinstance(needle, str)]
    return any(text in whole for text in texts) or any(form.hex() in whole for form in forms)
