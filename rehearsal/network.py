"""Where a URL really leads: straight there, or through a stand-in for the proxy that ends TLS.

A server signs and checks its public https address while it listens on plain loopback. With ``proxy`` the carrier
asks for (and signs) the public address, and the bytes go where the mapping says.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

_AS_HTTP = {"ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class Route:
    """Where to connect, what to ask for there, and what the proxy adds to the headers."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    host: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """The carrier's way out. ``proxy`` maps public origins to real ones; ``tls`` replaces the usual trust."""

    proxy: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None

    def http(self, url: str) -> Route:
        """The way to an http(s) URL."""
        parts = urlsplit(url)
        target = self._target(parts)
        if target is None:
            return Route(url)
        real = parts._replace(scheme=target.scheme, netloc=target.netloc)
        return Route(real.geturl(), _forwarded(parts, parts.scheme) | {"Host": parts.netloc})

    def socket(self, url: str) -> Route:
        """The way to a ws(s) URL; ``host`` and ``port`` are set when the connection leads elsewhere."""
        parts = urlsplit(url)
        target = self._target(parts._replace(scheme=_AS_HTTP[parts.scheme]))
        if target is None:
            return Route(url)
        scheme = "wss" if target.scheme == "https" else "ws"
        port = target.port or (443 if target.scheme == "https" else 80)
        return Route(
            parts._replace(scheme=scheme).geturl(),
            _forwarded(parts, _AS_HTTP[parts.scheme]),
            target.hostname,
            port,
        )

    def _target(self, parts: SplitResult) -> SplitResult | None:
        target = self.proxy.get(f"{parts.scheme}://{parts.netloc}")
        return None if target is None else urlsplit(target)


def _forwarded(parts: SplitResult, scheme: str) -> dict[str, str]:
    return {"X-Forwarded-Proto": scheme, "X-Forwarded-Host": parts.netloc, "X-Forwarded-For": "54.172.60.1"}


def is_loopback(host: str | None) -> bool:
    """Whether the host is this machine by its very name: ``localhost``, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
