"""The conversation of a call, on a virtual clock: events in, commands out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tutor.desk import MINUTE, Desk
from tests.tutor.scenes import cafe
from tutor.learning.timeline import Timeline
from tutor.realtime import protocol
from tutor.talk import notes
from tutor.talk.allotted import EXCHANGE_MS
from tutor.talk.conversation import Conversation
from tutor.talk.exchange import (
    AnswerTool,
    Aside,
    Began,
    Cut,
    CutRole,
    End,
    Event,
    Heard,
    HungUp,
    Key,
    Listen,
    ModelBack,
    ModelLost,
    Playing,
    Renew,
    Replay,
    Respond,
    Say,
    SayCut,
    SayHeard,
    Seed,
    SetSpeed,
    Tick,
)
from tutor.talk.rules import Rules
from tutor.talk.snapshot import Snapshot
from tutor.talk.state import Phase


@pytest.fixture
def desk() -> Desk:
    """A call in the café whose greeting was heard."""
    return Desk().open()


# --- opening


def test_the_role_speaks_first_and_listening_begins_when_the_greeting_was_heard() -> None:
    """Nobody's "hello?" can cut the greeting: voice detection comes on after it."""
    desk = Desk()
    assert desk.give(Began()) == [
        Seed("role", desk.scene.greeting),
        Say("greeting-1", desk.scene.greeting, "es"),
    ]
    assert not desk.talk.interruptible
    assert desk.give(SayHeard("greeting-1")) == [Listen(True)]
    assert desk.talk.interruptible


def test_a_key_in_the_greeting_cuts_it_and_is_served() -> None:
    """A returning caller need not hear the greeting out."""
    desk = Desk()
    desk.give(Began())
    commands = desk.give(Key("1"))
    assert commands[0] == CutRole()
    assert isinstance(commands[1], Say)
    assert commands[2:] == [Listen(True)]


# --- keys


def test_hints_climb_from_a_keyword_to_the_whole_phrase(desk: Desk) -> None:
    """Key 1, again within 20 s, and again; then it starts anew for the goal that is still open."""
    goal = desk.talk.goals.next
    assert goal is not None
    said = []
    for pause in (5_000, 5_000, 30_000, 5_000):
        commands = desk.give(Key("1"))
        assert commands[0] == CutRole()
        said.append(desk.last(Say).text)
        desk.hear(desk.last(Say))
        desk.now_ms += pause
    desk.give(Key("1"))
    said.append(desk.last(Say).text)
    rungs = [0, 1, 2, 0, 1]
    for text, rung in zip(said, rungs, strict=True):
        assert desk.scene.hint(goal.id, rung) in text
    assert [entry.data["rung"] for entry in desk.timeline.of("hint")] == rungs


def test_the_role_learns_of_a_hint_only_after_it_was_heard(desk: Desk) -> None:
    """Steering goes in between turns: after our voice, and before the learner begins."""
    desk.give(Key("1"))
    assert desk.all(Seed)[1:] == []
    assert desk.hear(desk.last(Say)) == [Seed("note", notes.hinted("greet"))]


def test_steering_waits_when_the_learner_has_begun(desk: Desk) -> None:
    """An item appended now would land after what the learner is saying."""
    desk.give(Key("1"))
    desk.give(protocol.LearnerStarted("u1", 0))
    assert desk.give(SayCut(desk.last(Say).ref)) == []
    desk.give(protocol.LearnerStopped("u1", 900))
    assert desk.role() == [Seed("note", notes.hinted("greet"))]


def test_slower_lowers_the_speed_and_says_the_line_again_more_simply(desk: Desk) -> None:
    """Key 2: a tenth slower each time, never below 0.7; key 7 undoes it."""
    assert desk.give(Key("2")) == [CutRole(), SetSpeed(0.75), Respond(notes.SLOWER)]
    desk.now_ms += 1000
    desk.give(Key("2"))
    desk.now_ms += 1000
    desk.give(Key("2"))
    assert desk.last(SetSpeed).speed == 0.7
    desk.give(Key("7"))
    assert desk.last(SetSpeed).speed == 0.8


def test_repeat_plays_the_last_turn_from_our_own_buffer(desk: Desk) -> None:
    """Key 3 costs nothing at the model."""
    desk.role()
    commands = desk.give(Key("3"))
    assert commands[0] == CutRole()
    assert isinstance(commands[1], Replay)


def test_translate_asks_outside_the_conversation(desk: Desk) -> None:
    """Key 4 at A1: the last line in the learner's language; the role-play stays in the target."""
    desk.role("¿Con leche o solo?")
    desk.give(Key("4"))
    aside = desk.last(Aside)
    assert aside.texts == ("¿Con leche o solo?",)
    assert "English" in aside.instructions
    assert not desk.all(Respond)


def test_from_b1_on_translate_first_offers_easier_words() -> None:
    """The first press paraphrases in the target, the second within 20 s translates."""
    desk = Desk(cafe(level="B1")).open()
    desk.role("¿Lo prefiere con leche entera?")
    refs = []
    for _ in range(2):
        desk.give(Key("4"))
        refs.append(desk.last(Aside).ref.split("-")[0])
        desk.hear(desk.last(Aside))
        desk.now_ms += 3_000
    assert refs == ["paraphrase", "translate"]


@pytest.mark.parametrize("level", ["C1", "C2"])
def test_at_the_highest_levels_the_line_is_never_translated(level: str) -> None:
    """Key 4 says it in easier words, however often it is pressed."""
    desk = Desk(cafe(level=level)).open()
    for _ in range(2):
        desk.give(Key("4"))
        desk.now_ms += 3_000
    assert [len(desk.timeline.of(kind)) for kind in ("paraphrase", "translate")] == [2, 0]


def test_goals_are_told_in_the_learners_language(desk: Desk) -> None:
    """Key 6: what is done, what is left."""
    desk.learner("hola, buenos días")
    desk.tool("mark_goal", '{"goal":"greet","quote":"hola"}')
    desk.give(Key("6"))
    said = desk.last(Say)
    assert said.language == "en"
    assert desk.scene.can_do("greet") in said.text
    assert desk.scene.can_do("order_drink") in said.text


@pytest.mark.parametrize(("heard_after_ms", "pressed_after_ms"), [(None, 2_000), (4_000, 4_900), (4_000, 0)])
def test_zero_asks_and_zero_again_within_five_seconds_ends(
    desk: Desk, heard_after_ms: int | None, pressed_after_ms: int
) -> None:
    """Into the question, or up to five seconds after it was heard; the goodbye is heard whole before the line drops."""
    desk.give(Key("0"))
    assert desk.last(Say).text == desk.scene.native.say("call.end_confirm")
    if heard_after_ms is not None:
        desk.now_ms += heard_after_ms
        desk.hear(desk.last(Say))
    desk.now_ms += pressed_after_ms
    commands = desk.give(Key("0"))
    goodbye = desk.last(Say)
    assert commands == [CutRole(), Listen(False), goodbye]
    assert not desk.talk.interruptible
    assert desk.hear(goodbye) == [End("key")]


def test_a_second_zero_after_more_than_five_seconds_asks_again(desk: Desk) -> None:
    """The question has been forgotten by then."""
    desk.give(Key("0"))
    desk.hear(desk.last(Say))
    desk.now_ms += 5_001
    desk.give(Key("0"))
    assert desk.last(Say).text == desk.scene.native.say("call.end_confirm")
    assert desk.talk.phase is Phase.TALKING


def test_speaking_takes_the_question_back(desk: Desk) -> None:
    """Who goes on talking does not want to end."""
    desk.give(Key("0"))
    desk.learner()
    desk.now_ms += 500
    desk.give(Key("0"))
    assert desk.talk.phase is Phase.TALKING


def test_nine_leaves_the_scene_at_once_with_calm_words(desk: Desk) -> None:
    """The safe exit needs no confirmation and is on the record."""
    commands = desk.give(Key("9"))
    said = desk.last(Say)
    assert commands == [CutRole(), Listen(False), said]
    assert said.text == desk.scene.native.say("call.safe_exit")
    assert desk.hear(said) == [End("safe_exit")]
    assert desk.timeline.of("safe_exit")


def test_a_bouncing_key_counts_once(desk: Desk) -> None:
    """Old keypads send a press twice within a quarter of a second."""
    desk.give(Key("2"))
    desk.now_ms += 200
    assert desk.give(Key("2")) == []
    assert len(desk.all(SetSpeed)) == 1


def test_a_key_without_a_meaning_disturbs_nobody(desk: Desk) -> None:
    """It is noted, and the ladder of help goes on."""
    assert desk.give(Key("A")) == []
    assert desk.talk.next_due_ms is not None


# --- goals and tools


def test_a_goal_with_the_learners_words_is_earned_without_another_word(desk: Desk) -> None:
    """The tool's answer names what is left; the role speaks again only if it said nothing."""
    desk.learner("un café con leche, por favor")
    (answer,) = desk.tool("mark_goal", '{"goal":"order_drink","quote":"un café con leche"}')
    assert isinstance(answer, AnswerTool)
    assert answer.reply == "if_silent"
    assert answer.output["ok"] is True
    assert "order_drink" not in answer.output["left"]


def test_a_goal_waits_for_the_transcript(desk: Desk) -> None:
    """The answer to the tool comes with the transcript, or after two seconds with the model's word."""
    item = desk.learner(None)
    assert desk.tool("mark_goal", '{"goal":"greet","quote":"hola"}') == []
    (answer,) = desk.give(protocol.LearnerSaid(item, "hola"))
    assert isinstance(answer, AnswerTool)
    desk.learner(None)
    desk.tool("mark_goal", '{"goal":"order_drink","quote":"un té"}', "c2")
    assert [command for command in desk.wait(2_000) if isinstance(command, AnswerTool)]
    assert [entry.data["evidence"] for entry in desk.timeline.of("goal")] == ["quote", "model"]


@pytest.mark.parametrize("arguments", ["", "[]", "{", '{"goal":3}', '{"goal":"greet"}', '{"goal":"no","quote":"hola"}'])
def test_broken_arguments_of_a_tool_are_answered(desk: Desk, arguments: str) -> None:
    """The model gets a reason; the call goes on."""
    desk.learner("hola")
    (answer,) = desk.tool("mark_goal", arguments)
    assert isinstance(answer, AnswerTool)
    assert answer.output["ok"] is False
    assert answer.output["reason"]


def test_waiting_is_silent(desk: Desk) -> None:
    """Noise is answered by nothing, and the ladder of help goes on."""
    desk.learner("")
    assert desk.tool("wait_for_learner") == [AnswerTool("c1", {"ok": True}, "never")]
    desk.give(protocol.Responded("completed", None, None, "", spoke=False, cut=False))
    assert isinstance(desk.wait(5_000)[0], Say)


def test_an_unknown_tool_is_refused_politely(desk: Desk) -> None:
    """A model may invent a tool; the call goes on."""
    (answer,) = desk.tool("dance")
    assert isinstance(answer, AnswerTool)
    assert answer.output["ok"] is False


# --- the end


def test_the_roles_goodbye_is_heard_whole_before_the_line_drops(desk: Desk) -> None:
    """end_call comes while the goodbye still plays: the line waits for the last word."""
    desk.learner("adiós")
    desk.give(Playing("r9"))
    assert desk.tool("end_call", '{"reason":"scene_finished"}') == [
        AnswerTool("c1", {"ok": True}, "never"),
        Listen(False),
    ]
    assert not desk.talk.interruptible
    desk.now_ms += 2_000
    assert desk.give(Heard("r9", "¡Hasta luego!")) == [End("role")]


def test_a_role_that_ends_without_a_word_still_says_goodbye(desk: Desk) -> None:
    """Nobody is hung up on in silence."""
    desk.tool("end_call", '{"reason":"learner_asked"}')
    assert desk.last(Say).text == desk.scene.target.target["goodbye"]
    assert desk.hear(desk.last(Say)) == [End("role")]


def test_a_goodbye_that_never_ends_does_not_keep_the_line(desk: Desk) -> None:
    """A lost mark or a stuck model holds the line for 20 s at most."""
    desk.give(Playing("r9"))
    desk.tool("end_call")
    assert desk.wait(19_999) == []
    assert desk.wait(1) == [End("role")]


def test_the_minute_limit_is_announced_and_kept() -> None:
    """The learner hears of it a minute before, then the role; at the limit both languages say goodbye."""
    desk = Desk(limit_ms=3 * MINUTE).open()
    while desk.now_ms < 2 * MINUTE - 5_000:
        desk.learner()
        desk.role()
    desk.wait(2 * MINUTE - desk.now_ms)
    desk.hear(desk.last(Say))
    assert Seed("note", notes.MINUTE_LEFT) in desk.commands
    desk.learner()
    desk.give(Playing("r99"))
    commands = desk.wait(3 * MINUTE + EXCHANGE_MS - desk.now_ms)
    assert commands[:2] == [CutRole(), Listen(False)]
    said = [command for command in commands if isinstance(command, Say)]
    assert [command.language for command in said] == ["es", "en"]
    desk.give(Cut("r99", 500, "Bueno"))
    assert desk.hear(said[0]) == []
    assert desk.hear(said[1]) == [End("limit")]


def test_a_caller_who_never_speaks_is_helped_then_asked_then_let_go(desk: Desk) -> None:
    """Six steps of silence end in a kind goodbye, not in a dead line."""
    for _ in range(40):
        for command in desk.wait(1_000):
            if isinstance(command, Say):
                desk.hear(command)
            elif isinstance(command, Respond):
                desk.role("¿Café o té?")
        if desk.talk.phase is Phase.ENDED:
            break
    steps = [entry.data["step"] for entry in desk.timeline.of("stuck")]
    assert steps == ["encourage", "more_time", "choice", "model_phrase", "still_there", "goodbye"]
    assert desk.all(End) == [End("silence")]


def test_hanging_up_ends_the_conversation_once(desk: Desk) -> None:
    """Whatever arrives afterwards changes nothing."""
    desk.give(Playing("r9"))
    assert desk.give(HungUp("caller")) == [End("caller_hung_up")]
    assert desk.give(HungUp("caller")) == []
    assert desk.give(Key("0")) == []
    assert desk.talk.next_due_ms is None
    assert [entry.data["reason"] for entry in desk.timeline.of("ended")] == ["caller_hung_up"]
    assert all(turn.end_ms is not None for turn in desk.timeline.turns)


def test_a_slow_first_word_is_bridged_then_asked_for_then_another_session_is_opened(desk: Desk) -> None:
    """1.5 s: the role asks for a moment; 5 s: it is asked once more; 10 s: the session is given up."""
    desk.learner()
    (moment,) = desk.wait(1_500)
    assert isinstance(moment, Say)
    assert (moment.text, moment.only_clip) == (desk.scene.target.target["one_moment"], True)
    desk.hear(moment)
    assert desk.wait(3_500) == [Respond()]
    commands = desk.wait(5_000)
    assert commands[0] == Renew()
    assert desk.last(Say).text == desk.scene.native.say("call.holding")


def test_a_quick_first_word_is_not_announced(desk: Desk) -> None:
    """Whoever answers in time needs no filler."""
    desk.learner()
    desk.now_ms += 1_400
    desk.role()
    assert desk.wait(3_000) == []


def test_a_lost_model_is_bridged_and_the_conversation_goes_on_as_heard(desk: Desk) -> None:
    """A holding phrase, a new session that is told what was said, and the role takes up the thread."""
    desk.learner("un café")
    desk.role("¿Con leche?")
    desk.tool("mark_goal", '{"goal":"order_drink","quote":"un café"}')
    commands = desk.give(ModelLost(again=True))
    assert commands[0] == Renew()
    assert desk.last(Say).text == desk.scene.native.say("call.holding")
    desk.hear(desk.last(Say))
    back = desk.give(ModelBack())
    assert back[:3] == [Seed("role", desk.scene.greeting), Seed("learner", "un café"), Seed("role", "¿Con leche?")]
    assert back[3:] == [Seed("note", notes.reached(["order_drink"])), Listen(True), Respond(notes.BACK)]


def test_nobody_is_put_on_hold_while_the_role_is_still_heard(desk: Desk) -> None:
    """What was generated is heard out; only then, and only if it is still needed, comes the holding phrase."""
    desk.give(Playing("r1"))
    desk.give(protocol.RoleSaid("r1", "Claro que sí"))
    assert desk.give(ModelLost(again=True)) == [Renew()]
    desk.now_ms += 2_000
    (holding,) = desk.give(Heard("r1", ""))
    assert isinstance(holding, Say)
    back = desk.give(ModelBack())
    assert Seed("role", "Claro que sí") in back
    assert back[-1] == Listen(True)


def test_a_sentence_that_stops_short_is_taken_up_again(desk: Desk) -> None:
    """The model went away in mid-word: what was heard is kept, and the role repeats itself when it is back."""
    desk.give(Playing("r1"))
    desk.give(ModelLost(again=True, unfinished=(("r1", "Claro que"),)))
    desk.give(Heard("r1", ""))
    back = desk.give(ModelBack())
    assert Seed("role", "Claro que") in back
    assert back[-1] == Respond(notes.BACK)


def test_a_greeting_that_was_lost_with_the_model_is_said_when_it_is_back() -> None:
    """A cold greeting nobody could read is not skipped."""
    desk = Desk()
    desk.give(Began())
    desk.give(ModelLost(again=True))
    assert desk.give(SayCut("greeting-1"))[0] == desk.last(Say)
    desk.give(SayCut(desk.last(Say).ref))
    desk.give(ModelBack())
    assert desk.last(Say).text == desk.scene.greeting
    assert desk.hear(desk.last(Say)) == [Listen(True)]


def test_help_waits_while_the_model_is_lost(desk: Desk) -> None:
    """No stuck ladder runs against a learner whom nobody can hear."""
    desk.give(ModelLost(again=True))
    desk.hear(desk.last(Say))
    assert desk.wait(30_000) == []


def test_the_fourth_loss_ends_with_an_apology(desk: Desk) -> None:
    """Three are borne; then the caller hears a sentence, never a dead line."""
    for _ in range(3):
        desk.give(ModelLost(again=True))
        desk.give(ModelBack())
    commands = desk.give(ModelLost(again=True))
    assert Renew() not in commands
    assert desk.last(Say).text == desk.scene.native.say("call.lost")
    for said in desk.all(Say):
        desk.hear(said)
    assert desk.all(End) == [End("model_lost")]


def test_a_lost_model_that_cannot_come_back_is_told_and_ends(desk: Desk) -> None:
    """A refused key or an empty account: no second try."""
    desk.give(ModelLost(again=False))
    assert desk.last(Say).text == desk.scene.native.say("call.lost")
    assert desk.hear(desk.last(Say)) == [End("model_lost")]


# --- resuming


def test_a_conversation_goes_on_in_another_process_where_it_broke_off(desk: Desk) -> None:
    """Goals, speed, clock and history come back; the role is told, and nothing is greeted twice."""
    desk.learner("un café")
    desk.tool("mark_goal", '{"goal":"order_drink","quote":"un café"}')
    desk.role("¿Con leche?")
    desk.give(Key("2"))
    kept = json.loads(json.dumps(desk.talk.snapshot(desk.now_ms).write()))
    timeline = Timeline()
    talk = Conversation(desk.scene, Rules(15 * MINUTE), timeline, Snapshot.read(kept))
    assert talk.speed == desk.talk.speed
    assert talk.goals.earned == {"order_drink": "quote"}
    commands = talk.handle(Began(), desk.now_ms)
    assert Seed("learner", "un café") in commands
    assert not any(isinstance(c, Say) and c.text == desk.scene.greeting for c in commands)
    said = next(command for command in commands if isinstance(command, Say))
    assert talk.handle(SayCut(said.ref), desk.now_ms) == [Listen(True), Respond(notes.RESUME)]
    assert [turn.text for turn in timeline.turns if turn.speaker == "learner"] == ["un café"]
    assert timeline.entries[0].kind == "began"


# --- properties

EVENTS = st.one_of(
    st.sampled_from("0123456789*#").map(Key),
    st.sampled_from(["i1", "i2"]).map(Playing),
    st.sampled_from(["i1", "i2"]).map(lambda item: Heard(item, "sí")),
    st.sampled_from(["i1", "i2"]).map(lambda item: Cut(item, 300, "s")),
    st.sampled_from(["u1", "u2"]).map(lambda item: protocol.LearnerStarted(item, 0)),
    st.sampled_from(["u1", "u2"]).map(lambda item: protocol.LearnerStopped(item, 0)),
    st.sampled_from(["u1", "u2"]).map(lambda item: protocol.LearnerSaid(item, "hola")),
    st.sampled_from(["mark_goal", "end_call", "wait_for_learner"]).map(
        lambda name: protocol.ToolCalled("c", name, '{"goal":"greet","quote":"hola"}')
    ),
    st.just(protocol.Responded("completed", None, None, "", True, False)),
    st.booleans().map(ModelLost),
    st.just(ModelBack()),
    st.just(HungUp("caller")),
    st.just(Tick()),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.integers(0, 30_000)), max_size=60), st.booleans())
def test_whatever_happens_a_call_ends_exactly_once_and_within_its_limit(
    happenings: list[tuple[Event, int]], answers: bool
) -> None:
    """No order of events can crash the conversation, end it twice, or keep the line beyond its limit."""
    desk = Desk(replace(cafe()), limit_ms=5 * MINUTE)
    desk.give(Began())
    for event, pause in happenings:
        desk.give(event)
        if answers:
            for said in desk.all(Say)[-2:]:
                desk.hear(said)
        desk.wait(pause)
    desk.hear(desk.all(Say)[0])
    desk.wait(6 * MINUTE)
    desk.wait(MINUTE)
    assert desk.talk.phase is Phase.ENDED
    assert len(desk.all(End)) == 1
    assert len(desk.timeline.of("ended")) == 1
