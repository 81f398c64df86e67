"""The REST API, judged by the carrier's own client; and text messages both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from rehearsal.carrier import Carrier, Phone
from rehearsal.messages import is_gsm7, segments
from tests.rehearsal.carrier_server import STREAM, Served, messages, serving, twiml

ACCOUNT, TOKEN = "AC" + "0" * 32, "secret-token"
LINE, CALLER = "+15550100001", "+15550100002"


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    """A server whose calls last until somebody ends them."""
    async with serving({"/voice": twiml('<Pause length="600"/>'), "/status": Response(status_code=204)}) as served:
        yield served


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    """A carrier with the tests' account."""
    async with Carrier(ACCOUNT, TOKEN, strict=False) as made:
        yield made


async def ask(carrier: Carrier, question: Callable[[Any], Any]) -> Any:
    """Asks the API with the official client, in a thread because that client blocks."""

    def answer() -> Any:
        client = Client(ACCOUNT, TOKEN, environment={"_": "1"})
        client.api.base_url = carrier.rest_url
        try:
            return question(client)
        finally:
            client.http_client.session.close()

    return await asyncio.to_thread(answer)


async def refused(carrier: Carrier, question: Callable[[Any], object]) -> tuple[int, int]:
    """The HTTP status and the code with which the API refuses a question."""
    with pytest.raises(TwilioRestException) as caught:
        await ask(carrier, question)
    return caught.value.status, caught.value.code


async def test_a_call_is_ended_over_rest(carrier: Carrier, server: Served) -> None:
    """completed ends a call; the caller's stream hears stop, and the API shows the end; a second time is refused."""
    events: list[str] = []

    async def handle(socket: Any) -> None:
        await socket.accept()
        async for message in messages(socket):
            events.append(message["event"])

    server.media = handle
    server.answers["/voice"] = twiml(STREAM)

    async def behave(phone: Phone) -> None:
        await phone.wait_for("stream")
        shown = await ask(carrier, lambda client: client.calls(phone.sid).fetch())
        assert (shown.status, shown.duration) == ("in-progress", None)
        await ask(carrier, lambda client: client.calls(phone.sid).update(status="completed"))
        await phone.wait_for("ended")

    result = await carrier.call(f"{server.url}/voice", to=LINE, from_=CALLER, behave=behave)
    assert result.ended_by == "rest"
    assert events[-1] == "stop"
    shown = await ask(carrier, lambda client: client.calls(result.sid).fetch())
    assert (shown.status, shown._from, shown.to) == ("completed", CALLER, LINE)
    assert shown.duration == str(round(result.duration_s))
    assert shown.end_time is not None
    again = await refused(carrier, lambda client: client.calls(result.sid).update(status="completed"))
    assert again == (400, 21220)
    assert await refused(carrier, lambda client: client.calls("CA" + "f" * 32).fetch()) == (404, 20404)
    assert [call.sid for call in await ask(carrier, lambda client: client.calls.list(to=LINE))] == [result.sid]


async def test_a_call_s_record_is_deleted_once_it_is_over(carrier: Carrier, server: Served) -> None:
    """While the call goes on that is refused with 20009; afterwards neither the call nor its list shows it."""

    async def behave(phone: Phone) -> None:
        await phone.wait_for("pause")
        assert await refused(carrier, lambda client: client.calls(phone.sid).delete()) == (409, 20009)

    result = await carrier.call(f"{server.url}/voice", to=LINE, from_=CALLER, behave=behave)
    assert await ask(carrier, lambda client: client.calls(result.sid).delete())
    assert await refused(carrier, lambda client: client.calls(result.sid).delete()) == (404, 20404)
    assert await ask(carrier, lambda client: client.calls.list(to=LINE)) == []


async def test_a_message_s_record_is_deleted_once_it_is_sent(carrier: Carrier, server: Served) -> None:
    """A message on which the carrier is still at work is refused with 20009, as the official client sees it."""
    shown = carrier.sms.create({"To": CALLER, "From": LINE, "Body": "¡Hola!"}).message
    assert await refused(carrier, lambda client: client.messages(shown.sid).delete()) == (409, 20009)
    shown.status = "sent"
    assert await ask(carrier, lambda client: client.messages(shown.sid).delete())


async def test_a_call_is_sent_elsewhere_over_rest(carrier: Carrier, server: Served) -> None:
    """Another URL or another document takes over; relative addresses in such a document fail the call."""
    server.answers["/other"] = twiml('<Pause length="600"/>')

    async def behave(phone: Phone) -> None:
        await phone.wait_for("pause")
        await ask(carrier, lambda client: client.calls(phone.sid).update(url=f"{server.url}/other"))
        await phone.wait_for("pause")
        document = twiml("<Say>Bye</Say>", "<Redirect>/relative</Redirect>")
        await ask(carrier, lambda client: client.calls(phone.sid).update(twiml=document))
        await phone.wait_for("ended")

    result = await carrier.call(f"{server.url}/voice", to=LINE, from_=CALLER, behave=behave)
    assert len(server.at("/other")) == 1
    assert result.events("say")[-1].text == "Bye"
    assert (result.ended_by, result.warnings[-1].code) == ("error", 11100)


async def test_only_the_account_may_ask(carrier: Carrier) -> None:
    """Wrong credentials are 401 with code 20003, other accounts and unknown paths 404, in the documented JSON."""
    base = f"{carrier.rest_url}/2010-04-01/Accounts"
    async with httpx.AsyncClient(trust_env=False) as client:
        wrong = await client.get(f"{base}/{ACCOUNT}/Messages.json", auth=(ACCOUNT, "wrong"))
        other = await client.get(f"{base}/AC{'1' * 32}/Messages.json", auth=(ACCOUNT, TOKEN))
        lost = await client.get(f"{base}/{ACCOUNT}/Conferences.json", auth=(ACCOUNT, TOKEN))
    assert (wrong.status_code, wrong.json()) == (
        401,
        {
            "code": 20003,
            "message": "Authenticate",
            "more_info": "https://www.twilio.com/docs/errors/20003",
            "status": 401,
        },
    )
    assert (other.status_code, other.json()["code"]) == (404, 20404)
    assert (lost.status_code, lost.json()["code"]) == (404, 20404)


async def test_a_message_is_sent_and_reported(carrier: Carrier, server: Served) -> None:
    """A message is queued, counted, delivered, reported to its signed callback, found again, and can be redacted."""
    sent = await ask(
        carrier,
        lambda client: client.messages.create(
            to=CALLER, from_=LINE, body="¡Así se habla!", status_callback=f"{server.url}/status"
        ),
    )
    assert (sent.status, sent.num_segments, sent.direction, sent.error_code) == ("queued", "1", "outbound-api", None)
    (message,) = await carrier.wait_for_message(CALLER)
    assert message.body == "¡Así se habla!"
    found = await ask(carrier, lambda client: client.messages.list(to=CALLER, from_=LINE))
    assert [(one.sid, one.status) for one in found] == [(sent.sid, "delivered")]
    redacted = await ask(carrier, lambda client: client.messages(sent.sid).update(body=""))
    assert redacted.body == ""
    assert await ask(carrier, lambda client: client.messages(sent.sid).delete())
    assert await refused(carrier, lambda client: client.messages(sent.sid).fetch()) == (404, 20404)


async def test_reports_may_come_in_any_order(server: Served) -> None:
    """Status callbacks are signed and come as told: out of order and more than once."""
    async with Carrier(ACCOUNT, TOKEN) as carrier:
        carrier.sms.reports = ("delivered", "sent", "sent")
        await ask(
            carrier,
            lambda client: client.messages.create(
                to=CALLER, from_=LINE, body="hi", status_callback=f"{server.url}/status"
            ),
        )
    reports = server.at("/status")
    assert [report.fields["MessageStatus"] for report in reports] == ["delivered", "sent", "sent"]
    signature = reports[0].headers["x-twilio-signature"]
    assert RequestValidator(TOKEN).validate(reports[0].url, reports[0].fields, signature)


async def test_mishaps_on_demand(carrier: Carrier, server: Served) -> None:
    """The API can be busy, break, take a message and say nothing, or fail to deliver an unregistered sender's."""

    def create(client: Any) -> Any:
        return client.messages.create(to=CALLER, from_=LINE, body="hi", status_callback=f"{server.url}/status")

    carrier.sms.refuse_next()
    assert await refused(carrier, create) == (429, 20429)
    carrier.sms.refuse_next(500, 20500, "Internal Server Error")
    assert await refused(carrier, create) == (500, 20500)
    assert carrier.messages == []
    carrier.sms.swallow_next()
    async with httpx.AsyncClient(auth=(ACCOUNT, TOKEN), trust_env=False) as client:
        url = f"{carrier.rest_url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        with pytest.raises(httpx.ReadTimeout):
            await client.post(url, data={"To": CALLER, "From": LINE, "Body": "hi"}, timeout=0.2)
    assert len(carrier.messages) == 1
    carrier.sms.fail_next(30034)
    failed = await ask(carrier, create)
    assert failed.status == "queued"
    shown = await ask(carrier, lambda client: client.messages(failed.sid).fetch())
    assert (shown.status, shown.error_code) == ("undelivered", 30034)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": "5550100", "from_": LINE, "body": "hi"}, 21211),
        ({"to": CALLER, "body": "hi"}, 21603),
        ({"to": CALLER, "from_": LINE}, 21602),
        ({"to": CALLER, "from_": LINE, "body": "a" * 1601}, 21617),
    ],
)
async def test_messages_the_api_refuses(carrier: Carrier, fields: dict[str, str], code: int) -> None:
    """A bad number, no sender, no text and too much of it each have their documented code."""
    assert await refused(carrier, lambda client: client.messages.create(**fields)) == (400, code)


async def test_a_messaging_service_hides_the_sender(carrier: Carrier) -> None:
    """Over a service a message is accepted first, with no sender and no count yet."""
    sent = await ask(
        carrier, lambda client: client.messages.create(to=CALLER, messaging_service_sid="MG" + "0" * 32, body="hi")
    )
    assert (sent.status, sent.from_, sent.num_segments) == ("accepted", None, "0")


async def test_stop_and_start(carrier: Carrier, server: Served) -> None:
    """STOP is answered and blocks the sender (21610) before the server hears of it; START opens the way again."""
    server.answers["/sms"] = twiml()

    async def text(body: str) -> list[str]:
        result = await carrier.text(f"{server.url}/sms", from_=CALLER, to=LINE, body=body)
        return [reply.body[:25] for reply in result.replies]

    assert await text(" stop ") == ["You have successfully bee"]
    received = server.at("/sms")[0]
    assert received.fields.items() >= {
        "Body": " stop ", "From": CALLER, "To": LINE, "SmsStatus": "received", "NumMedia": "0", "FromCity": "",
    }.items()  # fmt: skip
    signature = received.headers["x-twilio-signature"]
    assert RequestValidator(TOKEN).validate(received.url, received.fields, signature)

    def create(client: Any) -> Any:
        return client.messages.create(to=CALLER, from_=LINE, body="hi")

    assert await refused(carrier, create) == (400, 21610)
    server.answers["/sms"] = twiml("<Message>You are out</Message>")
    await text("STOP")
    assert [alert.code for alert in carrier.warnings] == [21610]
    assert await text("start") == ["You have successfully bee", "You are out"]
    assert (await ask(carrier, create)).status == "queued"
    assert (await text("hello")) == ["You are out"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("á" + "a" * 69, 1),
        ("á" + "a" * 70, 2),
        ("á" * 134, 2),
        ("á" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 67, 3),
    ],
)
def test_segments(text: str, count: int) -> None:
    """160 or 153 units of GSM-7, 70 or 67 of UCS-2; extended characters and emoji count two and are not torn."""
    assert segments(text) == count


def test_which_accents_are_cheap() -> None:
    """é ñ ü ¿ ¡ are in GSM-7; á í ó ú ç are not."""
    assert is_gsm7("¿Qué? ¡Señor, pingüino! àèìòù ß Ä")
    assert not any(is_gsm7(character) for character in "áíóúçãõ„“’")
