"""The relay that does nothing: FastAPI on the service's own server settings, websockets to the model.

It moves the caller's base64 into the model's envelope and back, tells the carrier to clear when the learner begins, and
that is all: no database, no transcoding, no pacing, no marks, no conversation. What a bridge costs is read against it.
Run as ``python -m benchmarks.bridge.relay PORT MODEL_URL``.
"""

from __future__ import annotations

import asyncio
import json
import sys

import msgspec
import uvicorn
import uvloop
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ringua.server import Server, listen

_FORMAT = {"type": "audio/pcmu"}
_SESSION = {
    "type": "realtime",
    "audio": {"input": {"format": _FORMAT, "turn_detection": {"type": "server_vad"}}, "output": {"format": _FORMAT}},
}


class _Payload(msgspec.Struct):
    payload: str


class _FromCaller(msgspec.Struct):
    event: str
    media: _Payload | None = None


class _FromModel(msgspec.Struct):
    type: str
    delta: str = ""


_from_caller = msgspec.json.Decoder(_FromCaller).decode
_from_model = msgspec.json.Decoder(_FromModel).decode


def app(model_url: str) -> FastAPI:
    """The relay as an application."""
    relay = FastAPI(openapi_url=None)

    @relay.get("/healthz")
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @relay.websocket("/media")
    async def media(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()
        start = json.loads(await websocket.receive_text())
        async with connect(model_url, compression=None, max_size=None) as model:
            await model.send(json.dumps({"type": "session.update", "session": _SESSION}))
            tasks = {
                asyncio.create_task(_up(websocket, model)),
                asyncio.create_task(_down(websocket, model, start["streamSid"])),
            }
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return relay


async def _up(websocket: WebSocket, model: ClientConnection) -> None:
    while True:
        try:
            message = _from_caller(await websocket.receive_text())
        except WebSocketDisconnect:
            return
        if message.media is not None:
            await model.send(f'{{"type":"input_audio_buffer.append","audio":"{message.media.payload}"}}')
        elif message.event == "stop":
            return


async def _down(websocket: WebSocket, model: ClientConnection, stream_sid: str) -> None:
    media = f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"'
    clear = f'{{"event":"clear","streamSid":"{stream_sid}"}}'
    try:
        async for text in model:
            event = _from_model(text)
            if event.type == "response.output_audio.delta":
                await websocket.send_text(f'{media}{event.delta}"}}}}')
            elif event.type == "input_audio_buffer.speech_started":
                await websocket.send_text(clear)
    except (ConnectionClosed, WebSocketDisconnect):
        return


def _config(relay: FastAPI) -> uvicorn.Config:
    """uvicorn as it comes, with the options that cost least."""
    return uvicorn.Config(
        relay,
        lifespan="off",
        log_level="error",
        access_log=False,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        server_header=False,
    )


async def _serve(port: int, model_url: str) -> None:
    with listen(port, "127.0.0.1") as listener:
        async with Server(_config(app(model_url))).running(listener):
            await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1]), sys.argv[2]))
