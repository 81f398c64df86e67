"""Whole calls over real sockets: webhooks, keys, prompts, endings, callbacks."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator

import pytest
from starlette.responses import RedirectResponse, Response
from twilio.request_validator import HMAC_SHA256, RequestValidator

from rehearsal.carrier import CallEnded, Carrier, CarrierComplaint, Faults, Phone, SharedKey, Signing
from rehearsal.g711 import decode
from rehearsal.report import CallResult
from tests.rehearsal.carrier_server import Answer, Received, Served, serving, twiml

ACCOUNT, TOKEN = "AC" + "0" * 32, "secret-token"
LINE, CALLER = "+15550100001", "+15550100002"


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    """A server to call; each test gives it its answers."""
    async with serving() as served:
        yield served


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    """A carrier whose prompts take next to no time."""
    async with make_carrier() as made:
        yield made


def make_carrier(**options: object) -> Carrier:
    """A carrier with the tests' account."""
    settings: dict[str, object] = {"speech_scale": 0.01, "timeout_scale": 0.02, "strict": False, **options}
    return Carrier(ACCOUNT, TOKEN, **settings)  # type: ignore[arg-type]


async def until_the_end(phone: Phone) -> None:
    """A caller who only listens."""
    await phone.wait_for("ended")


async def dial(carrier: Carrier, server: Served, answers: dict[str, Answer], **options: object) -> CallResult:
    """A call to ``/voice``; the caller listens unless told otherwise."""
    server.answers.update(answers)
    arguments: dict[str, object] = {"to": LINE, "from_": CALLER, "behave": until_the_end, **options}
    return await carrier.call(f"{server.url}/voice", **arguments)  # type: ignore[arg-type]


def codes(result: CallResult) -> list[int]:
    """The codes of a call's warnings."""
    return [alert.code for alert in result.warnings]


async def test_the_first_webhook_is_what_the_documentation_shows(carrier: Carrier, server: Served) -> None:
    """A signed form with every parameter, blank ones too, with the documented headers and CallStatus ringing."""
    result = await dial(
        carrier,
        server,
        {"/voice": twiml("<Hangup/>")},
        stir="TN-Validation-Passed-A",
        extra_params={"SipHeader_X-Über": ""},
    )
    (request,) = server.received
    assert request.fields.items() >= {
        "AccountSid": ACCOUNT, "CallSid": result.sid, "CallStatus": "ringing", "Direction": "inbound",
        "ApiVersion": "2010-04-01", "From": CALLER, "Caller": CALLER, "To": LINE, "Called": LINE, "ToCity": "",
        "FromCountry": "US", "CallerZip": "", "StirVerstat": "TN-Validation-Passed-A", "SipHeader_X-Über": "",
    }.items()  # fmt: skip
    headers = request.headers
    assert headers["content-type"] == "application/x-www-form-urlencoded; charset=UTF-8"
    assert headers["user-agent"] == "TwilioProxy/1.1"
    assert headers["i-twilio-idempotency-token"]
    assert RequestValidator(TOKEN).validate(request.url, request.fields, headers["x-twilio-signature"])
    assert (result.ended_by, result.status, result.billed_minutes) == ("script", "completed", 1)


async def test_a_sip_call_says_who_authenticated(carrier: Carrier, server: Served) -> None:
    """By a SIP domain the webhooks name it and the credentials used; the caller's own headers are marked as such."""
    document: dict[str, Answer] = {"/voice": twiml("<Redirect>/next</Redirect>"), "/next": twiml("<Hangup/>")}
    phone = {"to": "sip:practice@School.sip.example.com;transport=tls", "from_": "sip:ana@school.sip.example.com"}
    forged = {"SipHeader_X-SipUsername": "luis"}
    await dial(carrier, server, document, **phone, credential="ana", extra_params=forged)
    first, second = server.received
    for request in (first, second):
        assert request.fields.items() >= {
            "To": phone["to"], "From": phone["from_"], "FromCountry": "", "SipDomain": "school.sip.example.com",
            "SipUsername": "ana", "SipHeader_X-SipUsername": "luis",
        }.items()  # fmt: skip
        assert RequestValidator(TOKEN).validate(request.url, request.fields, request.headers["x-twilio-signature"])
    assert first.fields["SipDomainSid"] == second.fields["SipDomainSid"]
    await dial(carrier, server, document, **phone)
    assert "SipUsername" not in server.received[-1].fields, "let in by its network address alone"
    await dial(carrier, server, document, credential="ana")
    assert not any(name.startswith("Sip") for name in server.received[-1].fields)


@pytest.mark.parametrize("how", [Signing.WRONG, Signing.MISSING])
async def test_a_bad_signature_is_bad(carrier: Carrier, server: Served, how: Signing) -> None:
    """A wrong or missing signature does not pass the official validator, and the server's 403 fails the call."""

    def judge(request: Received) -> Response:
        made = request.headers.get("x-twilio-signature", "")
        valid = RequestValidator(TOKEN).validate(request.url, request.fields, made)
        return Response(twiml("<Hangup/>"), 200 if valid else 403, media_type="text/xml")

    result = await dial(carrier, server, {"/voice": judge}, signing=how)
    assert (result.ended_by, codes(result)) == ("error", [11200])
    assert (await dial(carrier, server, {"/voice": judge})).ended_by == "script"


async def test_the_public_address_is_signed_while_the_proxy_is_used(server: Served) -> None:
    """Behind a proxy the https address is asked for and signed without its port; the bytes go to the server."""
    public = "https://voice.example.org:8443"
    key = SharedKey("k1", "s3cret")
    async with make_carrier(proxy={public: server.url}, shared_key=key) as carrier:
        server.answers["/voice"] = twiml("<Hangup/>")
        for how in (Signing.SHA1, Signing.PORT_443, Signing.SHA256_SHARED_KEY):
            await carrier.call(f"{public}/voice", to=LINE, from_=CALLER, behave=until_the_end, signing=how)
    sha1, port, sha256 = (request.headers["x-twilio-signature"] for request in server.received)
    forms = [request.fields for request in server.received]
    assert sha1 == RequestValidator(TOKEN).compute_signature("https://voice.example.org/voice", forms[0])
    assert port == RequestValidator(TOKEN).compute_signature("https://voice.example.org:8443/voice", forms[1])
    expected = RequestValidator("s3cret").compute_signature("https://voice.example.org/voice", forms[2], HMAC_SHA256)
    assert sha256 == expected
    assert server.received[0].headers["host"] == "voice.example.org:8443"
    assert server.received[0].headers["x-forwarded-proto"] == "https"


async def test_a_menu_by_keys(carrier: Carrier, server: Served) -> None:
    """A key interrupts the prompt, is posted at once with numDigits 1 to the relative action, and cookies come back."""
    voice = Response(twiml('<Gather numDigits="1" action="menu?step=1"><Say>Press one</Say><Say>or two</Say></Gather>'))
    voice.headers["Content-Type"] = "text/xml"
    voice.set_cookie("seen", "yes")

    async def press(phone: Phone) -> None:
        await phone.wait_for("gather")
        assert phone.hears.prompt is None or phone.hears.prompt == "Press one"
        await phone.press("2")
        await phone.wait_for("ended")

    result = await dial(carrier, server, {"/voice": voice, "/menu": twiml("<Say>Two</Say>", "<Hangup/>")}, behave=press)
    (menu,) = server.at("/menu")
    assert menu.url.endswith("/menu?step=1")
    assert menu.fields.items() >= {"Digits": "2", "CallStatus": "in-progress", "msg": "Gather End"}.items()
    assert menu.headers["cookie"] == "seen=yes"
    assert [event.text for event in result.events("say")][-1] == "Two"
    assert "or two" not in [event.text for event in result.events("say")]


@pytest.mark.parametrize(
    ("gather", "keys", "digits"),
    [
        ('numDigits="3"', "1234", "123"),
        ("", "12#", "12"),
        ('finishOnKey="*"', "1#*", "1#"),
        ('finishOnKey="" numDigits="2"', "#*", "#*"),
        ("", "12", "12"),
        ('actionOnEmptyResult="true"', "", ""),
        ('actionOnEmptyResult="true"', "#", ""),
    ],
)
async def test_what_gather_collects(carrier: Carrier, server: Served, gather: str, keys: str, digits: str) -> None:
    """numDigits, finishOnKey, the pause after a key and the empty result end a Gather as documented."""

    async def press(phone: Phone) -> None:
        await phone.wait_for("gather")
        if keys:
            await phone.press(keys)
        await phone.wait_for("ended")

    answers: dict[str, Answer] = {"/voice": twiml(f'<Gather action="/done" {gather}/>'), "/done": twiml()}
    await dial(carrier, server, answers, behave=press)
    (done,) = server.at("/done")
    assert done.fields["Digits"] == digits


@pytest.mark.parametrize("keys", ["", "#"])
async def test_no_input_falls_through(carrier: Carrier, server: Served, keys: str) -> None:
    """Without a key, or with nothing but the finishing one, the next verb follows and nothing is posted."""

    async def press(phone: Phone) -> None:
        if keys:
            await phone.wait_for("gather")
            await phone.press(keys)
        await phone.wait_for("ended")

    document = twiml('<Gather action="/done"><Say>Well?</Say></Gather>', "<Say>Goodbye</Say>")
    result = await dial(carrier, server, {"/voice": document}, behave=press)
    assert server.at("/done") == []
    assert [event.text for event in result.events("say")][-1] == "Goodbye"


async def test_keys_nobody_waits_for_are_lost(carrier: Carrier, server: Served) -> None:
    """A key outside Gather and stream reaches nobody, and the transcript says so."""

    async def press(phone: Phone) -> None:
        await phone.wait_for("pause")
        await phone.press("5")
        await phone.wait_for("ended")

    result = await dial(carrier, server, {"/voice": twiml('<Pause length="10"/>')}, behave=press)
    (key,) = result.events("key")
    assert key.data["heard_by"] is None


async def test_redirects_keep_ringing_and_rejects_cost_nothing(carrier: Carrier, server: Served) -> None:
    """Redirect does not answer; Reject as first verb ends an unanswered call, unbilled, busy or no-answer."""
    answers: dict[str, Answer] = {
        "/voice": twiml("<Redirect>door</Redirect>"),
        "/door": twiml('<Reject reason="busy"/>'),
        "/status": Response(status_code=204),
    }
    result = await dial(carrier, server, answers, status_callback=f"{server.url}/status")
    assert server.at("/door")[0].fields["CallStatus"] == "ringing"
    assert (result.ended_by, result.status, result.billed_minutes, result.answered_ms) == ("rejected", "busy", 0, None)
    assert server.at("/status")[0].fields["CallStatus"] == "busy"
    answers["/door"] = twiml("<Reject/>")
    assert (await dial(carrier, server, answers)).status == "no-answer"


async def test_the_last_callback(carrier: Carrier, server: Served) -> None:
    """When the caller hangs up the status callback says completed, with the duration, signed, as often as told."""

    async def hang_up(phone: Phone) -> None:
        await phone.wait_for("answered")
        await phone.hang_up()

    result = await dial(
        carrier,
        server,
        {"/voice": twiml('<Pause length="600"/>'), "/status": Response(status_code=204)},
        behave=hang_up,
        status_callback=f"{server.url}/status",
        faults=Faults(status_times=2),
    )
    first, second = server.at("/status")
    assert first.form == second.form
    assert first.fields.items() >= {
        "CallStatus": "completed", "CallDuration": "0", "CallSid": result.sid, "SequenceNumber": "0",
        "CallbackSource": "call-progress-events",
    }.items()  # fmt: skip
    assert "Timestamp" in first.fields
    assert RequestValidator(TOKEN).validate(first.url, first.fields, first.headers["x-twilio-signature"])
    assert (result.ended_by, result.status) == ("caller", "completed")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response("oops", 500), 11200),
        ("<Response><Say>a & b</Say></Response>", 12100),
        (Response('{"a":1}', media_type="application/json"), 12300),
    ],
)
async def test_failures_go_to_the_fallback(carrier: Carrier, server: Served, answer: Answer, code: int) -> None:
    """A bad status, bad XML or a bad type leads to the fallback URL with ErrorCode; without one, to an apology."""
    answers: dict[str, Answer] = {"/voice": answer, "/down": twiml("<Say>The line is down</Say>")}
    result = await dial(carrier, server, answers, fallback_url=f"{server.url}/down")
    (down,) = server.at("/down")
    assert down.fields.items() >= {"ErrorCode": str(code), "ErrorUrl": f"{server.url}/voice"}.items()
    assert (codes(result), result.ended_by) == ([code], "script")
    alone = await dial(carrier, server, answers)
    assert alone.ended_by == "error"
    assert alone.events("say")[-1].data["application_error"] is True


async def test_a_dead_server_is_tried_twice(carrier: Carrier) -> None:
    """No connection is tried once more with the same idempotency token, then it is 11205."""
    result = await carrier.call("http://127.0.0.1:9/voice", to=LINE, from_=CALLER, behave=until_the_end)
    assert [exchange.attempt for exchange in result.webhooks] == [0, 1]
    assert len({exchange.headers["i-twilio-idempotency-token"] for exchange in result.webhooks}) == 1
    assert (codes(result), result.ended_by) == ([11205], "error")


async def test_a_slow_server_is_given_up(server: Served) -> None:
    """An answer later than the ceiling is no answer: 11200, and no second attempt by default."""
    never = asyncio.Event()

    async def hang(request: Received) -> Response:
        await never.wait()
        return Response()

    async with make_carrier(webhook_timeout_s=0.15) as carrier:
        result = await dial(carrier, server, {"/voice": lambda request: hang(request)})
        never.set()
    assert (codes(result), len(server.received)) == ([11200], 1)
    assert result.webhooks[0].error == "no answer in time"


async def test_url_options_are_obeyed_and_not_sent(carrier: Carrier, server: Served) -> None:
    """Behind # stand retries, and on what: they take effect, and are neither sent nor signed."""
    server.answers["/voice"] = Response("busy", 503)
    await carrier.call(f"{server.url}/voice#rc=3&rp=5xx", to=LINE, from_=CALLER, behave=until_the_end)
    assert [request.url for request in server.received] == [f"{server.url}/voice"] * 4
    request = server.received[-1]
    assert RequestValidator(TOKEN).validate(request.url, request.fields, request.headers["x-twilio-signature"])


async def test_http_redirects_are_followed_ten_times(carrier: Carrier, server: Served) -> None:
    """A moved webhook is asked again, signed for its new place; an endless one is 11215."""
    answers: dict[str, Answer] = {"/voice": RedirectResponse("/moved", 307), "/moved": twiml("<Hangup/>")}
    assert (await dial(carrier, server, answers)).ended_by == "script"
    (moved,) = server.at("/moved")
    assert moved.method == "POST"
    assert RequestValidator(TOKEN).validate(moved.url, moved.fields, moved.headers["x-twilio-signature"])
    result = await dial(carrier, server, {"/voice": RedirectResponse("/voice", 302)})
    assert codes(result) == [11215]
    assert len(server.at("/voice")) == 1 + 11


async def test_documents_that_only_redirect_end_some_day(carrier: Carrier, server: Served) -> None:
    """Two documents that redirect to each other for ever are stopped with an error instead of spinning."""
    loop: dict[str, Answer] = {"/voice": twiml("<Redirect>/b</Redirect>"), "/b": twiml("<Redirect>/voice</Redirect>")}
    assert (await dial(carrier, server, loop)).ended_by == "error"


async def test_say_is_heard_when_it_has_a_voice(server: Served) -> None:
    """With a voice, prompts are sound on the line and in the recording, and a key cuts them off."""

    def voice(text: str, locale: str) -> bytes:
        assert (text, locale) == ("Hola", "es-ES")
        return decode(b"\x20" * 8000)

    async def press(phone: Phone) -> None:
        started_ms = await phone.hear_speech()
        while phone.now_ms < started_ms + 100:
            await phone.pause(0.02)
        await phone.press("1")
        await phone.wait_for("ended")

    async with make_carrier(say_voice=voice) as carrier:
        say = '<Say voice="Polly.Lucia-Neural" language="es-ES">Hola</Say>'
        answers: dict[str, Answer] = {
            "/voice": twiml(f'<Gather numDigits="1" action="/done">{say}</Gather>'),
            "/done": twiml('<Pause length="5"/>'),
        }
        result = await dial(carrier, server, answers, behave=press)
    heard = sum(result.recording.audible("line")) * 20
    assert 80 <= heard <= 400


async def test_played_files_are_heard(carrier: Carrier, server: Served) -> None:
    """A WAV file behind Play sounds on the line at its real length; a missing one is an error and the call goes on."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(decode(b"\x20" * 1600))
    answers: dict[str, Answer] = {
        "/voice": twiml("<Play>clip.wav</Play>", "<Play>gone.wav</Play>", "<Say>Done</Say>"),
        "/clip.wav": Response(file.getvalue(), media_type="audio/wav"),
    }
    result = await dial(carrier, server, answers)
    assert sum(result.recording.audible("line")) * 20 in range(200, 260)
    assert codes(result) == [11200]
    assert result.events("say")[-1].text == "Done"


async def test_a_caller_who_wants_more_than_the_call_gives(carrier: Carrier, server: Served) -> None:
    """Waiting for what can no longer happen raises CallEnded out of the call, with the result attached."""

    async def wait(phone: Phone) -> None:
        await phone.wait_for("stream")

    with pytest.raises(CallEnded, match="before 'stream'") as caught:
        await dial(carrier, server, {"/voice": twiml("<Hangup/>")}, behave=wait)
    assert caught.value.result is not None
    assert caught.value.result.ended_by == "script"


async def test_a_caller_who_breaks_down_hangs_up(carrier: Carrier, server: Served) -> None:
    """An error of the caller's behaviour ends the call properly and is raised unchanged."""

    async def fail(phone: Phone) -> None:
        await phone.wait_for("answered")
        raise LookupError("where am I")

    with pytest.raises(LookupError, match="where am I"):
        await dial(carrier, server, {"/voice": twiml('<Pause length="600"/>')}, behave=fail)
    (call,) = carrier.calls.values()
    assert (call.status, call.ended_by) == ("completed", "caller")


async def test_time_is_limited(carrier: Carrier, server: Served) -> None:
    """A call is ended by the carrier when its time is over."""
    result = await dial(carrier, server, {"/voice": twiml('<Pause length="600"/>')}, time_limit_s=0.1)
    assert result.ended_by == "time-limit"


async def test_a_strict_carrier_fails_on_leaving(server: Served) -> None:
    """Broken protocol in any call raises CarrierComplaint when a strict carrier is left."""
    with pytest.raises(CarrierComplaint, match="12200"):
        async with make_carrier(strict=True) as carrier:
            await dial(carrier, server, {"/voice": twiml("<Speak>hi</Speak>")})
