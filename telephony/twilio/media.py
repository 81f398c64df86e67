"""The media socket's way in: signature, handshake, one-use token, one stream per call; then the call is answered.

Whatever fails here leaves the caller on the line: the socket closes, and the carrier goes on at ``/twilio/after``.
"""

from __future__ import annotations

import asyncio

import structlog
from fastapi import APIRouter, WebSocket
from sqlalchemy.exc import SQLAlchemyError

from db import tokens
from db.accounts import Account
from db.tokens import Claim
from telephony.leg import LegInfo
from telephony.twilio.door import Door
from telephony.twilio.gate import Refused
from telephony.twilio.stream import StreamRefused, TwilioLeg

log = structlog.get_logger(__name__)


def add_routes(routes: APIRouter, door: Door) -> None:
    """Adds ``/media`` for the environment's account and ``/media/{sid}`` for others, with or without a last slash."""
    streaming: dict[str, TwilioLeg] = {}

    @routes.websocket("/media")
    @routes.websocket("/media/")
    async def own_media(websocket: WebSocket) -> None:
        await _serve(websocket, door, None, streaming)

    @routes.websocket("/media/{account_sid}")
    @routes.websocket("/media/{account_sid}/")
    async def media(websocket: WebSocket, account_sid: str) -> None:
        await _serve(websocket, door, account_sid, streaming)


async def _serve(websocket: WebSocket, door: Door, account_sid: str | None, streaming: dict[str, TwilioLeg]) -> None:
    """Serves one socket.

    Args:
        streaming: the newest leg of each CallSid in this process; across processes the token is what is used up.
    """
    try:
        account = await door.gate.upgrade(websocket, account_sid)
    except Refused as refused:
        door.figures.fault("stream", "refused")
        log.warning("stream_refused", why=str(refused))
        await websocket.close(1008)  # before accept: the carrier gets a 403
        return
    await websocket.accept()
    leg = TwilioLeg(websocket)
    call_sid = ""
    try:
        info = await leg.open(deadline_s=door.start_deadline_s)
        call_sid = info.call_id
        # One whose media has ended may still be writing what came of it; it does not stand in the way.
        if call_sid in streaming and not streaming[call_sid].ended:
            raise StreamRefused("the call has a stream already")
        streaming[call_sid] = leg
        claim = await _claim(door, info, account)
        log.info("stream_opened", call=call_sid)
        await door.answer(leg, claim)
    except StreamRefused as refused:
        door.figures.fault("stream", "refused")
        log.warning("stream_refused", call=call_sid, why=str(refused))
    except (SQLAlchemyError, OSError) as error:
        door.figures.fault("stream", "no_database")
        log.error("stream_failed", call=call_sid, problem=type(error).__name__)  # its text may quote what is stored
    except Exception:
        door.figures.fault("stream", "failed")
        log.exception("stream_failed", call=call_sid)
    finally:
        if streaming.get(call_sid) is leg:
            del streaming[call_sid]
        await leg.close()


async def _claim(door: Door, info: LegInfo, account: Account) -> Claim:
    """Uses up the token.

    Raises:
        StreamRefused: another account's call, no valid token, or a database that does not answer.
    """
    if info.account != account.sid:
        raise StreamRefused("another account's call")
    try:
        async with asyncio.timeout(door.answer_timeout_s), door.database.anyone() as session:
            claim = await tokens.consume(session, door.keyring, info.params.get("token", ""), info.call_id)
    except (TimeoutError, SQLAlchemyError, OSError) as error:
        raise StreamRefused(f"the database does not answer ({type(error).__name__})") from None
    if claim is None or claim.payload["account"] != account.sid:
        raise StreamRefused("no valid token")
    return claim
