"""The tools by which a role remembers and forgets what a learner told, and tells what the class was given."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.tutor.desk import Desk
from tests.tutor.scenes import cafe
from tests.tutor.test_events import judge
from tutor.realtime import events
from tutor.script.class_prompt import ClassPrompt
from tutor.talk import tools
from tutor.talk.conversation import Conversation
from tutor.talk.exchange import AnswerTool, Say
from tutor.talk.rules import Rules
from tutor.talk.setup import session_config
from tutor.talk.snapshot import Snapshot

MEMORY = {"remember_fact", "forget_told"}


def desk(**changes: Any) -> Desk:
    """A call in the café of a learner who agreed, unless ``changes`` say otherwise."""
    return Desk(replace(cafe(), **({"remembers": True} | changes))).open()


def answer(at: Desk, tool: str, **arguments: str) -> dict[str, object]:
    """What the model is told when it calls a tool."""
    at.tool(tool, json.dumps(arguments), call=f"c{len(at.commands)}")
    return dict(at.last(AnswerTool).output)


def told(at: Desk) -> list[str]:
    """The facts that were noted."""
    return [entry.data["fact"] for entry in at.timeline.of("fact")]


def test_the_tools_are_offered_to_those_who_agreed() -> None:
    """Without consent the model does not even know that it could, and calling them all the same does nothing."""
    names = {tool["name"] for tool in tools.schemas(cafe())}
    agreed = {tool["name"] for tool in tools.schemas(replace(cafe(), remembers=True))}
    assert agreed - names == MEMORY
    assert not names & MEMORY
    guest = desk(remembers=False)
    for tool in MEMORY:
        assert answer(guest, tool, fact="likes tea", what="everything") == {
            "ok": False,
            "reason": "there is no such tool",
        }
    assert told(guest) == []
    assert guest.timeline.of("forget") == []


def test_the_session_with_them_is_valid() -> None:
    """The session.update that offers them passes the openai package's own types."""
    scene = replace(cafe(), remembers=True)
    config = session_config(
        scene, mode="pcm", voice="marin", model="gpt-realtime-2.1", transcribe_model="gpt-transcribe"
    )
    session = judge(events.update_session(config))["session"]
    assert {tool["name"] for tool in session["tools"]} >= MEMORY
    judge(events.tool_output("call_1", {"ok": False, "reason": "not kept: too private"}))


def test_a_fact_is_noted_silently() -> None:
    """It stands on the timeline; the learner hears nothing of it."""
    at = desk()
    before = len(at.all(Say))
    assert answer(at, "remember_fact", fact=" likes hiking with her dog. ") == {"ok": True}
    assert told(at) == ["likes hiking with her dog"]
    assert len(at.all(Say)) == before


@pytest.mark.parametrize("fact", ["lives at 12 Main Street", "Ana has asthma", "has a friend called Pedro", ""])
def test_what_is_private_is_not_noted(fact: str) -> None:
    """The model is told why, in words that do not repeat it."""
    at = desk()
    refused = answer(at, "remember_fact", fact=fact)
    assert refused["ok"] is False
    assert str(refused["reason"]).startswith("not kept")
    assert told(at) == []


def test_three_are_enough_for_a_call() -> None:
    """The same one again takes no room; a fourth is refused, also after the stream broke off."""
    at = desk()
    for fact in ("likes tea", "likes tea", "plays in a band", "has a garden"):
        assert answer(at, "remember_fact", fact=fact) == {"ok": True}
    assert answer(at, "remember_fact", fact="wants to work in Spain")["ok"] is False
    assert told(at) == ["likes tea", "plays in a band", "has a garden"]
    kept = Snapshot.read(json.loads(json.dumps(at.talk.snapshot(at.now_ms).write())))
    again = desk()
    again.talk = Conversation(again.scene, Rules(900_000), again.timeline, kept)
    assert answer(again, "remember_fact", fact="wants to work in Spain")["ok"] is False


@pytest.mark.parametrize(
    ("arguments", "what"), [({"what": "everything"}, "everything"), ({}, "this_call"), ({"what": "x"}, "this_call")]
)
def test_a_wish_to_forget_is_noted(arguments: dict[str, str], what: str) -> None:
    """How much is to be forgotten; what cannot be read is this call."""
    at = desk()
    assert answer(at, "forget_told", **arguments)["ok"] is True
    assert [entry.data["what"] for entry in at.timeline.of("forget")] == [what]


def test_what_the_class_was_given_is_told() -> None:
    """Scenes with their titles and whether this is one of them, beside the week's material."""
    title = cafe().title
    at = desk(assigned=(title, "Another"), class_prompt=ClassPrompt(theme="Food", must_use=("la cuenta",)))
    assert answer(at, "get_assignment") == {
        "scenes": [title, "Another"],
        "this_scene": True,
        "theme": "Food",
        "must_use": ["la cuenta"],
        "vocabulary": [],
    }
    assert answer(desk(assigned=("Another",)), "get_assignment") == {"scenes": ["Another"], "this_scene": False}
