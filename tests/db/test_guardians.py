"""Guardians who are none any more: their consent ends, and a forgotten learner leaves nothing of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from db import consents, guardians, learners
from db.engine import Database
from db.forgetting import MASKED, forget_learner
from db.keyring import Keyring
from db.models import CallerIdentity
from tests.db.conftest import Place, Query
from tests.db.planted import found

MOTHER = "+34655512390"
FATHER = "+34655512391"
CHILD = "+34655512392"
SIBLING = "+34655512393"
FORM = "form signed by Quetzalina's mother"


async def learner_of(database: Database, keyring: Keyring, place: Place, number: str) -> UUID:
    """A learner who calls from this number."""
    async with database.school(place.school_id) as session:
        made = await learners.create_with_number(
            session,
            school_id=place.school_id,
            number_hash=keyring.hash_number(number),
            last_two=number[-2:],
            native="en",
            target="es",
            level="A1",
        )
    return made.id


@pytest.fixture
async def child(database: Database, keyring: Keyring, place: Place) -> UUID:
    """A learner."""
    return await learner_of(database, keyring, place, CHILD)


@pytest.fixture
async def sibling(database: Database, keyring: Keyring, place: Place) -> UUID:
    """Another learner, with a telephone of their own."""
    return await learner_of(database, keyring, place, SIBLING)


@pytest.fixture
def put(database: Database, keyring: Keyring, place: Place) -> Any:
    """Sets a learner's guardian."""

    async def put(learner_id: UUID, number: str, consent: str = FORM) -> None:
        async with database.school(place.school_id) as session:
            ids = {"school_id": place.school_id, "learner_id": learner_id}
            await guardians.put(session, keyring, **ids, number=number, consent=consent)

    return put


async def remove(database: Database, place: Place, learner_id: UUID) -> None:
    """Removes a learner's guardian, who is there."""
    async with database.school(place.school_id) as session:
        assert await guardians.remove(session, learner_id)


async def forget(database: Database, place: Place, learner_id: UUID) -> None:
    """Forgets a learner, who is known."""
    async with database.school(place.school_id) as session:
        assert (await forget_learner(session, learner_id)).found


@pytest.fixture
def may_text(database: Database, keyring: Keyring, place: Place) -> Any:
    """Whether the school may text a number."""

    async def may_text(number: str) -> bool:
        async with database.school(place.school_id) as session:
            return await consents.standing(session, keyring.hash_number(number))

    return may_text


async def test_a_guardian_who_is_replaced_is_texted_no_more(child: UUID, put: Any, may_text: Any) -> None:
    """Their consent was about this learner; the new one's stands. The same one again with another form stays."""
    await put(child, MOTHER)
    await put(child, MOTHER, "a newer form")
    assert await may_text(MOTHER)
    await put(child, FATHER, "form of the father")
    assert [await may_text(MOTHER), await may_text(FATHER)] == [False, True]


async def test_a_guardian_who_is_removed_is_texted_no_more(
    database: Database, place: Place, child: UUID, put: Any, may_text: Any
) -> None:
    """The consent is shown as ended, and can be given again."""
    await put(child, MOTHER)
    await remove(database, place, child)
    assert not await may_text(MOTHER)
    await put(child, MOTHER)
    assert await may_text(MOTHER)


async def test_siblings_keep_the_guardian_they_share(
    database: Database, place: Place, child: UUID, sibling: UUID, put: Any, may_text: Any
) -> None:
    """Whichever form was the last, replaced or removed for one of them: until nobody has them."""
    await put(sibling, MOTHER, "form of the sibling")
    await put(child, MOTHER)
    await put(child, FATHER)
    assert await may_text(MOTHER)
    await remove(database, place, sibling)
    assert not await may_text(MOTHER)


async def test_a_guardian_who_practises_too_keeps_their_own_texts(
    database: Database, keyring: Keyring, place: Place, child: UUID, put: Any, may_text: Any
) -> None:
    """They agreed in a call of their own before the school had a form."""
    await learner_of(database, keyring, place, MOTHER)
    await put(child, MOTHER)
    await remove(database, place, child)
    assert await may_text(MOTHER)


@pytest.mark.parametrize("again", [False, True], ids=["", "with START"])
async def test_a_former_guardian_is_forgotten_with_the_learner(
    database: Database, keyring: Keyring, place: Place, superuser: Query, child: UUID, put: Any, again: bool
) -> None:
    """Neither number nor the words of the form are anywhere, nor the learner's id; a text they sent leaves nothing."""
    await put(child, MOTHER)
    if again:
        async with database.school(place.school_id) as session:
            ids: dict[str, Any] = {"school_id": place.school_id, "number_hash": keyring.hash_number(MOTHER)}
            await consents.give(session, **ids, carrier_sid="SM1", wording="START")
    await put(child, FATHER, "form of the father")
    needles = (keyring.hash_number(MOTHER), keyring.hash_number(FATHER), FORM, "form of the father", str(child))
    for needle in needles:
        assert await found(superuser, keyring, needle)
    await forget(database, place, child)
    assert await found(superuser, keyring, *needles) == []


async def test_a_guardian_who_was_removed_is_forgotten_with_the_learner(
    database: Database, keyring: Keyring, place: Place, superuser: Query, child: UUID, put: Any
) -> None:
    """The form stays as long as the learner does, and no longer."""
    await put(child, MOTHER)
    await remove(database, place, child)
    assert await found(superuser, keyring, FORM) == ["consents.wording"]
    await forget(database, place, child)
    assert await found(superuser, keyring, FORM, keyring.hash_number(MOTHER), str(child)) == []


@pytest.mark.parametrize("removed", [False, True], ids=["", "removed before"])
async def test_what_a_sibling_needs_is_kept_without_the_forgotten_one(
    database: Database,
    keyring: Keyring,
    place: Place,
    superuser: Query,
    child: UUID,
    sibling: UUID,
    put: Any,
    may_text: Any,
    removed: bool,
) -> None:
    """The school may text the parent about the sibling, whose form is told of them; of the other no word is left."""
    await put(sibling, MOTHER, "form of the sibling")
    await put(child, MOTHER)
    if removed:
        await remove(database, place, child)
    await forget(database, place, child)
    assert await may_text(MOTHER)
    assert await found(superuser, keyring, FORM, str(child)) == []
    async with database.school(place.school_id) as session:
        kept = await guardians.get(session, sibling)
    assert kept is not None
    assert kept.consent == "form of the sibling"
    current = await superuser("SELECT carrier_sid, wording FROM consents WHERE ended_at IS NULL")
    assert current == [(MASKED, MASKED)]
    await forget(database, place, sibling)
    assert await found(superuser, keyring, keyring.hash_number(MOTHER), "form of the sibling", str(sibling)) == []


async def test_a_sibling_s_own_form_is_not_touched(
    database: Database, keyring: Keyring, place: Place, superuser: Query, child: UUID, sibling: UUID, put: Any
) -> None:
    """It was signed after the forgotten one's, and says of whom."""
    await put(child, MOTHER)
    await put(sibling, MOTHER, "form of the sibling")
    await forget(database, place, child)
    assert await superuser("SELECT carrier_sid, wording FROM consents") == [
        (guardians.carrier_sid(sibling), "form of the sibling")
    ]


async def test_a_telephone_of_the_family_keeps_its_consent(
    database: Database,
    keyring: Keyring,
    place: Place,
    superuser: Query,
    child: UUID,
    sibling: UUID,
    put: Any,
    may_text: Any,
) -> None:
    """A number from which a sibling calls is theirs too, whoever had it as a guardian's."""
    async with database.school(place.school_id) as session:
        ids: dict[str, Any] = {"school_id": place.school_id, "learner_id": sibling}
        session.add(CallerIdentity(**ids, number_hash=keyring.hash_number(MOTHER), last_two="90"))
    await put(child, MOTHER)
    await forget(database, place, child)
    assert await may_text(MOTHER)
    assert await found(superuser, keyring, FORM, str(child)) == []


async def test_another_school_s_consent_is_its_own(
    database: Database, keyring: Keyring, place: Place, elsewhere: Place, child: UUID, put: Any
) -> None:
    """Where the same parent is a guardian at another school, nothing ends and nothing is forgotten there."""
    there = await learner_of(database, keyring, elsewhere, SIBLING)
    async with database.school(elsewhere.school_id) as session:
        ids = {"school_id": elsewhere.school_id, "learner_id": there}
        await guardians.put(session, keyring, **ids, number=MOTHER, consent="form of the other school")
    await put(child, MOTHER)
    await remove(database, place, child)
    await forget(database, place, child)
    async with database.school(elsewhere.school_id) as session:
        assert await consents.standing(session, keyring.hash_number(MOTHER))
