"""The page of a call: who may read it, what it says, and what it never says."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import select, text

from console import graph
from console.pages import MOST_BYTES
from db import achievements, flags, policies
from db.endings import NewEvent
from db.engine import Database
from db.keyring import Keyring
from db.models import Learner, Turn
from tests.console.practice import LINE, NAME, NOW, NUMBER, SAID, Practice, practising
from tutor.learning.metrics import Measures
from tutor.learning.wording import problems
from tutor.script.catalogue import load

CATALOGUE = load()
NATIVES = ["ar", "en", "es", "fr", "pt", "zh"]
each_native = pytest.mark.parametrize("native", NATIVES)
VOID = {"meta", "path", "rect"}


@pytest.fixture
async def practice(database: Database, keyring: Keyring) -> AsyncIterator[Practice]:
    """An English-speaking learner of Spanish."""
    async with practising(database, keyring) as ready:
        yield ready


class Outline(HTMLParser):
    """What a page is made of: its elements, their text, and whether every one is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.said: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends: the one that was opened last."""
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text that is read."""
        if data.strip() and self.open[-1] != "style":
            self.said.append(" ".join(data.split()))

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


# --- who may read it


async def test_the_page_of_a_call(practice: Practice) -> None:
    """It tells what went well, what was reached, one phrase, what comes next and how to call again."""
    page = await practice.page(keep="Quisiera un café con leche, por favor.")
    english = CATALOGUE.language("en")
    told = Outline(page).said
    for sentence in (
        english.say("page.title"),
        english.say("debrief.praise_some"),
        "order a drink",
        "ask the price or say how you pay",
        "Quisiera un café con leche, por favor.",
        english.say("page.again"),
        english.say("page.report_why"),
        english.say("page.ends"),
    ):
        assert sentence in told, sentence
    assert any("press 1" in sentence for sentence in told)


async def test_nobody_is_named_and_no_number_is_shown(practice: Practice) -> None:
    """Whoever finds the telephone learns neither who practised nor from which number, nor the school's."""
    response = await practice.open(await practice.link(await practice.call()))
    everything = response.text + str(response.headers)
    for secret in (NAME, NAME.split()[0], NUMBER, NUMBER[1:], NUMBER[-9:], LINE[1:], "Lorca"):
        assert secret not in everything
    assert not re.search(r"\d{5}", re.sub(r"<style>.*</style>", "", response.text, flags=re.DOTALL))


async def test_the_headers(practice: Practice) -> None:
    """No cache keeps it, no search engine lists it, no address leaks, and nothing but its own style is allowed."""
    response = await practice.open(await practice.link(await practice.call()))
    style = re.search(r"<style>(.*?)</style>", response.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert response.headers["cache-control"] == "no-store"
    assert "noindex" in response.headers["x-robots-tag"]
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; media-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    assert "set-cookie" not in response.headers


async def test_addresses_that_open_nothing(practice: Practice, superuser: Any) -> None:
    """Unknown, expired, malformed and forgotten addresses get the very same answer, whatever is asked of them."""
    expired = await practice.link(await practice.call())
    assert (await practice.open(expired)).status_code == 200
    await superuser("UPDATE debrief_links SET expires_at = now()")
    bad = [expired, "A" * 22, "x", "A" * 5_000, "../etc", "%00" * 4, "a-very-wrong-token-here"]
    answers = [await practice.open(token) for token in bad]
    answers += [await practice.ask("POST", f"/d/{expired}/report"), await practice.ask("GET", f"/d/{expired}/delete")]
    answers.append(await practice.ask("POST", f"/d/{expired}/delete"))
    known = [answer for answer in answers if answer.headers.get("content-security-policy")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({(answer.text, str(answer.headers)) for answer in known}) == 1
    assert len(known) >= len(answers) - 1  # "../etc" is another address altogether
    told = Outline(known[0].text).said
    assert all(CATALOGUE.language(native).say("page.gone") in told for native in NATIVES)
    async with practice.database.school(practice.school_id) as session:
        assert (await session.scalars(select(Learner))).one().id == practice.learner_id
        assert await flags.of_call(session, practice.calls[0]) == []


async def test_another_address_of_the_same_length_opens_nothing(practice: Practice) -> None:
    """One character more or less, or another one, is another address."""
    token = await practice.link(await practice.call())
    other = ("B" if token[0] == "A" else "A") + token[1:]
    for wrong in (other, token[:-1], token + "A", token.swapcase()):
        assert (await practice.open(wrong)).status_code == 404
    assert (await practice.ask("HEAD", f"/d/{token}")).status_code == 200


async def test_a_page_while_the_database_is_away(practice: Practice, superuser: Any) -> None:
    """That is said in every language, and is no 404: the page comes back."""
    token = await practice.link(await practice.call())
    await superuser("ALTER FUNCTION debrief_link_find(bytea) RENAME TO gone")
    response = await practice.open(token)
    assert response.status_code == 503
    assert CATALOGUE.language("es").say("page.later") in response.text


# --- what it is made of


@each_native
@pytest.mark.parametrize("audience", ["learner", "family"])
async def test_every_native_language(database: Database, keyring: Keyring, native: str, audience: Any) -> None:
    """In each language: one document in the right direction, small, without script, picture or any other site."""
    target = "en" if native == "es" else "es"
    async with practising(database, keyring, native=native, target=target) as practice:
        for turns in (4, 7, 9):
            page = await practice.page(audience, turns=turns)
    outline = Outline(page)
    assert outline.open == []
    (html,) = outline.all("html")
    assert html == {"lang": native, "dir": "rtl" if native == "ar" else "ltr"}
    assert len(page.encode()) < MOST_BYTES
    assert not {"script", "img", "iframe", "link", "audio", "video"} & {tag for tag, _ in outline.elements}
    assert not re.search(r"https?:|//|url\(|@import|style=|\son\w+=|\{\{|\{%|None", page.replace("<!doctype", ""))
    language = CATALOGUE.language(native)
    keep = [attributes for attributes in outline.all("p") if attributes.get("class") == "phrase"]
    assert keep == [{"class": "phrase", "lang": target, "dir": "auto"}]
    foreign = {text for _, text in SAID[target]}
    for sentence in set(outline.said) - foreign:
        assert problems(sentence, language) == [], sentence


@each_native
async def test_headings_labels_and_buttons(database: Database, keyring: Keyring, native: str) -> None:
    """One title, headings in order, a name for every picture and button: what a screen reader goes by."""
    async with practising(database, keyring, native=native, target="en" if native == "es" else "es") as practice:
        for _ in range(3):
            page = await practice.page()
    outline = Outline(page)
    headings = [tag for tag, _ in outline.elements if re.fullmatch(r"h\d", tag)]
    assert headings[0] == "h1"
    assert set(headings[1:]) == {"h2"}
    assert len(outline.all("main")) == 1
    assert len(outline.all("title")) == 1
    (picture,) = outline.all("svg")
    assert picture["role"] == "img"
    assert "9" in picture["aria-label"]
    assert re.findall(r"<button[^>]*>\s*</button>|<a[^>]*>\s*</a>|<h2>\s*</h2>|<p>\s*</p>", page) == []
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def _luminance(colour: str) -> float:
    full = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [int(full[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


async def test_colours_can_be_told_apart(practice: Practice) -> None:
    """By day and by night every text stands out from what is behind it by 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    css = re.search(r"<style>(.*?)</style>", await practice.page(), re.DOTALL)
    assert css is not None
    palettes = re.findall(r":root\{([^}]*)\}", css[1])
    assert len(palettes) == 2
    for palette in palettes:
        colours = dict(re.findall(r"--([\w-]+):#([0-9a-f]+)", palette))
        for ink, paper in (
            ("text", "page"), ("soft", "page"), ("own", "page"), ("gone", "page"), ("text", "card"), ("soft", "card"),
            ("on-own", "own"),
        ):  # fmt: skip
            assert _contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)


async def test_what_people_said_is_text_and_nothing_else(practice: Practice) -> None:
    """Marks of HTML in a transcript, a phrase or a praise are shown as they were said, and never work."""
    evil = '<script>alert("x")</script><b onclick=1>&amp;{{ 7*7 }}'
    said = [("learner", evil), ("role", "</dl></details><form action=/evil>")]
    page = await practice.page(said=said, praise=evil, keep=evil, keep_meaning=evil, next_step=evil)
    outline = Outline(page)
    assert outline.open == []
    assert not {"script", "b"} & {tag for tag, _ in outline.elements}
    assert all("evil" not in attributes.get("action", "") for attributes in outline.all("form"))
    assert "49" not in page
    assert any("7*7" in sentence for sentence in outline.said)


@pytest.mark.parametrize("letter", ["a", "音", "م", "&", '"'])
async def test_a_very_long_call(practice: Practice, letter: str) -> None:
    """The transcript ends where the room does, and says so; the rest of the page is whole."""
    said = [("learner" if n % 2 else "role", f"{letter * 90} {n}.") for n in range(400)]
    page = await practice.page(said=said)
    assert len(page.encode()) < MOST_BYTES
    english = CATALOGUE.language("en")
    told = Outline(page).said
    assert english.say("page.transcript_more") in told
    assert english.say("page.delete") in told
    assert f"{letter * 90} 0." in told
    assert f"{letter * 90} 399." not in told


# --- what it does not tell


async def test_a_transcript(practice: Practice) -> None:
    """Each turn in order, in its language, with whose voice it was, and that a machine wrote it."""
    outline = Outline(await practice.page())
    lines = [text for _, text in SAID["es"]]
    assert [sentence for sentence in outline.said if sentence in lines] == lines
    assert [attributes["lang"] for attributes in outline.all("dd")] == ["es"] * 4
    assert CATALOGUE.language("en").say("page.transcript_note") in outline.said


def _shows(page: str) -> bool:
    return "quisiera" in page or "¿Grande o pequeño?" in page


async def test_a_school_that_shows_no_transcript(practice: Practice) -> None:
    """The rest of the page stays."""
    async with practice.database.school(practice.school_id) as session:
        await policies.change(session, practice.school_id, show_transcript=False)
    page = await practice.page()
    assert not _shows(page)
    assert "order a drink" in page


@pytest.mark.parametrize("line", [{"kids": True}, {"minors": "under13"}])
async def test_children_s_lines_show_no_transcript(database: Database, keyring: Keyring, line: dict[str, Any]) -> None:
    """What children said is on no page."""
    async with practising(database, keyring, **line) as practice:
        assert not _shows(await practice.page())


async def test_a_family_reads_what_the_child_can_do(practice: Practice) -> None:
    """And how to help; no transcript, no picture, no praise that was meant for the child."""
    for _ in range(4):
        page = await practice.page("family")
    english = CATALOGUE.language("en")
    assert not _shows(page)
    told = Outline(page).said
    assert english.say("page.family_title") in told
    assert english.say("family.help") in told
    assert any("greet the barista, order a drink" in sentence for sentence in told)
    assert english.say("debrief.praise_some") not in told
    assert "<svg" not in page


@pytest.mark.parametrize("source", ["stop", "care", "key"])
async def test_a_call_that_somebody_must_look_at(practice: Practice, source: str) -> None:
    """Of a call with a serious flag nothing that was said is shown."""
    call_id = await practice.call()
    serious = flags.NewFlag(5, "danger", "care" if source == "care" else "stop", "words", "es/danger.x")
    flag = flags.NewFlag.key(5) if source == "key" else serious
    async with practice.database.school(practice.school_id) as session:
        await flags.add_many(session, practice.school_id, call_id, [flag])
    assert not _shows((await practice.open(await practice.link(call_id))).text)


async def test_turns_that_were_steered_away_from_are_left_out(practice: Practice) -> None:
    """A turn in which the guard found something is not shown; the others are."""
    found = NewEvent(9_000, "safety", {"item": "item1", "action": "steer", "category": "drugs"})
    page = await practice.page(events=[found])
    assert "quisiera" not in page
    assert "¿Grande o pequeño?" in page


async def test_after_a_safe_exit(practice: Practice) -> None:
    """Whoever left because they were uncomfortable does not meet it again."""
    assert not _shows(await practice.page(events=[NewEvent(9_000, "safe_exit", {})]))


async def test_what_was_emptied_is_left_out(practice: Practice) -> None:
    """When the words of a call are gone, the page still opens and tells what is left."""
    call_id = await practice.call()
    token = await practice.link(call_id)
    empty = {"praise": "", "keep": "", "keep_meaning": "", "next_step": "", "native": "", "target": ""}
    async with practice.database.school(practice.school_id) as session:
        await session.execute(
            text("UPDATE debriefs SET content = content || CAST(:empty AS jsonb) - 'family'"),
            {"empty": str(empty).replace("'", '"')},
        )
        for turn in await session.scalars(select(Turn)):
            turn.text = None
    page = (await practice.open(token)).text
    assert "order a drink" in page
    assert "<blockquote>" not in page
    assert "<details>" not in page


# --- the picture


async def test_a_picture_needs_three_conversations(practice: Practice) -> None:
    """Two are no line that goes anywhere."""
    pages = [await practice.page(turns=turns) for turns in (4, 7, 12)]
    assert ["<svg" in page for page in pages] == [False, False, True]
    assert "4, 7, 12" in pages[-1]
    assert pages[-1].count('class="star"') == 3
    assert "Scenes you finished among them: 3." in pages[-1]


async def test_scenes_that_were_not_finished_are_not_counted_out(practice: Practice) -> None:
    """Where none was finished, nothing is said of it."""
    for _ in range(3):
        page = await practice.page(goals=("greet",))
    assert 'class="star"' not in page
    assert "finished" not in Outline(page).said[-1]
    assert not any("Scenes you finished" in sentence for sentence in Outline(page).said)


def test_bars_are_as_tall_as_they_say() -> None:
    """The longest conversation is the tallest bar, none leaves the picture, and an empty one is still there."""
    width, bars = graph.bars([(0, False), (5, True), (10, False)])
    assert [bar.height for bar in bars] == [2, 50, 100]
    assert [bar.turns for bar in bars] == [0, 5, 10]
    assert [bar.finished for bar in bars] == [False, True, False]
    for bar in bars:
        assert bar.x >= 0
        assert bar.x + width <= graph.WIDTH
        assert bar.y + bar.height == graph.BASE
    _, mirrored = graph.bars([(0, False), (5, True), (10, False)], right_to_left=True)
    assert [bar.turns for bar in mirrored] == [10, 5, 0]
    assert graph.bars([(0, False)] * 3)[1][0].height == 2


async def test_what_was_achieved_is_celebrated(practice: Practice) -> None:
    """In words, and only with the call in which it happened."""
    call_id = await practice.call()
    async with practice.database.school(practice.school_id) as session:
        ids = {"school_id": practice.school_id, "learner_id": practice.learner_id}
        await achievements.put(session, **ids, call_id=call_id, achievements=["first_scene", "no_such"], at=NOW)
    english = CATALOGUE.language("en")
    assert english.say("badge.first_scene") in (await practice.open(await practice.link(call_id))).text
    assert english.say("page.earned") not in await practice.page()


async def test_what_has_become_better_is_told_in_words(practice: Practice) -> None:
    """With enough calls on either side; what became worse, or is too little, is not."""
    pages = [
        await practice.page(measures=Measures(learner_turns=9, median_latency_ms=latency, support_index=1.0))
        for latency in (2_000,) * 5 + (1_200,) * 5
    ]
    english = CATALOGUE.language("en")
    sentence = english.say("insight.faster_lately", percent="40%")
    assert [sentence in page for page in pages] == [False] * 7 + [True] * 3
    assert english.say("page.earned") not in pages[0]
    slower = [
        await practice.page(measures=Measures(learner_turns=9, median_latency_ms=3_000, support_index=1.0))
        for _ in range(5)
    ]
    assert english.say("page.earned") not in slower[-1]


async def test_measures_of_another_version_say_nothing(practice: Practice, superuser: Any) -> None:
    """The page opens all the same."""
    for _ in range(3):
        token = await practice.link(await practice.call())
    await superuser("""UPDATE observations SET measures = '{"learner_turns": "many"}'""")
    response = await practice.open(token)
    assert response.status_code == 200
    assert "<svg" in response.text


# --- what it does


async def test_telling_the_school(practice: Practice) -> None:
    """A post raises one flag that the school's contact is told of, however often; opening the page raises none."""
    call_id = await practice.call()
    token = await practice.link(call_id)
    first, again = [await practice.ask("POST", f"/d/{token}/report") for _ in range(2)]
    assert (first.status_code, first.headers["location"]) == (303, f"../{token}")
    assert again.status_code == 303
    async with practice.database.school(practice.school_id) as session:
        (flag,) = await flags.of_call(session, call_id)
        assert (flag.category, flag.rule) == ("report", "page/report")
        jobs = text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = :name")
        assert await session.scalar(jobs, {"name": flags.JOB}) == 1
    page = (await practice.open(token)).text
    assert CATALOGUE.language("en").say("page.reported") in page
    assert "/report" not in page
    assert not _shows(page)


async def test_deleting_everything(practice: Practice, superuser: Any) -> None:
    """Asked first, by a page that does nothing; then the learner, the number and the page are gone."""
    token = await practice.link(await practice.call())
    english = CATALOGUE.language("en")
    asked = await practice.ask("GET", f"/d/{token}/delete")
    assert english.say("page.delete_what") in asked.text
    assert await superuser("SELECT count(*) FROM learners") == [(1,)]
    done = await practice.ask("POST", f"/d/{token}/delete")
    assert (done.status_code, english.say("page.deleted") in done.text) == (200, True)
    assert await superuser("SELECT count(*) FROM learners") == [(0,)]
    assert await superuser("SELECT count(*) FROM caller_identities") == [(0,)]
    assert (await practice.open(token)).status_code == 404
    assert (await practice.ask("POST", f"/d/{token}/delete")).status_code == 404


async def test_links_lead_where_they_should_under_any_prefix(practice: Practice) -> None:
    """Addresses on the pages are relative, so that the service may stand behind a path of its own."""
    token = await practice.link(await practice.call())
    page = Outline((await practice.open(token)).text)
    assert [attributes["action"] for attributes in page.all("form")] == [f"{token}/report"]
    assert [attributes["href"] for attributes in page.all("a")] == [f"{token}/delete"]
    asking = Outline((await practice.ask("GET", f"/d/{token}/delete")).text)
    assert [attributes["action"] for attributes in asking.all("form")] == ["delete"]
    assert [attributes["href"] for attributes in asking.all("a")] == [f"../{token}"]
