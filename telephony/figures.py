"""What this process counts for whoever watches it: calls, who was turned away, the model's connections, texts, faults.

Prometheus counters, each told at an event and none at a frame. Every label is one of a few fixed words, never a number,
a name, a school or an identifier. Who serves the figures is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from telephony.link import LinkNews
from tutor.learning.metrics_turns import Delay

END_REASONS: Final = frozenset(
    {
        *("role", "key", "limit", "silence", "safe_exit", "safety_stop", "care", "caller_hung_up"),
        *("model_lost", "line_lost", "process_lost", "left_menu", "turned_away", "listened", "no_stream"),
    }
)
"""How calls end; whatever else a call's row may say is counted as ``other``."""

Refusal = Literal["unknown_line", "closed", "busy", "minutes_used", "budget_spent", "draining"]
"""Why a call was not taken: the number is nobody's, the line may not, or cannot, take it now."""

Request = Literal["webhook", "stream"]
"""What the carrier asks for: an answer, or a media stream."""

Fault = Literal["refused", "no_database", "unknown_call", "failed"]
"""Why it did not get it: not the carrier's or not allowed, the database, a call without a row, a fault of ours."""

TEXT_STATUSES: Final = frozenset(
    {
        *("accepted", "scheduled", "queued", "sending", "sent", "canceled"),
        *("delivered", "partially_delivered", "read", "undelivered", "failed"),
    }
)
"""What carriers say of a text; whatever else they may say is counted as ``other``."""

DURATIONS_S: Final = (15, 30, 60, 120, 180, 300, 420, 600, 780, 900, 1200)
"""From a caller who left at once to the longest call (15 minutes unless set otherwise), five minutes for children."""

ANSWERS_S: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0)
"""The goals, 0.5 and 0.8 s, are edges of their own, so that what reaches them is read off exactly."""

GAPS_S: Final = (0.3, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 8.0)
"""The same, longer by a level's silence, which is up to some two seconds."""

_S: Final = 1_000


class Figures:
    """The counters of one process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Makes them, all zero.

        Args:
            registry: where they are read; None: nowhere.
        """
        self._ended = Counter(
            "ringua_calls_ended", "Calls that this process closed, by how they ended.", ["reason"], registry=registry
        )
        self._admitted = Counter("ringua_calls_admitted", "Calls that were taken.", registry=registry)
        self._turned_away = Counter(
            "ringua_calls_turned_away", "Calls that were not taken, by reason.", ["reason"], registry=registry
        )
        self._live = Gauge("ringua_calls_live", "Conversations that this process serves now.", registry=registry)
        self._lasted = Histogram(
            "ringua_call_duration_seconds",
            "From the first media stream of a call to its end.",
            buckets=DURATIONS_S,
            registry=registry,
        )
        self._model = Counter(
            "ringua_model_connections",
            "Connections to the model: opened, failed (a try), lost, back, renewed (before expiry), gone (for good).",
            ["event"],
            registry=registry,
        )
        self._answers = Histogram(
            "ringua_answer_seconds",
            "From the detected end of a learner's turn to the first frame of the answer.",
            buckets=ANSWERS_S,
            registry=registry,
        )
        self._gaps = Histogram(
            "ringua_felt_gap_seconds",
            "From the end of the learner's voice to the first frame of the answer, but for the carrier's way.",
            buckets=GAPS_S,
            registry=registry,
        )
        self._texts = Counter(
            "ringua_text_reports", "What the carrier said of text messages, each once.", ["status"], registry=registry
        )
        self._faults = Counter(
            "ringua_carrier_faults",
            "Webhooks and media streams that did not get what they asked for.",
            ["request", "reason"],
            registry=registry,
        )

        self._jobs = Gauge(
            "ringua_jobs",
            "Jobs by status, of all processes; those that failed stay a month.",
            ["status"],
            registry=registry,
        )

    def live_is(self, count: Callable[[], int]) -> None:
        """Says who knows how many conversations are served; asked whenever the figures are read."""
        self._live.set_function(count)

    def admitted(self) -> None:
        """A call was taken, for the first time."""
        self._admitted.inc()

    def turned_away(self, why: Refusal) -> None:
        """A call was not taken. A carrier that asks again is counted again."""
        self._turned_away.labels(why).inc()

    def ended(self, reason: str, lasted_s: float | None) -> None:
        """A call's row was closed.

        Args:
            reason: how it ended, as its row says.
            lasted_s: since its first media stream; None: it had none.
        """
        self._ended.labels(reason if reason in END_REASONS else "other").inc()
        if lasted_s is not None:
            self._lasted.observe(max(0.0, lasted_s))

    def answered(self, delays: Iterable[Delay], *, since_ms: int) -> None:
        """A stream has ended, and this is how soon the learner was answered in it.

        Args:
            delays: of the whole conversation.
            since_ms: where the stream began, in milliseconds of the call; earlier ones were told with another stream.
        """
        for delay in delays:
            if delay.at_ms >= since_ms:
                self._answers.observe(delay.answer_ms / _S)
                self._gaps.observe(delay.gap_ms / _S)

    def model(self, news: LinkNews) -> None:
        """Something happened to a call's connection with the model."""
        self._model.labels(news).inc()

    def text_reported(self, status: str) -> None:
        """The carrier said something new of a text message."""
        self._texts.labels(status if status in TEXT_STATUSES else "other").inc()

    def jobs(self, counts: Mapping[str, int] | None) -> None:
        """How many jobs there are by status; None: not known now, so that nothing is shown."""
        self._jobs.clear()
        for status, count in (counts or {}).items():
            self._jobs.labels(status).set(count)

    def fault(self, request: Request, why: Fault) -> None:
        """The carrier asked and did not get what it asked for."""
        self._faults.labels(request, why).inc()
