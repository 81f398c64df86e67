"""The text model over HTTPS: one question, one JSON object of a strict schema (openai-realtime.md §7); and moderation.

It reads what is on the wire, tries again as the official client does, and never waits without a limit. Knows no
debrief and no call.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import msgspec
import structlog

from tutor.realtime import retry
from tutor.realtime.pricing import Prices, prices

log = structlog.get_logger()

TRY_LIMIT_S = 30.0
"""The longest one request may take, so that a hanging one leaves time for another."""

MORE_TOKENS = 3
"""An answer that did not fit is asked for again, once, with this many times the room."""

MODERATION_MODEL = "omni-moderation-latest"
"""Free of charge, for text in any language."""

MODERATION_LIMIT_S = 10.0
"""Later than this a turn's moderation is of no use to the conversation."""

T = TypeVar("T")

PASSING = frozenset({"server_error", "rate_limit_exceeded"})
"""Codes inside a 200 that another try may not meet."""

_REASONING = ("gpt-5", "gpt-6", "o1", "o3", "o4")
"""Families that think before they write; others refuse the field ``reasoning``."""


@dataclass(frozen=True, slots=True)
class TextUsage:
    """Tokens that are billed, those of answers that could not be used included."""

    input_tokens: int = 0
    cached_tokens: int = 0
    """Of the input, read from the cache; cheaper."""
    output_tokens: int = 0
    """Thinking included."""
    cache_write_tokens: int = 0
    """Of the input, written into the cache; dearer."""

    def __add__(self, other: TextUsage) -> TextUsage:
        return TextUsage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
        )

    def cost(self, model: str, table: Prices | None = None) -> int | None:
        """Micro-dollars; None when the model has no price, and 0 when nothing was used."""
        if self == TextUsage():
            return 0
        return (table or prices()).written(
            model,
            input_tokens=self.input_tokens,
            cached_tokens=self.cached_tokens,
            cache_write_tokens=self.cache_write_tokens,
            output_tokens=self.output_tokens,
        )


class TextFailed(Exception):
    """No answer; the text is one sentence for the operator. ``usage`` is billed all the same."""

    def __init__(self, sentence: str, *, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.usage = TextUsage()


class TextRefused(TextFailed):
    """The model declined to write it."""


class TextIncomplete(TextFailed):
    """The answer was cut off, twice by its length or once by the content filter."""


class TextUnavailable(TextFailed):
    """The server cannot be reached, refuses us, or is busy. ``again`` says whether later could be better."""

    def __init__(self, sentence: str, *, code: str = "", again: bool = True) -> None:
        super().__init__(sentence, code=code)
        self.again = again


@dataclass(frozen=True, slots=True)
class Written:
    """An answer."""

    data: dict[str, Any]
    model: str
    usage: TextUsage

    def cost(self, table: Prices | None = None) -> int | None:
        """Micro-dollars; None when the model has no price."""
        return self.usage.cost(self.model, table)


class _Part(msgspec.Struct):
    type: str
    text: str = ""
    refusal: str = ""


class _Item(msgspec.Struct):
    type: str
    content: list[_Part] | None = None
    phase: str | None = None


class _Code(msgspec.Struct):
    code: str | None = None
    reason: str | None = None


class _Cached(msgspec.Struct):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: _Cached | None = None


class _Reply(msgspec.Struct):
    status: str
    output: list[_Item] = []
    error: _Code | None = None
    incomplete_details: _Code | None = None
    usage: _Usage | None = None


class _Judged(msgspec.Struct):
    categories: dict[str, bool]


class _Moderation(msgspec.Struct):
    results: list[_Judged]


@dataclass(slots=True)
class _Question:
    """What is asked and where, until when an answer is of use, and what its tries used so far."""

    body: dict[str, Any]
    until: float
    usage: TextUsage
    url: str


class _Passing(Exception):
    """Something that another try may not meet."""

    def __init__(self, code: str, detail: str, headers: httpx.Headers | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.headers = headers or httpx.Headers()


class TextModel:
    """Asks a text model. The client, the clocks and chance come from outside; the client stays its owner's to close."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        api_key: str,
        model: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``base_url`` as the OpenAI client takes it, e.g. ``https://api.openai.com/v1``."""
        self.model = model
        self._client = client
        self._url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._sleep = sleep
        self._clock = clock
        self._now = now
        self._chance = chance

    async def answer(
        self,
        *,
        instructions: str,
        input_text: str,
        schema_name: str,
        schema: Mapping[str, Any],
        max_output_tokens: int,
        metadata: Mapping[str, str] | None = None,
        timeout_s: float = 300.0,
    ) -> Written:
        """One answer, as an object of the schema. Nothing of it is stored at the server.

        Args:
            schema: of the strict subset: every property required, ``additionalProperties`` false.
            max_output_tokens: for thinking and writing together; at least 16.
            timeout_s: for all of it, tries and waits between them included.

        Raises:
            TextFailed: one of its kinds; each says in one sentence what happened.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "instructions": instructions,
            "input": input_text,
            "text": {"format": {"type": "json_schema", "name": schema_name, "strict": True, "schema": schema}},
            "max_output_tokens": max_output_tokens,
            "store": False,
            "metadata": dict(metadata or {}),
        }
        if self.model.startswith(_REASONING):
            body["reasoning"] = {"effort": "low"}
        question = _Question(body, self._clock() + timeout_s, TextUsage(), f"{self._url}/responses")
        try:
            reply = await self._ask(question, self._reply)
            if reply.status == "incomplete" and _code(reply.incomplete_details) == "max_output_tokens":
                body["max_output_tokens"] *= MORE_TOKENS
                reply = await self._ask(question, self._reply)
            return Written(_read(reply), self.model, question.usage)
        except TextFailed as failure:
            failure.usage = question.usage
            raise

    async def moderate(self, text: str, *, timeout_s: float = MODERATION_LIMIT_S) -> Mapping[str, bool]:
        """The moderation endpoint's categories for a text, each flagged or not; costs nothing.

        Args:
            timeout_s: for all of it, tries and waits between them included.

        Raises:
            TextUnavailable: no answer in time, or none that can be read; one sentence without the text.
        """
        body = {"model": MODERATION_MODEL, "input": text}
        question = _Question(body, self._clock() + timeout_s, TextUsage(), f"{self._url}/moderations")
        results = _decode(await self._ask(question, self._post), _Moderation).results
        return {name: any(one.categories.get(name, False) for one in results) for name in _names(results)}

    async def _ask(self, question: _Question, attempt: Callable[[_Question], Awaitable[T]]) -> T:
        """The first answer that is worth reading."""
        tries = 0
        while True:
            try:
                return await attempt(question)
            except _Passing as trouble:
                await self._wait(trouble, tries, question)
                tries += 1

    async def _reply(self, question: _Question) -> _Reply:
        reply = _decode(await self._post(question), _Reply)
        question.usage += _usage(reply)
        if reply.status == "failed" and _code(reply.error) in PASSING:
            raise _Passing(_code(reply.error), "inside a response")
        return reply

    async def _post(self, question: _Question) -> httpx.Response:
        limit_s = max(min(TRY_LIMIT_S, question.until - self._clock()), 0.001)
        try:
            # httpx limits each step by itself; a server that sends a byte now and then must not hold us longer.
            async with asyncio.timeout(limit_s):
                response = await self._client.post(
                    question.url, json=question.body, headers=self._headers, timeout=limit_s
                )
        except (httpx.RequestError, TimeoutError) as error:
            raise _Passing("unreachable", type(error).__name__) from error
        if response.status_code >= 400:
            fault = retry.fault(response)
            if retry.is_passing(response):
                raise _Passing(fault.code, fault.request, response.headers)
            raise TextUnavailable(_refusal(fault), code=fault.code, again=False)
        return response

    async def _wait(self, trouble: _Passing, tries: int, question: _Question) -> None:
        """Waits before the next try; gives up when there is none left or it would come too late."""
        wait_s = retry.wait_s(tries, trouble.headers, self._now(), self._chance())
        if wait_s is None or self._clock() + wait_s >= question.until:
            happens = "cannot be reached" if trouble.code == "unreachable" else f"cannot answer now ({trouble.code})"
            raise TextUnavailable(f"The text model's server {happens}.", code=trouble.code)
        log.info("text.again", code=trouble.code, detail=trouble.detail, wait_s=round(wait_s, 3))
        await self._sleep(wait_s)


def _refusal(fault: retry.Fault) -> str:
    """One sentence about an error that another try would meet again."""
    if fault.no_credit:
        return "The account at the text model's server has no credit left: add credit or raise its limit."
    if fault.status == 401:
        return "The text model's server refused the API key: check OPENAI_API_KEY."
    if fault.code == "model_not_found":
        return "The text model's server does not know this model: check RINGUA_TEXT_MODEL."
    # The server's own words may repeat what was asked, and so what a learner said: they are not shown.
    details = ", ".join(str(part) for part in (fault.status, fault.code, fault.param, fault.request) if part)
    return f"The text model's server refused the request ({details})."


def _decode(response: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        said = "The text model's server answered with something else than a response: check OPENAI_BASE_URL."
        raise TextUnavailable(said, code="unreadable", again=False) from error


def _names(results: list[_Judged]) -> list[str]:
    return list(dict.fromkeys(name for one in results for name in one.categories))


def _usage(reply: _Reply) -> TextUsage:
    usage = reply.usage or _Usage()
    cache = usage.input_tokens_details or _Cached()
    return TextUsage(usage.input_tokens, cache.cached_tokens, usage.output_tokens, cache.cache_write_tokens)


def _code(given: _Code | None) -> str:
    """Why a reply failed or is incomplete."""
    return (given.code or given.reason or "") if given else ""


def _read(reply: _Reply) -> dict[str, Any]:
    """The object a reply holds. ``output_text`` at its top is the client's convenience: only items are on the wire."""
    items = [item for item in reply.output if item.type == "message" and item.phase != "commentary"]
    parts = [part for item in items for part in item.content or ()]
    if any(part.type == "refusal" for part in parts):
        raise TextRefused("The text model declined to write this.", code="refusal")
    if reply.status == "incomplete":
        reason = _code(reply.incomplete_details) or "unknown"
        raise TextIncomplete(f"The text model's answer is incomplete ({reason}).", code=reason)
    if reply.status != "completed":
        code = _code(reply.error) or reply.status
        raise TextFailed(f"The text model failed to answer ({code}).", code=code)
    try:
        data = json.loads("".join(part.text for part in parts if part.type == "output_text"))
    except ValueError as error:
        raise TextFailed("The text model's answer is not JSON.", code="not_json") from error
    if not isinstance(data, dict):
        raise TextFailed("The text model's answer is no JSON object.", code="not_json")
    return data
