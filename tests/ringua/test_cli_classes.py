"""The commands about classes, assignments and SIP phones, as an operator uses them, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from db import learners, topics
from db.engine import Database
from db.keyring import Keyring
from db.lines import by_number
from db.schools import by_name
from tests.db.planted import NAME, Planted
from tests.ringua.test_cli_keeping import Work, environment, on, planted, ringua, trouble

__all__ = ["environment", "on", "planted"]

NUMBER = "+34911234567"
DOMAIN = "north.sip.example.org"
SET = ("--native", "en", "--target", "es", "--level", "A1", "--scenarios", "cafe_order,bus_ticket")


@pytest.fixture
def school(planted: Planted) -> Planted:
    """The school named North, with one line more, which has scenes."""
    assert ringua("line", "add", NUMBER, "--school", "North", *SET).exit_code == 0
    return planted


def test_a_class_is_made_and_filled(school: Planted) -> None:
    """A class on a line, a learner in it and out again."""
    assert ringua("class", "list", "North").output.count("4C") == 0
    assert ringua("class", "add", "North", "4C", "--line", NUMBER).exit_code == 0
    who = (NAME, "--ref", "23")
    assert "is in 4C" in ringua("class", "enrol", "North", "4C", *who).output
    listed = ringua("class", "list", "North").output
    assert NUMBER in listed
    assert "is not in 4C any more" in ringua("class", "leave", "North", "4C", NAME).output
    assert "is not in 4C." in trouble("class", "leave", "North", "4C", NAME)
    assert "already" in trouble("class", "add", "North", "4C")
    assert "no class 9Z" in trouble("class", "enrol", "North", "9Z", NAME)


def test_a_scene_is_assigned_and_taken_back(school: Planted) -> None:
    """To a class or a line, for a week unless said otherwise; lists show whose it is, and by id it is taken back."""
    ringua("class", "add", "North", "4C", "--line", NUMBER)
    days = ("--from", "2030-01-07", "--to", "2030-01-11")
    given = ringua("class", "assign", "North", "4C", "cafe_order", *days, "--target", "es")
    assert "4C has cafe_order, from 2030-01-07 to 2030-01-11." in given.output
    week = ringua("line", "assign", NUMBER, "bus_ticket", "--from", "2030-02-04").output
    assert f"Callers of {NUMBER} have bus_ticket, from 2030-02-04 to 2030-02-10." in week
    listed = ringua("assignment", "list", "North").output
    (row,) = [line for line in listed.splitlines() if "bus_ticket" in line]
    assert NUMBER in row
    assert "4C" in listed
    identifier = row.replace("│", " ").split()[0]
    assert ringua("assignment", "remove", "North", identifier).exit_code == 0
    assert "bus_ticket" not in ringua("assignment", "list", "North").output
    assert "has no assignment" in trouble("assignment", "remove", "North", identifier)
    assert "has no assignment" in trouble("assignment", "remove", "South", identifier)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((NUMBER, "no_such_scene"), "no_such_scene"),
        ((NUMBER, "hotel_checkin"), "does not offer hotel_checkin"),
        ((NUMBER, "free_talk"), "key of its own"),
        ((NUMBER, "cafe_order", "--target", "ar"), "ar is no target language"),
        ((NUMBER, "cafe_order", "--target", "xx"), "xx"),
        ((NUMBER, "cafe_order", "--from", "tomorrow"), "is no day"),
        ((NUMBER, "cafe_order", "--from", "2030-01-07", "--to", "2030-01-01"), "before it begins"),
        (("+34999999999", "cafe_order"), "no line"),
    ],
)
def test_what_nobody_could_play_is_refused(school: Planted, arguments: tuple[str, ...], sentence: str) -> None:
    """One sentence says what is wrong, before anything is kept."""
    before = ringua("assignment", "list", "North", "--past").output
    assert sentence in trouble("line", "assign", *arguments)
    assert ringua("assignment", "list", "North", "--past").output == before


def test_a_sip_phone_is_given_and_taken(school: Planted, on: Callable[[Work], Any], keyring: Keyring) -> None:
    """A domain reaches a line, a learner is known by a name at it; nothing of the name can be read again."""
    phone = f"ana@{DOMAIN}"
    who = ("learner", "sip", NAME, phone, "--school", "North")
    assert "is reached by" in trouble(*who)
    assert "no SIP domain" in trouble("line", "sip", NUMBER, "not a domain")
    assert NUMBER in ringua("line", "sip", NUMBER, DOMAIN).output
    assert DOMAIN in ringua("line", "sip", NUMBER).output
    assert "another school" in trouble("line", "sip", "+34910000002", DOMAIN)
    assert "is no SIP phone" in trouble("learner", "sip", NAME, "ana", "--school", "North")
    assert "is known by this phone" in ringua(*who).output
    shown = ringua("learner", "show", NAME, "--school", "North").output
    assert "a SIP phone" in shown
    assert phone not in shown

    async def known(database: Database) -> int:
        async with database.anyone() as session:
            line = await by_number(session, NUMBER)
            owner = await by_name(session, "North")
        assert line is not None
        assert owner is not None
        async with database.school(owner.id) as session:
            return len(await learners.by_number_hash(session, keyring.hash_sip(f"sip:{phone}")))

    assert on(known) == 1
    assert phone not in ringua("learner", "export", NAME, "--school", "North").output
    assert "not known by this phone any more" in ringua(*who, "--remove").output
    assert on(known) == 0
    assert "is not known by this phone" in trouble(*who, "--remove")
    assert "reaches no line" in ringua("line", "sip", NUMBER, DOMAIN, "--remove").output
    assert "has no SIP domain" in trouble("line", "sip", NUMBER, DOMAIN, "--remove")


def test_taking_an_agreement_back_forgets_the_facts(school: Planted, on: Callable[[Work], Any]) -> None:
    """With --no-remember what was remembered goes at once, and agreeing again brings nothing back."""

    async def facts(database: Database) -> list[str]:
        async with database.school(school.place.school_id) as session:
            return await topics.facts(session, school.learner_id)

    assert ringua("learner", "set", str(school.learner_id), "--remember").exit_code == 0
    assert on(facts)
    for agreed in ("--no-remember", "--remember"):
        assert ringua("learner", "set", str(school.learner_id), agreed).exit_code == 0
    assert on(facts) == []
