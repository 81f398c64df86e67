"""What the carrier's routes need from the rest of the service, as one record handed in by whoever assembles it.

It does nothing by itself; the callbacks are the only way from here to models, conversations and drivers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from db.endings import Ending
from db.engine import Database
from db.keyring import Keyring
from db.models import Call
from db.scenarios import Catalogues
from db.tokens import Claim
from telephony.admission import Admitted
from telephony.figures import Figures
from telephony.leg import PhoneLeg
from telephony.twilio.gate import Gate
from tutor.safety.minors import Minors
from tutor.script.catalogue import Catalogue


def _no_prewarm(call_sid: str, admitted: Admitted) -> None:
    """Opens nothing: the first stream opens its own session."""


def _no_release(call_sid: str) -> None:
    """Has nothing to release."""


def _not_draining() -> bool:
    """Takes calls."""
    return False


async def _no_resume(call: Call) -> bool:
    """Resumes nothing."""
    return False


def _bare_ending(call: Call, reason: str) -> Ending:
    """Closes a call with nothing but its reason; a checkpoint, where there is one, is kept."""
    return Ending(reason, resumable=call.resume is not None)


@dataclass(frozen=True, slots=True)
class Door:
    """Ports of the carrier's routes. The callbacks return at once, unless they are coroutines."""

    gate: Gate
    database: Database
    keyring: Keyring
    catalogues: Catalogues
    """Each school's scenes."""
    answer: Callable[[PhoneLeg, Claim], Awaitable[None]]
    """Holds the conversation on a leg, and closes the call's row; returns when the leg has ended. The claim's payload:
    ``call_id``, ``account``, ``scenario``, ``level``, ``native`` (text), ``slower`` (bool) and ``voice`` (which of the
    voices for the role, from 0)."""
    minors: Minors = "none"
    """The youngest callers that this service may take; a line for younger ones is closed."""
    max_calls: int = 50
    model: str = ""
    """The service's speech model, by which a minute is priced at the door; empty: as the dearest one."""
    transcribe_model: str = ""
    """The same of the learner's words in writing."""
    prewarm: Callable[[str, Admitted], None] = _no_prewarm
    """A call (CallSid) was admitted, for the first time. Best effort."""
    release: Callable[[str], None] = _no_release
    """A call (CallSid) will not open a stream any more; also called for calls that were never prewarmed."""
    resume: Callable[[Call], Awaitable[bool]] = _no_resume
    """A stream broke off and the caller is still there: whether the scene goes on in another stream."""
    ending: Callable[[Call, str], Ending] = _bare_ending
    """What a call leaves behind that no driver closed, from its row and a reason of ``webhooks.Reason``."""
    draining: Callable[[], bool] = _not_draining
    """Whether this process takes no new calls and no new streams, because it is about to end."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """By which a text's day is known."""
    figures: Figures = field(default_factory=Figures)
    """What is counted of calls, texts and faults."""
    answer_timeout_s: float = 3.0
    """For a webhook's database work in all, which takes some 10 ms. The carrier's own limit is 15 s; the caller hears
    silence meanwhile."""
    settle_s: float = 1.0
    """How much longer ``/after`` may take, to wait for a driver that is still writing how its call ended."""
    start_deadline_s: float = 5.0
    """For the first messages of a media socket."""

    @property
    def catalogue(self) -> Catalogue:
        """What every school has: the languages, and the scenes of the package."""
        return self.catalogues.packaged
