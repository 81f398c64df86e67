"""Which scene comes next: a weighted score, the order of a menu, and the harder ones behind key 9."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor.learning import focus
from tutor.learning.placement import Difficulty, Rating, expected, goal_weights, middle, outcome, rated
from tutor.learning.recommend import (
    RECENT_PLAYS,
    Learned,
    Play,
    Score,
    interests,
    recommend,
    rules,
    score,
    weak_goals,
)
from tutor.script.catalogue import load
from tutor.script.level import LEVELS
from tutor.script.scenario import Scenario

NOW = datetime(2026, 11, 20, 17, tzinfo=UTC)
SCENES = tuple(scenario for scenario in load().scenarios if scenario.id != "free_talk")
CAFE = load().scenario("cafe_order")
A1 = Rating.start("A1")


def at(level: str, theta: float | None = None) -> Rating:
    """A learner of a level who is past the trial."""
    rating = replace(Rating.start(level), calls=10, experience=10, since_step=10)
    return rating if theta is None else replace(rating, theta=theta)


def scene(id_: str, *, level: str = "A1", vec_sum: int = 1, tags: tuple[str, ...] = ()) -> Scenario:
    """A scene with the café's goals, at another place."""
    vec = (min(vec_sum, 4), min(max(vec_sum - 4, 0), 4), min(max(vec_sum - 8, 0), 4), 0, 0, 0)
    return replace(CAFE, id=id_, cefr=tuple(level.split()), vec=vec, tags=tags)


def ago(days: float, scenario: str = "cafe_order", *, completed: bool = True) -> Play:
    """A play so many days ago."""
    return Play(scenario, NOW - timedelta(days=days), completed)


def best(scenes: Sequence[Scenario], learned: Learned) -> str:
    """What key 1 starts."""
    return recommend(scenes, learned, now=NOW).menu[0]


# --- the data


def test_the_weights_are_the_plan_s_and_add_up_to_one() -> None:
    """0.35 weak, 0.30 fit, 0.20 novelty, 0.15 interest."""
    table = rules()
    assert (table.weak, table.fit, table.novelty, table.interest, table.success) == (0.35, 0.30, 0.20, 0.15, 0.7)
    assert Score(1, 1, 1, 1).total == pytest.approx(1)
    assert Score(1, 0, 0, 0).total == 0.35
    assert Score(0.5, 1, 0.5, 0).total == pytest.approx(0.175 + 0.30 + 0.10)


def test_every_tag_of_the_catalogue_is_in_both_tables_and_every_kind_of_error_is_known() -> None:
    """A new tag, or a misspelt kind, is found here."""
    tags = {tag for scenario in load().scenarios for tag in scenario.tags}
    kinds = {rule.type for rule in focus.rules().rules}
    table = rules()
    assert set(table.practises) == set(table.topics) == tags
    assert {kind for found in table.practises.values() for kind in found} <= kinds


# --- the parts of a score


@pytest.mark.parametrize(
    ("goals", "patterns", "plays", "weak"),
    [
        ((), (), (), 0),
        (("greet", "price"), (), (), 0.5),
        (("goodbye",), (), (), 0),  # optional: nothing to catch up on
        (("no_such_goal",), (), (), 0),
        ((), (), (ago(1, completed=False),), 0.5),
        (("greet", "price", "detail"), (), (ago(1, completed=False),), 0.75),
        ((), (), (ago(1, completed=False), ago(0.5)), 0),
        ((), ("articles",), (), 1),
        ((), ("articles", "negation"), (), 0.5),
        (("greet", "price"), ("articles", "negation"), (), 0.75),
        (("greet", "order_drink", "detail", "price"), ("articles",), (), 1),
    ],
)
def test_what_is_weak(goals: tuple[str, ...], patterns: tuple[str, ...], plays: tuple[Play, ...], weak: float) -> None:
    """The share of goals that are open, or half for a scene left unfinished, joined with the share of patterns."""
    learned = Learned(rating=A1, plays=plays, goals=goals, patterns=patterns)
    assert score(CAFE, learned, now=NOW).weak == pytest.approx(weak)


@pytest.mark.parametrize(
    ("rating", "fit"),
    [
        (at("A1", CAFE.difficulty + 0.5649), 1.0),
        (at("A1", CAFE.difficulty), 0.5 / 0.7),
        (at("A2", 5.0), 0.0),
        (replace(at("A1", CAFE.difficulty + 0.2703), calls=0), 1.0),
    ],
)
def test_a_scene_fits_best_where_seven_of_ten_succeed(rating: Rating, fit: float) -> None:
    """From there the fit falls to both sides; during the trial the best place is at six of ten."""
    assert score(CAFE, Learned(rating=rating), now=NOW).fit == pytest.approx(fit, abs=0.001)


@given(st.floats(-5, 5))
def test_the_fit_is_a_share_and_falls_with_the_distance(theta: float) -> None:
    """Nearer to seven of ten is never worse on the same side."""
    here = score(CAFE, Learned(rating=at("A1", theta)), now=NOW).fit
    nearer = theta + (CAFE.difficulty + 0.5649 - theta) / 2
    assert 0 <= here <= score(CAFE, Learned(rating=at("A1", nearer)), now=NOW).fit + 1e-3


def test_a_scene_that_proved_harder_is_scored_as_hard_as_it_is() -> None:
    """The school's own experience moves the fit."""
    learned = Learned(rating=at("A1", CAFE.difficulty + 1.0649))
    harder = replace(learned, difficulties={"cafe_order": Difficulty(40, 0.5)})
    assert score(CAFE, harder, now=NOW).fit == pytest.approx(1, abs=0.001)
    assert score(CAFE, learned, now=NOW).fit < 0.7


@pytest.mark.parametrize(
    ("plays", "novelty"),
    [((), 1), ((ago(0),), 0), ((ago(7),), 0.5), ((ago(14),), 1), ((ago(90),), 1), ((ago(90), ago(7), ago(8)), 0.5)],
)
def test_what_was_played_lately_is_less_new(plays: tuple[Play, ...], novelty: float) -> None:
    """The last play counts, whatever the order; after two weeks a scene is as good as new."""
    assert score(CAFE, Learned(rating=A1, plays=plays), now=NOW).novelty == pytest.approx(novelty)


@pytest.mark.parametrize(("liked", "interest"), [((), 0), (("food",), 0.5), (("food", "shop"), 1), (("work",), 0)])
def test_a_scene_about_what_the_learner_likes_is_of_interest(liked: tuple[str, ...], interest: float) -> None:
    """The share of its tags."""
    assert score(CAFE, Learned(rating=A1, interests=liked), now=NOW).interest == interest


@pytest.mark.parametrize(
    ("topics", "tags"),
    [
        ((), set()),
        (("Cooking with her sister",), {"food", "people"}),
        (("two dogs",), {"home"}),
        (("lunches at work",), {"food", "work"}),
        (("workshop",), set()),
        (("BEACH holidays", "shoes"), {"travel", "shop"}),
    ],
)
def test_noted_topics_belong_to_tags_by_whole_words(topics: tuple[str, ...], tags: set[str]) -> None:
    """Singular or plural, in any case; a part of a word is none."""
    assert interests(topics) == tags


def test_a_goal_is_weak_until_it_is_reached_again() -> None:
    """Only the last five plays count, optional goals never, and another scene with the same goal makes good."""
    contract, flat = load().scenario("negotiation_contract"), load().scenario("flat_viewing")
    assert {goal.id for goal in contract.goals} & {goal.id for goal in flat.goals} == {"summarise"}
    done = frozenset(goal.id for goal in contract.goals) - {"summarise"}
    assert weak_goals([(contract, done)]) == {"summarise"}
    assert weak_goals([(contract, done), (flat, [goal.id for goal in flat.goals])]) == frozenset()
    assert weak_goals([(CAFE, ["greet", "order_drink", "detail", "price"])]) == frozenset()
    later = [(CAFE, ["greet", "order_drink", "detail", "price"])] * RECENT_PLAYS
    assert weak_goals([(contract, done), *later[1:]]) == {"summarise"}
    assert weak_goals([(contract, done), *later]) == frozenset()


# --- the order


def test_ties_go_by_id() -> None:
    """Two scenes that are equal in everything come in the order of their letters, however they are given."""
    scenes = [scene("b"), scene("c"), scene("a")]
    assert recommend(scenes, Learned(rating=A1), now=NOW).menu == ("a", "b", "c")


@pytest.mark.parametrize(
    ("learned", "first"),
    [
        (Learned(rating=at("A1")), "near"),
        (Learned(rating=at("A1"), plays=(ago(1, "near"),)), "other"),
        (Learned(rating=at("A1"), interests=("shop",)), "other"),
        (Learned(rating=at("A1"), patterns=("past_tense",)), "told"),
        (Learned(rating=at("A1"), plays=(ago(20, "far", completed=False), ago(20, "near"))), "far"),
    ],
)
def test_the_next_scene_is_the_one_that_scores_best(learned: Learned, first: str) -> None:
    """Each part of the score can decide."""
    scenes = [
        scene("near", vec_sum=0),
        scene("other", vec_sum=0, tags=("shop",)),
        scene("told", vec_sum=1, tags=("stories",)),
        scene("far", vec_sum=2),
    ]
    scenes[1] = replace(scenes[1], vec=(0, 0, 0, 1, 0, 0))
    assert best(scenes, learned) == first


def test_assignment_then_review_then_the_next_one_then_the_others() -> None:
    """What the class was given comes first whatever it scores, then what is due, most cards first."""
    learned = Learned(rating=at("A2"))
    plain = recommend(SCENES, learned, now=NOW)
    given = recommend(
        SCENES,
        learned,
        now=NOW,
        assigned=("debate_radio", "not_offered", "cafe_order"),
        due={"flat_viewing": 2, "bus_ticket": 1, "doctor_visit": 2, "lost_bag": 0, "gone": 4},
    )
    assert given.menu[:2] == ("debate_radio", "cafe_order")
    assert set(given.menu[2:4]) == {"flat_viewing", "doctor_visit"}
    assert given.menu[4] == "bus_ticket"
    rest = [id_ for id_ in plain.menu if id_ not in given.menu[:5]]
    assert list(given.menu[5:]) == rest


def test_a_menu_holds_the_level_and_below_and_key_nine_what_is_harder() -> None:
    """At A2: the scenes of A2 by their score, then the easier ones, hardest first; harder ones from easy to hard."""
    found = recommend(SCENES, Learned(rating=at("A2", -1.35)), now=NOW)
    own = {"hotel_checkin", "doctor_visit", "restaurant_friend", "lost_bag", "bus_ticket", "school_day"}
    assert set(found.menu[:6]) == own
    assert found.menu[6:] == ("market_fruit", "cafe_order", "meet_neighbour")
    assert found.harder == (
        "story_swap", "flat_viewing", "travel_problem", "job_interview",
        "team_meeting", "complaint_refund", "debate_radio", "negotiation_contract",
    )  # fmt: skip
    assert found.order == (*found.menu, *found.harder)


def test_a_scene_of_the_next_level_joins_when_it_can_probably_be_done() -> None:
    """From an expected half on, and none of two levels above; it stays in the list of harder ones."""
    story = load().scenario("story_swap")
    assert expected(-0.7, story.difficulty) < rules().stretch <= expected(-0.6, story.difficulty)
    below, there = (recommend(SCENES, Learned(rating=at("A2", theta)), now=NOW) for theta in (-0.7, -0.6))
    assert "story_swap" not in below.menu
    assert "story_swap" in there.menu
    assert "story_swap" in there.harder
    assert len(there.order) == len(set(there.order)) == len(SCENES)
    assert set(recommend(SCENES, Learned(rating=at("A2", 5.0)), now=NOW).menu).isdisjoint({"team_meeting"})


def test_easier_scenes_are_served_before_a_step_down() -> None:
    """The level still stands, and the menu begins with the scenes of the level below."""
    rating = at("B1", -1.1)
    before, warned = (
        recommend(SCENES, Learned(rating=one), now=NOW).menu for one in (rating, replace(rating, below=1))
    )
    assert all("B1" in load().scenario(id_).cefr for id_ in before[:5])
    assert all("A2" in load().scenario(id_).cefr for id_ in warned[:6])


def test_the_same_scene_is_not_offered_first_a_third_time_running() -> None:
    """Twice is practice; then another comes first, and the scene is not gone."""
    scenes = [scene("a"), scene("b", vec_sum=3)]
    unfinished = [ago(2, "a", completed=False), ago(1, "a", completed=False)]
    assert best(scenes, Learned(rating=at("A1"), plays=unfinished[:1])) == "a"
    assert recommend(scenes, Learned(rating=at("A1"), plays=unfinished), now=NOW).menu == ("b", "a")
    assert best(scenes[:1], Learned(rating=at("A1"), plays=unfinished)) == "a"


@pytest.mark.parametrize(
    ("level", "offered", "first"), [("C2", "A2 C1", "c1"), ("A1", "B1 C1", "b1"), ("B1", "A1 B2", "a1")]
)
def test_whose_level_has_no_scene_gets_the_nearest(level: str, offered: str, first: str) -> None:
    """The one below, else the one above; nobody meets an empty menu."""
    scenes = [scene(name.lower(), level=name, vec_sum=4) for name in offered.split()]
    assert recommend(scenes, Learned(rating=at(level)), now=NOW).menu[0] == first


def test_nothing_offered_is_nothing_recommended() -> None:
    """An empty line has an empty menu."""
    found = recommend([], Learned(rating=A1), now=NOW, assigned=("x",), due={"x": 1})
    assert (found.menu, found.harder, found.order) == ((), (), ())


@given(
    st.permutations(SCENES),
    st.sampled_from(LEVELS),
    st.floats(-5, 5),
    st.lists(st.tuples(st.sampled_from(SCENES), st.floats(0, 40), st.booleans()), max_size=8),
    st.lists(st.sampled_from([scenario.id for scenario in SCENES]), max_size=3),
)
def test_an_order_holds_every_scene_once_and_does_not_depend_on_how_they_are_given(
    scenes: list[Scenario],
    level: str,
    theta: float,
    plays: list[tuple[Scenario, float, bool]],
    assigned: list[str],
) -> None:
    """Nothing is lost, nothing comes twice, and the same learner gets the same menu."""
    history = [ago(days, scenario.id, completed=done) for scenario, days, done in plays]
    learned = Learned(rating=at(level, theta), plays=history)
    found = recommend(scenes, learned, now=NOW, assigned=assigned)
    assert sorted(found.order) == sorted(scenario.id for scenario in SCENES)
    assert found == recommend(SCENES, learned, now=NOW, assigned=assigned)


# --- placed by doing


@pytest.mark.parametrize(("begins", "belongs"), [("A1", "B1"), ("B1", "A1")])
def test_who_always_presses_one_is_placed_in_four_calls(begins: str, belongs: str) -> None:
    """Simulated learners two levels off, in the real scenes: the median is right by the fourth call, both ways."""
    random = Random(2026)
    needed = []
    for _ in range(101):
        rating, plays = Rating.start(begins), list[Play]()
        calls = 0
        while rating.level != belongs and calls < 12:
            now = NOW + timedelta(days=calls)
            chosen = load().scenario(recommend(SCENES, Learned(rating=rating, plays=plays), now=now).menu[0])
            p = expected(middle(belongs) + random.gauss(0, 0.4), chosen.difficulty)
            reached = {goal.id for goal in chosen.goals if random.random() < p}
            result = outcome(*goal_weights(chosen, reached), 0)
            rating = rated(rating, result, chosen.difficulty, now)
            plays.append(Play(chosen.id, now, len(reached & set(chosen.success_of)) >= chosen.success_need))
            calls += 1
        needed.append(calls)
    assert median(needed) <= 4
