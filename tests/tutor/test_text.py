"""The text model's client: what it asks, what it reads, when it tries again, and how long it waits for anything."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.realtime import RealtimeServer
from rehearsal.realtime_script import Script, TextAnswer
from tutor.realtime import retry
from tutor.realtime.pricing import prices
from tutor.realtime.text import (
    MORE_TOKENS,
    TRY_LIMIT_S,
    TextFailed,
    TextIncomplete,
    TextModel,
    TextRefused,
    TextUnavailable,
    TextUsage,
    Written,
)

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}
Answer = httpx.Response | Exception


def message(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A message item."""
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": parts, **fields}


def said(text: str) -> dict[str, Any]:
    """A part of a message that is text."""
    return {"type": "output_text", "text": text, "annotations": []}


def reply(*items: dict[str, Any], status: str = "completed", **fields: Any) -> httpx.Response:
    """A 200 of the Responses API: 100 tokens read, 40 of them from the cache, 10 written."""
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 110,
    }
    body = {"id": "resp_1", "object": "response", "status": status, "output": items, "usage": usage, "error": None}
    return httpx.Response(200, json={**body, **fields})


def refused(status: int, code: str | None = None, kind: str | None = None, **headers: str) -> httpx.Response:
    """An error of the API; header names with underscores."""
    error = {"message": "The learner said: quiero un café.", "type": kind, "param": None, "code": code}
    return httpx.Response(
        status, json={"error": error}, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


GOOD = reply(message(said('{"word": "café"}')))


class Server:
    """A server that gives its answers one by one, the last one for ever, on a clock that only waiting moves."""

    def __init__(self, *answers: Answer, takes_s: float = 0.0) -> None:
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[httpx.Headers] = []
        self.waits: list[float] = []
        self.time_s = 1_000.0
        self.takes_s = takes_s

    def _handle(self, request: httpx.Request) -> httpx.Response:
        assert (request.method, str(request.url)) == ("POST", "https://api.example/v1/responses")
        self.bodies.append(json.loads(request.content))
        self.headers.append(request.headers)
        self.time_s += self.takes_s
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time_s += seconds

    async def answer(self, *, model: str = "gpt-6-luna", timeout_s: float = 300.0, **fields: Any) -> Written:
        """Asks this server."""
        async with httpx.AsyncClient(transport=httpx.MockTransport(self._handle)) as client:
            asked = TextModel(
                client,
                "https://api.example/v1/",
                "sk-test",
                model,
                sleep=self._sleep,
                clock=lambda: self.time_s,
                now=lambda: NOW,
                chance=lambda: 0.0,
            )
            return await ask(asked, timeout_s=timeout_s, **fields)


async def ask(model: TextModel, **fields: Any) -> Written:
    """Asks for a word."""
    given: dict[str, Any] = {
        "instructions": "Be kind.",
        "input_text": "Hola.",
        "schema_name": "word",
        "schema": SCHEMA,
        "max_output_tokens": 200,
        "metadata": {"call": "1"},
    }
    return await model.answer(**{**given, **fields})


# --- what is asked and read


async def test_a_question_asks_for_strict_json_and_leaves_nothing_at_the_server() -> None:
    """The body holds the strict schema and ``store: false``; models that think are asked to think little."""
    server = Server(GOOD)
    assert (await server.answer()).data == {"word": "café"}
    assert server.bodies == [
        {
            "model": "gpt-6-luna",
            "instructions": "Be kind.",
            "input": "Hola.",
            "text": {"format": {"type": "json_schema", "name": "word", "strict": True, "schema": SCHEMA}},
            "max_output_tokens": 200,
            "store": False,
            "metadata": {"call": "1"},
            "reasoning": {"effort": "low"},
        }
    ]
    assert server.headers[0]["authorization"] == "Bearer sk-test"
    assert server.headers[0]["content-type"] == "application/json"


async def test_models_that_do_not_think_are_not_asked_to() -> None:
    """The field ``reasoning`` is an error for them."""
    server = Server(GOOD)
    await server.answer(model="gpt-4.1-mini")
    assert "reasoning" not in server.bodies[0]


async def test_an_answer_is_read_from_its_items() -> None:
    """Thinking, comments and the client's ``output_text`` are no part of it; a text in several parts is one."""
    server = Server(
        reply(
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": None},
            message(said("Let me see."), phase="commentary"),
            message(said('{"word": '), said('"té"}'), phase="final_answer"),
            output_text='{"word": "no"}',
        )
    )
    assert (await server.answer()).data == {"word": "té"}


async def test_an_answer_knows_what_it_cost() -> None:
    """60 fresh, 40 cached and 10 written tokens at 0.10, 0.01 and 0.50 micro-dollars, rounded up."""
    written = await Server(GOOD).answer()
    assert written.usage == TextUsage(100, 40, 10)
    assert written.cost() == 12
    assert written.cost(prices()) == 12
    assert (await Server(GOOD).answer(model="gpt-9")).cost() is None
    assert TextUsage().cost("gpt-9") == 0


async def test_what_went_into_the_cache_is_paid_for() -> None:
    """Of 10,000 tokens 4,000 came from the cache and 4,000 were written into it, at 1.25 times the input."""
    usage = {
        "input_tokens": 10_000,
        "input_tokens_details": {"cached_tokens": 4_000, "cache_write_tokens": 4_000},
        "output_tokens": 10,
    }
    written = await Server(reply(message(said('{"word": "café"}')), usage=usage)).answer()
    assert written.usage == TextUsage(10_000, 4_000, 10, cache_write_tokens=4_000)
    assert written.cost() == 200 + 40 + 500 + 5
    assert (written.usage + written.usage).cache_write_tokens == 8_000


async def test_a_refusal_is_told_apart_and_not_argued_with() -> None:
    """One question, no second one, and the tokens are billed."""
    server = Server(reply(message({"type": "refusal", "refusal": "I can't."})))
    with pytest.raises(TextRefused) as caught:
        await server.answer()
    assert len(server.bodies) == 1
    assert caught.value.usage == TextUsage(100, 40, 10)


async def test_an_answer_that_did_not_fit_is_asked_for_once_more_with_more_room() -> None:
    """The second try has three times the tokens; both are billed."""
    cut = reply(message(said('{"wo')), status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    server = Server(cut, GOOD)
    written = await server.answer()
    assert written.data == {"word": "café"}
    assert [body["max_output_tokens"] for body in server.bodies] == [200, 200 * MORE_TOKENS]
    assert written.usage == TextUsage(200, 80, 20)

    server = Server(cut)
    with pytest.raises(TextIncomplete) as caught:
        await server.answer()
    assert len(server.bodies) == 2
    assert caught.value.usage == TextUsage(200, 80, 20)


async def test_what_the_content_filter_cut_is_not_asked_for_again() -> None:
    """More room would not help."""
    server = Server(reply(status="incomplete", incomplete_details={"reason": "content_filter"}))
    with pytest.raises(TextIncomplete, match="content_filter"):
        await server.answer()
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "broken",
    [
        reply(message(said("no json"))),
        reply(message(said("[1]"))),
        reply(message()),
        reply(status="cancelled"),
        reply(status="failed", error={"code": "invalid_prompt", "message": "no"}),
    ],
)
async def test_an_unusable_answer_fails_with_one_sentence(broken: httpx.Response) -> None:
    """Whatever a 200 holds, the caller meets one kind of error, and the tokens are billed."""
    server = Server(broken)
    with pytest.raises(TextFailed, match=r"^The text model.*\.$") as caught:
        await server.answer()
    assert not isinstance(caught.value, TextUnavailable)
    assert len(server.bodies) == 1
    assert caught.value.usage.output_tokens == 10


@pytest.mark.parametrize("page", [b"<html>Welcome</html>", b"[]", b'{"status": 1}', b"\xff\xfe"])
async def test_something_else_than_a_response_points_at_the_address(page: bytes) -> None:
    """A wrong base URL often answers 200 with a page."""
    with pytest.raises(TextUnavailable, match="OPENAI_BASE_URL") as caught:
        await Server(httpx.Response(200, content=page)).answer()
    assert not caught.value.again


# --- trying again


@pytest.mark.parametrize(
    "passing",
    [
        refused(408),
        refused(409),
        refused(429, "rate_limit_exceeded", "tokens"),
        refused(429),
        refused(500, None, "server_error"),
        refused(503),
        httpx.Response(502, content=b"<html>Bad gateway</html>"),
        refused(400, x_should_retry="true"),
        httpx.ConnectError("no route"),
        httpx.ReadTimeout("silence"),
        httpx.RemoteProtocolError("it hung up"),
        reply(status="failed", error={"code": "server_error", "message": "sorry"}),
        reply(status="failed", error={"code": "rate_limit_exceeded", "message": "slowly"}),
    ],
)
async def test_passing_trouble_is_tried_again_twice(passing: Answer) -> None:
    """Half a second, then a whole one; the third failure is the last."""
    server = Server(passing, passing, GOOD)
    assert (await server.answer()).data == {"word": "café"}
    assert server.waits == [0.5, 1.0]

    server = Server(passing)
    with pytest.raises(TextFailed):
        await server.answer()
    assert len(server.bodies) == 3
    assert server.waits == [0.5, 1.0]


@pytest.mark.parametrize(
    ("final", "sentence"),
    [
        (refused(401, "invalid_api_key"), "check OPENAI_API_KEY"),
        (refused(404, "model_not_found"), "check RINGUA_TEXT_MODEL"),
        (refused(429, "insufficient_quota", "insufficient_quota"), "no credit left"),
        (refused(429, None, "insufficient_quota", x_should_retry="true"), "no credit left"),
        (refused(400, "invalid_json_schema", x_request_id="req_7"), r"400, invalid_json_schema, req_7"),
        (refused(422), "422"),
        (refused(500, x_should_retry="false"), "500"),
    ],
)
async def test_what_another_try_would_meet_again_is_told_at_once(final: httpx.Response, sentence: str) -> None:
    """One sentence for the operator, without the server's words, which may repeat a learner's."""
    server = Server(final)
    with pytest.raises(TextUnavailable, match=sentence) as caught:
        await server.answer()
    assert len(server.bodies) == 1
    assert not caught.value.again
    assert "quiero" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({"retry_after_ms": "1500", "retry_after": "2"}, [1.5]),
        ({"retry_after": "3"}, [3.0]),
        ({"retry_after": "2.5"}, [2.5]),
        ({"retry_after": "120"}, [120.0]),
        ({"retry_after": "Fri, 20 Nov 2026 12:00:07 GMT"}, [7.0]),
        ({"retry_after": "Fri, 20 Nov 2026 13:00:07 +0100"}, [7.0]),
        ({"retry_after": "Fri, 20 Nov 2026 12:00:07 -0000"}, [7.0]),
        ({"retry_after": "Fri, 20 Nov 2026 11:00:00 GMT"}, [0.5]),
        ({"retry_after": "soon"}, [0.5]),
        ({"retry_after": "0"}, [0.5]),
        ({"retry_after": "nan"}, [0.5]),
        ({"retry_after_ms": "-5", "retry_after": "4"}, [4.0]),
    ],
)
async def test_the_server_s_wish_is_obeyed(headers: dict[str, str], waits: list[float]) -> None:
    """Milliseconds, seconds or a date; what makes no sense counts as no wish."""
    server = Server(refused(429, "rate_limit_exceeded", **headers), GOOD)
    await server.answer()
    assert server.waits == waits


@pytest.mark.parametrize("wish", ["121", "inf", "Fri, 20 Nov 2026 12:03:00 GMT"])
async def test_more_than_two_minutes_is_too_much_to_ask(wish: str) -> None:
    """We give up at once and say that later could be better."""
    server = Server(refused(429, "rate_limit_exceeded", retry_after=wish))
    with pytest.raises(TextUnavailable, match="rate_limit_exceeded") as caught:
        await server.answer()
    assert caught.value.again
    assert server.waits == []


async def test_no_wait_goes_beyond_the_time_an_answer_is_of_use() -> None:
    """A wait that would end too late is not begun, however short the time given is."""
    server = Server(refused(500), takes_s=4.6)
    with pytest.raises(TextUnavailable):
        await server.answer(timeout_s=5)
    assert len(server.bodies) == 1
    assert server.waits == []


async def test_a_try_is_limited_so_that_another_one_has_time() -> None:
    """Each request may take half a minute, less when less is left."""
    limits: list[float] = []

    def handle(request: httpx.Request) -> httpx.Response:
        limits.append(request.extensions["timeout"]["read"])
        return httpx.Response(500)

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client:
        for timeout_s in (300.0, 8.0):
            model = TextModel(client, "https://api.example/v1", "sk", "gpt-6-luna", sleep=_no_wait, clock=lambda: 0.0)
            with pytest.raises(TextUnavailable):
                await ask(model, timeout_s=timeout_s)
    assert limits == [TRY_LIMIT_S] * 3 + [8.0] * 3


async def _no_wait(_seconds: float) -> None:
    """Time does not pass here."""


@given(st.integers(0, 20), st.floats(0, 1), st.text("0123456789.-abc:, GMT", max_size=30))
def test_waits_are_bounded_whatever_the_server_writes(tries: int, chance: float, wish: str) -> None:
    """No wait is negative or longer than two minutes, and after two retries there is none."""
    headers = httpx.Headers({"retry-after": wish.strip()})
    wait_s = retry.wait_s(tries, headers, NOW, chance)
    assert wait_s is None or (tries < retry.RETRIES and 0 < wait_s <= retry.LONGEST_ASKED_WAIT_S)
    own = retry.wait_s(tries, httpx.Headers(), NOW, chance)
    assert own is None if tries >= retry.RETRIES else 0.375 <= (own or 0) <= retry.LONGEST_WAIT_S


# --- against a server on a socket


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    """A rehearsal server, which was written from the protocol and not from our client."""
    async with RealtimeServer() as running:
        yield running


@pytest.fixture
async def model(server: RealtimeServer) -> AsyncIterator[TextModel]:
    """A model at that server. Waits between tries take no time."""
    async with httpx.AsyncClient() as client:
        yield TextModel(client, server.base_url, "sk-rehearsal", "gpt-6-luna", sleep=_no_wait)


async def test_a_strict_server_takes_the_question(server: RealtimeServer, model: TextModel) -> None:
    """The rehearsal server refuses unknown fields and schemas outside the strict subset; ours passes."""
    server.play(Script(text=(TextAnswer(match="word", json={"word": "¡Olé!"}),)))
    written = await ask(model)
    assert written.data == {"word": "¡Olé!"}
    assert (written.cost() or 0) > 0
    assert server.text.requests[0]["store"] is False


@pytest.mark.parametrize(
    ("fault", "kind", "requests"),
    [
        ("refusal", TextRefused, 1),
        ("incomplete", TextIncomplete, 2),
        ("failed", TextFailed, 3),
        ("quota", TextUnavailable, 1),
        ("rate_limit", TextUnavailable, 3),
        ("server_error", TextUnavailable, 3),
    ],
)
async def test_each_fault_of_the_server_ends_as_its_kind_of_error(
    server: RealtimeServer, model: TextModel, fault: Any, kind: type[TextFailed], requests: int
) -> None:
    """A fault that lasts is met as often as the policy says."""
    server.play(Script(text=(TextAnswer(fault=fault, retry_after_ms=20),)))
    with pytest.raises(kind):
        await ask(model)
    assert len(server.text.requests) == requests


@pytest.mark.parametrize("fault", ["incomplete", "failed", "rate_limit", "server_error"])
async def test_a_fault_that_passes_is_not_noticed(server: RealtimeServer, model: TextModel, fault: Any) -> None:
    """Once is borne."""
    server.play(Script(text=(TextAnswer(fault=fault, times=1), TextAnswer(json={"word": "sí"}))))
    assert (await ask(model)).data == {"word": "sí"}


async def test_a_server_that_never_answers_is_left(server: RealtimeServer, model: TextModel) -> None:
    """The time given is kept with a server that takes the question and is silent."""
    server.play(Script(text=(TextAnswer(fault="timeout"),)))
    with pytest.raises(TextUnavailable, match="cannot be reached"):
        await ask(model, timeout_s=0.2)


async def test_a_wrong_key_and_a_port_without_a_server_say_so(server: RealtimeServer) -> None:
    """An operator reads which of the two it is."""
    async with httpx.AsyncClient() as client:
        with pytest.raises(TextUnavailable, match="OPENAI_API_KEY"):
            await ask(TextModel(client, server.base_url, "sk-wrong", "gpt-6-luna", sleep=_no_wait))
        with pytest.raises(TextUnavailable, match="cannot be reached"):
            await ask(TextModel(client, "http://127.0.0.1:9/v1", "sk", "gpt-6-luna", sleep=_no_wait))
