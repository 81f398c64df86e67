"""How the carrier asks a server what to do: signed forms, time limits, retries, redirects, cookies.

Knows HTTP and signatures; what the answers mean is for others. The options behind ``#`` in a URL are understood.
"""

from __future__ import annotations

import asyncio
import functools
import re
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx

from rehearsal.network import Network
from rehearsal.report import Exchange
from rehearsal.signing import Purpose, Signer, Signing

Method = Literal["GET", "POST"]
Params = Sequence[tuple[str, str]]

_CEILING_S = 15.0
_MAX_REDIRECTS = 10
_FORM = "application/x-www-form-urlencoded; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer with a status below 400. ``url`` is where it finally came from: relative URLs start there."""

    url: str
    method: Method
    status: int
    content_type: str
    body: bytes


class FetchFailed(Exception):
    """No usable answer; ``code`` is the carrier's: 11100 bad URL, 11200 HTTP, 11205 no connection, 11215 redirects."""

    def __init__(self, code: int, url: str, text: str) -> None:
        super().__init__(f"{url}: {text}")
        self.code = code
        self.url = url


@dataclass(frozen=True, slots=True)
class Overrides:
    """Connection options of one URL, from its fragment (``#rc=2&rp=ct,5xx&ct=2000``). Times in seconds."""

    connect_s: float = 5.0
    read_s: float = _CEILING_S
    total_s: float = _CEILING_S
    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct"})

    @classmethod
    def of(cls, url: str) -> Overrides:
        """Reads the fragment; numbers outside the documented ranges are brought into them, the rest is ignored."""
        given = dict(parse_qsl(urlsplit(url).fragment))

        def seconds(name: str, most_ms: int, default_s: float) -> float:
            value = given.get(name, "")
            return min(max(int(value), 100), most_ms) / 1000 if value.isdigit() else default_s

        retries = given.get("rc", "1")
        return cls(
            seconds("ct", 10_000, 5.0),
            seconds("rt", 15_000, _CEILING_S),
            seconds("tt", 15_000, _CEILING_S),
            min(int(retries), 5) if retries.isdigit() else 1,
            frozenset(given.get("rp", "ct").split(",")),
        )

    def retries_after(self, kind: str) -> bool:
        """Whether a failure of this kind (``ct``, ``rt``, ``4xx``, ``5xx``) is worth another attempt."""
        return kind in self.retry_on or "all" in self.retry_on


@dataclass(slots=True)
class Correspondence:
    """One call's (or one text message's) requests: their cookies, their signing, and a note of each."""

    now_ms: Callable[[], float]
    purpose: Purpose = "voice"
    signing: Signing = Signing.SHA1
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)
    exchanges: list[Exchange] = field(default_factory=list)


class _Failure(Exception):
    def __init__(self, kind: str, code: int, text: str) -> None:
        super().__init__(text)
        self.kind, self.code, self.text = kind, code, text


@functools.cache
def _usual_trust() -> ssl.SSLContext:
    """Loading the authorities takes 30 ms: once is enough."""
    return httpx.create_ssl_context(trust_env=False)


class Webhooks:
    """Sends signed requests; ``ceiling_s`` is the longest any of them may take, whatever its URL asks for."""

    def __init__(self, signer: Signer, network: Network, *, ceiling_s: float = _CEILING_S) -> None:
        self._signer = signer
        self._network = network
        self._ceiling_s = ceiling_s
        # A transport, not a client: cookies belong to one call, and each request opens a connection of its own.
        self._transport = httpx.AsyncHTTPTransport(
            verify=network.tls or _usual_trust(), trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def close(self) -> None:
        """Gives the connections back."""
        await self._transport.aclose()

    async def send(self, to: Correspondence, url: str, params: Params, method: Method = "POST") -> Reply:
        """Asks, again if the URL's options say so; raises `FetchFailed` when no usable answer came."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise FetchFailed(11100, url, "not an absolute http(s) URL")
        if "_" in parts.hostname:
            raise FetchFailed(11100, url, "a host name with an underscore is refused")
        options = Overrides.of(url)
        token = str(uuid.uuid4())
        for attempt in range(1 + options.retries):
            try:
                async with asyncio.timeout(min(options.total_s, self._ceiling_s)):
                    return await self._follow(to, url, params, method, options, attempt, token)
            except TimeoutError:
                failure = _Failure("rt", 11200, f"no answer within {min(options.total_s, self._ceiling_s):g} s")
            except _Failure as error:
                failure = error
            if not options.retries_after(failure.kind):
                break
        raise FetchFailed(failure.code, url, failure.text)

    async def _follow(
        self, to: Correspondence, url: str, params: Params, method: Method, options: Overrides, attempt: int, token: str
    ) -> Reply:
        for _ in range(1 + _MAX_REDIRECTS):
            response = await self._once(to, url, params, method, options, attempt, token)
            if response.status_code >= 400:
                kind = "4xx" if response.status_code < 500 else "5xx"
                raise _Failure(kind, 11200, f"HTTP {response.status_code}")
            if not response.has_redirect_location:
                content_type = response.headers.get("Content-Type", "")
                return Reply(url, method, response.status_code, content_type, response.content)
            url = urljoin(url, response.headers["Location"])
            if response.status_code not in {307, 308}:
                method, params = "GET", ()
        raise _Failure("4xx", 11215, f"more than {_MAX_REDIRECTS} redirects")

    async def _once(
        self, to: Correspondence, url: str, params: Params, method: Method, options: Overrides, attempt: int, token: str
    ) -> httpx.Response:
        if method == "GET" and params:
            bare, hash_, fragment = url.partition("#")
            url = f"{bare}{'&' if '?' in bare else '?'}{urlencode(params)}{hash_}{fragment}"
        form = params if method == "POST" else ()
        request = self._request(to, url, form, method, options, token)
        at_ms, began = to.now_ms(), time.perf_counter()

        def note(response: httpx.Response | None = None, error: str = "") -> None:
            to.exchanges.append(
                Exchange(
                    url=url,
                    method=method,
                    params=tuple(params),
                    headers=dict(request.headers),
                    attempt=attempt,
                    at_ms=at_ms,
                    took_ms=(time.perf_counter() - began) * 1000,
                    status=response.status_code if response is not None else 0,
                    content_type=response.headers.get("Content-Type", "") if response is not None else "",
                    body=response.content if response is not None else b"",
                    error=error,
                )
            )

        try:
            response = await self._transport.handle_async_request(request)
            try:
                await response.aread()
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            note(error=f"no connection: {error}")
            raise _Failure("ct", 11205, f"no connection: {error}") from error
        except httpx.HTTPError as error:
            note(error=f"{type(error).__name__}: {error}")
            raise _Failure("rt", 11200, f"the connection broke: {type(error).__name__}") from error
        except asyncio.CancelledError:
            note(error="no answer in time")
            raise
        response.request = request
        to.cookies.extract_cookies(response)
        note(response)
        return response

    def _request(
        self, to: Correspondence, url: str, form: Params, method: Method, options: Overrides, token: str
    ) -> httpx.Request:
        route = self._network.http(re.sub(r"#.*", "", url))
        headers = {
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "Accept-Encoding": "gzip",
            "I-Twilio-Idempotency-Token": token,
            "X-Home-Region": "us1",
            **self._signer.headers(url, form, purpose=to.purpose, how=to.signing),
            **route.headers,
        }
        content = None
        if method == "POST":
            headers["Content-Type"] = _FORM
            content = urlencode(form).encode()
        timeout = httpx.Timeout(options.read_s, connect=options.connect_s).as_dict()
        request = httpx.Request(method, route.url, headers=headers, content=content, extensions={"timeout": timeout})
        to.cookies.set_cookie_header(request)
        return request
