"""The moderation endpoint: what it is asked, what its answer means, and how long anybody waits for it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from rehearsal.realtime import RealtimeServer
from rehearsal.realtime_script import Script
from rehearsal.realtime_text import CATEGORIES
from tutor.realtime.text import MODERATION_LIMIT_S, TextModel, TextUnavailable

SAID = "Quiero MATARME."


def judged(**flagged: bool) -> httpx.Response:
    """An answer of the endpoint."""
    categories = {
        "self-harm": False,
        "hate": False,
        **{name.replace("_", "-"): is_so for name, is_so in flagged.items()},
    }
    return httpx.Response(
        200, json={"id": "modr_1", "model": "m", "results": [{"flagged": True, "categories": categories}]}
    )


class Endpoint:
    """A server that gives its answers one by one, the last one for ever, on a clock that only waiting moves."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.time_s = 0.0

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def _sleep(self, seconds: float) -> None:
        self.time_s += seconds

    async def moderate(self, **options: Any) -> dict[str, bool]:
        """Asks this endpoint."""
        async with httpx.AsyncClient(transport=httpx.MockTransport(self._handle)) as client:
            model = TextModel(
                client,
                "https://api.example/v1/",
                "sk-test",
                "gpt-6-luna",
                sleep=self._sleep,
                clock=lambda: self.time_s,
                chance=lambda: 0.0,
            )
            return dict(await model.moderate(SAID, **options))


async def test_a_strict_server_takes_the_question() -> None:
    """The rehearsal server, written from the protocol, flags the words of its script; every category is answered."""
    async with RealtimeServer() as server, httpx.AsyncClient() as client:
        server.play(Script(moderation={"self-harm": ("matarme",)}))
        model = TextModel(client, server.base_url, "sk-rehearsal", "gpt-6-luna")
        categories = await model.moderate(SAID)
        assert set(categories) == set(CATEGORIES)
        assert [name for name, flagged in categories.items() if flagged] == ["self-harm"]
        assert not any((await model.moderate("Un café, por favor.")).values())


async def test_what_is_asked() -> None:
    """The text and the model's name, nothing about who said it."""
    endpoint = Endpoint(judged(self_harm=True))
    assert await endpoint.moderate() == {"self-harm": True, "hate": False}
    (request,) = endpoint.requests
    assert str(request.url) == "https://api.example/v1/moderations"
    assert json.loads(request.content) == {"model": "omni-moderation-latest", "input": SAID}
    assert request.headers["authorization"] == "Bearer sk-test"


@pytest.mark.parametrize(
    "trouble", [httpx.Response(429), httpx.Response(503), httpx.ConnectError("no route"), httpx.ReadTimeout("silence")]
)
async def test_passing_trouble_is_tried_again(trouble: httpx.Response | Exception) -> None:
    """Twice more, as every request of ours."""
    endpoint = Endpoint(trouble, trouble, judged(hate=True))
    assert (await endpoint.moderate())["hate"]
    endpoint = Endpoint(trouble)
    with pytest.raises(TextUnavailable):
        await endpoint.moderate()
    assert len(endpoint.requests) == 3


async def test_nobody_waits_for_long() -> None:
    """A wait that would end after the conversation has moved on is not begun."""
    endpoint = Endpoint(httpx.Response(429, headers={"retry-after": str(MODERATION_LIMIT_S + 1)}))
    with pytest.raises(TextUnavailable):
        await endpoint.moderate()
    assert len(endpoint.requests) == 1
    assert endpoint.time_s == 0


@pytest.mark.parametrize("page", [b"<html>", b"{}", b'{"results": [{"categories": 1}]}'])
async def test_an_answer_that_is_none_is_told(page: bytes) -> None:
    """One sentence, and never the text that was asked about."""
    with pytest.raises(TextUnavailable, match="OPENAI_BASE_URL") as caught:
        await Endpoint(httpx.Response(200, content=page)).moderate()
    assert "MATARME" not in str(caught.value)


async def test_a_refusal_never_repeats_what_was_said() -> None:
    """The server's words are not shown."""
    refusal = httpx.Response(400, json={"error": {"message": SAID, "type": "invalid_request_error", "code": "bad"}})
    with pytest.raises(TextUnavailable) as caught:
        await Endpoint(refusal).moderate()
    assert "MATARME" not in str(caught.value)
