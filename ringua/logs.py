"""Logs: one line an event, without telephone numbers and keys, whatever an event carries and whoever logs it."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Set
from typing import Any, TextIO

import structlog

_NUMBER = re.compile(r"(?i)(?<![\w.])(?:\+|%2B)\d{6,15}(?!\w)")
_SECRET = re.compile(r"\b(sk-[A-Za-z0-9_-]{6,}|ek_[A-Za-z0-9_-]{6,})")


def redact(text: str) -> str:
    """A text without E.164 numbers (the last two digits stay), as in an address, too, and without API keys."""
    text = _NUMBER.sub(lambda match: "+…" + match[0][-2:], text)
    return _SECRET.sub(lambda match: match[0][:3] + "…", text)


def _redacted(value: Any) -> Any:
    """A value as it may be logged: what is neither a number nor a collection is logged as its text."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return redact(value)
        case Mapping():
            return {redact(str(key)): _redacted(one) for key, one in value.items()}
        case list() | tuple() | Set():
            return [_redacted(one) for one in value]
        case _:
            return redact(str(value))


def _redact_event(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if not key.startswith("_"):  # what structlog carries along for itself
            event[key] = _redacted(value)
    return event


class _Lines(logging.StreamHandler[TextIO]):
    """Writes what libraries log through Python's own ``logging``."""


def configure(*, level: str = "INFO", json: bool | None = None) -> None:
    """Sets up logging for a process: readable on a terminal, JSON lines elsewhere."""
    as_json = json if json is not None else not sys.stderr.isatty()
    in_json = structlog.processors.JSONRenderer(ensure_ascii=False)
    renderer: Any = in_json if as_json else structlog.dev.ConsoleRenderer()
    every: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *every, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    lines = _Lines(sys.stderr)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *every],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Lines)]
    root.addHandler(lines)
    # Libraries speak when something is wrong; what they would say of ordinary work is ours to say.
    root.setLevel(logging.WARNING)
    logging.getLogger("picows").setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
