"""The role is late, or its model is lost: what bridges it, and how the conversation goes on as it was heard.

Nobody is ever left with a silent line: a word of the role when it is slow, the holding phrase when its session is gone,
an apology when no session will come back.
"""

from __future__ import annotations

from collections.abc import Callable

from tutor.talk import notes
from tutor.talk.exchange import Command, Listen, Renew, Respond, Seed
from tutor.talk.state import Phase, TalkState

SLOW_MS = 1_500
"""Without a sound of the role this long after the learner's turn, it asks for a moment instead of being silent."""

OVERDUE_MS = 5_000
"""Without a word of the role this long after the learner's turn, it is asked once more; then the session is renewed."""

LOSSES_BORNE = 3
"""How often a call bears the loss of its model; after that it ends with an apology."""


class Continuity:
    """Keeps one call's talk going. ``history`` gives the conversation so far, for a session that knows nothing."""

    def __init__(self, state: TalkState, history: Callable[[], list[Seed]]) -> None:
        self._state = state
        self._history = history
        self._losses = 0
        self._holding_owed = False
        self._thread_lost = False
        """The model went away in the middle of something: it has to take up the thread when it is back."""
        self._slow_ms: int | None = None
        self._overdue_ms: int | None = None
        self._overdue_asked = False

    @property
    def waits(self) -> bool:
        """Whether it is the role who is waited for."""
        return self._overdue_ms is not None

    @property
    def next_due_ms(self) -> int | None:
        """When `due` is to be asked."""
        if self._state.lost:
            return None
        return min((due for due in (self._slow_ms, self._overdue_ms) if due is not None), default=None)

    # --- a late role

    def await_role(self, now_ms: int) -> None:
        """The learner's turn ended: the role is to answer."""
        self._slow_ms = now_ms + SLOW_MS
        self._overdue_ms = now_ms + OVERDUE_MS

    def failed(self, now_ms: int) -> None:
        """An answer failed: it is asked for again soon."""
        self._overdue_ms = now_ms + OVERDUE_MS // 4

    def answered(self) -> None:
        """Somebody speaks: the role is not waited for any more."""
        self._slow_ms = self._overdue_ms = None
        self._overdue_asked = False

    def due(self, now_ms: int) -> list[Command]:
        """What time brings."""
        commands: list[Command] = []
        state, target = self._state, self._state.scene.target
        if self._slow_ms is not None and now_ms >= self._slow_ms:
            self._slow_ms = None
            commands += state.say("one_moment", target.target["one_moment"], target.tag, now_ms, only_clip=True)
        if self._overdue_ms is not None and now_ms >= self._overdue_ms:
            state.timeline.add(now_ms, "role_overdue")
            if self._overdue_asked:
                return [*commands, *self.lose(True, now_ms, thread_lost=True)]
            self._overdue_asked = True
            self._overdue_ms = now_ms + OVERDUE_MS
            commands.append(Respond())
        return commands

    # --- a lost model

    def lose(self, again: bool, now_ms: int, *, thread_lost: bool) -> list[Command]:
        """The session is gone. ``again``: another might come; ``thread_lost``: something was left unsaid."""
        state = self._state
        self._losses += 1
        self._thread_lost = thread_lost
        state.learner_speaks = False
        self.answered()
        state.stuck.hold()
        state.timeline.add(now_ms, "model_lost", again=again)
        if state.phase is Phase.CLOSING:
            return [] if state.sounding else state.ended(state.end_reason or "model_lost", now_ms)
        if not again or self._losses > LOSSES_BORNE:
            apology = state.scene.native.say("call.lost")
            return state.close("model_lost", now_ms, helper=apology, only_clip=True)
        state.lost = self._holding_owed = True
        return [Renew(), *self.hold_the_line(now_ms)]

    def hold_the_line(self, now_ms: int) -> list[Command]:
        """The holding phrase, as soon as the line is silent: while there is sound, nobody misses anything."""
        state = self._state
        if state.sounding or not self._holding_owed:
            return []
        self._holding_owed = False
        native = state.scene.native
        return state.say("holding", native.say("call.holding"), native.tag, now_ms, only_clip=True)

    def back(self, now_ms: int) -> list[Command]:
        """A new session is there: it learns what was said, and takes up the thread."""
        state = self._state
        state.lost = False
        state.timeline.add(now_ms, "model_back")
        if state.phase is Phase.TALKING:
            goes_on: list[Command] = [*self._history(), Listen(True)]
            return [*goes_on, Respond(notes.BACK)] if self._thread_lost else goes_on
        if state.phase is Phase.OPENING and not state.sounding:
            greeting, target = state.scene.greeting, state.scene.target.tag
            return [*self._history(), *state.say("greeting", greeting, target, now_ms)]
        return list(self._history())
