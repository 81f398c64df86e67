"""What the keys 5, 8, star and hash do: a word that is wanted, a pause, the scene anew, another goal."""

from __future__ import annotations

import pytest

from tests.tutor.desk import MINUTE, Desk
from tutor.realtime import protocol
from tutor.talk import notes
from tutor.talk.allotted import EXCHANGE_MS
from tutor.talk.exchange import (
    Aside,
    Began,
    Chime,
    Command,
    CutRole,
    Forget,
    Key,
    Listen,
    ModelLost,
    Respond,
    Say,
    Seed,
)
from tutor.talk.rules import Rules


@pytest.fixture
def desk() -> Desk:
    """A call in the café whose greeting was heard."""
    return Desk().open()


def ask_for_a_word(desk: Desk) -> None:
    """Presses 5 and hears the question."""
    commands = desk.give(Key("5"))
    assert commands[:2] == [CutRole(), Listen(True, answer=False)]
    desk.hear(desk.last(Say))


def test_a_word_is_asked_for_in_the_first_language_and_given_outside_the_conversation(desk: Desk) -> None:
    """Key 5: the role hears neither the question nor the answer, and listens again afterwards."""
    ask_for_a_word(desk)
    item = desk.learner("oat milk, please")
    aside = desk.last(Aside)
    assert aside.texts == ("oat milk, please",)
    assert desk.last(Forget) == Forget(item)
    desk.give(protocol.AsideSaid("word", aside.ref, "i9", "leche de avena, por favor"))
    assert desk.hear(aside) == [Listen(True), Seed("note", notes.LOOKED_UP)]
    (given,) = desk.timeline.of("word_given")
    assert given.data == {"asked": "oat milk, please", "given": "leche de avena, por favor"}


def test_the_role_is_not_waited_for_while_the_helper_listens(desk: Desk) -> None:
    """What is said to the helper brings no answer of the role, so none is asked for."""
    ask_for_a_word(desk)
    desk.learner(None)
    desk.wait(4_000)
    assert not desk.all(Respond)
    assert not desk.timeline.of("role_overdue")


def test_what_was_said_to_the_role_before_is_not_the_word(desk: Desk) -> None:
    """A transcript that comes late belongs to its own turn."""
    item = desk.learner(None)
    ask_for_a_word(desk)
    desk.give(protocol.LearnerSaid(item, "hola"))
    assert not desk.all(Aside)
    assert desk.timeline.of("learner_said")


def test_a_cry_for_help_is_heard_by_the_helper_too(desk: Desk) -> None:
    """Safety does not depend on whom it was said to."""
    ask_for_a_word(desk)
    desk.learner("I want to kill myself")
    assert desk.talk.end_reason == "care"


@pytest.mark.parametrize("said", ["", None])
def test_a_word_that_nobody_understood_is_told(desk: Desk, said: str | None) -> None:
    """An empty transcript, or none: a sentence of the helper, and the role listens again."""
    ask_for_a_word(desk)
    desk.learner(said)
    desk.wait(6_000)
    assert desk.last(Say).text == desk.scene.native.say("keys.word_none")
    assert Listen(True) in desk.hear(desk.last(Say))


def test_who_says_nothing_after_five_gets_the_role_back(desk: Desk) -> None:
    """Nobody is kept waiting by a question they do not want to answer."""
    ask_for_a_word(desk)
    desk.wait(10_000)
    assert desk.last(Say).text == desk.scene.native.say("keys.word_none")
    assert Listen(True) in desk.hear(desk.last(Say))


def test_another_key_takes_the_question_back(desk: Desk) -> None:
    """The role listens again at once, and the other key is served."""
    ask_for_a_word(desk)
    commands = desk.give(Key("1"))
    assert commands[:2] == [CutRole(), Listen(True)]
    assert desk.timeline.of("hint")


def test_five_in_the_greeting_is_served() -> None:
    """The floor opens to the helper first, and the role waits."""
    early = Desk()
    early.give(Began())
    commands = early.give(Key("5"))
    assert commands[-1] == Listen(True, answer=False)
    assert Listen(True) not in commands


def test_a_pause_is_silent_and_a_soft_sound_says_that_the_line_stands(desk: Desk) -> None:
    """Key 8: nothing is heard by the model, and nobody asks whether anybody is there."""
    commands = desk.give(Key("8"))
    assert commands[:2] == [CutRole(), Listen(False)]
    desk.hear(desk.last(Say))
    began = desk.now_ms
    desk.wait(15_000)
    assert desk.last(Chime).name == "pause"
    desk.hear(desk.last(Chime))
    desk.wait(30_000)
    assert len(desk.all(Chime)) >= 2
    assert not desk.timeline.of("stuck")
    assert desk.now_ms - began == 45_000


def resumed(desk: Desk) -> list[Command]:
    """What follows when the end of a pause was heard."""
    assert desk.last(Say).text == desk.scene.native.say("keys.pause_over")
    return desk.hear(desk.last(Say))


def test_any_key_ends_a_pause(desk: Desk) -> None:
    """The role goes on with its question."""
    desk.give(Key("8"))
    desk.hear(desk.last(Say))
    desk.wait(5_000)
    desk.give(Key("1"))
    assert resumed(desk)[:2] == [Listen(True), Respond(notes.AFTER_PAUSE)]
    assert not desk.timeline.of("hint")


def test_a_pause_ends_by_itself_after_a_minute(desk: Desk) -> None:
    """Nobody pays for a forgotten telephone for long."""
    desk.give(Key("8"))
    desk.hear(desk.last(Say))
    for _ in range(4):
        desk.wait(15_000)
        if desk.all(Chime):
            desk.hear(desk.last(Chime))
    assert Listen(True) in resumed(desk)


def test_the_safe_exit_works_in_a_pause(desk: Desk) -> None:
    """Key 9 is served wherever the call is."""
    desk.give(Key("8"))
    desk.give(Key("9"))
    assert desk.talk.end_reason == "safe_exit"


def test_the_limit_holds_in_a_pause() -> None:
    """A pause does not stop the clock; what is being said may end."""
    desk = Desk(rules=Rules(MINUTE)).open()
    desk.give(Key("8"))
    desk.wait(MINUTE + EXCHANGE_MS)
    assert desk.talk.end_reason == "limit"


def test_a_lost_model_ends_the_interlude(desk: Desk) -> None:
    """The new session listens as usual."""
    ask_for_a_word(desk)
    desk.give(ModelLost(again=True))
    desk.give(Key("6"))
    assert desk.timeline.of("goals_asked")


def test_star_begins_the_scene_again_and_keeps_what_was_reached(desk: Desk) -> None:
    """The role greets anew; goals that were earned stay earned."""
    desk.learner("hola")
    desk.tool("mark_goal", '{"goal":"greet","quote":"hola"}')
    desk.role()
    commands = desk.give(Key("*"))
    assert commands[0] == CutRole()
    assert Respond(notes.RESTART) in desk.hear(desk.last(Say))
    assert desk.talk.goals.earned == {"greet": "quote"}


def test_hash_leaves_a_goal_for_later(desk: Desk) -> None:
    """The next goal is named to the learner and opened by the role; the one that was left comes last."""
    first = desk.talk.goals.next
    desk.give(Key("#"))
    goal = desk.talk.goals.next
    assert first is not None
    assert goal is not None
    assert goal != first
    assert desk.scene.can_do(goal.id) in desk.last(Say).text
    assert Respond(notes.skipped(first.id, goal.can_do)) in desk.hear(desk.last(Say))
    assert desk.talk.goals.left[-1] == first


def test_hash_on_the_last_goal_gives_a_hint(desk: Desk) -> None:
    """There is nothing to go on to."""
    for goal in desk.talk.goals.left[1:]:
        desk.talk.goals.earned[goal.id] = "model"
    desk.give(Key("#"))
    assert desk.timeline.of("hint")
