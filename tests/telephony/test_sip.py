"""SIP phones: who is known by the name with which they authenticated, and who is a guest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from db import accounts, consents, endings, forgetting, learners, lines, schools, sip_domains
from db.accounts import Account
from db.endings import Ending
from db.engine import Database
from db.keyring import Keyring
from db.models import CallerIdentity, Learner, Line
from telephony.ivr.record import MenuRecord
from telephony.numbers import Guest, identify
from telephony.sip import SipCaller, authenticated, dialled_number, domain_of, is_address, parse_name
from tests.telephony.school_line import LINE, SCENES, Service, service, spoken, verbs
from tutor.script.catalogue import load

EN = load().language("en")
DOMAIN = "lorca.sip.twilio.com"
FROM = f"sip:ana@{DOMAIN}"
SCHOOL = "Colegio <Lorca> & Söhne"
PHONE = {"From": FROM, "To": f"sip:practice@{DOMAIN}", "SipDomain": DOMAIN, "SipUsername": "ana"}


# --- addresses


@pytest.mark.parametrize(
    "raw",
    [
        FROM,
        f"sips:ana@{DOMAIN}",
        f"SIP:ana@{DOMAIN}:5061;transport=tls",
        f'"Ana López" <sip:ana@{DOMAIN}>;tag=1'.partition(";tag")[0],
        f"<sip:ana;phone-context=x@{DOMAIN}:5060>",
        "sip:ana@192.0.2.7:5060",
        f"sip:%61na@{DOMAIN}",
    ],
)
def test_the_authenticated_name_is_who_calls(raw: str) -> None:
    """However the phone writes its address, the name and the domain at which it authenticated identify it."""
    assert authenticated(raw, domain=DOMAIN.upper(), name="ana") == SipCaller("ana", DOMAIN)
    assert is_address(raw)
    assert identify(raw) == Guest(), "never by a number"


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (FROM, ""),
        (FROM, "luis"),
        (FROM, "Ana"),
        (f"sip:luis@{DOMAIN}", "ana"),
        (f"sip:{DOMAIN}", "ana"),
        (f"sip:ana@{DOMAIN}@evil.example", "ana"),
        (f"sip:ana@{DOMAIN}>, <sip:luis@{DOMAIN}", "ana"),
        ("+34600111222", "ana"),
        ("ana", "ana"),
        ("", ""),
    ],
)
def test_a_name_that_nobody_vouched_for_is_a_guest(raw: str, name: str) -> None:
    """An address can be forged: without the authenticated name, or with another than is shown, nobody is known."""
    assert authenticated(raw, domain=DOMAIN, name=name) is None


def test_an_address_asks_for_a_number_or_not() -> None:
    """The part before the domain may be a line's number; else the domain decides."""
    assert dialled_number(f"sip:+34911234567@{DOMAIN};transport=tls") == "+34911234567"
    assert dialled_number(f"sip:%2B34911234567@{DOMAIN}") == "+34911234567"
    for other in (f"sip:practice@{DOMAIN}", f"sip:1@{DOMAIN}", f"sip:{DOMAIN}", "+34911234567", ""):
        assert dialled_number(other) is None


def test_what_a_person_writes_is_read() -> None:
    """A name at a domain, with or without the scheme; nothing else."""
    assert parse_name(f" sip:ana@{DOMAIN.upper()} ") == parse_name(f"ana@{DOMAIN}") == SipCaller("ana", DOMAIN)
    for wrong in ("ana", f"@{DOMAIN}", "ana@", "ana@localhost", "ana@-x.org", "a b@x.org", "ana@192.0.2.7", ""):
        assert parse_name(wrong) is None
    assert domain_of("x_y.example.org") is None
    assert "ana" not in repr(SipCaller("ana", DOMAIN))


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=30))
def test_whatever_is_written_is_read(raw: str, name: str, domain: str) -> None:
    """Nothing that a phone writes is an error, and who is known shows the authenticated name."""
    known = authenticated(raw, domain=domain, name=name)
    assert known is None or (known.name == name and name in raw + "%")
    dialled_number(raw)


# --- calls


@pytest.fixture
async def line(database: Database, keyring: Keyring) -> AsyncIterator[Service]:
    """A service whose line is reached at a SIP domain too."""
    async with service(database, keyring) as ready:
        async with database.school(ready.school_id) as session:
            line_id = (await session.scalars(select(Line.id))).one()
            await sip_domains.put(session, ready.school_id, DOMAIN, line_id)
        yield ready


async def known(line: Service, name: str = "ana", **changes: Any) -> UUID:
    """A learner with a SIP phone."""
    values: dict[str, Any] = {"native": "en", "target": "es", "level": "A1", "first_name": "Ana", **changes}
    phone = line.keyring.hash_sip(f"sip:{name}@{DOMAIN}")
    async with line.database.school(line.school_id) as session:
        made = await learners.create_with_number(
            session, school_id=line.school_id, number_hash=phone, last_two="", another=True, **values
        )
    return made.id


async def call(line: Service, **fields: str) -> ET.Element:
    """Calls from a SIP phone."""
    return await line.told("/twilio/voice", **(PHONE | fields))


async def people(line: Service) -> list[Learner]:
    """The school's learners."""
    async with line.database.school(line.school_id) as session:
        return list(await session.scalars(select(Learner)))


async def test_a_known_phone_is_greeted_as_returning(line: Service) -> None:
    """The learner whose name it is hears their own greeting, and the call is theirs."""
    ana = await known(line)
    assert spoken(await call(line)).startswith(EN.say("callers.hello", name="Ana"))
    row = await line.row()
    assert (row.learner_id, row.caller_hash) == (ana, line.keyring.hash_sip(FROM))
    assert MenuRecord.read(row.menu).proven


@pytest.mark.parametrize(
    "forged",
    [
        {"SipUsername": ""},
        {"SipUsername": "luis"},
        {"From": f"sip:luis@{DOMAIN}"},
        {"From": "+34600111222", "SipUsername": ""},
        {"SipUsername": "", "SipHeader_X-SipUsername": "ana", "SipHeader_X-Username": "ana"},
    ],
)
async def test_a_forged_address_is_a_guest(line: Service, forged: dict[str, str]) -> None:
    """Who shows a name without having authenticated with it is nobody, also with a number that is somebody's."""
    await known(line)
    await line.enrolled()
    assert EN.say("menu.notice", school=SCHOOL) in spoken(await call(line, **forged))
    row = await line.row()
    assert (row.learner_id, row.caller_hash) == (None, None)


async def test_a_domain_nobody_has_reaches_no_line(line: Service) -> None:
    """A call by an unknown domain is refused, whatever number it asks for."""
    for fields in ({"SipDomain": "other.sip.twilio.com"}, {"SipDomain": "other.sip.twilio.com", "To": LINE}):
        assert verbs(await call(line, **fields)) == ["Reject"]


async def test_a_line_of_the_school_may_be_dialled(line: Service) -> None:
    """The number before the domain chooses among the school's lines; a line of another school is out of reach."""
    async with line.database.anyone() as session:
        other_school = await schools.create(session, "South", "Europe/Madrid")
    settings: dict[str, Any] = {"native": "es", "target": "en", "level": "A1", "class_prompt": "x", "open": True}
    numbers = {"+34911234568": line.school_id, "+34911234569": other_school}
    for number, school_id in numbers.items():
        async with line.database.school(school_id) as session:
            await lines.add(session, school_id=school_id, number=number, name="x", scenarios=SCENES, **settings)
    spanish = load().language("es")
    first = await call(line, To=f"sip:+34911234568@{DOMAIN}")
    assert spanish.say("menu.notice", school=SCHOOL) in spoken(first)
    other = await call(line, To=f"sip:+34911234569@{DOMAIN}", CallSid="CA" + "3" * 32)
    assert EN.say("menu.notice", school=SCHOOL) in spoken(other), "the domain's own line"


async def test_a_newcomer_becomes_a_learner_without_digits(line: Service) -> None:
    """Whoever begins a first scene from an authenticated phone is known the next time; there is nothing to text to."""
    await line.chosen(**PHONE)
    (ana,) = await people(line)
    assert (await line.row()).learner_id == ana.id
    async with line.database.school(line.school_id) as session:
        (phone,) = await session.scalars(select(CallerIdentity))
    assert (phone.number_hash, phone.last_two, phone.number_encrypted) == (line.keyring.hash_sip(FROM), "", None)
    again = await call(line, CallSid="CA" + "4" * 32)
    assert EN.say("menu.welcome_back", school=SCHOOL) in spoken(again)


async def test_a_guest_by_sip_stays_one(line: Service) -> None:
    """A phone that did not authenticate practises, and leaves no learner behind."""
    await line.chosen(**(PHONE | {"SipUsername": ""}))
    assert await people(line) == []


async def test_nobody_is_asked_about_texts(line: Service) -> None:
    """Neither in the menu nor at the end of a call: a SIP phone takes no text message."""
    await known(line)
    await call(line)
    script = await line.told("/twilio/menu?step=1", Digits="1", **PHONE)
    assert EN.say("consent.ask") not in spoken(script)
    row = await line.row()
    async with line.database.school(line.school_id) as session:
        await endings.finish(session, row.id, Ending("role"))
    after = await line.told("/twilio/after?stream=1", **PHONE)
    assert EN.say("consent.ask") not in spoken(after)
    async with line.database.school(line.school_id) as session:
        assert not await consents.asked(session, line.keyring.hash_sip(FROM))


async def test_two_at_one_phone_are_asked_who_calls(line: Service) -> None:
    """A phone in a classroom may be several learners', as any telephone."""
    await known(line)
    await known(line, first_name="Luis")
    assert EN.say("people.ask") in spoken(await call(line))


async def test_forgetting_forgets_the_phone(line: Service) -> None:
    """After `learner forget` the same credentials are a newcomer's, and no hash of theirs is left."""
    ana = await known(line)
    await call(line)
    row = await line.row()
    async with line.database.school(line.school_id) as session:
        await endings.finish(session, row.id, Ending("left_menu"))
        assert (await forgetting.forget_learner(session, ana)).found
    assert (await line.row()).caller_hash is None
    assert EN.say("menu.notice", school=SCHOOL) in spoken(await call(line, CallSid="CA" + "5" * 32))


async def test_another_schools_account_does_not_reach_the_domain(line: Service) -> None:
    """An account of one school cannot say that somebody authenticated at another's domain."""
    async with line.database.anyone() as session:
        south = await schools.create(session, "South", "Europe/Madrid")
        await accounts.put(
            session, line.keyring, Account("AC" + "9" * 32, "twilio", ("south",), "https://api.example.org", south)
        )
    await known(line)
    script = await line.told("/twilio/voice", account="AC" + "9" * 32, token="south", **PHONE)
    assert verbs(script) == ["Reject"]


def test_a_name_and_a_number_never_share_a_hash(keyring: Keyring) -> None:
    """Numbers and names have keys of their own: what is stored of one cannot be passed off as the other."""
    assert keyring.hash_sip("+34600111222") != keyring.hash_number("+34600111222")
