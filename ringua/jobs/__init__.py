"""The work that follows calls, one file a job. A job may be run twice; none of them minds."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import httpx

from db import budgets, debriefs, flags, messages, observations
from db.audio_files import AudioFiles
from db.jobs import Job
from ringua.carriers import Carriers
from ringua.jobs import learning, nightly, purge
from ringua.jobs.budget import tell_budget
from ringua.jobs.debrief import Links, debrief_call
from ringua.jobs.message import send_message
from ringua.jobs.safeguarding import tell_contact
from ringua.jobs.stale_calls import close_stale_calls
from ringua.mail import Mail
from ringua.settings import Settings
from ringua.storage import Storage
from telephony.twilio.messages import Messenger
from telephony.twilio.rest import TOTAL_S, RestHttp
from tutor.realtime.text import TextModel
from tutor.script import catalogue


def all_jobs(storage: Storage, settings: Settings, *, rest_limit_s: float = TOTAL_S) -> list[Job]:
    """Every job a worker runs. Without an API key debriefs are written without a model.

    ``rest_limit_s``: for one request to a carrier.
    """
    carriers = Carriers(settings, storage.keyring)
    shelf = catalogue.load().with_preset(settings.level_preset)

    async def stale() -> None:
        await close_stale_calls(storage.database)

    base_url = settings.public_base_url
    links = Links(storage.keyring, base_url) if base_url else None

    async def debrief(school_id: str, call_id: str) -> None:
        async with httpx.AsyncClient() as client:
            key = settings.openai_api_key
            model = TextModel(client, settings.openai_base_url, key, settings.text_model) if key else None
            ids = {"school_id": UUID(school_id), "call_id": UUID(call_id)}
            await learning.learn_or_later(storage.database, shelf, **ids)
            await debrief_call(storage.database, shelf, model, **ids, links=links)
            await learning.make_cards(storage.database, shelf, **ids)

    async def learn(school_id: str, call_id: str) -> None:
        ids = {"school_id": UUID(school_id), "call_id": UUID(call_id)}
        await learning.learn_from_call(storage.database, shelf, **ids)
        await learning.make_cards(storage.database, shelf, **ids)

    async def rate(school_id: str, call_id: str) -> None:
        ids = {"school_id": UUID(school_id), "call_id": UUID(call_id)}
        await learning.rate_call(storage.database, shelf, **ids)
        await learning.make_cards(storage.database, shelf, **ids)

    async def analyse() -> None:
        await nightly.analyse(storage.database, shelf, at=nightly.night_of(datetime.now(UTC)))

    async def send(school_id: str, message_id: str) -> None:
        http = RestHttp(total_s=rest_limit_s)
        try:
            messenger = Messenger(
                database=storage.database,
                keyring=storage.keyring,
                find_account=carriers.find,
                address=carriers.address,
                http=http,
            )
            await send_message(messenger, storage.database, school_id=UUID(school_id), message_id=UUID(message_id))
        finally:
            await http.close()

    async def safeguarding(school_id: str, call_id: str) -> None:
        await tell_contact(storage.database, storage.keyring, school_id=UUID(school_id), call_id=UUID(call_id))

    async def budget(school_id: str, period_id: int, percent: int) -> None:
        mail = Mail.parse(settings.smtp_url) if settings.smtp_url else None
        await tell_budget(storage.database, mail, school_id=UUID(school_id), period_id=period_id, percent=percent)

    return [
        Job("calls.close_stale", stale, cron="* * * * *"),
        Job(debriefs.JOB, debrief),
        Job(observations.JOB, learn),
        Job(observations.RATING_JOB, rate),
        Job(nightly.JOB, analyse, cron=nightly.CRON),
        Job(messages.JOB, send),
        Job(flags.JOB, safeguarding),
        Job(budgets.JOB, budget),
        *purge.jobs_of(storage.database, AudioFiles(settings.data_dir), carriers.find, rest_limit_s=rest_limit_s),
    ]
