"""What is measured in calls written by hand; each figure is worked out in a comment."""

from __future__ import annotations

import json

import msgspec
import pytest

from db.models import CallEvent
from db.models import Turn as TurnRow
from tests.tutor.desk import Desk
from tests.tutor.timelines import Told
from tutor.learning.coverage import Coverage
from tutor.learning.metrics import Measures, Reliability, measure
from tutor.learning.metrics_turns import Delay, Record, delays
from tutor.learning.metrics_words import Types
from tutor.learning.timeline import Entry, Timeline
from tutor.realtime import protocol
from tutor.talk.exchange import Aside, Began, Chime, HungUp, Key, Noisy, Say


def near(value: float) -> object:
    """A float, as far as floats are the same."""
    return pytest.approx(value, rel=1e-9)


def hesitant() -> Told:
    """A1, Spanish, 1,100 ms of silence end a turn: long waits, short turns with pauses, key 2, a stuck ladder."""
    call = Told(1_100)
    call.role(0, 3_000, "¡Hola! ¿Qué le sirvo?")
    call.learner(6_000, 8_400, "Un café, por favor.", segments=[(6_000, 6_600), (7_000, 7_400), (7_700, 8_400)])
    call.role(10_000, 12_000, "¿Con leche?", answered_ms=500)
    call.learner(16_000, 16_900, "Eh, sí, leche.", segments=[(16_000, 16_900)])
    call.role(18_600, 21_000, "Son dos euros.", answered_ms=600)
    call.key(23_000, "2").add(23_000, "speed", speed=0.75)
    call.role(23_800, 26_000, "Son dos euros.")
    call.learner(29_000, 30_000, "Perdón, no entiendo.", segments=[(29_000, 29_400), (29_700, 30_000)])
    call.role(31_700, 34_000, "Cuesta dos euros.", answered_ms=600)
    call.add(39_000, "stuck", step="encourage").helper(39_000, 40_000, "Tranquilo.")
    call.add(41_000, "stuck", step="more_time").helper(41_000, 42_000, "¿Un poco más de tiempo?")
    call.learner(45_000, 46_200, "Gracias, adiós.", segments=[(45_000, 46_200)])
    call.role(47_700, 49_000, "¡Hasta luego!", answered_ms=400)
    return call.add(49_300, "ended", reason="role")


def test_a_hesitant_beginner() -> None:
    """Waits, pauses, rates, help and answers of an A1 call are those worked out by hand."""
    call = hesitant()
    found = measure("es", call.turns, call.events, silence_ms=1_100, goals=3, band=700)
    assert [turn.latency_ms for turn in found.turns] == [3_000, 4_000, 3_000, 11_000]
    assert [turn.duration_ms for turn in found.turns] == [2_400, 900, 1_000, 1_200]
    assert [turn.words for turn in found.turns] == [4, 3, 3, 2]
    # un ca-fé por fa-vor 6 · eh sí le-che 4 · per-dón no en-tien-do 6 · gra-cias a-diós 4
    assert [turn.syllables for turn in found.turns] == [6, 4, 6, 4]
    assert [turn.clarification for turn in found.turns] == [False, False, True, False]
    # from the voice's end: 10,000-8,400 · 18,600-16,900 · 31,700-30,000 · 47,700-46,200
    assert [turn.gap_ms for turn in found.turns] == [1_600, 1_700, 1_700, 1_500]
    assert found.learner_turns == 4
    assert found.median_latency_ms == 3_500  # between 3,000 and 4,000
    assert found.first_utterance_ms == 3_000
    assert found.turn_ms == 5_500
    assert found.phonation_ms == 4_500  # pauses of 400, 300 and 300 ms
    assert found.silent_pause_ratio == near(1_000 / 5_500)
    assert found.pauses_per_minute == near(3 / 5_500 * 60_000)
    assert found.mean_pause_ms == near(1_000 / 3)
    assert found.articulation_rate == near(20 / 4.5)
    assert found.mean_run_syllables == near(20 / 7)  # 3 + 1 + 2 + 1 runs
    assert found.syllables_per_second == near(20 / 5.5)
    assert found.words_per_minute == near(12 / 5.5 * 60)
    assert found.mean_turn_words == near(3)
    assert found.role_ms == 13_200  # 3,000 + 2,000 + 2,400 + 2,200 + 2,300 + 1,300
    assert found.talk_share == near(4_500 / 17_700)
    assert found.clarifications == 2  # "no entiendo", key 2
    assert found.clarification_rate == near(0.5)
    assert found.breakdown_rate == near(0.25)  # the second rung; the first only encourages
    assert found.understood_share == 1
    assert found.support_index == near(0.5 / 3)  # slower, once, three goals
    assert (found.median_answer_ms, found.median_gap_ms) == (550, 1_650)
    assert found.reliability == Reliability(words=12, transcribed=1.0, noisy=False, missing=())
    assert not found.reliability.text  # twelve words say little


def test_delays_are_those_of_the_turns() -> None:
    """Read off times alone they are the same; the line that was said again for key 2 answered nobody."""
    call = hesitant()
    found = delays(Record.read("es", call.turns, call.events, silence_ms=1_100))
    assert found == [
        Delay(10_000, 500, 1_600),
        Delay(18_600, 600, 1_700),
        Delay(31_700, 600, 1_700),
        Delay(47_700, 400, 1_500),
    ]
    assert delays(Record.read("es", [], call.events, silence_ms=1_100)) == []


def fluent() -> Told:
    """B1, English, 800 ms: quick and long turns, one breaks in with words, one "yeah" over the role is no turn."""
    call = Told(800, native="es")
    call.role(0, 2_000, "Hi! So you are looking for a room?")
    call.learner(
        2_400,
        7_400,
        "Yes, I am looking for a quiet room near the station because I work there.",
        segments=[(2_400, 4_900), (5_200, 7_400)],
    )
    call.role(8_600, 12_000, "Great. We have one on the second floor, it is", answered_ms=400, cut=True)
    # Breaks in at 11,900; the line notices and is silent at 12,000.
    call.learner(11_900, 14_900, "Sorry, is it quiet at night?", segments=[(11_900, 14_900)])
    call.add(16_000, "barge_in", item="learner-11900")
    call.role(16_100, 20_000, "Very quiet. It is eight hundred a month, and the kitchen is shared.", answered_ms=400)
    call.learner(18_000, 18_400, "Yeah.", segments=[(18_000, 18_400)])
    call.add(19_400, "overlap", item="learner-18000")
    call.learner(20_600, 24_600, "I think that it is a bit expensive, but I like it.", segments=[(20_600, 24_600)])
    call.role(25_900, 28_000, "Sorry, I didn't catch that. Do you like it?", answered_ms=500)
    call.learner(28_300, 29_300, "Yes, I like it.", segments=[(28_300, 29_300)])
    call.add(30_500, "goal", goal="decide", quote="I like it", evidence="quote")
    call.add(30_500, "error_note", type="word_order", severity="slip", context="…", handling="ignored")
    call.role(30_500, 32_000, "Wonderful!", answered_ms=400)
    return call.add(33_000, "ended", reason="role")


def test_a_fluent_learner() -> None:
    """Breaking in with words is an overlap and has no latency; a word over the role's voice is no turn at all."""
    call = fluent()
    found = measure("en", call.turns, call.events, silence_ms=800, goals=4, band=2_750)
    assert found.learner_turns == 4
    assert [turn.latency_ms for turn in found.turns] == [400, None, 600, 300]
    assert [turn.overlap for turn in found.turns] == [False, True, False, False]
    assert found.overlaps == 1
    assert [turn.words for turn in found.turns] == [15, 6, 12, 4]
    # yes I am look-ing for a qui-et room near the sta-tion be-cause I work there 19 · sor-ry is it qui-et at night 8 ·
    # I think that it is a bit ex-pen-sive but I like it 14 · yes I like it 4
    assert [turn.syllables for turn in found.turns] == [19, 8, 14, 4]
    assert found.median_latency_ms == 400
    assert found.first_utterance_ms == 400
    assert found.turn_ms == 5_000 + 3_000 + 4_000 + 1_000
    assert found.phonation_ms == 12_700  # one pause of 300 ms
    assert found.articulation_rate == near(45 / 12.7)
    assert found.words_per_minute == near(37 / 13 * 60)
    assert found.mean_turn_words == near(37 / 4)
    assert found.mean_run_syllables == near(45 / 5)
    assert [turn.understood for turn in found.turns] == [True, True, False, True]
    assert (found.role_clarifications, found.understood_share, found.breakdown_rate) == (1, 0.75, 0.25)
    assert (found.clarifications, found.support_index) == (0, 0)
    # 2,000 + 3,400 + 3,900 + 2,100 + 1,500
    assert found.talk_share == near(12_700 / (12_700 + 12_900))
    # After the third turn the role answered at 25,900: 500 ms after it had ended, 1,300 after the voice.
    assert [turn.answer_ms for turn in found.turns] == [400, 400, 500, 400]
    assert [turn.gap_ms for turn in found.turns] == [1_200, 1_200, 1_300, 1_200]
    assert [(turn.goals, turn.errors) for turn in found.turns[2:]] == [((), ()), (("decide",), ("word_order",))]
    assert found.reliability.text


def test_a_noisy_line() -> None:
    """Noises, "mm" and sounds shorter than 300 ms are no turns, and the flag says that the line was loud."""
    call = Told(950)
    call.role(0, 2_000, "Buenos días, ¿qué desea?")
    call.learner(3_000, 3_700, None)  # a chair: 700 ms nobody transcribed
    call.learner(5_500, 6_300, "Mm.")
    call.learner(8_000, 8_200, "Un")  # 200 ms
    call.add(9_000, "noisy").helper(9_000, 12_000, "It is loud around you.")
    call.learner(14_000, 15_000, "Quiero pan.")
    call.role(16_500, 18_000, "¿Algo más?", answered_ms=550)
    call.learner(17_000, 18_500, None)  # a lorry, over the role's voice
    call.add(20_500, "overlap", item="learner-17000")
    call.learner(21_000, 23_000, None)  # long enough for speech that was not made out
    call.add(25_000, "ended", reason="caller_hung_up")
    found = measure("es", call.turns, call.events, silence_ms=950, goals=3)
    assert [(turn.start_ms, turn.words) for turn in found.turns] == [(14_000, 2), (21_000, None)]
    # What the helper said lies between, and so do noises: the role has been waited for since 2,000 and 18,000.
    assert [turn.latency_ms for turn in found.turns] == [12_000, 3_000]
    assert found.mean_turn_words == 2  # of the turn that has words
    assert found.words_per_minute == near(2 / 1 * 60)
    assert found.reliability == Reliability(words=2, transcribed=0.5, noisy=True, missing=("pauses",))
    assert not found.reliability.text
    assert not found.comparable


def test_a_child_whose_words_are_hardly_transcribed() -> None:
    """What was not transcribed counts in time and not in words, and the flag tells how much that was."""
    call = Told(1_100, native="es")
    call.role(0, 2_000, "Hello! What animal do you like?")
    for number, (at_ms, text) in enumerate(
        [(4_000, "dog"), (9_000, None), (14_000, None), (19_000, "big dog"), (24_000, "")]
    ):
        call.learner(at_ms, at_ms + 1_200, text)
        call.role(at_ms + 2_700, at_ms + 4_000, f"Oh, nice! {number}", answered_ms=400)
    found = measure("en", call.turns, call.events, silence_ms=1_100, goals=3)
    assert found.learner_turns == 5
    assert [turn.latency_ms for turn in found.turns] == [2_000, 1_000, 1_000, 1_000, 1_000]
    assert found.turn_ms == 6_000
    assert found.mean_turn_words == near(1.5)  # 1 and 2 words
    assert found.syllables_per_second == near(3 / 2.4)  # of the two turns with words
    assert found.reliability.transcribed == near(0.4)
    assert not found.reliability.text
    assert found.comparable


def test_a_silent_caller() -> None:
    """Without a turn nothing is known of the learner, and what is a count is 0."""
    call = Told(1_100)
    call.role(0, 2_000, "¡Hola!")
    for at_ms, step in ((7_000, "encourage"), (10_000, "more_time"), (14_000, "choice"), (19_000, "model_phrase")):
        call.add(at_ms, "stuck", step=step)
    call.add(31_000, "stuck", step="still_there").add(41_000, "stuck", step="goodbye").add(
        43_000, "ended", reason="silence"
    )
    found = measure("es", call.turns, call.events, silence_ms=1_100, goals=3)
    assert found == Measures(
        role_ms=2_000,
        talk_share=0.0,
        reliability=Reliability(words=0, transcribed=None, noisy=False, missing=("pauses", "words", "answers")),
    )
    assert measure("es", [], [], silence_ms=1_100, goals=3).talk_share is None


def test_a_caller_who_hangs_up_in_mid_sentence() -> None:
    """The turn in which the line went away did not end by silence: none is taken off it, and nothing answered it."""
    call = Told(1_100)
    call.role(0, 2_000, "¡Hola! ¿Qué le sirvo?")
    call.learner(3_000, 4_000, "Hola, buenos días.")
    call.role(5_600, 7_000, "¿Qué desea?", answered_ms=500)
    call.learner(9_000, 10_000, "Quiero un", cut=True)
    call.add(10_000, "ended", reason="caller_hung_up")
    found = measure("es", call.turns, call.events, silence_ms=1_100, goals=3)
    assert [(turn.start_ms, turn.duration_ms) for turn in found.turns] == [(3_000, 1_000), (9_100, 900)]
    assert found.turns[1].answer_ms is None
    assert found.median_answer_ms == 500
    assert not found.comparable


def keys() -> Told:
    """A2, French: every kind of help, pressed and said."""
    call = Told(950)
    call.role(0, 2_000, "Bonjour ! Vous désirez ?")
    call.key(3_000, "1").add(3_000, "hint", goal="drink", rung=0, phrase="…").helper(3_000, 5_000, "Hint")
    call.key(6_000, "1").add(6_000, "hint", goal="drink", rung=1, phrase="…").helper(6_000, 8_000, "Hint")
    call.key(9_000, "1").add(9_000, "hint", goal="drink", rung=2, phrase="…").helper(9_000, 12_000, "Hint")
    call.learner(13_000, 15_000, "Je voudrais un café, s'il vous plaît.")
    call.role(16_500, 18_000, "Avec du lait ?", answered_ms=550)
    call.key(19_000, "4").add(19_000, "translate", text="Avec du lait ?")
    call.learner(23_000, 24_000, "Oui, avec du lait.")
    call.role(25_500, 28_000, "Très bien, ça fait trois euros.", answered_ms=550)
    call.learner(30_000, 31_500, "Plus lentement, s'il vous plaît.")
    call.key(32_650, "2", spoken=True).add(32_650, "speed", speed=0.8)
    call.role(33_000, 37_000, "Ça fait trois euros.", answered_ms=550)
    call.key(38_000, "3").add(38_000, "repeat")
    call.key(42_000, "4").add(42_000, "paraphrase", text="Ça fait trois euros.")
    call.key(46_000, "8").add(46_000, "paused").key(50_000, "2").add(50_000, "pause_over")
    call.role(51_000, 52_000, "Trois euros.")
    call.key(54_000, "5").add(54_000, "word_asked").helper(54_000, 56_000, "What do you want to say?")
    call.learner(57_000, 58_000, "receipt")
    call.add(60_000, "word_given", asked="receipt", given="le reçu")
    call.learner(63_000, 64_500, "Le reçu, merci.")
    call.role(66_000, 67_000, "Voilà.", answered_ms=550)
    return call.add(68_000, "ended", reason="role")


def test_a_caller_who_likes_keys() -> None:
    """Help is weighed for each goal, keys are no answers, and what is said to the helper is no turn."""
    call = keys()
    found = measure("fr", call.turns, call.events, silence_ms=950, goals=4)
    assert [turn.start_ms for turn in found.turns] == [13_000, 23_000, 30_000, 63_000]
    # Only "plus lentement" came upon the role's line alone; before the others a key was pressed.
    assert [turn.latency_ms for turn in found.turns] == [None, None, 2_000, None]
    assert found.first_utterance_ms == 11_000
    # hints 1 + 2 + 3, a translation 2, easier words 1, slower 0.5; the 2 that ended the pause is none
    assert found.support_index == near(9.5 / 4)
    # keys 4, 3 and 4, and "plus lentement", which is not counted again as a key
    assert found.clarifications == 4
    assert found.clarification_rate == near(1)
    assert [turn.clarification for turn in found.turns] == [False, False, True, False]


def test_what_today_s_record_cannot_tell_is_not_known() -> None:
    """Without voice segments there are no pauses and no articulation rate, and the flag says so; the rest stands."""
    call = hesitant()
    whole = measure("es", call.turns, call.events, silence_ms=1_100, goals=3)
    events = [event for event in call.events if event.kind != "speech"]
    found = measure("es", call.turns, events, silence_ms=1_100, goals=3)
    assert (found.phonation_ms, found.silent_pause_ratio, found.pauses_per_minute, found.mean_pause_ms) == (None,) * 4
    assert (found.articulation_rate, found.mean_run_syllables) == (None, None)
    assert found.reliability.missing == ("pauses",)
    # The turns' own times were counted in audio: they are the same to the millisecond here.
    assert found.turns == whole.turns
    assert found.words_per_minute == whole.words_per_minute
    assert found.talk_share == near(5_500 / 18_700)  # pauses count as voice


def test_turns_alone_are_enough_for_an_approximation() -> None:
    """Without any event a turn begins where it was noticed and ends the level's silence before its end."""
    call = hesitant()
    found = measure("es", call.turns, [], silence_ms=1_100, goals=3)
    assert [turn.latency_ms for turn in found.turns] == [3_100, 4_100, 3_100, 11_100]
    assert [turn.duration_ms for turn in found.turns] == [2_300, 800, 900, 1_100]
    assert found.reliability.missing == ("pauses", "answers")


def test_the_record_s_own_silence_is_preferred() -> None:
    """A learner may have been given more silence than the level's; where the record says so, that is taken off."""
    call = Told(1_500)
    call.events[0].data["silence_ms"] = 1_500
    call.role(0, 1_000, "¿Sí?").learner(2_000, 4_000, "Un momento, por favor.")
    found = measure("es", call.turns, call.events, silence_ms=800, goals=3)
    assert [(turn.start_ms, turn.duration_ms) for turn in found.turns] == [(2_000, 2_000)]


def test_pieces_without_the_line_between_are_one_turn() -> None:
    """Who stops for longer than the silence and goes on before anybody answered has taken one turn."""
    call = Told(500)
    call.role(0, 1_000, "¿Qué desea?")
    call.learner(2_000, 3_000, "Quiero un café")  # stops at 3,500, goes on at 3,700, noticed at 3,800
    call.learner(3_700, 4_700, "con leche fría")
    call.role(5_500, 6_500, "Muy bien.", answered_ms=300)
    call.learner(8_000, 9_000, "Gracias.")
    found = measure("es", call.turns, call.events, silence_ms=500, goals=3)
    assert [(turn.start_ms, turn.duration_ms, turn.words) for turn in found.turns] == [
        (2_000, 2_000, 6),
        (8_000, 1_000, 1),
    ]
    assert found.turns[0].answer_ms == 300
    assert found.repairs_per_100_words == near(100 * 1 / 7)


def test_a_role_that_was_hardly_heard_does_not_part_a_turn() -> None:
    """A tenth of a second of the role, cut by a learner who went on, was heard by nobody."""
    call = Told(500)
    call.role(0, 1_000, "¿Qué desea?")
    call.learner(2_000, 3_000, "Quiero un té")
    call.role(3_700, 3_800, "Mu", answered_ms=200, cut=True)
    call.learner(3_700, 4_700, "y un café")
    found = measure("es", call.turns, call.events, silence_ms=500, goals=3)
    assert [(turn.words, turn.overlap) for turn in found.turns] == [(6, False)]


def test_the_role_s_own_note_says_that_it_did_not_understand() -> None:
    """A breakdown counts once for a turn, whether the role said so, noted it, or both; other kinds do not."""
    call = Told(500)
    call.role(0, 1_000, "¿Qué desea?")
    call.learner(2_000, 3_000, "Quiero un chorro.")
    call.add(3_600, "breakdown", kind="learner_not_understood")
    call.role(3_700, 5_000, "Perdón, no le he entendido.", answered_ms=200)
    call.learner(6_000, 7_000, "Quiero un churro.")
    call.add(7_600, "breakdown", kind="role_not_understood").add(7_700, "breakdown", kind="line")
    call.role(7_800, 9_000, "Claro.", answered_ms=300)
    found = measure("es", call.turns, call.events, silence_ms=500, goals=3)
    assert [turn.understood for turn in found.turns] == [False, True]
    assert (found.role_clarifications, found.understood_share) == (1, 0.5)


def test_a_request_in_the_learner_s_own_language_counts() -> None:
    """The record says which language that is."""
    call = Told(500, native="en")
    call.role(0, 1_000, "¿Qué desea?").learner(2_000, 3_000, "I don't understand.")
    assert measure("es", call.turns, call.events, silence_ms=500, goals=3).clarifications == 1


def test_class_items_that_were_used_are_a_share_of_those_that_were_to_come_up() -> None:
    """Items used besides those targeted do not count; without any target there is no share."""
    used = Coverage(used_by_role=("la cuenta",), used_by_learner=("Un Café", "otra cosa"))
    targeted = ("un café", "la cuenta")
    assert measure("es", [], [], silence_ms=500, goals=3, coverage=used, targeted=targeted).coverage == 0.5
    assert measure("es", [], [], silence_ms=500, goals=3, coverage=used).coverage is None
    assert measure("es", [], [], silence_ms=500, goals=3, targeted=targeted).coverage is None


def test_measures_are_written_and_read_as_json() -> None:
    """What a row keeps is JSON, gives the same measures again, and holds no word that was said."""
    call = fluent()
    found = measure("en-GB", call.turns, call.events, silence_ms=800, goals=4, band=2_750)
    text = json.dumps(found.write())
    assert Measures.read(json.loads(text)) == found
    assert isinstance(found.types, Types)
    said = {word.strip(".,?!").lower() for turn in call.turns for word in (turn.text or "").split()}
    assert not {word for word in said if len(word) > 5 and f'"{word}' in text}
    assert Measures.read({}) == Measures()
    with pytest.raises(msgspec.ValidationError):
        Measures.read({"learner_turns": "four"})


def test_rows_and_the_timeline_are_measured_alike() -> None:
    """Whatever keeps a call, the figures are the same."""
    call = keys()
    rows = [
        TurnRow(speaker=turn.speaker, start_ms=turn.start_ms, end_ms=turn.end_ms, text=turn.text, cut=turn.cut)
        for turn in call.turns
    ]
    event_rows = [CallEvent(at_ms=event.at_ms, kind=event.kind, data=event.data) for event in call.events]
    timeline = Timeline()
    timeline.entries = [Entry(event.at_ms, event.kind, event.data) for event in call.events]
    for number, turn in enumerate(call.turns):
        timeline.begin(turn.start_ms, turn.speaker, str(number), turn.text)
        timeline.end(turn.end_ms or 0, str(number), cut=turn.cut)
    found = measure("fr", call.turns, call.events, silence_ms=950, goals=4)
    assert found == measure("fr", rows, event_rows, silence_ms=950, goals=4)
    assert found == measure("fr", timeline.turns, timeline.entries, silence_ms=950, goals=4)


def test_what_a_conversation_writes_is_what_is_measured() -> None:
    """A call through the conversation itself: its own kinds of events, turns and words."""
    desk = Desk()  # the café for an English speaker, A1
    desk.give(Began())
    desk.wait(2_500)
    desk.hear(desk.last(Say))
    desk.wait(2_000)
    desk.learner("Hola, un café, por favor.", for_ms=3_400)  # of which 1,100 are the silence that ended it
    desk.wait(600)
    desk.tool("note_breakdown", json.dumps({"kind": "learner_not_understood"}))
    desk.tool("mark_goal", json.dumps({"goal": "order_drink", "quote": "un café"}), call="c2")
    desk.tool("note_error", json.dumps({"type": "article", "severity": "slip", "context": "…", "handling": "ignored"}))
    desk.role("Perdone, no le he entendido.", for_ms=2_000)
    desk.hear(desk.last(Chime))
    desk.wait(1_000)
    desk.give(Key("1"))
    desk.hear(desk.last(Say))
    desk.wait(1_000)
    desk.give(Key("4"))
    desk.hear(desk.last(Aside))
    desk.wait(1_000)
    desk.learner("Un café.", for_ms=2_400)
    desk.wait(400)
    desk.role("Muy bien. ¿Algo más?")
    desk.wait(1_500)
    desk.learner("Más despacio, por favor.", for_ms=2_900)
    desk.role("¿Algo más?")
    desk.give(Key("5"))
    desk.hear(desk.last(Say))
    desk.learner("receipt", for_ms=2_000)
    desk.give(protocol.AsideSaid("word", desk.last(Aside).ref, "word", "el recibo"))
    desk.hear(desk.last(Aside))
    desk.role("¿Sí?")
    desk.give(Noisy())
    desk.hear(desk.last(Say))
    while len(desk.timeline.of("stuck")) < 2:  # the first two rungs
        desk.wait(1_000)
        for said in desk.all(Say):
            if said.ref in desk.unheard:
                desk.hear(said)
    desk.give(HungUp("caller"))
    scene = desk.scene
    found = measure(
        scene.target.tag,
        desk.timeline.turns,
        desk.timeline.entries,
        silence_ms=scene.level.silence_ms,
        goals=3,
        band=700,
    )
    assert [turn.words for turn in found.turns] == [5, 2, 4]
    assert [turn.duration_ms for turn in found.turns] == [2_300, 1_300, 1_800]
    assert [turn.latency_ms for turn in found.turns] == [2_000, None, 1_500]
    assert [turn.answer_ms for turn in found.turns] == [600, 400, 0]
    assert [turn.gap_ms for turn in found.turns] == [1_700, 1_500, 1_100]
    assert [turn.understood for turn in found.turns] == [False, True, True]
    assert [turn.clarification for turn in found.turns] == [False, False, True]
    assert [(turn.goals, turn.errors) for turn in found.turns[:1]] == [(("order_drink",), ("article",))]
    assert found.clarifications == 2  # key 4, "más despacio"
    assert found.support_index == near((1 + 2 + 0.5) / 3)
    assert found.breakdown_rate == near(2 / 3)  # not understood once, the second rung once
    assert found.reliability == Reliability(words=11, transcribed=1.0, noisy=True, missing=("pauses",))
