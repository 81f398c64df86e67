"""What the database is asked on the way of a call, in the order of a call: every query function that telephony uses.

What telephony asks beside the way of a call is named in ``LEFT_OUT``, with the reason. A test holds both against the
code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.scale import visit as asked
from benchmarks.scale.school_rows import ACCOUNT
from benchmarks.scale.visit import Visit
from benchmarks.scale.world import SCENES
from db import (
    accounts,
    achievements,
    budgets,
    calls,
    class_prompts,
    clips,
    consents,
    digests,
    learners,
    ledger,
    lines,
    observations,
    policies,
    profiles,
    ratings,
    recordings,
    reviews,
    satisfaction,
    scenarios,
    sip_domains,
    talk_time,
    tokens,
    topics,
)
from telephony.ordering import MOST_DUE
from telephony.remembered import CARD_CALLS

Stage = Literal["door", "menu", "stream", "talk", "end", "page"]

MINUTE: Final = 40_000
"""Micro-dollars that a minute may cost."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question to the database."""

    stage: Stage
    name: str
    """Module and function, as the code calls it."""
    ask: Callable[[AsyncSession, Visit], Awaitable[object]]


QUERIES: Final = (
    Query("door", "accounts.find", lambda s, v: accounts.find(s, v.keyring, ACCOUNT)),
    Query("door", "calls.find", lambda s, v: calls.find(s, v.sid)),
    Query("door", "sip_domains.line_number", lambda s, v: sip_domains.line_number(s, v.domain, None)),
    Query("door", "lines.by_number", lambda s, v: lines.by_number(s, v.number)),
    Query("door", "scenarios.catalogue", lambda s, v: scenarios.catalogue(s, v.catalogue)),
    Query("door", "learners.by_number_hash", lambda s, v: learners.by_number_hash(s, v.number_hash)),
    Query("door", "ratings.get", lambda s, v: ratings.get(s, v.learner_id, v.target)),
    Query("door", "learners.plays", lambda s, v: learners.plays(s, v.learner_id, v.target)),
    Query("door", "calls.dropped", asked.dropped),
    Query("door", "assignments.open_to", asked.assigned),
    Query("door", "reviews.due", lambda s, v: reviews.due(s, v.learner_id, v.target, now=v.at, most=MOST_DUE)),
    Query("door", "profiles.get", lambda s, v: profiles.get(s, v.learner_id, v.target)),
    Query("door", "topics.recent", lambda s, v: topics.recent(s, v.learner_id, v.target)),
    Query("door", "ratings.difficulties", lambda s, v: ratings.difficulties(s)),
    Query("door", "consents.asked", lambda s, v: consents.asked(s, v.number_hash)),
    Query("door", "consents.standing", lambda s, v: consents.standing(s, v.number_hash)),
    Query("door", "consents.agreed", lambda s, v: consents.agreed(s, v.number_hash, consents.AUDIO)),
    Query("door", "policies.of_school", lambda s, v: policies.of_school(s)),
    Query("door", "class_prompts.live", lambda s, v: class_prompts.live(s, v.line_id, v.at.date())),
    Query("door", "limits.holding_for", asked.holding),
    Query("door", "talk_time.left", lambda s, v: talk_time.left(s, v.payer, v.holding, v.at)),
    Query("door", "budgets.ready", asked.ready),
    Query("door", "budgets.room", lambda s, v: budgets.room(s, v.periods)),
    Query("door", "calls.listeners", lambda s, v: calls.listeners(s, v.payer, since=v.at - timedelta(days=1))),
    Query("door", "calls.open_call", asked.admitted),
    Query("door", "budgets.hold_in", lambda s, v: budgets.hold_in(s, v.payer, v.periods, 3 * MINUTE)),
    Query("door", "calls.save_menu", asked.menu_kept),
    Query("menu", "budgets.release", lambda s, v: budgets.release(s, v.call_id)),
    Query("menu", "calls.get", asked.found),
    Query("menu", "calls.age_s", lambda s, v: calls.age_s(s, v.call_id)),
    Query("menu", "lines.get", lambda s, v: lines.get(s, v.line_id)),
    Query("menu", "pins.check", asked.wrong_pin),
    Query("menu", "learners.get", lambda s, v: learners.get(s, v.learner_id)),
    Query("menu", "calls.identify", lambda s, v: calls.identify(s, v.call_id, v.learner_id)),
    Query("menu", "learners.create_with_number", asked.newcomer),
    Query("menu", "learners.choose_languages", asked.languages_chosen),
    Query("menu", "learners.save_settings", lambda s, v: learners.save_settings(s, v.learner_id, {"slower": True})),
    Query("menu", "ratings.answered", lambda s, v: ratings.answered(s, v.learner_id, v.target, yes=False)),
    Query("menu", "consents.give", asked.sound_agreed),
    Query("menu", "digests.week", lambda s, v: digests.week(s, v.line_id)),
    Query("menu", "digests.child", lambda s, v: digests.child(s, v.learner_id)),
    Query("menu", "class_prompts.add", asked.material_said),
    Query("menu", "tokens.issue", asked.token_issued),
    Query("menu", "calls.take_resume", lambda s, v: calls.take_resume(s, v.before)),
    Query("menu", "chains.join", asked.joined),
    Query("menu", "calls.begin", lambda s, v: calls.begin(s, v.call_id, scenario=SCENES[0], level=v.level)),
    Query("stream", "tokens.consume", lambda s, v: tokens.consume(s, v.keyring, v.token, v.sid)),
    Query("stream", "calls.connected", lambda s, v: calls.connected(s, v.call_id)),
    Query("stream", "class_prompts.of_call", asked.material),
    Query("stream", "chains.seed", asked.seeded),
    Query("stream", "recordings.may_keep", lambda s, v: recordings.may_keep(s, v.call_id)),
    Query("stream", "observations.latest", lambda s, v: observations.latest(s, v.learner_id, v.target, CARD_CALLS)),
    Query("stream", "topics.facts", lambda s, v: topics.facts(s, v.learner_id)),
    Query("stream", "ledger.used", lambda s, v: ledger.used(s, v.before)),
    Query("stream", "clips.get_many", lambda s, v: clips.get_many(s, v.clip_keys)),
    Query("stream", "clips.put", asked.clip_kept),
    Query("talk", "calls.heartbeat", lambda s, v: calls.heartbeat(s, v.call_id, stream=1)),
    Query("talk", "calls.checkpoint", asked.checkpoint),
    Query("talk", "ledger.book", asked.booked),
    Query("talk", "ledger.lost_response", lambda s, v: ledger.lost_response(s, v.payer, model=None, key="2", at=v.at)),
    Query("end", "calls.disconnected", lambda s, v: calls.disconnected(s, v.call_id, stream=1)),
    Query("end", "endings.finish", asked.finished),
    Query("end", "calls.carrier_status", lambda s, v: calls.carrier_status(s, v.call_id, "completed", 3)),
    Query("end", "ledger.carrier_billed", lambda s, v: ledger.carrier_billed(s, v.call_id, 300)),
    Query("end", "achievements.earned", lambda s, v: achievements.earned(s, v.learner_id, but_with=v.call_id)),
    Query("end", "observations.before", asked.before),
    Query("end", "closing.closing", asked.wrapped_up),
    Query("end", "learners.calls_from", lambda s, v: learners.calls_from(s, v.learner_id, v.number_hash)),
    Query("end", "consents.answer_of", lambda s, v: consents.answer_of(s, v.sid)),
    Query("end", "consents.opted_out", lambda s, v: consents.opted_out(s, v.number_hash)),
    Query("end", "consents.record", asked.consent_given),
    Query("end", "learners.set_message_number", lambda s, v: learners.set_message_number(s, v.number_hash, b"sealed")),
    Query("end", "messages.add", asked.text_written),
    Query("end", "observations.confidence_due", lambda s, v: observations.confidence_due(s, v.learner_id)),
    Query("end", "satisfaction.ask", lambda s, v: satisfaction.ask(s, v.call_id)),
    Query("end", "satisfaction.answered", lambda s, v: satisfaction.answered(s, v.call_id, 4)),
    Query("end", "observations.confidence_answered", asked.felt),
    Query("end", "recordings.add", lambda s, v: recordings.add(s, v.call_id, timedelta(hours=24))),
    Query("end", "recordings.end_now", lambda s, v: recordings.end_now(s, [v.call_id])),
    Query("end", "consents.end", lambda s, v: consents.end(s, v.number_hash, consents.AUDIO)),
    Query("end", "topics.forget_facts", lambda s, v: topics.forget_facts(s, v.learner_id)),
    Query("end", "jobs.defer", asked.job_deferred),
    Query("end", "budgets.refused", lambda s, v: budgets.refused(s, v.school_id, v.periods, MINUTE)),
    Query("page", "pages.find", asked.page_found),
    Query("page", "pages.record", asked.page_read),
)

STEPS: Final = frozenset({"closing.closing"})
"""Not one query of ours, but all that is asked in one place of telephony, where it asks for rows itself."""

THROUGH: Final = frozenset({"scenarios.catalogue", "pages.find", "pages.record"})
"""Asked through something that was handed in, such as ``Catalogues.of``, or by the page."""

BESIDE: Final = frozenset({"messages.py", "message_codes.py", "sms_webhooks.py", "erasing.py"})
"""Modules of telephony that are about text messages, which go by jobs, and about what the carrier must delete."""

LEFT_OUT: Final[dict[str, str]] = {}
"""What telephony asks beside the way of a call, and why that is no part of it."""
