"""Logs: one line an event, without telephone numbers and without keys, whatever an event carries."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_NUMBER = re.compile(r"(?<![\w.])\+\d{6,15}(?!\w)")
_SECRET = re.compile(r"\b(sk-[A-Za-z0-9_-]{6,}|ek_[A-Za-z0-9_-]{6,})")


def redact(text: str) -> str:
    """A text without E.164 numbers (the last two digits stay) and without API keys."""
    text = _NUMBER.sub(lambda match: "+…" + match[0][-2:], text)
    return _SECRET.sub(lambda match: match[0][:3] + "…", text)


def _redact_event(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redact(value)
    return event


def configure(*, level: str = "INFO", json: bool | None = None) -> None:
    """Sets up logging for a process: readable on a terminal, JSON lines elsewhere."""
    as_json = json if json is not None else not sys.stderr.isatty()
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries speak when something is wrong; what they would say of ordinary work is ours to say.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("picows").setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
