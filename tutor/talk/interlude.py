"""What happens between the learner and the helper while the role waits: a word that is wanted (key 5), a pause (key 8).

Pure, on the call's clock. The role hears nothing of it; `Conversation` asks here first while an interlude lasts.
"""

from __future__ import annotations

from enum import Enum, auto

from tutor.talk import notes
from tutor.talk.exchange import Aside, Command, Forget, Listen, Respond
from tutor.talk.state import TalkState

WORD_WAIT_MS = 10_000
"""How long we wait for the learner to say what they want a word for, from when the question was heard."""

WORDS_WAIT_MS = 5_000
"""How long we wait for what they said in writing, from when their voice ended."""

PAUSE_MS = 60_000
PAUSE_TICK_MS = 15_000
"""A pause ends by itself after a minute; a soft sound every quarter of it says that the line still stands (§5.2)."""


class _Mode(Enum):
    NONE = auto()
    WORD_ASKED = auto()
    WORD_GIVEN = auto()
    PAUSED = auto()


class Interlude:
    """The interludes of one call, one at a time."""

    def __init__(self, state: TalkState) -> None:
        self._state = state
        self._mode = _Mode.NONE
        self._due_ms: int | None = None
        self._until_ms: int | None = None
        self._asked = ""
        self._item: str | None = None

    @property
    def lasts(self) -> bool:
        """Whether the role waits now."""
        return self._mode is not _Mode.NONE

    @property
    def paused(self) -> bool:
        """Whether the call pauses: any key ends that."""
        return self._mode is _Mode.PAUSED

    @property
    def listening(self) -> Listen:
        """How the model listens now."""
        return Listen(self._mode is not _Mode.PAUSED, answer=self._mode is _Mode.NONE)

    @property
    def next_due_ms(self) -> int | None:
        """When `due` is to be asked."""
        return self._due_ms

    def ask_word(self, now_ms: int) -> list[Command]:
        """Key 5: "how do I say ...?"; the next thing the learner says is for the helper."""
        state, scene = self._state, self._state.scene
        self._mode, self._due_ms, self._item = _Mode.WORD_ASKED, None, None
        state.timeline.add(now_ms, "word_asked")
        native, target = scene.native, scene.target
        question = native.say("keys.word_ask", native=native.name_of(native.tag), target=native.name_of(target.tag))
        return [Listen(True, answer=False), *state.help("word_ask", question, now_ms)]

    def give_word(self, item: str, text: str, now_ms: int) -> list[Command]:
        """What is wanted was said: the helper gives the words for it, outside the conversation."""
        state = self._state
        if not text:
            return [Forget(item), *self._give_up(now_ms)]
        self._mode, self._due_ms = _Mode.WORD_GIVEN, None
        return [Forget(item), *state.then(self.look_up(text), Listen(True))]

    def look_up(self, text: str) -> list[Command]:
        """The helper gives a phrase for what the learner wants to say."""
        state = self._state
        self._asked = text
        state.steering.append(notes.LOOKED_UP)
        return [Aside(state.ref("word"), notes.how_to_say(state.scene), (text,))]

    def word_given(self, text: str, now_ms: int) -> None:
        """The words that the helper gave: worth keeping."""
        self._state.timeline.add(now_ms, "word_given", asked=self._asked, given=text)

    def pause(self, now_ms: int) -> list[Command]:
        """Key 8: up to a minute of rest."""
        state = self._state
        self._mode, self._due_ms = _Mode.PAUSED, None
        state.timeline.add(now_ms, "paused")
        return [Listen(False), *state.help("pause", state.scene.native.say("keys.pause"), now_ms)]

    def resume(self, now_ms: int) -> list[Command]:
        """The pause is over, by a key or by time."""
        state = self._state
        self.forget()
        state.timeline.add(now_ms, "pause_over")
        said = state.help("pause_over", state.scene.native.say("keys.pause_over"), now_ms)
        return state.then(said, Listen(True), Respond(notes.AFTER_PAUSE))

    def forget(self) -> None:
        """Nothing of it lasts: the model was lost, or the call ends."""
        self._mode, self._due_ms, self._until_ms = _Mode.NONE, None, None

    def break_off(self) -> list[Command]:
        """A key was pressed while a word was asked for: the role listens again."""
        if not self.lasts:
            return []
        self.forget()
        return [Listen(True)]

    # --- what happens meanwhile

    def said(self, ref: str, now_ms: int) -> None:
        """A text of the helper was heard, or cut."""
        if self._mode is _Mode.WORD_ASKED and ref.startswith("word_ask-"):
            self._due_ms = now_ms + WORD_WAIT_MS
        elif self._mode is _Mode.WORD_GIVEN and ref.startswith("word-"):
            self.forget()
        elif self._mode is _Mode.PAUSED and ref.startswith("pause-") and self._until_ms is None:
            self._until_ms = now_ms + PAUSE_MS
            self._due_ms = now_ms + PAUSE_TICK_MS

    def learner_started(self, item: str) -> None:
        """They are saying it."""
        if self._mode is _Mode.WORD_ASKED:
            self._due_ms, self._item = None, item

    def wants(self, item: str) -> bool:
        """Whether a turn is for the helper, and not one that was said to the role before."""
        return self._mode is _Mode.WORD_ASKED and item == self._item

    def learner_stopped(self, now_ms: int) -> None:
        """They have said it; its words are on their way."""
        if self._mode is _Mode.WORD_ASKED:
            self._due_ms = now_ms + WORDS_WAIT_MS

    def due(self, now_ms: int) -> list[Command]:
        """What time brings."""
        if self._due_ms is None or now_ms < self._due_ms:
            return []
        if self._mode is not _Mode.PAUSED:
            return self._give_up(now_ms)
        if self._until_ms is not None and now_ms >= self._until_ms:
            return self.resume(now_ms)
        self._due_ms = now_ms + PAUSE_TICK_MS
        return self._state.chime("pause")

    def _give_up(self, now_ms: int) -> list[Command]:
        state = self._state
        self.forget()
        return state.then(state.help("word_none", state.scene.native.say("keys.word_none"), now_ms), Listen(True))
