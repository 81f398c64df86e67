"""What every way of reaching a caller offers, and what it reports back.

A leg sends bytes, marks and clear, and reports caller audio, keys, echoed marks and the end. It knows
nothing of pacing (that is ``playout.py``), of models or of lessons. Caller audio arrives by a plain
callback: no task, queue or object per frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Capability = Literal["media", "clear", "mark", "dtmf_in", "hangup"]
EndedBy = Literal["caller", "app", "error"]


@dataclass(frozen=True, slots=True)
class LegInfo:
    """What the carrier said when the media began. ``params`` come from outside: untrusted."""

    call_id: str
    """The carrier's identifier of the call (Twilio: CallSid)."""
    account: str
    """The carrier account the call belongs to (Twilio: AccountSid)."""
    kind: Literal["twilio", "asterisk", "realtime-sip"]
    params: Mapping[str, str] = field(default_factory=dict)
    caps: frozenset[Capability] = frozenset({"media", "clear", "mark", "dtmf_in"})


class LegListener(Protocol):
    """Receives what happens on a leg. Every method returns at once; none of them may raise."""

    def on_caller_audio(self, ulaw: bytes) -> None:
        """G.711 µ-law at 8 kHz, in order; gaps in the carrier's timestamps are already silence."""

    def on_key(self, digit: str) -> None:
        """One key press: ``0``-``9``, ``*`` or ``#``."""

    def on_mark(self, name: str) -> None:
        """A mark came back: played, or dropped by ``clear``. The playout knows which."""

    def on_leg_end(self, by: EndedBy, detail: str) -> None:
        """The media ended; reported exactly once, always last."""


class PhoneLeg(Protocol):
    """One caller's media. The send methods only queue bytes in order and never wait."""

    @property
    def info(self) -> LegInfo:
        """Who is on the leg."""

    def send_audio(self, ulaw: bytes) -> None:
        """Queues G.711 µ-law for playing; the length is a multiple of 160 bytes (20 ms)."""

    def send_mark(self, name: str) -> None:
        """Asks for an echo once everything sent before has been played."""

    def clear(self) -> None:
        """Drops everything the carrier has not played yet, and everything still queued here."""

    async def run(self, listener: LegListener) -> None:
        """Reads the leg until it ends; ``on_leg_end`` has been called when this returns."""

    async def close(self) -> None:
        """Ends the media (the call itself goes on where the carrier's script says). Idempotent."""
