"""Rows of calls and of what they left: figures of all of them, and of the last ones every word, entry and message.

The lines are put together by hand where there are millions of them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final

import numpy as np

from benchmarks.scale.material import SAID, VARIANTS, Material, conversation, dumped, events
from benchmarks.scale.rows import NULL, Table, copied, line, times
from benchmarks.scale.school_rows import ACCOUNT, TEXTED, SchoolRows
from benchmarks.scale.world import LEVELS, PAIRS, REASONS, SCENES, SECRET, TURNS, Ids, World, call_sid, lines_number
from db.keyring import Keyring
from db.pages import LASTS

MENU_S: Final = 25
"""From the first webhook to the media."""
JOBS_S: Final = 24 * 3_600
"""How long jobs that ended well are kept."""


class CallRows:
    """Of one world."""

    def __init__(self, world: World, material: Material, schools: SchoolRows) -> None:
        self._world = world
        self._material = material
        self.schools = schools
        self._keyring = Keyring(SECRET)
        self._link_digits = Ids(world.draw("links"), world.sizes.calls - world.words_from)
        self._slim = [dumped({"native": native, "role": "learner", "target": target}) for native, target in PAIRS]
        self._menus = {
            (pair, level, kids): copied(material.menu(*PAIRS[pair], level, kids=kids))
            for pair in range(len(PAIRS))
            for level in LEVELS
            for kids in (False, True)
        }
        self._notes = [[copied(text) for text in notes] for notes in material.notes]

    def tables(self) -> list[Table]:
        """In an order in which references point to what is there."""
        world = self._world
        calls, last = world.sizes.calls, world.sizes.calls - world.words_from
        return [
            Table("calls", _CALL, calls, self._calls),
            Table("observations", _OBSERVATION, calls, self._observations, ("measures", self._material.measures)),
            Table("ledger_entries", _ENTRY, calls, self._entries),
            Table("turns", _TURN, last, self._turns),
            Table("call_events", ("school_id", "call_id", "ordinal", "at_ms", "kind", "data"), last, self._events),
            Table("debriefs", ("call_id", "school_id", "content", "source", "created_at"), last, self._debriefs),
            Table("debrief_links", _LINK, last, self._links),
            Table("messages", _MESSAGE, last, self._messages),
            Table("procrastinate_jobs", _JOB, last, self._jobs),
        ]

    def token(self, call: int) -> str:
        """The last part of the address of a call's page."""
        digits = self._link_digits[call - self._world.words_from]
        return base64.urlsafe_b64encode(bytes.fromhex(digits)).decode().rstrip("=")

    def _calls(self, begin: int, end: int) -> Iterator[str]:
        world, hashes = self._world, self.schools.hashes
        who, on = world.call_learner[begin:end], world.call_line[begin:end]
        at, lasted = world.call_at[begin:end], world.call_s[begin:end]
        talked = world.call_talked[begin:end]
        rows = zip(
            who.tolist(),
            on.tolist(),
            times(at),
            times(at + MENU_S),
            times(at + MENU_S + np.where(talked, lasted, 0)),
            talked.tolist(),
            world.call_guest[begin:end].tolist(),
            world.call_scene[begin:end].tolist(),
            world.call_completed[begin:end].tolist(),
            world.call_reason[begin:end].tolist(),
            lasted.tolist(),
            world.call_began_in[begin:end].tolist(),
            strict=True,
        )
        for call, row in enumerate(rows, begin):
            learner, at_line, started, connected, ended, talks, guest, scene, done, why, seconds, before = row
            pair, words = int(world.line_pair[at_line]), call >= world.words_from
            level = LEVELS[world.line_level[at_line]]
            kids = bool(world.line_kids[at_line])
            menu = self._menus[pair, level, kids] if words else self._slim[pair]
            number = NULL if guest else rf"\\x{hashes[int(world.learner_number[learner])].hex()}"
            usage = (
                f'{{"seconds":{seconds},"responses":{seconds // 20},"micro_usd":{seconds * 700}}}' if talks else "{}"
            )
            yield (
                f"{world.call_ids[call]}\t{world.school_ids[int(world.line_school[at_line])]}\t"
                f"{world.line_ids[at_line]}\t{NULL if guest else world.learner_ids[learner]}\t{call_sid(call)}\t"
                f"{ACCOUNT}\t{number}\tclosed\t{menu}\t2\t{SCENES[scene] if talks else NULL}\t{level}\t"
                f"{1 if talks else 0}\t{started}\t{connected if talks else NULL}\t{ended}\t{ended}\t"
                f"{REASONS[why] if talks else 'left_menu'}\t{'t' if done and talks else 'f'}\tcompleted\t3\t"
                f"{seconds * 700 if talks else 0}\tt\t{usage}\t{'words' if words else 'figures'}\t"
                f"{NULL if before < 0 else world.call_ids[before]}\n"
            )

    def _observations(self, begin: int, end: int) -> Iterator[str]:
        world = self._world
        talked = np.flatnonzero(world.call_talked[begin:end]) + begin
        outcome = world.draw(f"outcomes {begin}").random(len(talked)).round(3).tolist()
        when = times(world.call_at[talked] + MENU_S)
        for place, call in enumerate(talked.tolist()):
            learner, at_line = int(world.call_learner[call]), int(world.call_line[call])
            pair, scene, turns = int(world.line_pair[at_line]), int(world.call_scene[call]), int(world.call_turns[call])
            variant = (learner + call) % VARIANTS
            guest, target = bool(world.call_guest[call]), PAIRS[pair][1]
            notes = self._notes[scene][(learner + call) % 12]
            yield (
                f"{world.call_ids[call]}\t{world.school_ids[int(world.line_school[at_line])]}\t"
                f"{NULL if guest else world.learner_ids[learner]}\t{target}\t{SCENES[scene]}\t"
                f"{LEVELS[world.line_level[at_line]]}\t{when[place]}\t{turns}\t{500 + 130 * variant}\tf\tt\t"
                f"{'t' if world.call_completed[call] else 'f'}\t{call % 3}\t-1.5\t"
                f"{Material.measures_of(target, turns, variant)}\t{notes}\t{call % 4}\t"
                f"{outcome[place]}\t{outcome[-place - 1]}\t{(call % 5) / 5}\tt\n"
            )

    def _entries(self, begin: int, end: int) -> Iterator[str]:
        """Of calls long ago the carrier's minutes; of the last ones each response and transcription as well."""
        world = self._world
        when = times(world.call_at[begin:end] + MENU_S + world.call_s[begin:end])
        for call, at in enumerate(when, begin):
            learner, at_line = int(world.call_learner[call]), int(world.call_line[call])
            whose = NULL if world.call_guest[call] else world.learner_ids[learner]
            owner, call_id = world.school_ids[int(world.line_school[at_line])], world.call_ids[call]
            ids = f"{owner}\t{world.line_ids[at_line]}\t{call_id}\t{whose}\t{at}"
            minutes = int(world.call_s[call]) // 60 + 1
            carried = f'{{"minutes":{minutes},"seconds":{world.call_s[call]}}}'
            yield f"{ids}\tcarrier_minutes\t{carried}\t{minutes * 8_500}\t{minutes * 8_500}\tcarrier:{call_id}\n"
            if call < world.words_from or not world.call_talked[call]:
                continue
            for turn in range(int(world.call_turns[call])):
                tokens = (
                    f'{{"model":"gpt-realtime-2.1","text_in":{1_500 + 40 * turn},"audio_in":{60 * turn},'
                    f'"text_cached":{1_400 + 40 * turn},"audio_cached":{50 * turn},"audio_out":120,"responses":1}}'
                )
                yield f"{ids}\tresponse\t{tokens}\t{9_000 + turn}\t{9_000 + turn}\tresponse:{call_id[:20]}{turn}\n"
                spoken = '{"model":"gpt-transcribe","seconds":2.6,"transcriptions":1}'
                yield f"{ids}\ttranscription\t{spoken}\t260\t260\ttranscription:{call_id[:20]}{turn}\n"
            yield f"{ids}\tdebrief\t{{}}\t900\t900\tdebrief:{call_id}\n"

    def _worded(self, begin: int, end: int) -> Iterator[tuple[int, int, str, str, bool]]:
        """Of the last calls those in which somebody talked: (call, line, school id, call id, by a guest)."""
        world = self._world
        for call in range(world.words_from + begin, world.words_from + end):
            if world.call_talked[call]:
                at_line = int(world.call_line[call])
                owner = world.school_ids[int(world.line_school[at_line])]
                yield call, at_line, owner, world.call_ids[call], bool(world.call_guest[call])

    def _turns(self, begin: int, end: int) -> Iterator[str]:
        for call, at_line, owner, call_id, _ in self._worded(begin, end):
            target = PAIRS[int(self._world.line_pair[at_line])][1]
            for ordinal, turn in enumerate(_CONVERSATIONS[target, int(self._world.call_turns[call])]):
                yield f"{owner}\t{call_id}\t{ordinal}\t{turn}\n"

    def _events(self, begin: int, end: int) -> Iterator[str]:
        for call, _, owner, call_id, _ in self._worded(begin, end):
            goals = self._material.goals[SCENES[int(self._world.call_scene[call])]]
            for ordinal, event in enumerate(events(int(self._world.call_turns[call]), goals, call % 12)):
                yield line(owner, call_id, ordinal, event.at_ms, event.kind, dumped(event.data))

    def _debriefs(self, begin: int, end: int) -> Iterator[str]:
        world = self._world
        for call, at_line, owner, call_id, _ in self._worded(begin, end):
            pair, scene = PAIRS[int(world.line_pair[at_line])], int(world.call_scene[call])
            yield line(call_id, owner, self._material.debriefs[pair, scene], "facts", _ended(world, call))

    def _links(self, begin: int, end: int) -> Iterator[str]:
        world = self._world
        for call, _, owner, call_id, guest in self._worded(begin, end):
            if guest:
                continue
            learner_id = world.learner_ids[int(world.call_learner[call])]
            (expires,) = times(np.array([_ended_s(world, call) + int(LASTS.total_seconds())]))
            yield line(self._keyring.hash_link(self.token(call)), owner, call_id, learner_id, "learner", expires)

    def _messages(self, begin: int, end: int) -> Iterator[str]:
        world, draw = self._world, self._world.draw(f"messages {begin}")
        for call, at_line, owner, call_id, guest in self._worded(begin, end):
            learner = int(world.call_learner[call])
            number = int(world.learner_number[learner])
            if guest or self.schools.consent[number] >= TEXTED:
                continue
            at = _ended(world, call)
            yield line(
                draw.bytes(16).hex(),
                owner,
                call_id,
                world.learner_ids[learner],
                ACCOUNT,
                lines_number(at_line),
                "debrief",
                f"debrief:{call_id}",
                "¡Muy bien! Keep: quisiera un café. https://practice.example.org/d/aaaaaaaaaaaaaaaaaaaaaa",
                self.schools.hashes[number],
                "delivered",
                f"SM{call:032x}",
                at,
                at,
                at,
            )

    def _jobs(self, begin: int, end: int) -> Iterator[str]:
        """Debriefs and messages of the last day, which ended well."""
        world = self._world
        since = int(world.sizes.until.timestamp()) - JOBS_S
        for call, _, owner, call_id, _ in self._worded(begin, end):
            if world.call_at[call] >= since:
                ids = dumped({"call_id": call_id, "school_id": owner})
                yield line("calls", "calls.debrief", ids, "succeeded", _ended(world, call), 1)


def _ended_s(world: World, call: int) -> int:
    return int(world.call_at[call]) + MENU_S + int(world.call_s[call])


def _ended(world: World, call: int) -> str:
    return times(np.array([_ended_s(world, call)]))[0]


_CONVERSATIONS: Final = {
    (target, turns): [
        "\t".join(
            (turn.speaker, turn.item_id or NULL, copied(turn.text or ""), str(turn.start_ms), str(turn.end_ms), "f")
        )
        for turn in conversation(turns, target)
    ]
    for target in SAID
    for turns in TURNS
}
"""The rest of the rows of turns, by language and by the learner's turns."""

_CALL: Final = (
    "id",
    "school_id",
    "line_id",
    "learner_id",
    "carrier_sid",
    "account_sid",
    "caller_hash",
    "state",
    "menu",
    "step",
    "scenario",
    "level",
    "streams",
    "started_at",
    "connected_at",
    "heartbeat_at",
    "ended_at",
    "end_reason",
    "completed",
    "carrier_status",
    "carrier_sequence",
    "cost_micro_usd",
    "cost_complete",
    "usage",
    "kept",
    "began_in",
)
_OBSERVATION: Final = (
    "call_id",
    "school_id",
    "learner_id",
    "target",
    "scenario",
    "level",
    "at",
    "turns",
    "latency_ms",
    "noisy",
    "rated",
    "completed",
    "hints",
    "difficulty",
    "measures",
    "notes",
    "clarifications",
    "outcome",
    "confidence",
    "support",
    "cards_made",
)
_ENTRY: Final = (
    "school_id",
    "line_id",
    "call_id",
    "learner_id",
    "at",
    "kind",
    "quantity",
    "micro_usd",
    "charged_micro_usd",
    "key",
)
_TURN: Final = ("school_id", "call_id", "ordinal", "speaker", "item_id", "text", "start_ms", "end_ms", "cut")
_LINK: Final = ("hash", "school_id", "call_id", "learner_id", "audience", "expires_at")
_MESSAGE: Final = (
    "id",
    "school_id",
    "call_id",
    "learner_id",
    "account_sid",
    "sender",
    "kind",
    "key",
    "body",
    "number_hash",
    "state",
    "carrier_sid",
    "created_at",
    "attempted_at",
    "sent_at",
)
_JOB: Final = ("queue_name", "task_name", "args", "status", "scheduled_at", "attempts")
