"""The responses of one session: which may be made, what each reads and says, which is the active one.

It knows no event; a response sends its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Protocol

from rehearsal.realtime_config import is_reasoning, response_settings
from rehearsal.realtime_items import Item, from_client
from rehearsal.realtime_response import Host, Response, Settings
from rehearsal.realtime_role import Ask, Plan, Role
from rehearsal.realtime_schema import Refused
from rehearsal.realtime_script import Fault, Script, Spending, ToolCall
from rehearsal.strict_json import instance


class SessionHost(Host, Protocol):
    """What the responses need of their session, beyond what each one needs."""

    script: Script
    settings: dict[str, Any]
    conversation_id: str
    notes: list[str]
    now_ms: float

    def arm(self, faults: Iterable[Fault]) -> None:
        """Lets faults of the line happen from now on."""


class Replies:
    """Makes responses. One may write to the conversation at a time, any number may run beside it.

    steering: texts of the system items that the client added since the last response of the conversation.
    active: the response that writes to the conversation, if any.
    """

    def __init__(self, session: SessionHost, *, pace: float | None, faults: Spending) -> None:
        self.role = Role(session.script)
        self.steering: list[str] = []
        self.active: Response | None = None
        self._session = session
        self._pace = pace
        self._faults = faults
        self._running: dict[str, Response] = {}
        self._in_band_count = 0

    def create(self, asked: dict[str, Any], *, idle: bool = False) -> None:
        """Makes a response as a checked `response.create` asks for it, or raises Refused."""
        session = self._session
        in_band = asked.get("conversation", "auto") == "auto"
        if in_band and self.active is not None:
            raise Refused(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        chosen = response_settings(session.settings, asked, has_spoken=session.has_spoken)
        items = self._context(asked)
        plan = self._plan(asked, chosen, in_band=in_band, idle=idle)
        session.notes.extend(plan.notes)
        preamble = chosen["instructions"] + (json.dumps(chosen["tools"]) if chosen["tools"] else "")
        read = session.ledger.read(
            preamble, items, truncation=session.settings["truncation"], in_band=in_band and "input" not in asked
        )
        response = Response(session, self._settings(asked, chosen, in_band), plan, read, session.now_ms)
        self._running[response.id] = response
        if in_band:
            self.active = response
            self.steering.clear()
        response.start()

    def cancel(self, response_id: str | None) -> None:
        """Cancels a response by its id, or the active one; raises Refused when it does not run."""
        response = self.active if response_id is None else self._running.get(response_id)
        if response is None:
            raise Refused("response_cancel_not_active", "Cancellation failed: no active response found")
        response.cancel("client_cancelled")

    def abandon(self) -> None:
        """The connection has ended: so has everything that ran."""
        for response in list(self._running.values()):
            response.abandon()

    def ended(self, response: Response) -> None:
        """Takes note that a response is done."""
        self._running.pop(response.id, None)
        if self.active is response:
            self.active = None

    def _context(self, asked: dict[str, Any]) -> list[Item]:
        session = self._session
        if "input" not in asked:
            return list(session.conversation.items)
        audio_format = session.settings["audio"]["input"]["format"]["type"]
        return [
            session.conversation.get(given["id"])
            if given["type"] == "item_reference"
            else from_client(given, session.new_id("item"), session.new_id("call"), audio_format)
            for given in asked["input"]
        ]

    def _plan(self, asked: dict[str, Any], chosen: dict[str, Any], *, in_band: bool, idle: bool) -> Plan:
        conversation, choice = self._session.conversation, chosen["tool_choice"]
        names = frozenset(tool["name"] for tool in chosen["tools"])
        if isinstance(choice, dict):
            names &= {choice["name"]}
        last = conversation.items[-1] if conversation.items else None
        plan = self.role.plan(
            Ask(
                in_band=in_band,
                user_turns=conversation.user_turns,
                seeded_answer=conversation.seeded_answer,
                instructions=asked.get("instructions"),
                steering=tuple(self.steering) if in_band else (),
                purpose=(asked.get("metadata") or {}).get("purpose", ""),
                after_tools=last is not None and last.type == "function_call_output",
                idle=idle,
                tools=names if choice != "none" else frozenset(),
            )
        )
        if not plan.tools and names and (choice == "required" or isinstance(choice, dict)):
            tool = next(tool for tool in chosen["tools"] if tool["name"] in names)
            call = ToolCall(tool["name"], instance(tool.get("parameters", {"type": "object"})))
            plan = Plan((), (call,), delay_ms=plan.delay_ms, faults=plan.faults, reply=plan.reply)
        if not in_band:
            return plan
        self._session.arm(fault for fault in plan.faults if plan.reply == 1)
        self._in_band_count += 1
        happening = [fault for fault in plan.faults if fault.is_of_reply and fault.nth == plan.reply]
        happening += [f for f in self._session.script.faults if f.is_of_reply and f.nth == self._in_band_count]
        return plan.with_faults(tuple(fault for fault in happening if self._faults.spend(fault)))

    def _settings(self, asked: dict[str, Any], chosen: dict[str, Any], in_band: bool) -> Settings:
        session = self._session
        return Settings(
            modality=chosen["output_modalities"][0],
            audio_format=chosen["format"]["type"],
            wire_format=chosen["format"],
            voice=chosen["voice"],
            speed=chosen["speed"],
            max_output_tokens=chosen["max_output_tokens"],
            metadata=asked.get("metadata"),
            conversation_id=session.conversation_id if in_band else None,
            language=session.script.language,
            pace=self._pace,
            reasoning=is_reasoning(session.settings["model"]),
        )
