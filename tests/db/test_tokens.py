"""One-use tokens: short-lived, bound to one call, and used up by exactly one of many who try."""

from __future__ import annotations

import asyncio

from db import tokens
from db.engine import Database
from db.keyring import Keyring
from tests.db.conftest import Place, Query


async def issue(database: Database, keyring: Keyring, place: Place, *, ttl_s: float = tokens.TTL_S) -> str:
    """A token for the carrier call CA1."""
    async with database.school(place.school_id) as session:
        return await tokens.issue(
            session, keyring, school_id=place.school_id, carrier_sid="CA1", payload={"call": "x"}, ttl_s=ttl_s
        )


async def consume(database: Database, keyring: Keyring, token: str, carrier_sid: str = "CA1") -> tokens.Claim | None:
    """Uses a token as the media socket does, before a school is known."""
    async with database.anyone() as session:
        return await tokens.consume(session, keyring, token, carrier_sid)


async def test_a_token_works_once(database: Database, keyring: Keyring, place: Place) -> None:
    """A token gives its school and payload to the first who brings it, and nothing to the second."""
    token = await issue(database, keyring, place)
    assert await consume(database, keyring, token) == tokens.Claim(place.school_id, {"call": "x"})
    assert await consume(database, keyring, token) is None


async def test_of_many_consumers_one_wins(database: Database, keyring: Keyring, place: Place) -> None:
    """Of twenty who bring the same token at the same time exactly one gets the payload."""
    token = await issue(database, keyring, place)
    claims = await asyncio.gather(*(consume(database, keyring, token) for _ in range(20)))
    assert sum(claim is not None for claim in claims) == 1


async def test_another_call_neither_gets_nor_spoils_it(database: Database, keyring: Keyring, place: Place) -> None:
    """A token brought by another call is refused and stays good for its own."""
    token = await issue(database, keyring, place)
    assert await consume(database, keyring, token, "CA2") is None
    assert await consume(database, keyring, token) is not None


async def test_an_expired_or_unknown_token_is_refused(database: Database, keyring: Keyring, place: Place) -> None:
    """A token past its time, and one that never was, give nothing."""
    assert await consume(database, keyring, await issue(database, keyring, place, ttl_s=0)) is None
    assert await consume(database, keyring, "made up") is None


async def test_only_a_hash_is_stored(database: Database, keyring: Keyring, place: Place, superuser: Query) -> None:
    """The database holds the token's hash for 30 s, never the token, and tokens differ."""
    token = await issue(database, keyring, place)
    assert token != await issue(database, keyring, place)
    rows = await superuser("SELECT hash, expires_at - now(), to_jsonb(t)::text FROM tokens t")
    assert keyring.hash_token(token) in {row[0] for row in rows}
    assert all(0 < row[1].total_seconds() <= 30 and token not in row[2] for row in rows)
    assert len(token) == 43


async def test_expired_tokens_go(database: Database, keyring: Keyring, place: Place, superuser: Query) -> None:
    """Issuing a token removes the school's expired ones."""
    for _ in range(3):
        await issue(database, keyring, place, ttl_s=0)
    await issue(database, keyring, place)
    assert await superuser("SELECT count(*) FROM tokens") == [(1,)]
