"""Decides whether a request or a socket upgrade was signed by the carrier account it claims to come from.

It may not know routes, databases or TwiML. The library's ``compute_signature`` is right and used; its ``validate`` is
not: it raises on bodies that are text, tries port 80 for ``wss``, and compares lengths first.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from starlette.datastructures import FormData
from starlette.types import Scope
from twilio.request_validator import (
    HMAC_SHA1,
    HMAC_SHA256,
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_WEBSOCKET_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_SIGNATURE = SIGNATURE_HEADER.lower().encode("ascii")
_SETTINGS = SIGNATURE_SETTINGS_HEADER.lower().encode("ascii")


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What one carrier account may sign with. Without any key nothing verifies."""

    tokens: tuple[str, ...] = ()
    """Auth tokens, two while one is being rotated."""
    shared_key: str | None = None
    """Secret of a shared key (HMAC-SHA256). Requests may only ask for it when it is set."""

    def __repr__(self) -> str:
        """Shows how many keys there are, never a key."""
        return f"SigningKeys({len(self.tokens)} tokens, shared key {'set' if self.shared_key else 'not set'})"


class Verifier:
    """Checks signatures against the address the outside world knows, never against the ``Host`` header.

    Args:
        public_base_url: ``https://voice.example.org``, with a path prefix and port where there is one.

    Raises:
        ValueError: the address has no host or an unknown scheme.
    """

    def __init__(self, public_base_url: str) -> None:
        self._base = _address(public_base_url)
        self._socket_base = self._base._replace(scheme=_WEBSOCKET_SCHEMES[self._base.scheme])

    def websocket_url(self, path: str) -> str:
        """Returns the address under which the carrier reaches the socket at ``path``."""
        return self._socket_base._replace(path=self._base.path + path).geturl()

    def form(self, scope: Scope, form: FormData, keys: SigningKeys) -> bool:
        """Says whether a form POST is signed by one of ``keys``.

        Args:
            scope: ASGI scope of the request; its raw path and raw query are used as they came.
            form: the whole form, with blank and repeated values (``parse_form``).
            keys: keys of the account that the request claims to come from.
        """
        url = self._base._replace(path=self._base.path + _raw_path(scope), query=_raw_query(scope))
        return _signed(_spellings(url), form, scope, keys)

    def upgrade(self, scope: Scope, keys: SigningKeys) -> bool:
        """Says whether a websocket upgrade is signed by one of ``keys``; to be asked before ``accept``.

        The carrier's documents promise neither the port nor the trailing slash: the address is tried with and without.
        """
        path = self._base.path + _raw_path(scope).rstrip("/")
        url = self._socket_base._replace(query=_raw_query(scope))
        candidates = [
            spelling for trailing in (path, path + "/") for spelling in _spellings(url._replace(path=trailing))
        ]
        return _signed(candidates, None, scope, keys)


def parse_form(body: bytes) -> FormData:
    """Parses a form body with everything that a signature counts: blank values, repeated names, spaces at the ends.

    Raises:
        ValueError: not UTF-8, or more than 200 fields (the carrier sends about 40).
    """
    pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200)
    return FormData([(name, value) for name, value in pairs])


def _address(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not an address the carrier can reach: write https://host or wss://host/path.")
    netloc = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, path=parts.path.rstrip("/"), query="", fragment="")


def _raw_path(scope: Scope) -> str:
    raw = scope.get("raw_path")
    if isinstance(raw, bytes):
        return raw.partition(b"?")[0].decode("latin-1")
    return quote(str(scope["path"]))  # a server without raw_path; percent-encoding of the original is lost


def _raw_query(scope: Scope) -> str:
    query = scope.get("query_string", b"")
    return query.decode("latin-1") if isinstance(query, bytes) else ""


def _spellings(url: SplitResult) -> Iterator[str]:
    """Yields the address with its port, then without (voice webhooks over https are signed without)."""
    host = url.netloc
    bare = host if host.endswith("]") else (host.rpartition(":")[0] or host)
    port = url.port or _DEFAULT_PORTS[url.scheme]
    yield url._replace(netloc=bare).geturl()
    yield url._replace(netloc=f"{bare}:{port}").geturl()


def _signed(urls: Iterable[str], form: FormData | None, scope: Scope, keys: SigningKeys) -> bool:
    headers = dict(scope["headers"])
    signature = headers.get(_SIGNATURE, b"")
    if not signature:
        return False
    algorithm, secrets = _choose(headers.get(_SETTINGS, b"").decode("latin-1"), keys)
    valid = False
    for url in urls:
        for secret in secrets:
            try:
                expected = RequestValidator(secret).compute_signature(url, form, algorithm)
            except (TypeError, ValueError):  # parts that are files, text that is not Unicode: signed by nobody
                return False
            valid |= hmac.compare_digest(expected.encode("ascii"), signature)
    return valid


def _choose(settings: str, keys: SigningKeys) -> tuple[str, tuple[str, ...]]:
    """Picks algorithm and secrets. The request may only choose between what this account has configured."""
    tokens = tuple(token for token in keys.tokens if token)
    if not settings or not keys.shared_key:
        return HMAC_SHA1, tokens
    algorithm = get_signature_algorithm(settings).upper()
    if algorithm == HMAC_SHA256:
        return HMAC_SHA256, (keys.shared_key,)
    return HMAC_SHA1, tokens if algorithm == HMAC_SHA1 else ()
