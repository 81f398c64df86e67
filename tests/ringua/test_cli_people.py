"""The commands about who is at a school: learners and their telephones, PINs, a level that is locked, staff."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from db import audit, consents, directory, learners, lines, pins, ratings
from db.engine import Database
from db.keyring import Keyring
from db.pins import MOST_PINS, Known
from telephony.ivr.record import MenuRecord
from tests.db.planted import SISTER, Planted
from tests.ringua.test_cli_keeping import Work, environment, on, planted, ringua, trouble
from tests.telephony.school_line import CALLER, service, spoken
from tutor.learning import placement
from tutor.script.catalogue import load

__all__ = ["environment", "on", "planted"]

EN = load().language("en")
LINE = "+34911234567"
PHONE = "+34600555143"
ALL = ("--native", "en", "--target", "es", "--level", "A1")


@pytest.fixture
def north() -> str:
    """A school with one line; its name."""
    ringua("school", "add", "North")
    assert ringua("line", "add", LINE, "--school", "North", *ALL).exit_code == 0
    return "North"


def made(*arguments: str) -> UUID:
    """Adds a learner; their id."""
    told = ringua("learner", "add", *arguments).output
    found = re.match(r"Added ([0-9a-f-]{36}): speaks ", told)
    assert found is not None, told
    return UUID(found[1])


# --- learners


async def test_two_learners_of_one_telephone_are_asked_who_is_calling(database: Database, keyring: Keyring) -> None:
    """Ana calls alone and is met; Luis is added to her telephone, and the next call asks which of them it is."""
    async with service(database, keyring) as line:
        school = "Colegio <Lorca> & Söhne"
        first = ("learner", "add", school, "--name", "Ana", "--number", CALLER)
        alone = (await asyncio.to_thread(ringua, *first)).output
        assert "share" not in alone
        await line.told("/twilio/voice", CallSid="CAalone")
        ana = (await line.row("CAalone")).learner_id
        assert str(ana) in alone
        second = await asyncio.to_thread(
            ringua, "learner", "add", school, "--name", "Luis", "--number", CALLER, "--level", "a2"
        )
        assert "2 learners share this telephone: it asks who is calling." in second.output
        assert "no name" not in second.output
        script = await line.told("/twilio/voice")
        for name, key in (("Ana", "1"), ("Luis", "2")):
            assert EN.say("people.person", name=name, key=key) in spoken(script)
        row = await line.row()
        asked = MenuRecord.read(row.menu).people
        assert [(one.name, one.learner == str(ana)) for one in asked] == [("Ana", True), ("Luis", False)]
        assert row.learner_id is None, "nobody's record is opened before it is said who calls"
        await line.told("/twilio/menu?step=1", Digits="2")
        row = await line.row()
        assert row.learner_id == UUID(asked[1].learner)
        assert MenuRecord.read(row.menu).level == "A2"


def test_a_learner_is_as_the_schools_lines_are(north: str) -> None:
    """What is not said is what all lines say; where they differ, or say nothing, it is asked for."""
    told = ringua("learner", "add", north, "--number", PHONE).output
    assert re.match(r"Added \S+: speaks en, learns es, level A1\.\n$", told)
    ringua("line", "add", "+34911234568", "--school", north, "--native", "fr", "--target", "es", "--level", "B1")
    assert trouble("learner", "add", north) == "Say --native: the lines of North say en, fr."
    assert "Say --level: the lines of North say A1, B1." in trouble("learner", "add", north, "--native", "en")
    ringua("school", "add", "South")
    assert "Say --native: no line of South says which." in trouble("learner", "add", "South")
    assert (
        "speaks fr, learns de, level C1"
        in ringua("learner", "add", "South", "--native", "fr", "--target", "de", "--level", "c1").output
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--native", "ja"), "ja is no native language"),
        (("--target", "ar"), "ar is no target language"),
        (("--native", "tlh"), "There is no language tlh"),
        (("--level", "Z9"), "There is no level Z9"),
        (("--number", "143"), "is not a telephone number"),
        (("--native", "es"), "Who speaks es has nothing to practise in es: give another --target."),
    ],
)
def test_a_learner_who_cannot_be_is_refused(north: str, given: tuple[str, ...], says: str) -> None:
    """Each with one sentence, and nobody is added."""
    assert says in trouble("learner", "add", north, *given)
    assert ringua("learner", "list", north).output == "No such learner.\n"
    assert "no school named West" in trouble("learner", "add", "West", *ALL)


def test_more_than_a_menu_can_offer_need_pins(north: str) -> None:
    """Five of a telephone are asked for, by name or order; the sixth is told of."""
    for _ in range(5):
        told = ringua("learner", "add", north, "--number", PHONE).output
    assert "5 learners share this telephone" in told
    assert "Who has no name is asked for as the first, the second" in told
    assert "need a PIN" not in told
    assert (
        "It offers the first 5 of them; the others need a PIN."
        in ringua("learner", "add", north, "--number", PHONE).output
    )


def test_a_telephone_is_given_and_taken(planted: Planted, on: Callable[[Work], Any], keyring: Keyring) -> None:
    """By it a learner is known, with whoever else calls from it; nothing of the number can be read again."""
    who = str(planted.learner_id)
    assert ringua("learner", "number", who, PHONE).output == f"{who} is known by …43.\n"
    assert ringua("learner", "number", who, PHONE).output == f"{who} is known by …43 already.\n"
    shared = ringua("learner", "number", SISTER, PHONE, "--school", "North").output
    assert "2 learners share this telephone" in shared
    shown = ringua("learner", "show", who).output
    assert "…43, …87, …88" in shown
    assert PHONE not in shown
    assert PHONE not in ringua("learner", "export", who).output
    taken = ringua("learner", "number", who, PHONE, "--remove").output
    assert taken == f"{who} is not known by …43 any more.\n"
    assert "is not known by …43:" in trouble("learner", "number", who, PHONE, "--remove")
    assert "is not a telephone number" in trouble("learner", "number", who, "143")

    async def look(database: Database) -> None:
        async with database.school(planted.place.school_id) as session:
            known = await learners.by_number_hash(session, keyring.hash_number(PHONE))
            assert [one.first_name for one in known] == [SISTER]
            entry = (await audit.latest(session))[0]
            assert (entry.action, entry.data) == ("change", {"learner": who, "telephone": False})

    on(look)


def test_what_taking_the_last_telephone_means_is_said(
    planted: Planted, on: Callable[[Work], Any], keyring: Keyring
) -> None:
    """The number is a newcomer's and what it agreed to is forgotten; the learner is still there, for a PIN."""
    who = str(made("North", *ALL, "--number", PHONE))
    hash_of = keyring.hash_number(PHONE)

    async def agree(database: Database) -> None:
        async with database.school(planted.place.school_id) as session:
            await consents.record(
                session,
                school_id=planted.place.school_id,
                number_hash=hash_of,
                given=True,
                carrier_sid="CAagreed",
                wording="ask",
            )

    async def look(database: Database) -> None:
        async with database.school(planted.place.school_id) as session:
            assert not await consents.asked(session, hash_of)
            assert len(await directory.find(session, learner_id=UUID(who))) == 1

    on(agree)
    told = ringua("learner", "number", who, PHONE, "--remove").output
    assert "Whoever calls from …43 is new to the line now, and what that number agreed to is forgotten." in told
    assert f"`ringua pin issue LINE --role learner --learner {who}` makes a PIN" in told
    assert PHONE not in told
    on(look)


# --- PINs


def test_a_learner_without_a_telephone_has_a_pin(north: str, on: Callable[[Work], Any], keyring: Keyring) -> None:
    """The command that `learner add` names makes one; whoever enters it is that learner."""
    told = ringua("learner", "add", north, "--name", "Eva").output
    who = re.findall(r"[0-9a-f-]{36}", told)[0]
    assert f"`ringua pin issue LINE --role learner --learner {who}` makes a PIN" in told
    digits = ringua("pin", "issue", LINE, "--role", "learner", "--learner", who).output[:4]
    family = ringua("pin", "issue", LINE, "--role", "family", "--learner", "eva").output[:4]

    async def enter(database: Database) -> None:
        async with database.anyone() as session:
            line = await lines.by_number(session, LINE)
        assert line is not None
        async with database.school(line.school_id) as session:
            held: tuple[tuple[pins.Role, str], ...] = (("learner", digits), ("family", family))
            for role, pin in held:
                found = await pins.check(
                    session, keyring, school_id=line.school_id, line_id=line.id, caller_hash=None, digits=pin
                )
                assert found == Known(role, UUID(who))

    on(enter)


@pytest.mark.parametrize(
    "given",
    [("learner",), ("learner", "--caller", PHONE, "--learner", "Eva"), ("teacher", "--learner", "Eva")],
)
def test_whose_a_pin_is_must_be_clear(north: str, given: tuple[str, ...]) -> None:
    """A learner's by a number or by who they are, never both; a teacher's by neither."""
    assert "--caller or --learner, one of them" in trouble("pin", "issue", LINE, "--role", *given)


def test_pins_are_listed_and_taken_back(north: str, on: Callable[[Work], Any]) -> None:
    """Whose they are and never their digits; one that is taken back is gone, of its own line only."""
    ringua("line", "add", "+34911234568", "--school", north, *ALL)
    assert ringua("pin", "list", LINE).output == f"{LINE} has no PIN.\n"
    eva = made(north, "--name", "Eva [1]")
    teacher = ringua("pin", "issue", LINE, "--role", "teacher").output[:4]
    ringua("pin", "issue", LINE, "--role", "learner", "--learner", str(eva))
    listed = ringua("pin", "list", LINE).output
    (row,) = [line for line in listed.splitlines() if "learner " in line and str(eva) in line]
    assert "Eva [1]" in row
    assert "teacher" in listed
    pin = row.replace("│", " ").split()[0]
    assert "has no PIN" in trouble("pin", "take-back", "+34911234568", pin)
    sentence = trouble("pin", "take-back", LINE, teacher)
    assert "is no PIN's id" in sentence
    assert teacher not in sentence
    assert ringua("pin", "take-back", LINE, pin).output == "Taken back: these digits open nothing any more.\n"
    assert str(eva) not in ringua("pin", "list", LINE).output

    async def audited(database: Database) -> list[tuple[str, str]]:
        async with database.anyone() as session:
            line = await lines.by_number(session, LINE)
        assert line is not None
        async with database.school(line.school_id) as session:
            return [(line.action, line.data["role"]) for line in await audit.latest(session) if line.subject == "pin"]

    assert on(audited)[0] == ("take_back", "learner")
    assert ("issue", "teacher") in on(audited)
    assert "has no PIN" in trouble("pin", "take-back", LINE, pin)
    assert "There is no line" in trouble("pin", "list", "+34910009999")


def test_a_line_with_all_its_pins_says_where_they_are(
    planted: Planted, on: Callable[[Work], Any], keyring: Keyring
) -> None:
    """The sentence names the command that shows them, and taking one back makes room."""
    place = planted.place

    async def fill(database: Database) -> None:
        async with database.school(place.school_id) as session:
            for _ in range(MOST_PINS - len(await pins.list_all(session, place.line_id))):
                await pins.issue(session, keyring, school_id=place.school_id, line_id=place.line_id, role="teacher")

    on(fill)
    refused = trouble("pin", "issue", place.number, "--role", "teacher")
    assert f"`ringua pin list {place.number}`" in refused
    pin = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", ringua("pin", "list", place.number).output)[0]
    assert ringua("pin", "take-back", place.number, pin).exit_code == 0
    assert ringua("pin", "issue", place.number, "--role", "teacher").exit_code == 0


# --- a locked level


def test_a_level_is_locked_and_let_go(planted: Planted, on: Callable[[Work], Any]) -> None:
    """A locked level stays whatever calls show, and through another --level; --unlock lets the calls decide again."""
    who = str(planted.learner_id)

    def standing() -> placement.Rating:
        async def look(database: Database) -> placement.Rating | None:
            async with database.school(planted.place.school_id) as session:
                return await ratings.get(session, planted.learner_id, "es")

        found: placement.Rating = on(look)
        return found

    assert "locked" not in ringua("learner", "show", who).output
    assert ringua("learner", "set", who, "--level", "B1", "--lock").exit_code == 0
    assert "B1, locked" in ringua("learner", "show", who).output
    assert (standing().level, standing().locked) == ("B1", True)
    assert ringua("learner", "set", who, "--level", "A2").exit_code == 0
    assert (standing().level, standing().locked) == ("A2", True)
    assert ringua("learner", "set", who, "--unlock").exit_code == 0
    assert (standing().level, standing().locked) == ("A2", False)
    assert "locked" not in ringua("learner", "show", who).output
    assert ringua("learner", "set", who, "--lock").exit_code == 0
    assert (standing().level, standing().locked) == ("A2", True)

    async def audited(database: Database) -> None:
        async with database.school(planted.place.school_id) as session:
            assert (await audit.latest(session))[0].data == {"learner": who, "locked": True}

    on(audited)


def test_a_level_is_locked_before_the_first_call(north: str) -> None:
    """Also of somebody who was only added; letting go of what was never locked changes nothing."""
    who = str(made(north, "--level", "B2"))
    assert ringua("learner", "set", who, "--unlock").exit_code == 0
    assert "locked" not in ringua("learner", "show", who).output
    assert ringua("learner", "set", who, "--lock").exit_code == 0
    assert "B2, locked: it stays until --unlock" in ringua("learner", "show", who).output


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--native", "ja"), "ja is no native language"),
        (("--target", "ar"), "ar is no target language"),
        (("--native", "es"), "Who speaks es has nothing to practise in es"),
    ],
)
def test_a_learner_is_set_to_no_language_of_the_other_kind(planted: Planted, given: tuple[str, ...], says: str) -> None:
    """The sentence says which there are, and the learner stays as they were."""
    before = ringua("learner", "show", str(planted.learner_id)).output
    assert says in trouble("learner", "set", str(planted.learner_id), *given)
    assert ringua("learner", "show", str(planted.learner_id)).output == before


# --- staff


def test_staff_are_added_listed_changed_and_removed(north: str) -> None:
    """Who works at a school, in which role, and who of them hears of budgets."""
    assert "Nobody is told when a budget fills up" in ringua("staff", "list", north).output
    added = ringua("staff", "add", north, "Ana@example.org", "--role", "owner", "--name", "Ana [1]").output
    assert added.startswith("Added ana@example.org to North as owner.\n")
    assert "set SMTP_URL" in added
    assert ringua("staff", "add", north, "ben@example.org", "--role", "viewer").output == (
        "Added ben@example.org to North as viewer.\n"
    )
    listed = ringua("staff", "list", north).output
    assert re.search(r"Ana \[1\].*ana@example\.org.*owner.*yes", listed)
    assert re.search(r"ben .*ben@example\.org.*viewer.*no", listed)
    assert "Nobody is told" not in listed
    assert ringua("staff", "set", north, "BEN@example.org", "--role", "teacher").output == (
        "ben@example.org is teacher at North.\n"
    )
    assert re.search(r"ben@example\.org.*teacher.*yes", ringua("staff", "list", north).output)
    assert ringua("staff", "remove", north, "ben@example.org").output == "Removed ben@example.org from North.\n"
    assert "ben" not in ringua("staff", "list", north).output


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("add", "North", "ana at example.org", "--role", "owner"), "is no e-mail address"),
        (("add", "North", "eva@example.org", "--role", "head"), "There is no role head"),
        (("add", "North", "ana@example.org", "--role", "viewer"), "is at this school already"),
        (("add", "North", "eva@example.org", "--role", "viewer", "--name", " "), "needs a name"),
        (("add", "West", "eva@example.org", "--role", "viewer"), "no school named West"),
        (("set", "North", "ana@example.org", "--role", "viewer"), "last owner"),
        (("set", "North", "eva@example.org", "--role", "viewer"), "Nobody at North has the address"),
        (("remove", "North", "ana@example.org"), "last owner"),
        (("remove", "North", "eva@example.org"), "Nobody at North has the address"),
    ],
)
def test_staff_that_cannot_be_are_refused(north: str, command: tuple[str, ...], says: str) -> None:
    """One sentence each, and who was there is there."""
    ringua("staff", "add", north, "ana@example.org", "--role", "owner")
    assert says in trouble("staff", *command)
    assert re.search(r"ana@example\.org.*owner", ringua("staff", "list", north).output)


def test_the_audit_says_what_was_done_and_names_nobody(planted: Planted, on: Callable[[Work], Any]) -> None:
    """Adding, changing and removing people leaves lines with ids and roles alone."""
    ringua("staff", "add", "North", "zoe@example.org", "--role", "viewer")
    ringua("staff", "set", "North", "zoe@example.org", "--role", "teacher")
    ringua("staff", "remove", "North", "zoe@example.org")
    made("North", *ALL, "--name", "Zoe", "--number", PHONE)

    async def look(database: Database) -> None:
        async with database.school(planted.place.school_id) as session:
            latest = (await audit.latest(session))[:4]
        assert [(one.action, one.subject) for one in latest] == [
            ("add", "learner"),
            ("remove", "staff"),
            ("change", "staff"),
            ("add", "staff"),
        ]
        assert [one.data.get("role") for one in latest] == [None, "teacher", "teacher", "viewer"]
        written = json.dumps([one.data for one in latest]).lower()
        assert not any(word in written for word in ("zoe", PHONE[1:], "example.org"))

    on(look)
