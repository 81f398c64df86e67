"""The text model over HTTP, asked by the official client: answers, errors, moderation, models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from rehearsal.realtime import RealtimeServer
from rehearsal.realtime_script import dump
from tests.rehearsal.realtime_judge import script

DEBRIEF: dict[str, Any] = {
    "type": "json_schema",
    "name": "debrief",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {
            "well_done": {"type": "string"},
            "words": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["well_done", "words"],
        "additionalProperties": False,
    },
}


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    """A server with a script that a test may replace."""
    async with RealtimeServer() as running:
        yield running


@pytest.fixture
async def client(server: RealtimeServer) -> AsyncIterator[AsyncOpenAI]:
    """The official client, without retries: a test wants the first answer."""
    async with AsyncOpenAI(api_key="sk-rehearsal", base_url=server.base_url, max_retries=0) as official:
        yield official


async def ask(client: AsyncOpenAI, **fields: Any) -> Any:
    """Asks for a debrief."""
    return await client.responses.create(model="gpt-6-luna", input="Hola.", **{"text": {"format": DEBRIEF}, **fields})


async def test_a_schema_is_answered_from_the_script(server: RealtimeServer, client: AsyncOpenAI) -> None:
    """The entry that matches the schema's name answers, as a message after a reasoning item, with usage."""
    said = {"well_done": "¡Muy bien!", "words": ["café"]}
    server.play(script(text=[{"match": "other", "json": {}}, {"match": "debrief", "json": said}]))
    response = await ask(client, instructions="Be kind.", metadata={"call": "1"}, reasoning={"effort": "low"})
    assert json.loads(response.output_text) == said
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.status == "completed"
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.output_tokens_details.reasoning_tokens > 0
    assert server.text.requests[0]["metadata"] == {"call": "1"}


async def test_the_same_beginning_comes_from_the_cache(server: RealtimeServer, client: AsyncOpenAI) -> None:
    """The first request writes instructions and schema into the cache, later ones read them from there; the input is
    new each time, and another model, key or text has a cache of its own."""
    kind = "Be kind."
    usages = [(await ask(client, instructions=kind)).usage for _ in range(2)]
    usages.append((await ask(client, instructions=kind, prompt_cache_key="ours")).usage)
    usages.append((await ask(client, instructions="Be brief.")).usage)
    details = [usage.model_dump()["input_tokens_details"] for usage in usages]
    same = details[0]["cache_write_tokens"]
    assert 0 < same < usages[0].input_tokens
    assert [(one["cached_tokens"], one["cache_write_tokens"] > 0) for one in details] == [
        (0, True),
        (same, False),
        (0, True),
        (0, True),
    ]
    assert len({usage.input_tokens for usage in usages[:3]}) == 1
    assert server.text.charges[1].usage["input_tokens_details"]["cached_tokens"] == same


async def test_without_a_script_the_smallest_instance_comes(client: AsyncOpenAI) -> None:
    """Unscripted requests get a plausible minimal instance of their schema; free text gets a short line."""
    assert json.loads((await ask(client)).output_text) == {"well_done": "rehearsal well done", "words": []}
    plain = await client.responses.create(
        model="gpt-6-luna", input=[{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        reasoning={"effort": "none"},
    )  # fmt: skip
    assert plain.output_text == "Mhm."
    assert [item.type for item in plain.output] == ["message"]


async def test_answers_match_metadata_and_run_out(server: RealtimeServer, client: AsyncOpenAI) -> None:
    """An entry may match a value of the metadata, and `times` lets the next entry follow."""
    first, then = {"well_done": "1", "words": []}, {"well_done": "2", "words": []}
    server.play(script(text=[{"match": "night", "json": first, "times": 1}, {"json": then}]))
    answers = [json.loads((await ask(client, metadata={"job": "night"})).output_text) for _ in range(2)]
    assert answers == [first, then]


async def test_a_script_against_the_schema_is_an_error_and_a_note(server: RealtimeServer, client: AsyncOpenAI) -> None:
    """A strict model cannot write what its schema forbids, so the stand-in says what is wrong with its script."""
    server.play(script(text=[{"json": {"well_done": 1, "words": []}}]))
    with pytest.raises(openai.InternalServerError, match=r"\$\.well_done is not of type string"):
        await ask(client)
    assert "not what its schema allows" in server.notes[0]


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"text": {"format": {**DEBRIEF, "schema": {}}}}, 400, "invalid_json_schema", "text.format.schema"),
        ({"text": {"format": {**DEBRIEF, "name": "a name"}}}, 400, "invalid_value", "text.format.name"),
        ({"response_format": DEBRIEF}, 400, "unknown_parameter", "response_format"),
        ({"max_output_tokens": 1}, 400, "invalid_value", "max_output_tokens"),
        ({"model": "gpt-9"}, 404, "model_not_found", "model"),
        ({"input": []}, 400, "invalid_value", "input"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}, 400, "invalid_value",
         "input[0].content[0].type"),
        ({"metadata": {"a": 1}}, 400, "invalid_type", "metadata.a"),
    ],
)  # fmt: skip
async def test_wrong_requests_are_refused(
    server: RealtimeServer, fields: dict[str, Any], status: int, code: str, param: str
) -> None:
    """A request with a mistake is an HTTP error with OpenAI's body."""
    body = {"model": "gpt-6-luna", "input": "Hola.", **fields}
    async with httpx.AsyncClient(headers={"authorization": "Bearer sk-rehearsal"}) as plain:
        answer = await plain.post(f"{server.base_url}/responses", json=body)
        broken = await plain.post(f"{server.base_url}/responses", content="{")
    assert answer.status_code == status
    assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == (code, param)
    assert answer.headers["x-request-id"]
    assert broken.status_code == 400


async def test_refusal_incomplete_and_failed_are_inside_a_200(server: RealtimeServer, client: AsyncOpenAI) -> None:
    """A refusal is a part of the message, incomplete JSON is cut off, a failed response has an error and no message."""
    faults = [{"fault": kind, "times": 1} for kind in ("refusal", "incomplete", "failed")]
    server.play(script(text=faults))
    refused, incomplete, failed = [await ask(client) for _ in faults]
    assert refused.output[-1].content[0].type == "refusal"
    assert (incomplete.status, incomplete.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    with pytest.raises(ValueError):
        json.loads(incomplete.output_text)
    assert (failed.status, failed.error.code) == ("failed", "server_error")
    assert [item.type for item in failed.output] == ["reasoning"]


async def test_the_limit_of_the_request_makes_it_incomplete(server: RealtimeServer, client: AsyncOpenAI) -> None:
    """max_output_tokens that does not hold the answer cuts it."""
    server.play(script(text=[{"json": {"well_done": "x" * 400, "words": []}}]))
    response = await ask(client, max_output_tokens=16)
    assert response.status == "incomplete"
    assert len(response.output_text) <= 64


async def test_http_errors_on_demand(server: RealtimeServer, client: AsyncOpenAI) -> None:
    """429 with retry headers, 429 without quota, 500: each as the official client knows it."""
    faults = [{"fault": kind, "times": 1} for kind in ("rate_limit", "quota", "server_error")]
    server.play(script(text=[{**faults[0], "retry_after_ms": 1_500}, *faults[1:]]))
    with pytest.raises(openai.RateLimitError) as limited:
        await ask(client)
    assert limited.value.code == "rate_limit_exceeded"
    assert limited.value.response.headers["retry-after-ms"] == "1500"
    assert limited.value.response.headers["retry-after"] == "2"
    with pytest.raises(openai.RateLimitError) as broke:
        await ask(client)
    assert broke.value.code == "insufficient_quota"
    with pytest.raises(openai.InternalServerError):
        await ask(client)
    assert (await ask(client)).status == "completed"


async def test_the_official_client_retries_as_told(server: RealtimeServer) -> None:
    """A rate limit of a millisecond is over at the first retry."""
    server.play(script(text=[{"fault": "rate_limit", "retry_after_ms": 1, "times": 1}]))
    async with AsyncOpenAI(api_key="sk-rehearsal", base_url=server.base_url) as client:
        assert (await ask(client)).status == "completed"
    assert len(server.text.requests) == 2


async def test_a_timeout_lasts_as_long_as_the_client_waits(server: RealtimeServer, client: AsyncOpenAI) -> None:
    """`timeout` never answers; the next request is answered."""
    server.play(script(text=[{"fault": "timeout", "times": 1}]))
    with pytest.raises(openai.APITimeoutError):
        await ask(client, timeout=0.1)
    assert (await ask(client)).status == "completed"


async def test_a_wrong_key_is_401(server: RealtimeServer) -> None:
    """Every address of the API wants the key."""
    async with AsyncOpenAI(api_key="sk-other", base_url=server.base_url, max_retries=0) as client:
        for attempt in (ask(client), client.moderations.create(input="a"), client.models.list()):
            with pytest.raises(openai.AuthenticationError):
                await attempt


async def test_moderation_flags_the_words_of_the_script(server: RealtimeServer, client: AsyncOpenAI) -> None:
    """A text with a word of a category is flagged in it, whatever its case; each of several inputs has its result."""
    server.play(script(moderation={"self-harm": ["matarme"], "violence": ["pistola"]}))
    result = await client.moderations.create(input=["Quiero MATARME.", "Un café."], model="omni-moderation-latest")
    assert [one.flagged for one in result.results] == [True, False]
    assert result.results[0].categories.self_harm
    assert not result.results[0].categories.violence
    assert result.results[0].category_scores.self_harm > 0.9
    parts: Any = [{"type": "text", "text": "pis"}, {"type": "text", "text": "tola"}]
    assert [one.flagged for one in (await client.moderations.create(input=parts)).results] == [False]
    with pytest.raises(openai.BadRequestError):
        await client.moderations.create(input=7)  # type: ignore[arg-type]


async def test_models_are_listed_with_their_end(client: AsyncOpenAI) -> None:
    """GET /v1/models tells which models end when."""
    ends = {model.id: model.shutdown_date for model in (await client.models.list()).data}
    assert ends["gpt-realtime"] == "2027-01-20"
    assert ends["gpt-realtime-2.1"] is ends["gpt-6-luna"] is None
    assert ends["whisper-1"] == "2027-02-26"


async def test_a_script_is_taken_over_http(server: RealtimeServer, client: AsyncOpenAI) -> None:
    """POST /rehearsal/script replaces the script; one with a mistake is refused with a sentence and changes nothing."""
    address = server.base_url.removesuffix("/v1") + "/rehearsal/script"
    async with httpx.AsyncClient() as plain:
        taken = await plain.post(address, content=dump(script(opening="Servus.", moderation={"hate": ["x"]})))
        refused = await plain.post(address, json={"turns": 1})
    assert taken.status_code == 204
    assert refused.status_code == 400
    assert refused.json() == {"error": "The script cannot be played: turns: a list is expected here."}
    assert server.script.opening == "Servus."
    assert (await client.moderations.create(input="x")).results[0].flagged


async def test_stopping_does_not_wait_for_hanging_requests() -> None:
    """A server with a request that is never answered stops at once and answers 503."""
    async with asyncio.timeout(5), AsyncOpenAI(api_key="sk-rehearsal", max_retries=0) as official:
        async with RealtimeServer(script=script(text=[{"fault": "timeout"}])) as running:
            asking = asyncio.create_task(ask(official.with_options(base_url=running.base_url)))
            await running.until(lambda: bool(running.text.requests), timeout_s=4)
        with pytest.raises(openai.InternalServerError, match="stopping"):
            await asking
