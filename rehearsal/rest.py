"""The carrier's REST API: calls that can be ended or sent elsewhere, messages that can be sent and looked up.

A thin face over the call and the message desk: Basic auth, forms in, the documented JSON out.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
from asyncio import Event
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rehearsal.call import Call
from rehearsal.messages import Accepted, Message, MessageDesk, Refused
from rehearsal.verbs import Inline, Target

_ACCOUNT = "/2010-04-01/Accounts/{account}"
_ANY = ["GET", "POST", "PUT", "DELETE"]
_COMPLETE = {"sent", "delivered", "undelivered", "failed", "canceled", "received", "read"}
"""Statuses of messages on which the carrier has nothing left to do."""
_CALL_FIELDS = {
    "Status", "Url", "Method", "Twiml", "FallbackUrl", "FallbackMethod", "StatusCallback", "StatusCallbackMethod",
    "TimeLimit",
}  # fmt: skip


class Account(Protocol):
    """What the API needs of its carrier."""

    account_sid: str
    auth_token: str
    calls: dict[str, Call]
    sms: MessageDesk

    def deliver(self, accepted: Accepted) -> None:
        """Sends a message on its way."""

    def note(self, text: str) -> None:
        """Remarks on something the API itself would let pass."""


Handler = Callable[[Request], Awaitable[Response]]


class RestApi:
    """The API of one account, as an application to be served; `release` lets go of requests that wait for ever."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._closing = Event()
        self.app = Starlette(
            routes=[
                Route(f"{_ACCOUNT}/Calls.json", self._guarded(self._calls)),
                Route(f"{_ACCOUNT}/Calls/{{sid}}.json", self._guarded(self._call), methods=["GET", "POST", "DELETE"]),
                Route(f"{_ACCOUNT}/Messages.json", self._guarded(self._messages), methods=["GET", "POST"]),
                Route(f"{_ACCOUNT}/Messages/{{sid}}.json", self._guarded(self._message), methods=_ANY),
                Route("/{path:path}", self._guarded(self._nothing), methods=_ANY),
            ]
        )

    def release(self) -> None:
        """Answers the requests that were to stay without an answer."""
        self._closing.set()

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            try:
                self._check(request)
                return await handler(request)
            except Refused as refusal:
                return JSONResponse(
                    {
                        "code": refusal.code,
                        "message": refusal.text,
                        "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
                        "status": refusal.status,
                    },
                    refusal.status,
                    headers={"WWW-Authenticate": 'Basic realm="Twilio API"'} if refusal.status == 401 else None,
                )

        return answer

    def _check(self, request: Request) -> None:
        account = self._account
        expected = base64.b64encode(f"{account.account_sid}:{account.auth_token}".encode()).decode()
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Basic {expected}".encode()):
            raise Refused(401, 20003, "Authenticate")
        if request.path_params.get("account", account.account_sid) != account.account_sid:
            raise Refused(404, 20404, f"The requested resource {request.url.path} was not found")

    async def _nothing(self, request: Request) -> Response:
        raise Refused(404, 20404, f"The requested resource {request.url.path} was not found")

    async def _calls(self, request: Request) -> Response:
        wanted = request.query_params
        calls = [
            call_json(call)
            for call in reversed(self._account.calls.values())
            if wanted.get("Status", call.status) == call.status
            and wanted.get("To", call.plan.to) == call.plan.to
            and wanted.get("From", call.plan.from_) == call.plan.from_
        ]
        return JSONResponse(_page(request, "calls", calls))

    async def _call(self, request: Request) -> Response:
        call = self._account.calls.get(request.path_params["sid"])
        if call is None:
            raise Refused(404, 20404, f"The requested resource {request.url.path} was not found")
        if request.method == "DELETE":
            if call.ended_ms is None:
                raise Refused(409, 20009, "Cannot delete this resource before it is complete")
            del self._account.calls[call.sid]
            return Response(status_code=204)
        if request.method == "POST":
            self._update(call, await _form(request))
        return JSONResponse(call_json(call))

    def _update(self, call: Call, form: Mapping[str, str]) -> None:
        for name in sorted(form.keys() - _CALL_FIELDS):
            self._account.note(f"a call has no field {name}; it is ignored")
        status, url, twiml = form.get("Status"), form.get("Url"), form.get("Twiml")
        if url is not None and twiml is not None:
            raise Refused(400, 21218, "Url and Twiml exclude each other")
        if call.ended_ms is not None:
            raise Refused(400, 21220, "Call is not in-progress. Cannot redirect.")
        if (limit := form.get("TimeLimit")) is not None:
            if not limit.isdigit():
                raise Refused(400, 20001, f"TimeLimit is a number of seconds, not {limit}")
            call.limit(call.now_ms / 1000 + int(limit))
        if status is not None:
            if status not in {"completed", "canceled"}:
                raise Refused(400, 20001, f"Status is completed or canceled, not {status}")
            call.end("rest")
        elif url is not None:
            call.go(Target(url, "GET" if form.get("Method") == "GET" else "POST"))
        elif twiml is not None:
            call.go(Inline(twiml.encode()))

    async def _messages(self, request: Request) -> Response:
        desk = self._account.sms
        if request.method == "POST":
            accepted = desk.create(await _form(request))
            shown = accepted.message.json()
            self._account.deliver(accepted)
            if accepted.silent:
                await self._closing.wait()
            return JSONResponse(shown, 201)
        wanted = request.query_params
        since = wanted.get("DateSent>", "")
        messages = [
            message.json()
            for message in reversed(desk.messages)
            if wanted.get("To", message.to) == message.to
            and wanted.get("From", message.from_) == message.from_
            and (message.sent_at or message.created_at) >= _moment(since)
        ]
        return JSONResponse(_page(request, "messages", messages))

    async def _message(self, request: Request) -> Response:
        desk = self._account.sms
        message: Message = desk.find(request.path_params["sid"])
        if request.method == "DELETE":
            if message.status not in _COMPLETE:
                raise Refused(409, 20009, "Cannot delete this resource before it is complete")
            desk.messages.remove(message)
            return Response(status_code=204)
        if request.method == "POST" and (await _form(request)).get("Body") == "":
            message.body = ""
        return JSONResponse(message.json())


def call_json(call: Call) -> dict[str, object]:
    """A call as the API shows it; ``price`` is null, as it is in the first minutes after a call."""
    uri = f"/2010-04-01/Accounts/{call.account_sid}/Calls/{call.sid}"
    ended = call.ended_at
    return {
        "account_sid": call.account_sid,
        "annotation": None,
        "answered_by": None,
        "api_version": "2010-04-01",
        "caller_name": "",
        "date_created": format_datetime(call.began_at),
        "date_updated": format_datetime(ended or call.began_at),
        "direction": "inbound",
        "duration": None if ended is None else str(round(call.duration_s)),
        "end_time": None if ended is None else format_datetime(ended),
        "forwarded_from": None,
        "from": call.plan.from_,
        "from_formatted": call.plan.from_,
        "group_sid": None,
        "parent_call_sid": None,
        "phone_number_sid": None,
        "price": None,
        "price_unit": "USD",
        "queue_time": "0",
        "sid": call.sid,
        "start_time": format_datetime(call.began_at),
        "status": call.status,
        "stir_verstat": call.plan.stir,
        "subresource_uris": {name: f"{uri}/{name.title()}.json" for name in ("recordings", "streams", "events")},
        "to": call.plan.to,
        "to_formatted": call.plan.to,
        "trunk_sid": None,
        "uri": f"{uri}.json",
    }


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))


def _moment(text: str) -> datetime:
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=UTC)
    return datetime.min.replace(tzinfo=UTC)


def _page(request: Request, name: str, rows: list[dict[str, object]]) -> dict[str, object]:
    def number(field: str, default: int) -> int:
        given = request.query_params.get(field, "")
        return int(given) if given.isdigit() else default

    def uri(page: int) -> str:
        query = {key: value for key, value in request.query_params.items() if key not in {"Page", "PageSize"}}
        return f"{request.url.path}?{urlencode({**query, 'PageSize': size, 'Page': page})}"

    size, page = max(1, min(number("PageSize", 50), 1000)), number("Page", 0)
    first = size * page
    shown = rows[first : first + size]
    return {
        name: shown,
        "end": first + max(len(shown), 1) - 1,
        "first_page_uri": uri(0),
        "next_page_uri": uri(page + 1) if first + size < len(rows) else None,
        "page": page,
        "page_size": size,
        "previous_page_uri": uri(page - 1) if page else None,
        "start": first,
        "uri": uri(page),
    }
