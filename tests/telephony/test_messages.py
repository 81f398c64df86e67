"""Messages on their way to the carrier: once at most, whatever is lost, refused, killed or taken back in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise

import httpx
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from db import consents, lines, messages
from db.engine import Database
from db.keyring import Keyring
from telephony.twilio import message_codes
from telephony.twilio.message_codes import Verdict
from telephony.twilio.messages import MAX_ATTEMPTS, SENDING_S
from tests.telephony.texting import BODY, LEARNER, LINE, LostOnTheWay, Texting, elsewhere, texting


@pytest.fixture
async def texts(database: Database, keyring: Keyring) -> AsyncIterator[Texting]:
    """A learner who agreed to texts, and a carrier."""
    async with texting(database, keyring) as ready:
        yield ready


async def test_a_message_is_sent(texts: Texting) -> None:
    """The carrier gets it whole, from the line's number to the learner's, with an address for its reports."""
    message = await texts.message()
    assert await texts.messenger().send(texts.school_id, message) is None
    (sent,) = texts.sent
    assert (sent.from_, sent.to, sent.body) == (LINE, LEARNER, BODY)
    assert sent.status_callback == f"http://127.0.0.1:9/twilio/sms-status?message={message}&attempt=1"
    row = await texts.row(message)
    assert (row.state, row.carrier_sid, row.attempts) == ("sent", sent.sid, 1)


async def test_a_message_is_sent_once(texts: Texting) -> None:
    """Many workers that run the job at once, and again afterwards, send one message."""
    message = await texts.message()
    await asyncio.gather(*(texts.messenger().send(texts.school_id, message) for _ in range(6)))
    for _ in range(3):
        assert await texts.messenger().send(texts.school_id, message) is None
    assert len(texts.sent) == 1


async def test_the_answer_is_lost(texts: Texting) -> None:
    """A carrier that takes the message and never answers is asked what it has: the message is found, not repeated."""
    message = await texts.message()
    texts.carrier.sms.swallow_next()
    assert await texts.messenger(total_s=0.5).send(texts.school_id, message) is None
    (sent,) = texts.sent
    row = await texts.row(message)
    assert (row.state, row.carrier_sid) == ("delivered", sent.sid)


async def test_the_answer_is_lost_and_the_list_cannot_be_read(texts: Texting) -> None:
    """As long as the carrier's list cannot be asked, nothing is sent again; then the message is found."""
    message = await texts.message()
    network = LostOnTheWay("POST", "GET", arrive=True)
    lost = texts.messenger(transport=network)
    for age_s in (10.0, 60.0, 600.0):
        wait_s = await lost.send(texts.school_id, message)
        assert wait_s is not None
        assert wait_s >= 10
        assert (await texts.row(message)).state == "unknown"
        await texts.age(message, age_s)
    assert [request.method for request in network.seen] == ["POST", "GET", "GET", "GET"]
    # The stand-in's clock is real, and the attempt was made older than it is.
    assert await texts.messenger().send(texts.school_id, message) is None
    assert (await texts.row(message)).state == "delivered"
    assert len(texts.sent) == 1


@pytest.mark.parametrize("how", ["lost", "server error"])
async def test_the_request_is_lost(texts: Texting, how: str) -> None:
    """A message the carrier never took is sent again, once its list has had time to show it and does not."""
    message = await texts.message()
    if how == "lost":
        wait_s = await texts.messenger(transport=LostOnTheWay("POST", arrive=False)).send(texts.school_id, message)
    else:
        texts.carrier.sms.refuse_next(500, 20500, "Internal Server Error")
        wait_s = await texts.messenger().send(texts.school_id, message)
    waits = [wait_s]
    for age_s in (10, 20, 40):
        await texts.age(message, age_s)
        waits.append(await texts.messenger().send(texts.school_id, message))
        assert (await texts.row(message)).state == "unknown"
    assert all(later > earlier for earlier, later in pairwise([wait or 0 for wait in waits[1:]]))
    assert texts.sent == []
    await texts.age(message, 60)
    assert await texts.messenger().send(texts.school_id, message) == 0.0
    assert await texts.messenger().send(texts.school_id, message) is None
    row = await texts.row(message)
    assert (row.state, row.attempts, len(texts.sent)) == ("sent", 2, 1)


async def test_a_list_that_is_away_for_good(texts: Texting) -> None:
    """When nobody can tell for hours what became of a message, it is left as it is: once at most."""
    message = await texts.message()
    lost = texts.messenger(transport=LostOnTheWay("POST", "GET", arrive=False))
    await lost.send(texts.school_id, message)
    await texts.age(message, 7 * 3600)
    with capture_logs() as logs:
        assert await texts.messenger().send(texts.school_id, message) is None
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["text_stays_unclear"]
    assert (await texts.row(message)).state == "unknown"
    assert texts.sent == []


@pytest.mark.parametrize("had_left", [True, False])
async def test_the_process_is_killed_while_it_sends(texts: Texting, had_left: bool) -> None:
    """Its successor does not know whether the request left: it waits, then asks, and sends only what never arrived."""
    message = await texts.message()
    async with texts.database.school(texts.school_id) as session:
        assert await messages.attempt(session, message) == 1
    if had_left:
        accepted = texts.carrier.sms.create({"To": LEARNER, "From": LINE, "Body": BODY})
        texts.carrier.sms.deliver(accepted)
    wait_s = await texts.messenger().send(texts.school_id, message)
    assert wait_s is not None
    assert 0 < wait_s <= SENDING_S, "it may still be at work"
    await texts.age(message, 40)
    await texts.messenger().send(texts.school_id, message)
    await texts.age(message, 120)
    await texts.messenger().send(texts.school_id, message)
    await texts.messenger().send(texts.school_id, message)
    assert len(texts.sent) == 1
    assert (await texts.row(message)).state in ("sent", "delivered")


async def test_a_frozen_process_does_not_send(texts: Texting) -> None:
    """Who was held up for long after claiming a message leaves it to be found out: others may have sent it by then."""
    message = await texts.message()
    clock = iter([0.0, 60.0])
    assert await texts.messenger(clock=lambda: next(clock)).send(texts.school_id, message) == SENDING_S
    assert texts.sent == []
    assert (await texts.row(message)).state == "sending"


async def test_another_message_of_the_same_words_is_not_taken_for_it(texts: Texting) -> None:
    """Two messages may say the same: one that is accounted for does not stand for another one that was lost."""
    first = await texts.message("debrief:1")
    await texts.messenger().send(texts.school_id, first)
    second = await texts.message("debrief:2")
    await texts.messenger(transport=LostOnTheWay("POST", arrive=False)).send(texts.school_id, second)
    assert (await texts.row(second)).state == "unknown"
    await texts.age(second, 200)
    assert await texts.messenger().send(texts.school_id, second) == 0.0
    await texts.messenger().send(texts.school_id, second)
    assert len(texts.sent) == 2
    assert (await texts.row(second)).carrier_sid != (await texts.row(first)).carrier_sid


# --- what must not be sent


async def test_stop_between_call_and_text(texts: Texting) -> None:
    """A STOP that comes after the message was written, and before it leaves, holds it back for good."""
    message = await texts.message()
    async with texts.database.anyone() as session:
        await consents.opt_out(session, texts.keyring.hash_number(LEARNER), "SM1")
    assert await texts.messenger().send(texts.school_id, message) is None
    assert (await texts.row(message)).state == "suppressed"
    assert texts.sent == []


async def test_stop_while_a_message_is_unclear(texts: Texting) -> None:
    """After a STOP an unclear message is not sent again, whatever became of it."""
    message = await texts.message()
    await texts.messenger(transport=LostOnTheWay("POST", arrive=False)).send(texts.school_id, message)
    async with texts.database.anyone() as session:
        await consents.opt_out(session, texts.keyring.hash_number(LEARNER), "SM1")
    await texts.age(message, 200)
    assert await texts.messenger().send(texts.school_id, message) is None
    assert texts.sent == []


async def test_without_consent(texts: Texting) -> None:
    """A consent that was taken back by other means counts in the moment of sending."""
    message = await texts.message()
    async with texts.database.school(texts.school_id) as session:
        await session.execute(text("UPDATE consents SET ended_at = now()"))
    await texts.messenger().send(texts.school_id, message)
    assert (await texts.row(message)).state == "suppressed"


async def test_a_line_that_stopped_texting(texts: Texting) -> None:
    """A line's switch counts for what waits already."""
    message = await texts.message()
    async with texts.database.school(texts.school_id) as session:
        await lines.update(session, texts.line_id, texts=False)
    await texts.messenger().send(texts.school_id, message)
    assert (await texts.row(message)).state == "suppressed"


async def test_an_account_that_is_gone(texts: Texting) -> None:
    """Without the account of its call a message is not sent by another one."""
    message = await texts.message()
    stranger = replace(texts.account, sid="AC" + "9" * 32)
    assert await texts.messenger(account=stranger).send(texts.school_id, message) is None
    assert ((await texts.row(message)).state, texts.sent) == ("suppressed", [])


# --- what the carrier refuses


@pytest.mark.parametrize("code", [21211, 21610, 21614])
async def test_a_number_that_cannot_be_texted(texts: Texting, code: int) -> None:
    """What the carrier says of a number is kept: nothing goes to it any more, from any school."""
    first, second = await texts.message("debrief:1"), await texts.message("debrief:2")
    texts.carrier.sms.refuse_next(400, code, "no")
    assert await texts.messenger().send(texts.school_id, first) is None
    row = await texts.row(first)
    assert (row.state, row.error_code) == ("failed", code)
    async with texts.database.anyone() as session:
        assert await consents.opted_out(session, texts.keyring.hash_number(LEARNER))
    await texts.messenger().send(texts.school_id, second)
    assert ((await texts.row(second)).state, texts.sent) == ("suppressed", [])


async def test_the_carrier_knows_of_a_stop_that_we_do_not(texts: Texting) -> None:
    """The carrier refuses numbers that stopped at it (21610); the refusal is taken for the STOP it is."""
    message = await texts.message()
    texts.carrier.sms.receive(from_=LEARNER, to=LINE, body="STOP")
    await texts.messenger().send(texts.school_id, message)
    assert (await texts.row(message)).error_code == 21610
    async with texts.database.school(texts.school_id) as session:
        assert not await consents.standing(session, texts.keyring.hash_number(LEARNER))


@pytest.mark.parametrize(("code", "status"), [(21606, 400), (30032, 400), (30034, 400), (20003, 401), (21703, 400)])
async def test_a_line_that_is_not_in_order(texts: Texting, code: int, status: int) -> None:
    """What only the operator can put in order stops what would be refused as well, and is said aloud once."""
    waiting = [await texts.message(f"debrief:{n}") for n in range(3)]
    texts.carrier.sms.refuse_next(status, code, "no")
    with capture_logs() as logs:
        for message in waiting:
            assert await texts.messenger().send(texts.school_id, message) is None
    assert [(await texts.row(message)).state for message in waiting] == ["failed", "suppressed", "suppressed"]
    assert {(await texts.row(message)).error_code for message in waiting} == {code}
    (loud,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert (loud["event"], loud["code"]) == ("texts_stopped", code)
    assert loud["do"].endswith(".")
    assert texts.sent == []


async def test_a_wrong_token_stops_the_account(texts: Texting) -> None:
    """With a token that the carrier refuses, no line of the account goes on trying; it is tried again by itself."""
    first, second = await texts.message("debrief:1"), await texts.message("debrief:2", sender="+34911234568")
    wrong = replace(texts.account, tokens=("wrong",))
    await texts.messenger(account=wrong).send(texts.school_id, first)
    assert (await texts.row(first)).error_code == 20003
    async with texts.database.school(texts.school_id) as session:
        await lines.add(session, school_id=texts.school_id, number="+34911234568", name="A2")
    await texts.messenger().send(texts.school_id, second)
    assert (await texts.row(second)).state == "suppressed"


async def test_another_senders_trouble_is_its_own(texts: Texting) -> None:
    """A number that is not registered does not silence the other lines of its account."""
    async with texts.database.school(texts.school_id) as session:
        await lines.add(session, school_id=texts.school_id, number="+34911234568", name="A2")
    first, second = await texts.message("debrief:1"), await texts.message("debrief:2", sender="+34911234568")
    texts.carrier.sms.refuse_next(400, 30034, "no")
    await texts.messenger().send(texts.school_id, first)
    await texts.messenger().send(texts.school_id, second)
    assert (await texts.row(second)).state == "sent"


async def test_a_busy_carrier(texts: Texting) -> None:
    """Too many requests are tried again after growing waits, a few times, and every time it is the same message."""
    message = await texts.message()
    waits = []
    for _ in range(MAX_ATTEMPTS):
        texts.carrier.sms.refuse_next(429, 20429)
        waits.append(await texts.messenger().send(texts.school_id, message))
    assert waits == [4.0, 12.0, 36.0, 108.0, None]
    assert ((await texts.row(message)).state, texts.sent) == ("failed", [])
    other = await texts.message("debrief:2")
    texts.carrier.sms.refuse_next(429, 20429)
    await texts.messenger().send(texts.school_id, other)
    assert await texts.messenger().send(texts.school_id, other) is None
    assert len(texts.sent) == 1


async def test_a_carrier_that_cannot_be_reached(texts: Texting) -> None:
    """A request that never left is simply tried again."""
    message = await texts.message()
    nowhere = elsewhere(texts.account, "http://127.0.0.1:9")
    assert await texts.messenger(account=nowhere).send(texts.school_id, message) == 4.0
    assert (await texts.row(message)).state == "new"
    assert await texts.messenger().send(texts.school_id, message) is None
    assert len(texts.sent) == 1


async def test_one_message_that_is_refused(texts: Texting) -> None:
    """A refusal of one message concerns no other."""
    first, second = await texts.message("debrief:1"), await texts.message("debrief:2")
    texts.carrier.sms.refuse_next(400, 21617, "too long")
    await texts.messenger().send(texts.school_id, first)
    await texts.messenger().send(texts.school_id, second)
    assert ((await texts.row(first)).state, (await texts.row(second)).state) == ("failed", "sent")


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, text="<html>sign in</html>"), httpx.Response(302), httpx.Response(201, json=[])]
)
async def test_an_answer_that_is_none(texts: Texting, answer: httpx.Response) -> None:
    """A page of somebody in between is no answer: the carrier is asked before anything is repeated."""
    message = await texts.message()

    async def somebody(request: httpx.Request) -> httpx.Response:
        return answer if request.method == "POST" else httpx.Response(503, text="busy")

    wait_s = await texts.messenger(transport=httpx.MockTransport(somebody)).send(texts.school_id, message)
    assert wait_s == 10.0
    assert (await texts.row(message)).state == "unknown"


async def test_a_server_that_never_ends(texts: Texting) -> None:
    """A request has an end, whatever the server does."""
    message = await texts.message()
    never = asyncio.Event()

    async def stuck(request: httpx.Request) -> httpx.Response:
        await never.wait()
        raise AssertionError

    messenger = texts.messenger(transport=httpx.MockTransport(stuck), total_s=0.05)
    assert await messenger.send(texts.school_id, message) == 10.0
    assert (await texts.row(message)).state == "unknown"


async def test_the_environment_does_not_reroute(texts: Texting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regions, edges, proxies and tokens of the environment change nothing: requests go where the account is."""
    for name, value in (
        ("TWILIO_REGION", "ie1"),
        ("TWILIO_EDGE", "dublin"),
        ("TWILIO_AUTH_TOKEN", "other"),
        ("HTTP_PROXY", "http://127.0.0.1:9"),
    ):
        monkeypatch.setenv(name, value)
    message = await texts.message()
    await texts.messenger().send(texts.school_id, message)
    assert len(texts.sent) == 1


async def test_no_number_and_no_words_reach_a_log(texts: Texting) -> None:
    """Whatever goes wrong, logs name messages by their identifiers."""
    with capture_logs() as logs:
        for n, code in enumerate((21610, 30034, 21617, 20429)):
            async with texts.database.school(texts.school_id) as session:
                await consents.opt_in(session, texts.keyring.hash_number(LEARNER))
            texts.carrier.sms.refuse_next(400, code, f"about {LEARNER}")
            message = await texts.message(f"debrief:{n}")
            await texts.messenger().send(texts.school_id, message)
    assert logs
    assert LEARNER[1:] not in str(logs)
    assert "café" not in str(logs)


# --- codes


@pytest.mark.parametrize(
    ("code", "status", "verdict"),
    [
        (20429, 429, Verdict.AGAIN),
        (99999, 429, Verdict.AGAIN),
        (21610, 400, Verdict.RECIPIENT),
        (21408, 403, Verdict.MESSAGE),
        (21612, 400, Verdict.MESSAGE),
        (12345, 400, Verdict.MESSAGE),
        (21659, 400, Verdict.SENDER),
        (20003, 401, Verdict.ACCOUNT),
        (401, 401, Verdict.ACCOUNT),
        (20404, 404, Verdict.ACCOUNT),
    ],
)
def test_refusals(code: int, status: int, verdict: Verdict) -> None:
    """Each code has its meaning; without one the HTTP status says enough."""
    assert message_codes.of_refusal(code, status) is verdict


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (30003, Verdict.AGAIN),
        (30005, Verdict.RECIPIENT),
        (30006, Verdict.RECIPIENT),
        (30007, Verdict.MESSAGE),
        (30008, Verdict.AGAIN),
        (30034, Verdict.SENDER),
        (30002, Verdict.ACCOUNT),
        (None, Verdict.MESSAGE),
    ],
)
def test_deliveries(code: int | None, verdict: Verdict) -> None:
    """Each code says whether another try makes sense, and for whom it is the last; without one nothing is repeated."""
    assert message_codes.of_delivery(code) is verdict


FINAL = (
    *(21211, 21212, 21214, 21217, 21408, 21606, 21659, 21608, 21610, 21612, 21614, 21617, 21703, 21704, 20003, 20404),
    *(30004, 30005, 30006, 30007, 30032, 30034, 30450),
)
"""What the carrier's documents call final (twilio.md §4.2)."""


@pytest.mark.parametrize("code", FINAL)
def test_final_codes_are_never_tried_again(code: int) -> None:
    """Neither when a message is refused nor when it does not arrive."""
    assert message_codes.of_refusal(code, 400) is not Verdict.AGAIN
    assert message_codes.of_delivery(code) is not Verdict.AGAIN


@pytest.mark.parametrize("code", [20003, 21606, 21659, 30032, 30034, 21703, 21704])
def test_codes_that_stop_more_than_one_message(code: int) -> None:
    """What only the operator can put in order stops the sender or the account, with advice."""
    assert message_codes.of_refusal(code, 400) in (Verdict.SENDER, Verdict.ACCOUNT)
    assert message_codes.advice(code).endswith(".")


@pytest.mark.parametrize("code", [30001, 30003, 30008, 30017, 30022])
def test_deliveries_that_may_be_tried_again(code: int) -> None:
    """A full queue, a handset that was off, a reason nobody knows, a busy network, too many in a second."""
    assert message_codes.of_delivery(code) is Verdict.AGAIN


def test_every_stop_has_advice() -> None:
    """What stops a sender or an account says what to do about it."""
    stops = [c for c in range(10_000, 64_000) if message_codes.of_refusal(c, 400) in (Verdict.SENDER, Verdict.ACCOUNT)]
    assert len(stops) > 10
    assert all(message_codes.advice(code).endswith(".") for code in stops)
