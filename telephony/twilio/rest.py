"""The carrier's REST interface: its own client library over an HTTP transport of ours, with limits and no second try.

It knows accounts and requests, and nothing of what is asked. Whether a request left is told apart, because what may
have been taken must not be sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

import httpx
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from db.accounts import Account

CONNECT_S: Final = 5.0
READ_S: Final = 10.0
TOTAL_S: Final = 15.0
"""For one request in all; a server that sends a byte now and then must not hold us longer."""

_log = logging.getLogger(__name__)


class NotSent(Exception):
    """The request never left: nothing was done at the carrier."""


class Unclear(Exception):
    """The request left and no answer came that could be read: the carrier may have done what was asked, or not."""


class RestHttp(AsyncHttpClient):  # type: ignore[misc]  # the library has no types
    """The library's HTTP client. A connection is used once: one that was closed meanwhile would make a send unclear.

    ``transport`` replaces the network; its environment's proxies and redirects are not followed, for both would be
    given the account's token.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None, *, total_s: float = TOTAL_S) -> None:
        super().__init__(_log, is_async=True)
        self._total_s = total_s
        self._client = httpx.AsyncClient(
            transport=transport or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0)),
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            trust_env=False,
            follow_redirects=False,
        )

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Makes one request, in the library's terms; ``timeout`` and ``allow_redirects`` stay as they are set here.

        Raises:
            NotSent: no connection could be made.
            Unclear: it broke off, or took too long.
        """
        try:
            async with asyncio.timeout(self._total_s):
                response = await self._client.request(method, uri, params=params, data=data, headers=headers, auth=auth)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise NotSent(type(error).__name__) from error
        except (httpx.RequestError, TimeoutError) as error:
            raise Unclear(type(error).__name__) from error
        return Response(response.status_code, response.text, response.headers)

    async def close(self) -> None:
        """Closes what is open."""
        await self._client.aclose()


def client(account: Account, http: RestHttp) -> Client:
    """Returns the library's client for an account, at the account's own base address.

    The environment is one that has nothing in it: ``TWILIO_REGION`` and ``TWILIO_EDGE`` would re-route every request,
    and an empty mapping would be taken for none.
    """
    made = Client(account.sid, account.tokens[0], http_client=http, environment={"_": "1"})
    made.api.base_url = account.rest_base
    return made
