"""The text model, moderation and the list of models, as OpenAI serves them over HTTP: answers come from the script.

It understands nothing of what it is asked; what it checks strictly is the request. It knows no session.
"""

from __future__ import annotations

import asyncio
import json
import math
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rehearsal.realtime_bill import Charge
from rehearsal.realtime_rules import METADATA, MODELS, TRANSCRIPTION_MODELS
from rehearsal.realtime_schema import (
    Refused,
    anything,
    array,
    boolean,
    choice,
    integer,
    json_object,
    nullable,
    obj,
    tagged,
    text,
    wrong_type,
)
from rehearsal.realtime_script import Script, Spending, TextAnswer
from rehearsal.realtime_usage import text_tokens
from rehearsal.strict_json import instance, mismatch, problem

TEXT_MODELS: Mapping[str, str | None] = {
    "gpt-6-luna": None,
    "gpt-6-sol": None,
    "gpt-5.6-luna": None,
    "gpt-5": "2026-12-11",
    "gpt-5-mini": "2026-12-11",
    "gpt-5-nano": "2026-12-11",
    "gpt-4.1-mini": "2027-01-14",
    "gpt-4o-mini": "2027-01-14",
}
MODERATION_MODELS = ("omni-moderation-latest",)
CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
REASONING_TOKENS = 64  # what a request with any effort is billed for beside its text


def _input(value: object, path: str) -> None:
    part = obj({"type": choice("input_text", "output_text"), "text": text()}, required=["type", "text"])

    def content(given: object, where: str) -> None:
        (text() if isinstance(given, str) else array(part))(given, where)

    role = choice("user", "assistant", "system", "developer")
    message = obj({"type": choice("message"), "role": role, "content": content}, required=["role", "content"])
    (text() if isinstance(value, str) else array(message, least=1))(value, path)


REQUEST = obj(
    {
        "model": text(),
        "instructions": nullable(text()),
        "input": _input,
        "text": obj(
            {
                "format": tagged(
                    {
                        "text": obj({"type": anything}),
                        "json_schema": obj(
                            {
                                "type": anything,
                                "name": text(pattern="[A-Za-z0-9_-]{1,64}"),
                                "strict": nullable(boolean),
                                "schema": json_object,
                                "description": text(),
                            },
                            required=["name", "schema"],
                        ),
                    }
                ),
                "verbosity": choice("low", "medium", "high"),
            }
        ),
        "reasoning": obj({"effort": choice("none", "minimal", "low", "medium", "high", "xhigh", "max")}),
        "max_output_tokens": nullable(integer(16)),
        "store": boolean,
        "metadata": nullable(METADATA),
        "safety_identifier": text(longest=64),
        "prompt_cache_key": text(longest=64),
    },
    required=["model", "input"],
)


class HttpError(Exception):
    """An answer that is no 200, with OpenAI's error body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Returns it as HTTP."""
        return JSONResponse(self.body, self.status, {**self.headers, **_request_id()})


class TextModel:
    """Answers `/v1/responses`, `/v1/moderations` and `/v1/models`.

    `script` and `spending` are called for each request, because the script may change. `requests` holds the bodies of
    the first two, in order, `charges` what the answers cost; `notes` says where a script's answer was not what the
    request's schema allows. `asked` is called when a request was taken; `stopping` ends what would never be answered.
    """

    def __init__(
        self, script: Callable[[], Script], spending: Callable[[], Spending], asked: Callable[[], None]
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.charges: list[Charge] = []
        self.notes: list[str] = []
        self._cache: set[str] = set()
        self._script = script
        self._spending = spending
        self._asked = asked
        self.stopping = asyncio.Event()

    async def responses(self, request: Request) -> Response:
        """Answers `POST /v1/responses`."""
        body = await self._body(request)
        try:
            REQUEST(body, "")
        except Refused as refused:
            raise HttpError(400, refused.message, code=refused.code, param=refused.param) from refused
        if body["model"] not in TEXT_MODELS:
            raise HttpError(404, f"The model '{body['model']}' does not exist.", code="model_not_found", param="model")
        wanted = body.get("text", {}).get("format", {"type": "text"})
        if wanted.get("strict") and (wrong := problem(wanted["schema"])) is not None:
            message = f"Invalid schema for response_format '{wanted['name']}': {wrong}"
            raise HttpError(400, message, code="invalid_json_schema", param="text.format.schema")
        answer = self._answer(body, wanted)
        await self._go_wrong(answer)
        made = self._completed(body, wanted, answer)
        self.charges.append(Charge("text", made["id"], made["model"], made["usage"], metadata=made["metadata"]))
        return JSONResponse(made, headers=_request_id())

    async def moderations(self, request: Request) -> Response:
        """Answers `POST /v1/moderations`: a text is flagged by the words of the script."""
        body = await self._body(request)
        try:
            obj({"model": choice(*MODERATION_MODELS), "input": _moderated}, required=["input"])(body, "")
        except Refused as refused:
            raise HttpError(400, refused.message, code=refused.code, param=refused.param) from refused
        given = body["input"]
        if isinstance(given, list) and given and isinstance(given[0], dict):
            given = " ".join(part["text"] for part in given)  # the parts of one input
        texts = given if isinstance(given, list) else [given]
        return JSONResponse(
            {
                "id": f"modr_{secrets.token_hex(8)}",
                "model": body.get("model", MODERATION_MODELS[0]),
                "results": [self._moderated(one) for one in texts],
            }
        )

    async def models(self, request: Request) -> Response:
        """Answers `GET /v1/models`."""
        ends: dict[str, str | None] = {**MODELS, **TEXT_MODELS}
        ends |= {name: "2027-02-26" if _ends(name) else None for name in TRANSCRIPTION_MODELS}
        ends |= dict.fromkeys(MODERATION_MODELS)
        listed = [
            {"id": name, "object": "model", "created": 1_756_339_200, "owned_by": "system", "shutdown_date": end}
            for name, end in ends.items()
        ]
        return JSONResponse({"object": "list", "data": listed})

    async def _body(self, request: Request) -> dict[str, Any]:
        try:
            body = await request.json()
        except ValueError as error:
            raise HttpError(400, "We could not parse the JSON body of your request.") from error
        if not isinstance(body, dict):
            raise HttpError(400, "The body of the request must be a JSON object.")
        self.requests.append(body)
        self._asked()
        return body

    def _answer(self, body: Mapping[str, Any], wanted: Mapping[str, Any]) -> TextAnswer:
        names = {wanted.get("name"), *(body.get("metadata") or {}).values()}
        for answer in self._script().text:
            if (answer.match is None or answer.match in names) and self._spending().spend(answer):
                return answer
        return TextAnswer()

    async def _go_wrong(self, answer: TextAnswer) -> None:
        match answer.fault:
            case "rate_limit":
                wait_ms = answer.retry_after_ms
                headers = {"retry-after-ms": str(wait_ms), "retry-after": str(math.ceil(wait_ms / 1000))}
                message = f"Rate limit reached. Please try again in {wait_ms}ms."
                raise HttpError(429, message, kind="tokens", code="rate_limit_exceeded", headers=headers)
            case "quota":
                message = "You exceeded your current quota, please check your plan and billing details."
                raise HttpError(429, message, kind="insufficient_quota", code="insufficient_quota")
            case "server_error":
                message = "The server had an error while processing your request. Sorry about that!"
                raise HttpError(500, message, kind="server_error")
            case "timeout":
                await self.stopping.wait()
                raise HttpError(503, "The rehearsal server is stopping.", kind="server_error")
            case _:
                return

    def _completed(self, body: Mapping[str, Any], wanted: Mapping[str, Any], answer: TextAnswer) -> dict[str, Any]:
        written = self._written(wanted, answer)
        status, error, details = "completed", None, None
        part: dict[str, Any] = {"type": "output_text", "text": written, "annotations": [], "logprobs": []}
        limit = body.get("max_output_tokens")
        if answer.fault == "refusal":
            part = {"type": "refusal", "refusal": "I'm sorry, but I can't assist with that request."}
        elif answer.fault == "failed":
            status, error = "failed", {"code": "server_error", "message": "The server had an error."}
        elif answer.fault == "incomplete" or (limit is not None and text_tokens(written) > limit):
            status, details = "incomplete", {"reason": "max_output_tokens"}
            part["text"] = written[: min(len(written) // 2, (limit or len(written)) * 4)]
        effort = body.get("reasoning", {}).get("effort", "medium")
        output: list[dict[str, Any]] = []
        if effort != "none":
            output.append({"type": "reasoning", "id": f"rs_{secrets.token_hex(8)}", "summary": []})
        if status != "failed":
            message = {"type": "message", "id": f"msg_{secrets.token_hex(8)}", "role": "assistant", "content": [part]}
            output.append({**message, "status": status})
        return {
            "id": f"resp_{secrets.token_hex(8)}",
            "object": "response",
            "created_at": int(time.time()),
            "status": status,
            "error": error,
            "incomplete_details": details,
            "instructions": body.get("instructions"),
            "max_output_tokens": limit,
            "model": body["model"],
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": effort, "summary": None},
            "safety_identifier": body.get("safety_identifier"),
            "store": body.get("store", True),
            "text": {"format": wanted, "verbosity": body.get("text", {}).get("verbosity", "medium")},
            "tool_choice": "auto",
            "tools": [],
            "truncation": "disabled",
            "metadata": body.get("metadata") or {},
            "usage": self._usage(body, written if status != "failed" else "", effort),
        }

    def _usage(self, body: Mapping[str, Any], written: str, effort: str) -> dict[str, Any]:
        """Returns the `usage`. What is the same in every request, its beginning, is written into the cache by the first
        and read from there by the others; both are parts of the input."""
        beginning = json.dumps([body.get("instructions"), body.get("text")], ensure_ascii=False)
        same, key = text_tokens(beginning), f"{body['model']} {body.get('prompt_cache_key', '')} {beginning}"
        known = key in self._cache
        self._cache.add(key)
        reasoning = 0 if effort == "none" else REASONING_TOKENS
        read, wrote = (
            same + text_tokens(json.dumps(body["input"], ensure_ascii=False)),
            text_tokens(written) + reasoning,
        )
        return {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": same * known, "cache_write_tokens": same * (not known)},
            "output_tokens": wrote,
            "output_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": read + wrote,
        }

    def _written(self, wanted: Mapping[str, Any], answer: TextAnswer) -> str:
        if wanted["type"] != "json_schema":
            return answer.text or (json.dumps(answer.json) if answer.json is not None else self._script().again)
        value = instance(wanted["schema"]) if answer.json is None else answer.json
        if wanted.get("strict") and (wrong := mismatch(value, wanted["schema"])) is not None:
            self.notes.append(f"the script's answer to `{wanted['name']}` is not what its schema allows: {wrong}")
            # A model in strict mode cannot write this, so neither does the stand-in.
            raise HttpError(500, f"Rehearsal: {self.notes[-1]}.", kind="server_error")
        return json.dumps(value, ensure_ascii=False)

    def _moderated(self, given: str) -> dict[str, Any]:
        words = self._script().moderation
        found = {
            category: any(word.casefold() in given.casefold() for word in words.get(category, ()))
            for category in CATEGORIES
        }
        return {
            "flagged": any(found.values()),
            "categories": found,
            "category_scores": {category: 0.97 if hit else 0.0001 for category, hit in found.items()},
            "category_applied_input_types": {category: ["text"] for category in CATEGORIES},
        }


def _moderated(value: object, path: str) -> None:
    part = obj({"type": choice("text"), "text": text()}, required=["type", "text"])
    if isinstance(value, list):
        array(part if value and isinstance(value[0], dict) else text(), least=1)(value, path)
    elif not isinstance(value, str):
        raise wrong_type(path, value, "a string or an array")


def _request_id() -> dict[str, str]:
    return {"x-request-id": f"req_{secrets.token_hex(8)}"}


def _ends(transcription_model: str) -> bool:
    return transcription_model == "whisper-1" or transcription_model.startswith("gpt-4o")
