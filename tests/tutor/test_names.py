"""Names of learners: found in how people say them in every language, and refused in every debrief."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tutor.scenes import cafe
from tutor.learning.debrief import DebriefRejected, check, plain
from tutor.learning.facts import Facts, Hint, Reached
from tutor.learning.names import holds, introduced, of_name
from tutor.learning.tellings import for_family, for_teacher
from tutor.script.catalogue import load
from tutor.script.scene import Scene

CATALOGUE = load()
LATIN: Final = "Quetzalina Pérez"

SAID: Final[dict[str, list[tuple[str, str]]]] = {
    "en": [
        ("Hi, my name is {}.", LATIN),
        ("my name's, uh, {} and I want a coffee", LATIN),
        ("I'm {}, hello!", LATIN),
        ("This is {}.", LATIN),
        ("A table under the name of {}, please.", LATIN),
    ],
    "es": [
        ("Hola, me llamo {}. Mucho gusto.", LATIN),
        ("me llamo {} y quiero un café", LATIN),
        ("Mi nombre es {}.", LATIN),
        ("Buenos días, soy {}.", LATIN),
        ("una mesa a nombre de {}", LATIN),
    ],
    "fr": [
        ("Bonjour, je m'appelle {}.", LATIN),
        ("Je m’appelle, euh, {}.", LATIN),
        ("mon nom est {}", LATIN),
        ("Moi, c'est {}.", LATIN),
        ("Je suis {}.", LATIN),
    ],
    "de": [
        ("Guten Tag, ich heiße {}.", LATIN),
        ("ich heisse {} und möchte einen Kaffee", LATIN),
        ("Mein Name ist {}.", LATIN),
        ("Ich bin die {}.", LATIN),
        ("Einen Tisch auf den Namen {}, bitte.", LATIN),
    ],
    "it": [
        ("Ciao, mi chiamo {}.", LATIN),
        ("Il mio nome è {}.", LATIN),
        ("Buongiorno, sono {}.", LATIN),
        ("un tavolo a nome {}", LATIN),
    ],
    "pt": [
        ("Oi, meu nome é {}.", LATIN),
        ("Eu me chamo {}.", LATIN),
        ("Olá, chamo-me {}.", LATIN),
        ("Eu sou a {}.", LATIN),
        ("uma mesa em nome de {}", LATIN),
    ],
    "zh": [
        ("你好，我叫{}。", "王小明"),
        ("我叫{}今年八岁", "欧阳明月"),
        ("我的名字是{}，很高兴认识你。", "李雷"),
        ("我是{}。", "韩梅梅"),
        ("你好，我叫{}。", "Quetzalina"),
    ],
    "ja": [
        ("こんにちは。私は{}です。", "ケツァリナ"),
        ("わたしは{}です。", "さくら"),
        ("{}と申します。よろしくお願いします。", "田中花子"),
        ("私の名前は{}です。", "ジョヴァンニ"),
        ("はじめまして、{}といいます。", "Quetzalina"),
    ],
}
"""How learners of each language say who they are, and a name."""

ROWS = [(tag, said, name) for tag, rows in SAID.items() for said, name in rows]
each_way = pytest.mark.parametrize(("tag", "said", "name"), ROWS, ids=[f"{tag}-{said}" for tag, said, _ in ROWS])


def test_every_language_that_can_be_learned_is_here() -> None:
    """A new one is not forgotten."""
    assert {language.base for language in CATALOGUE.targets} <= SAID.keys()


@each_way
def test_who_somebody_says_they_are_is_found(tag: str, said: str, name: str) -> None:
    """As it was transcribed, without capitals where a name is sure to follow, and with each of its words."""
    found = introduced([said.format(name)])
    assert found
    for part in name.split():
        assert holds(f"¡{part}!", found), part
        assert holds(part.upper(), found), part
    if name is LATIN:
        assert holds("quetzalina perez", introduced([said.format(name.lower())]))


NOT_NAMES = [
    "Soy estudiante.",
    "I'm going to pay.",
    "My name is on the list.",
    "我是学生。",
    "私は学生です。",
    "Ich bin sehr froh.",
    "c'est combien",
    "Quisiera un café con leche, por favor.",
    "我叫了一杯咖啡",
    "Soy... Quiero un café.",
    "C'est. Bonjour !",
    "I'm... Yes, please.",
    "Hier ist Geld.",
    "",
]


@pytest.mark.parametrize("said", NOT_NAMES)
def test_frequent_words_are_no_names(said: str) -> None:
    """What everybody says of themselves stays fit to be kept."""
    assert introduced([said]) == frozenset()


def test_a_name_ends_where_the_sentence_goes_on() -> None:
    """The words behind it are words to keep like any others."""
    found = introduced(["Me llamo Ana de la Cruz García y quiero un café.", "我叫王小明，我要咖啡。"])
    assert {name for name in found if len(name) == 1} == {("ana",), ("cruz",), ("garcia",)}
    assert not holds("quiero un café de la casa", found)
    assert not holds("我要咖啡", found)


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("اسمي أحمد وأنا من مصر", {"احمد"}),
        ("اسمي عبد الرحمن", {"الرحمن"}),
        ("My name is Luis y quiero una mesa", {"luis"}),
        ("Me llamo... Quetzalina.", {"quetzalina"}),
        ("soy quetzalina", {"quetzalina"}),
    ],
)
def test_only_the_name_is_one(said: str, names: set[str]) -> None:
    """Not what follows, in another language or in one without a list of its words, nor what begins a sentence."""
    assert introduced([said]) == {(name,) for name in names}


def test_a_name_of_one_character_is_known_as_it_was_said() -> None:
    """Alone it is in too many other words."""
    found = introduced(["我叫明。"])
    assert holds("你好，我叫明。", found)
    assert not holds("明天见", found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Quetzalina", "Quetzalina, you kept the talk going."),
        ("Quetzalina Pérez", "Señora PEREZ"),
        ("Quetzalina", "Quetzalinas Kaffee"),
        ("Quetzalina", "Quetzalina's coffee"),
        ("Ana María", "Gut gemacht, Maria!"),
        ("Nuñez", "nunez"),
        ("王小明", "小明，您做得很好。"),
        ("明", "明，您做得很好。"),
        ("فاطمة", "أحسنتِ يا فاطمة"),
        ("فاطمة", "شكرًا لفاطمة"),
        ("さくら", "さくらさん"),
    ],
)
def test_a_known_name_is_seen_in_all_its_forms(name: str, text: str) -> None:
    """Accents and case, endings of possession, and what Arabic writes in one word."""
    assert holds(text, of_name(name))
    assert holds(text, of_name(name), sentence_in="en")


def test_a_name_that_is_a_word_too_is_one_only_with_a_capital() -> None:
    """In sentences; in a phrase that was said nobody knows, so there it is a name."""
    for name, tag, word, written in (
        ("May", "en", "You may try the market next.", "May, you kept the talk going."),
        ("Rosa", "es", "Pidió una rosa.", "Rosa pidió flores."),
    ):
        assert not holds(word, of_name(name), sentence_in=tag)
        assert holds(written, of_name(name), sentence_in=tag)
        assert holds(word, of_name(name))
    assert holds("quetzalina kept the talk going", of_name("Quetzalina"), sentence_in="en")


def test_small_words_of_a_name_are_none() -> None:
    """Nor are initials."""
    assert of_name("Ana de la Cruz") == {("ana",), ("cruz",)}
    assert of_name(" J. ") == of_name("") == frozenset()
    assert not holds("el café de la casa", of_name("Ana de la Cruz"))


# --- in debriefs


def native_of(tag: str) -> str:
    """A language to call in for learners of another."""
    return "en" if tag != "en" else "es"


def answer(scene: Scene, **changes: Any) -> dict[str, Any]:
    """A model's debrief that says nothing wrong."""
    sentence = scene.native.say("debrief.praise_talk")
    good: dict[str, Any] = {
        "praise": sentence,
        "can_dos": [],
        "keep": scene.hint("order_drink", 2),
        "keep_meaning": None,
        "next_step": scene.native.say("debrief.next", title=scene.title),
        "next_scenario": "cafe_order",
    }
    return good | changes


def refused(answered: dict[str, Any], facts: Facts, scene: Scene, name: str | None = None) -> str:
    """Why a debrief is refused."""
    with pytest.raises(DebriefRejected) as caught:
        check(answered, facts, scene, ("cafe_order",), name=name)
    return str(caught.value)


@each_way
def test_no_debrief_names_who_introduced_themselves(tag: str, said: str, name: str) -> None:
    """Not in praise, in what comes next, in the phrase or a quotation; without the name the same debrief is taken."""
    scene = cafe(native_of(tag), tag)
    line = said.format(name)
    facts = Facts("cafe_order", "A1", scene.native.tag, tag, turns=5, said=(line,), heard=(f"¡{name}!",))
    good = answer(scene)
    assert check(good, facts, scene, ("cafe_order",)).praise == good["praise"]
    for part in ("praise", "next_step"):
        assert f"{part}: it quotes the learner's name" in refused(
            answer(scene, **{part: f"OK: “{line}”"}), facts, scene
        )
        if name.isascii() or name is LATIN:
            named = f"{name}, {good[part]}"
            assert f"{part}: it holds the learner's name" in refused(answer(scene, **{part: named}), facts, scene)
    assert "keep: it holds the learner's name" in refused(answer(scene, keep=line), facts, scene)
    assert "keep: it holds the learner's name" in refused(answer(scene, keep=name), facts, scene)


@pytest.mark.parametrize("tag", SAID)
def test_no_debrief_names_a_learner_who_is_known(tag: str) -> None:
    """Though nobody said the name but the role, which had it from the menu's greeting."""
    scene = cafe(native_of(tag), tag)
    facts = Facts("cafe_order", "A1", scene.native.tag, tag, turns=5, heard=("¡Hola, Quetzalina!",))
    good = answer(scene)
    for changes in (
        {"praise": f"Quetzalina: {good['praise']}"},
        {"next_step": f"Quetzalina: {good['next_step']}"},
        {"keep_meaning": "Quetzalina"},
        {"keep": "Hola, Quetzalina"},
    ):
        part = next(iter(changes))
        assert f"{part}: it holds" in refused(answer(scene, **changes), facts, scene, "Quetzalina")
    assert check(good, facts, scene, ("cafe_order",), name="Quetzalina")


def test_a_refusal_does_not_say_the_name_either() -> None:
    """It goes to the log, and to the model among the rules."""
    facts = Facts("cafe_order", "A1", "en", "es", turns=5, said=("Me llamo Quetzalina",))
    why = refused(answer(cafe(), praise="Quetzalina did well.", keep="Me llamo Quetzalina"), facts, cafe())
    assert "quetzalina" not in why.lower()


def test_a_phrase_may_hold_a_name_of_the_scene() -> None:
    """The barista's, and the one in a phrase that the learner repeated; not when it is the learner's own."""
    scene = CATALOGUE.scene("meet_neighbour", native="en", target="es", level="A1")
    hint = scene.hint("say_name", 2)
    assert "Alex" in hint
    said, heard = (hint, "¡Qué bien!"), ("Yo soy Carlos, el vecino de arriba.",)
    facts = Facts(scene.scenario.id, "A1", "en", "es", turns=5, said=said, heard=heard)

    def kept(keep: str, name: str | None = None) -> str:
        answered = answer(cafe(), keep=keep, next_scenario=scene.scenario.id)
        return check(answered, facts, scene, (scene.scenario.id,), name=name).keep

    assert kept("Yo soy Carlos") == "Yo soy Carlos"
    assert kept(hint) == hint
    for keep, name in ((hint, "Alex"), ("Yo soy Carlos", "Carlos")):
        with pytest.raises(DebriefRejected, match="learner's name"):
            kept(keep, name)
    named = answer(cafe(), praise="Alex, you kept going.", keep=hint, next_scenario=scene.scenario.id)
    assert "praise: it holds" in refused(named, facts, scene)


@pytest.mark.parametrize("tag", SAID)
def test_what_is_told_without_a_model_holds_no_name(tag: str) -> None:
    """The plain debrief takes another phrase where one happens to hold it; teachers and families read facts alone."""
    native = native_of(tag)
    for scenario in CATALOGUE.scenarios:
        scene = CATALOGUE.scene(scenario.id, native=native, target=tag, level=scenario.cefr[0])
        goals = [goal.id for goal in scenario.goals]
        said, name = SAID[tag][0]
        facts = Facts(
            scenario.id,
            "A1",
            native,
            tag,
            turns=9,
            said=(said.format(name),),
            heard=(f"¡{name}!",),
            goals=(Reached(goals[0], said.format(name), True),),
            hints=tuple(Hint(goal, 2) for goal in goals),
        )
        for known in (name, "Alex", "安迪", "アレックス"):
            debrief = plain(facts, scene, (), name=known)
            teacher = for_teacher(scene.native, facts, scene, coverage={}, notes=())
            told = json.dumps(
                [debrief.write(), teacher.write(), for_family(scene.native, facts, debrief).write()],
                ensure_ascii=False,
            )
            assert not holds(told, of_name(known)), (scenario.id, told)


@given(
    st.text(alphabet="abcdefghijlmnopqrstuvz", min_size=4, max_size=9).map(lambda name: f"Qx{name}"),
    st.sampled_from([row for row in ROWS if row[2] is LATIN]),
    st.sampled_from(["{} did it.", "Well done, {}!", "So, {}'s order came.", "“{}” was said."]),
)
def test_whatever_somebody_is_called_it_is_not_in_a_praise(name: str, row: tuple[str, str, str], praise: str) -> None:
    """Known from the school or from the call, with a capital or without."""
    tag, said, _ = row
    scene = cafe(native_of(tag), tag)
    bare = Facts("cafe_order", "A1", scene.native.tag, tag, turns=5)
    told = Facts("cafe_order", "A1", scene.native.tag, tag, turns=5, said=(said.format(name),))
    for written in (name, name.lower(), name.upper()):
        answered = answer(scene, praise=praise.format(written))
        assert "learner's name" in refused(answered, told, scene)
        assert "learner's name" in refused(answered, bare, scene, name)
