"""The catalogue: what is in it, that its numbers agree with the plan, and what a wrong file says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tutor.script.catalogue import PACKAGED, CatalogueError, load
from tutor.script.class_prompt import ClassPrompt
from tutor.script.language import NATIVE_STRINGS, TARGET_PHRASES
from tutor.script.level import LEVELS, PRESETS
from tutor.script.scenario import VOICES, Scenario, UnknownVoice, known_voice

CATALOGUE = load()

# From the plan's table: levels ("A1+" is A1 and A2), place in the menu, difficulty vector, goals needed.
PLAN: dict[str, tuple[str, int, tuple[int, ...], int]] = {
    "cafe_order": ("A1", 1, (0, 0, 0, 0, 0, 1), 3),
    "meet_neighbour": ("A1", 2, (0, 0, 0, 0, 1, 0), 3),
    "market_fruit": ("A1", 3, (0, 1, 0, 1, 0, 1), 3),
    "bus_ticket": ("A1 A2", 4, (0, 1, 0, 1, 0, 2), 3),
    "school_day": ("A1 A2", 5, (0, 1, 0, 0, 1, 1), 3),
    "hotel_checkin": ("A2", 1, (1, 1, 1, 1, 1, 2), 4),
    "doctor_visit": ("A2", 2, (1, 1, 1, 1, 2, 2), 4),
    "restaurant_friend": ("A2", 3, (1, 1, 1, 0, 1, 1), 3),
    "lost_bag": ("A2 B1", 4, (2, 1, 1, 1, 1, 2), 4),
    "flat_viewing": ("B1", 1, (2, 2, 2, 1, 2, 3), 4),
    "job_interview": ("B1 B2", 2, (2, 3, 3, 1, 3, 2), 4),
    "travel_problem": ("B1", 3, (2, 2, 2, 2, 2, 3), 4),
    "story_swap": ("B1", 4, (1, 2, 3, 0, 2, 1), 3),
    "complaint_refund": ("B2", 1, (3, 3, 3, 3, 3, 4), 4),
    "team_meeting": ("B2", 2, (3, 3, 4, 2, 3, 2), 4),
    "debate_radio": ("C1", 1, (4, 4, 4, 2, 4, 3), 4),
    "negotiation_contract": ("C1", 2, (4, 4, 4, 4, 4, 4), 4),
    "free_talk": ("A1 A2 B1 B2 C1 C2", 8, (1, 1, 1, 0, 1, 0), 2),
}
BOUNDARIES = {"A1": (-9.0, -2.0), "A2": (-2.0, -0.7), "B1": (-0.7, 0.7), "B2": (0.7, 2.0), "C1": (2.0, 9.0)}
EDGE = 0.15


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A catalogue of one's own to break."""
    return Path(shutil.copytree(PACKAGED, tmp_path / "catalogue"))


SHARED = "tag", "name", "english_name", "transcription", "say_voice", "say_locale", "espeak", "script", "register"


def edit(file: Path, old: str, new: str) -> None:
    """Replaces one piece of a file that must be there."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_planned_scenarios_are_all_there_and_no_others() -> None:
    """Every scenario of the plan has its levels, menu place, difficulty and success rule; free talk comes on top."""
    found = {s.id: (" ".join(s.cefr), s.key, tuple(s.vec), s.success_need) for s in CATALOGUE.scenarios}
    assert found == PLAN


@pytest.mark.parametrize("scenario", CATALOGUE.scenarios, ids=lambda s: s.id)
def test_difficulty_lies_in_the_band_of_the_level(scenario: Scenario) -> None:
    """A scenario's b is within, or on the edge of, the rating bands of its levels."""
    bands = [BOUNDARIES[level] for level in scenario.cefr if level in BOUNDARIES]
    assert min(low for low, _ in bands) - EDGE <= scenario.difficulty <= max(high for _, high in bands) + EDGE


@pytest.mark.parametrize("scenario", CATALOGUE.scenarios, ids=lambda s: s.id)
def test_goals_are_numbered_in_the_order_they_are_written(scenario: Scenario) -> None:
    """Goals count 1, 2, 3 …; optional ones are not needed for success, and a required one is never last in doubt."""
    assert [goal.order for goal in scenario.goals] == list(range(1, len(scenario.goals) + 1))
    assert set(scenario.success_of) == {goal.id for goal in scenario.goals if not goal.optional}


def test_scenarios_come_in_menu_order() -> None:
    """The easiest level comes first, and within a level the order of its menu; free talk is key 8 everywhere."""
    order = [(LEVELS.index(s.cefr[0]), s.key) for s in CATALOGUE.scenarios]
    assert order == sorted(order)
    assert CATALOGUE.scenario("free_talk").key == 8


def test_the_children_s_pack_is_the_allow_list() -> None:
    """Only the café, the neighbour, the market, the school call and free talk are open to children's lines."""
    kids = {scenario.id for scenario in CATALOGUE.scenarios if scenario.kid_ok}
    assert kids == {"cafe_order", "meet_neighbour", "market_fruit", "school_day", "free_talk"}


def test_levels_grow_from_slow_and_patient_to_fast_and_brief() -> None:
    """From A1 to C2 speed, sentence length, turn length and tokens never fall, and the silence waited never grows."""
    levels = [CATALOGUE.level(name) for name in LEVELS]
    for rising in (
        [level.speed for level in levels],
        [level.max_sentence_words or 99 for level in levels],
        [level.max_sentences for level in levels],
        [level.max_output_tokens for level in levels],
        [level.vocabulary_band or 9999 for level in levels],
        [level.minutes for level in levels],
        [level.learner_turn_words for level in levels],
        [-level.silence_ms for level in levels],
        [-level.scaffolds for level in levels],
    ):
        assert rising == sorted(rising)


def test_level_numbers_are_those_of_the_plan() -> None:
    """The first and the last column, and every row that decides timing, are the plan's."""
    a1, c2 = CATALOGUE.level("A1"), CATALOGUE.level("C2")
    assert (a1.words_per_minute, a1.speed, a1.max_sentence_words, a1.max_sentences) == ((90, 110), 0.85, 7, 2)
    assert (a1.vocabulary_band, a1.max_output_tokens, a1.l1_use, a1.menu_reminder) == (700, 220, "helper", True)
    assert (c2.words_per_minute, c2.max_sentence_words, c2.vocabulary_band, c2.l1_use) == (None, None, None, "none")
    levels = [CATALOGUE.level(name) for name in LEVELS]
    assert [level.silence_ms for level in levels] == [1100, 950, 800, 650, 550, 500]
    assert [level.eagerness for level in levels] == ["low", "low", "low", "medium", "medium", "auto"]
    assert [level.stuck_s for level in levels] == [
        (5, 8, 12, 17), (4, 7, 11, 16), (3, 6, 10, 15), (3, 6, 10), (3, 7), (4, 8),
    ]  # fmt: skip
    assert [level.max_output_tokens for level in levels] == [220, 280, 400, 500, 700, 800]
    assert [level.minutes for level in levels] == [5, 6, 8, 9, 10, 10]


def test_no_rung_of_the_stuck_ladder_comes_before_three_seconds() -> None:
    """Help never comes earlier than 3 s after the role was heard, and each rung later than the one before."""
    for name in LEVELS:
        rungs = CATALOGUE.level(name).stuck_s
        assert rungs[0] >= 3
        assert list(rungs) == sorted(set(rungs))


def test_the_seed_preset_keeps_the_first_plan_s_silences() -> None:
    """With the preset "seed" A1 waits 500 ms and every other level 200 ms; nothing else changes."""
    assert [CATALOGUE.level(name, "seed").silence_ms for name in LEVELS] == [500, 200, 200, 200, 200, 200]
    assert CATALOGUE.level("B1", "seed").stuck_s == CATALOGUE.level("B1").stuck_s


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: CATALOGUE.scenario("cinema"), r"There is no scenario cinema; there are cafe_order, .*\."),
        (lambda: CATALOGUE.level("A0"), r"There is no level A0; there are A1, A2, B1, B2, C1, C2\."),
        (lambda: CATALOGUE.level("A1", "fast"), r"There is no preset fast; there are ringua, seed\."),
        (lambda: CATALOGUE.language("xx"), r"There is no language xx; there are .*en, en-GB, .*\."),
        (lambda: CATALOGUE.scene("cafe_order", native="en", target="xx-YY", level="A1"), r"There is no language xx"),
    ],
)
def test_an_unknown_name_is_answered_with_what_exists(ask, sentence: str) -> None:  # type: ignore[no-untyped-def]
    """Whoever mistypes a name reads one sentence with the names there are."""
    with pytest.raises(CatalogueError, match=sentence):
        ask()


def test_a_region_without_strings_of_its_own_speaks_its_language() -> None:
    """es-AR is answered with es; es-PR and es_pr with Puerto Rican Spanish."""
    assert CATALOGUE.language("es-AR").tag == "es"
    assert CATALOGUE.language("es_pr").tag == "es-PR"


def test_a_scene_is_the_same_for_the_same_arguments_and_its_twist_follows_the_seed() -> None:
    """Equal arguments make equal scenes; consecutive seeds go through the twists; free talk has none."""
    scenario = CATALOGUE.scenario("cafe_order")
    scenes = [CATALOGUE.scene("cafe_order", native="en", target="es", level="A1", seed=seed) for seed in range(4)]
    assert [scene.twist for scene in scenes] == [*scenario.twists, scenario.twists[0]]
    assert scenes[1] == CATALOGUE.scene("cafe_order", native="en", target="es", level="A1", seed=1)
    assert CATALOGUE.scene("free_talk", native="en", target="es", level="A1", seed=5).twist == ""


def test_a_scene_speaks_each_side_s_language() -> None:
    """Greeting and hints are in the target, titles and can-dos in the native language; regions choose their words."""
    scene = CATALOGUE.scene("cafe_order", native="en", target="es-ES", level="A1")
    assert scene.greeting == "¡Hola, buenos días! ¿Qué le pongo?"
    assert scene.hint("order_drink", 2) == "¿Me pone un café con leche, por favor?"
    assert (scene.title, scene.can_do("order_drink")) == ("At the café", "order a drink")
    with pytest.raises(ValueError, match="rungs 0, 1 and 2"):
        scene.hint("order_drink", 3)
    with pytest.raises(KeyError, match="cafe_order has no goal fly"):
        scene.scenario.goal("fly")


@pytest.mark.parametrize(
    ("native", "target", "sentence"),
    [
        ("es", "es", r"The native language es and the target es are one language; a pair needs two\."),
        ("en-GB", "en-US", r"The native language en-GB and the target en-US are one language"),
    ],
)
def test_a_pair_that_cannot_be_is_refused_with_one_sentence(native: str, target: str, sentence: str) -> None:
    """A learner's own language, in whatever region, is no target."""
    with pytest.raises(CatalogueError, match=sentence):
        CATALOGUE.scene("cafe_order", native=native, target=target, level="B1")


def small_language(tag: str, *, native: bool = False, target: bool = False) -> str:
    """A file of the smallest language there can be, with free talk as its only scene."""
    goals = [goal.id for goal in CATALOGUE.scenario("free_talk").goals]
    lines = [f'{key} = "{tag}"' for key in SHARED] + ["teacher_words = []"]
    if native:
        lines += ['but_words = ["x"]', 'list_last = " x "', "language_names = {}"]
        for key, parameters in NATIVE_STRINGS.items():
            lines.append(f'says.{key} = "{" ".join(f"{{{name}}}" for name in parameters)}"')
        lines += ['scenes.free_talk.title = "x"', 'scenes.free_talk.preview = "x"']
        lines += [f'scenes.free_talk.can_do.{goal} = "x"' for goal in goals]
    if target:
        lines += ['accent = "x"', 'address = { formal = "x", informal = "x" }']
        lines += [f'target.{key} = "x"' for key in TARGET_PHRASES]
        lines += ['scenes.free_talk.greeting = "x"', 'scenes.free_talk.keywords = ["x"]']
        lines += [f'scenes.free_talk.hints.{goal} = ["x", "y", "z"]' for goal in goals]
    return "\n".join(lines)


def test_a_language_may_be_for_speakers_only_or_for_learners_only(copy: Path) -> None:
    """What a file does not offer is neither listed nor given; the other side works."""
    (copy / "languages/xn.toml").write_text(small_language("xn", native=True), encoding="utf-8")
    (copy / "languages/xt.toml").write_text(small_language("xt", target=True), encoding="utf-8")
    catalogue = load(copy)
    native, target = catalogue.language("xn"), catalogue.language("xt")
    assert (native.is_native, native.is_target) == (True, False)
    assert (target.is_native, target.is_target) == (False, True)
    assert native in catalogue.natives
    assert native not in catalogue.targets
    assert target in catalogue.targets
    assert target not in catalogue.natives
    assert catalogue.scene("free_talk", native="xn", target="xt", level="A1").greeting == "x"
    with pytest.raises(CatalogueError, match=r"xn \(xn\) cannot be the target language; these can: .*es.*, xt, .*\."):
        catalogue.pair("es", "xn")
    with pytest.raises(CatalogueError, match=r"xt \(xt\) cannot be the native language; these can: .*es.*, xn, .*\."):
        catalogue.pair("xt-XX", "es")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("says.call.lost", "target.goodbye", r"xn.toml, target part: missing accent, address\."),
        ("says.call.lost", "says.call.loss", r"xn.toml says: missing call.lost\."),
        ('list_last = " x "', "", r"xn.toml, native part: missing list_last\."),
        ("[]", '[]\naccent = "x"', r"xn.toml, target part: unknown accent\."),
        ("scenes.free_talk.title =", "scenes.free_talk.greeting =", r"free_talk, native part: missing title\."),
        ("scenes.free_talk.title", "scenes.free_talk.greeting = 'x'\nscenes.free_talk.title", r"unknown greeting\."),
    ],
)
def test_half_a_part_is_refused(copy: Path, old: str, new: str, sentence: str) -> None:
    """A language has all of a part or nothing of it."""
    file = copy / "languages/xn.toml"
    file.write_text(small_language("xn", native=True), encoding="utf-8")
    edit(file, old, new)
    with pytest.raises(CatalogueError, match=sentence):
        load(copy)


def test_a_language_without_any_part_is_refused(copy: Path) -> None:
    """A file that serves neither speakers nor learners says what it needs."""
    (copy / "languages/xx.toml").write_text(small_language("xx"), encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"xx.toml: it needs \[says\] to be a native language, \[target\]"):
        load(copy)


def test_the_packaged_catalogue_is_read_once() -> None:
    """Asking again costs nothing: it is the same object."""
    assert load() is CATALOGUE
    assert load(PACKAGED) == CATALOGUE


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        ("scenarios/cafe_order.toml", '"marin"', '"nova"', r"no voice nova; it has alloy, .*cedar\."),
        ("scenarios/cafe_order.toml", "role =", "rolle =", r"cafe_order.toml: unknown field rolle; known are .*role"),
        ("scenarios/cafe_order.toml", "minutes = 5", 'minutes = "5"', r"cafe_order.toml: Expected `int`"),
        ("scenarios/cafe_order.toml", "0, 1]", "0, 5]", r"cafe_order.toml: Expected `int` <= 4"),
        ("scenarios/cafe_order.toml", "success_need = 3", "success_need = 5", r"it is 5; success_of allows 1 to 4\."),
        ("scenarios/cafe_order.toml", '"detail", "price"]', '"fly"]', r"success_of: it may only name greet, "),
        ("scenarios/cafe_order.toml", 'id = "cafe_order"', 'id = "cafe"', r"id and file name must agree"),
        ("scenarios/cafe_order.toml", '["A1"]', '["A7"]', r"cefr: it takes A1, A2"),
        ("scenarios/cafe_order.toml", "kid_ok = true", "kid_ok =", r"cafe_order.toml cannot be read"),
        ("levels.toml", "[C2]", "[C3]", r"levels.toml: missing C2\."),
        ("levels.toml", "ringua = 1100, ", "", r"levels.toml \[A1\] silence_ms: missing ringua\."),
        ("levels.toml", "stuck_s = [3, 7]", "stuck_s = [3]", r"\[C1\]: stuck_s needs 2 to 4 rungs"),
        ("languages/es.toml", "wrong_key =", "wrong_kee =", r"es.toml says: missing menu.wrong_key\."),
        ("languages/es.toml", "{school}", "{schule}", r"says.menu.notice, parameters: missing school\."),
        ("languages/es.toml", "encourage =", "courage =", r"es.toml target: missing encourage\."),
        ("languages/es.toml", 'tag = "es"', 'tag = "sp"', r"tag and file name must agree"),
        ("languages/es/food.toml", "order_drink = [", "drink = [", r"cafe_order.hints: missing order_drink\."),
        ("languages/es/food.toml", "[scenes.cafe_order]", "[target]\ngoodbye = 'x'\n[scenes.cafe_order]", "goodbye is"),
        ("languages/es/food.toml", "market_fruit", "market_fish", r"There is no scenario market_fish"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_one_sentence(copy: Path, file: str, old: str, new: str, sentence: str) -> None:
    """The loader names the file and the field, whatever is wrong."""
    edit(copy / file, old, new)
    with pytest.raises(CatalogueError, match=sentence):
        load(copy)


def test_a_language_may_lack_a_scenario_until_somebody_asks_for_it(copy: Path) -> None:
    """A language under construction loads; the missing scene is refused by name."""
    (copy / "languages/es/work.toml").unlink()
    with pytest.raises(CatalogueError, match=r"job_interview: this scene has no strings for Spanish \(es\)\."):
        load(copy).scene("job_interview", native="es", target="en", level="B1")


def test_every_voice_is_one_the_realtime_api_has() -> None:
    """There are ten voices; nova is not among them; both presets are known."""
    assert len(VOICES) == 10
    assert "nova" not in VOICES
    assert {scenario.voice for scenario in CATALOGUE.scenarios} <= set(VOICES)
    assert PRESETS == ("ringua", "seed")


def test_a_voice_of_another_product_is_refused_with_the_list() -> None:
    """Wherever a voice is set, nova is answered with the ten there are."""
    assert known_voice("cedar") == "cedar"
    with pytest.raises(UnknownVoice, match=r"^The realtime API has no voice nova; it has alloy, .*, cedar\.$"):
        known_voice("nova")


@pytest.mark.parametrize(("preset", "silence_ms"), [("ringua", 1100), ("seed", 500)])
def test_a_catalogue_with_a_preset_makes_scenes_with_its_silences(preset: str, silence_ms: int) -> None:
    """The preset is chosen once for the service; every scene waits accordingly; the catalogue stays as it was."""
    scene = CATALOGUE.with_preset(preset).scene("cafe_order", native="en", target="es", level="A1")
    assert scene.level.silence_ms == silence_ms
    assert CATALOGUE.level("A1").silence_ms == 1100
    with pytest.raises(CatalogueError, match=r"There is no preset fast; there are ringua, seed\."):
        CATALOGUE.with_preset("fast")


def test_a_scene_has_items_due_that_follow_the_seed() -> None:
    """With a class's words a scene has at most eight of them due, others with another seed; without, none."""
    week = ClassPrompt(vocabulary=tuple(f"palabra {n}" for n in range(20)), must_use=("por favor",))
    one, other = (
        CATALOGUE.scene("cafe_order", native="en", target="es", level="A1", class_prompt=week, seed=seed)
        for seed in (0, 1)
    )
    assert one.due[0] == other.due[0] == "por favor"
    assert len(one.due) == len(other.due) == 8
    assert not set(one.due[1:]) & set(other.due[1:])
    assert CATALOGUE.scene("cafe_order", native="en", target="es", level="A1").due == ()
