"""Fixed texts, asides and replays of one call: spoken one after the other, kept as clips once they were read.

A text that has a clip starts at once; any other is read by the model outside the conversation, and waited for, so that
two voices never mix. Knows neither the leg nor the conversation's reasons.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from telephony.audio.earcons import earcon
from telephony.clips import ClipKey
from tutor.realtime import protocol
from tutor.realtime.protocol import RealtimeProtocol
from tutor.talk import notes
from tutor.talk.exchange import Aside, Chime, Event, Replay, Say, SayCut
from tutor.talk.goals import words

log = structlog.get_logger(__name__)


class Clips(Protocol):
    """What a call needs of the clip shelf."""

    def get(self, key: ClipKey) -> bytes | None:
        """The clip, when it is at hand."""

    def keep(self, key: ClipKey, ulaw: bytes) -> None:
        """Adds a clip."""


class Mouth(Protocol):
    """Where a prompter's sound goes, and whom it tells."""

    def sound(self, item: str, ulaw: bytes) -> None:
        """Plays more of an item."""

    def sound_ends(self, item: str) -> None:
        """The item has no more sound."""

    def tell(self, event: Event) -> None:
        """Something the conversation must know."""


@dataclass(slots=True)
class _Reading:
    """What the model is speaking outside the conversation."""

    command: Say | Aside
    unheard: bool = False
    """Only to be kept as a clip, not to be played now."""
    ulaw: bytearray = field(default_factory=bytearray)
    item: str | None = None
    text: str | None = None


class Prompter:
    """The prompter of one call.

    Args:
        mouth: where sound goes.
        model: the present session's protocol.
        clips: fixed texts as audio.
        keys: the clips that would do for a text: as it would be spoken now, then as it was when the call began.
        replay: the role's last turn, as far as it was kept; empty when there is none.
        essential: texts that must be at hand when the model is not; read in quiet moments when there is no clip.
    """

    def __init__(
        self,
        mouth: Mouth,
        *,
        model: Callable[[], RealtimeProtocol],
        clips: Clips,
        keys: Callable[[Say], Sequence[ClipKey]],
        replay: Callable[[], bytes],
        on_greeting: Callable[[bytes], None],
        essential: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._mouth = mouth
        self._model = model
        self._clips = clips
        self._keys = keys
        self._replay = replay
        self._on_greeting = on_greeting
        self._waiting: deque[Say | Aside | Replay | Chime] = deque()
        self._reading: _Reading | None = None
        self._to_read = deque(Say(f"essential-{n}", text, tag) for n, (text, tag) in enumerate(essential, start=1))
        self._refs: dict[str, str] = {}
        """What is playing: playout item -> ref of the text, aside or replay."""

    @property
    def reading(self) -> bool:
        """Whether the model is speaking outside the conversation: the role's sound has to wait."""
        return self._reading is not None and not self._reading.unheard

    def add(self, command: Say | Aside | Replay | Chime) -> None:
        """Speaks this next, after what is in line."""
        self._give_up_unheard()
        self._waiting.append(command)
        self._go_on()

    def read_essentials(self) -> None:
        """Uses a quiet moment: has the next essential text read that has no clip yet."""
        while self._to_read and self._reading is None and not self._waiting:
            command = self._to_read.popleft()
            if self._clip(command) is None:
                self._read(command, unheard=True)

    def heard(self, item: str) -> str | None:
        """The ref of an item that was heard whole or cut; None when it is none of ours. Asked once."""
        return self._refs.pop(item, None)

    def cut(self) -> list[Event]:
        """Silence: what was in line, and a reading without a sound yet, counts as cut; the rest the playout knows."""
        self._give_up_unheard()
        cut: list[Event] = [SayCut(command.ref) for command in self._waiting]
        self._waiting.clear()
        if self._reading is not None and self._reading.item is None:
            cut.append(SayCut(self._reading.command.ref))
        self._reading = None
        return cut

    def abandon(self) -> None:
        """The session that was reading is gone: what was spoken so far is heard, no more will come."""
        self._give_up_unheard()
        reading, self._reading = self._reading, None
        if reading is not None:
            if reading.item is not None:
                self._mouth.sound_ends(reading.item)
            else:
                self._mouth.tell(SayCut(reading.command.ref))

    # --- the model's side

    def on_audio(self, item: str, ref: str, ulaw: bytes) -> None:
        """Audio of a reading."""
        reading = self._reading
        if reading is None or reading.command.ref != ref:
            return  # cut off meanwhile
        reading.ulaw += ulaw
        if reading.item is None:
            reading.item = item
            if not reading.unheard:
                self._refs[item] = ref
        if not reading.unheard:
            self._mouth.sound(item, ulaw)

    def on_audio_end(self, item: str) -> bool:
        """An item has no more audio; False when it is none of ours."""
        reading = self._reading
        if reading is None or reading.item != item:
            return False
        if not reading.unheard:
            self._mouth.sound_ends(item)
        return True

    def on_text(self, ref: str, text: str) -> None:
        """What a reading said."""
        if self._reading is not None and self._reading.command.ref == ref:
            self._reading.text = text

    def on_responded(self, ended: protocol.Responded) -> None:
        """A reading is generated whole, or failed: kept as a clip when it said just the text."""
        reading = self._reading
        if reading is None or reading.command.ref != ended.ref:
            return
        self._reading = None
        command = reading.command
        if reading.unheard and ended.status != "completed":
            log.warning("clip.not_read", status=ended.status, reason=ended.reason)
        elif not reading.unheard and reading.item is None:
            self._mouth.tell(SayCut(command.ref))
        if not reading.unheard and command.ref.startswith("greeting"):
            self._on_greeting(bytes(reading.ulaw))
        if isinstance(command, Say) and ended.status == "completed" and reading.ulaw and not ended.cut:
            if words(reading.text or "") == words(command.text):
                self._clips.keep(self._keys(command)[0], bytes(reading.ulaw))
            else:
                log.warning("clip.misread", wanted=command.text, said=reading.text)
        self._go_on()

    # --- helpers

    def _go_on(self) -> None:
        while self._waiting and self._reading is None:
            command = self._waiting.popleft()
            ulaw = self._at_hand(command)
            if ulaw:
                item = f"say-{command.ref}"
                self._refs[item] = command.ref
                if command.ref.startswith("greeting"):
                    self._on_greeting(ulaw)
                self._mouth.sound(item, ulaw)
                self._mouth.sound_ends(item)
            elif isinstance(command, Replay | Chime) or (isinstance(command, Say) and command.only_clip):
                self._mouth.tell(SayCut(command.ref))
            else:
                self._read(command)

    def _at_hand(self, command: Say | Aside | Replay | Chime) -> bytes | None:
        match command:
            case Replay():
                return self._replay()
            case Chime(name=name):
                return earcon(name)
            case Say():
                return self._clip(command)
            case Aside():
                return None

    def _clip(self, command: Say) -> bytes | None:
        return next(filter(None, map(self._clips.get, self._keys(command))), None)

    def _read(self, command: Say | Aside, *, unheard: bool = False) -> None:
        self._reading = _Reading(command, unheard)
        if isinstance(command, Say):
            instructions = notes.read_aloud(command.language) + f"«{command.text}»"
            self._model().aside("read", command.ref, instructions, [command.text])
        else:
            purpose = command.ref.rpartition("-")[0]
            self._model().aside(purpose, command.ref, command.instructions, command.texts)

    def _give_up_unheard(self) -> None:
        """Something is wanted now: a reading for later waits for another quiet moment, and starts anew."""
        reading = self._reading
        if reading is not None and reading.unheard:
            self._reading = None
            if isinstance(reading.command, Say):
                again = Say(f"{reading.command.ref}+", reading.command.text, reading.command.language)
                self._to_read.append(again)
