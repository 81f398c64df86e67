"""`ringua call`: one rehearsal call against a running service, by a stand-in carrier with a secret of its own."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from db import accounts
from rehearsal import voices
from rehearsal.carrier import CallEnded, Carrier, Phone
from rehearsal.report import CallResult, Event
from rehearsal.wav import read_ulaw
from ringua import storage
from ringua.rehearsal import enrol, prompt_voice
from ringua.settings import Settings

ANSWER_TIMEOUT_S = 60.0
QUIET_MS = 900
SHOWN = {"dial", "answered", "say", "key", "says", "stream-start", "stream-end", "clear", "reject", "ended", "warning"}


class CannotCall(Exception):
    """The call cannot be placed; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the caller does."""

    to: str
    from_: str
    keys: str
    say: tuple[Path, ...]
    record: Path | None
    url: str | None
    credential: str | None = None
    """The name with which a SIP phone authenticates; None: it does not, or it is none."""


async def run(settings: Settings, plan: Plan, out: Console, *, as_json: bool) -> None:
    """Places the call and shows it as it goes. Raises `CannotCall` and `StorageError`."""
    said = [_read(path) for path in plan.say]
    spoken = voices.Voices() if voices.available() else None

    async def behave(phone: Phone) -> None:
        for key in plan.keys:
            await phone.wait_for("gather", ANSWER_TIMEOUT_S)
            await phone.press(key)
        await phone.wait_for("stream", ANSWER_TIMEOUT_S)
        await phone.hear_silence(QUIET_MS, ANSWER_TIMEOUT_S)
        for ulaw in said:
            await phone.say(ulaw, "ulaw")
            await phone.hear_silence(QUIET_MS, ANSWER_TIMEOUT_S)

    def show(event: Event) -> None:
        if not as_json and event.kind in SHOWN:
            out.print(f"{event.at_ms / 1000:7.1f} s  {event.kind:12} {event.text}", markup=False, highlight=False)

    base = (plan.url or f"http://127.0.0.1:{settings.port}").rstrip("/")
    sid, token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
    async with (
        storage.opened(settings) as data,
        Carrier(sid, token, say_voice=prompt_voice(spoken), strict=False) as carrier,
    ):
        await enrol(data, sid, token, carrier.rest_url, hours=1)
        try:
            result = await carrier.call(
                f"{base}/twilio/voice",
                to=plan.to,
                from_=plan.from_,
                credential=plan.credential,
                behave=behave,
                status_callback=f"{base}/twilio/status",
                on_event=show,
            )
        except CallEnded as ended:
            if ended.result is None:
                raise
            result = ended.result
        finally:
            async with data.database.anyone() as session:
                await accounts.forget(session, sid)
    if not result.webhooks or not any(exchange.status for exchange in result.webhooks):
        raise CannotCall(f"Nothing answers at {base}: start the service with `ringua serve`, or give its --url.")
    if plan.record is not None:
        plan.record.parent.mkdir(parents=True, exist_ok=True)
        result.recording.write_wav(plan.record)
    _report(result, plan, out, as_json=as_json)


def _read(path: Path) -> bytes:
    try:
        return read_ulaw(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CannotCall(f"{path} cannot be said: {error}; give a mono WAV file at 8 kHz.") from error


def _report(result: CallResult, plan: Plan, out: Console, *, as_json: bool) -> None:
    if as_json:
        report = {
            "sid": result.sid,
            "status": result.status,
            "ended_by": result.ended_by,
            "duration_s": round(result.duration_s, 2),
            "warnings": [{"code": alert.code, "text": alert.text} for alert in result.warnings],
            "webhooks": [{"url": one.url, "status": one.status, "took_ms": one.took_ms} for one in result.webhooks],
            "record": str(plan.record) if plan.record is not None else None,
        }
        out.print_json(json.dumps(report))
        return
    out.print(f"The call ended by {result.ended_by} after {result.duration_s:.1f} s ({result.status}).")
    if plan.record is not None:
        out.print(f"Recorded: {plan.record} (left the caller, right the line).")
