"""Responses of the realtime stand-in: what is said and why, tools, out-of-band answers, cancelling, faults, usage."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from rehearsal.realtime_script import Spending
from tests.rehearsal.realtime_judge import Desk, audio_of, lines, noise, one, script, types

ORDER = {
    "type": "function",
    "name": "order",
    "description": "Takes an order.",
    "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
}
LOG = {"type": "function", "name": "log", "parameters": {"type": "object", "properties": {}}}

TOOLS = script(
    turns=[
        {
            "says": ["Un momento."],
            "tools": [{"name": "order", "arguments": {"what": "café"}}, {"name": "log"}],
            "after_tools": ["Aquí tiene."],
            "again": ["¿Perdón?"],
        }
    ],
)


def system(desk: Desk, text: str) -> None:
    """Adds a system item to the conversation."""
    item = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]}
    desk.send("conversation.item.create", item=item)


def say(desk: Desk, **response: Any) -> list[str]:
    """Asks for a response and returns what it says."""
    return lines(desk.send("response.create", response=response))


def test_a_line_and_two_calls_come_in_one_response() -> None:
    """A turn's tools follow its line in the same response, arguments in pieces, phases on a reasoning model."""
    desk = Desk(TOOLS)
    desk.update(tools=[ORDER, LOG])
    desk.user("Un café")
    events = desk.send("response.create")
    first, second, third = one(events, "response.done")["response"]["output"]
    assert (first["type"], first["phase"]) == ("message", "commentary")
    assert (second["name"], json.loads(second["arguments"])) == ("order", {"what": "café"})
    assert (third["name"], third["arguments"]) == ("log", "{}")
    of_call = [event for event in events if event.get("item_id", event.get("item", {}).get("id")) == second["id"]]
    assert types(of_call) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert of_call[0]["item"]["arguments"] == ""
    deltas = [event["delta"] for event in of_call if event["type"].endswith("arguments.delta")]
    assert len(deltas) > 1
    assert "".join(deltas) == second["arguments"]
    done = one(of_call, "response.function_call_arguments.done")
    assert (done["name"], done["call_id"], done["arguments"]) == ("order", second["call_id"], second["arguments"])


def test_after_the_outputs_the_role_goes_on() -> None:
    """Outputs make no response by themselves; asked to go on, the line for after them comes, then the short one."""
    desk = Desk(TOOLS)
    desk.update(tools=[ORDER, LOG])
    desk.user("Un café")
    calls = one(desk.send("response.create"), "response.done")["response"]["output"][1:]
    for call in calls:
        item = {"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}
        assert types(desk.send("conversation.item.create", item=item)) == [
            "conversation.item.added",
            "conversation.item.done",
        ]
    assert say(desk) == ["Aquí tiene."]
    assert say(desk) == ["¿Perdón?"]
    desk.send("conversation.item.create", item={**item, "call_id": calls[0]["call_id"]})
    assert say(desk) == ["¿Perdón?"]


def test_tools_may_come_first() -> None:
    """`tools_first` calls before it speaks, so that the last item is the final answer."""
    desk = Desk(script(turns=[{"says": ["Ya está."], "tools": [{"name": "log"}], "tools_first": True}]))
    desk.update(tools=[LOG])
    desk.user("Hola")
    output = one(desk.send("response.create"), "response.done")["response"]["output"]
    assert [item["type"] for item in output] == ["function_call", "message"]


@pytest.mark.parametrize("change", [{"tools": []}, {"tools": [ORDER, LOG], "tool_choice": "none"}])
def test_a_tool_that_is_not_offered_is_not_called(change: dict[str, Any]) -> None:
    """A model cannot call what it was not given: the line comes alone and a note says why."""
    desk = Desk(TOOLS)
    desk.update(**change)
    desk.user("Un café")
    assert [item["type"] for item in one(desk.send("response.create"), "response.done")["response"]["output"]] == [
        "message"
    ]
    assert "calls `order`, which the request does not offer" in desk.session.notes[0]


def test_a_forced_tool_is_called_with_small_arguments() -> None:
    """tool_choice of a function calls it although the script does not, with the smallest arguments of its schema."""
    desk = Desk(script(turns=[{"says": ["Hola."]}]))
    desk.user("Hola")
    choice = {"type": "function", "name": "order"}
    events = desk.send("response.create", response={"tools": [ORDER], "tool_choice": choice})
    (call,) = one(events, "response.done")["response"]["output"]
    assert json.loads(call["arguments"]) == {"what": "rehearsal what"}


def test_several_lines_are_several_items_of_one_response() -> None:
    """Each line is a message item of its own with its own audio, as reasoning models answer."""
    desk = Desk(script(opening="Hola.", turns=[{"says": ["Ah.", "Muy bien."]}]))
    desk.user("Hola")
    events = desk.send("response.create")
    output = one(events, "response.done")["response"]["output"]
    assert [item["phase"] for item in output] == ["commentary", "final_answer"]
    assert [len(audio_of(events, item["id"])) > 0 for item in output] == [True, True]
    assert [event["output_index"] for event in events if event["type"] == "response.output_item.added"] == [0, 1]


def test_older_models_have_no_phase() -> None:
    """gpt-realtime and its dated versions are no reasoning models: no phase, no reasoning, no parallel tool calls."""
    desk = Desk(model="gpt-realtime-2025-08-28")
    assert "reasoning" not in desk.session.settings
    assert "phase" not in one(desk.send("response.create"), "response.done")["response"]["output"][0]


def test_text_in_guillemets_is_read_aloud() -> None:
    """A response with «quoted» instructions says exactly that, and the script's turn is still to come."""
    desk = Desk(script(opening="Hola.", turns=[{"says": ["Uno."]}]))
    desk.user("Hola")
    assert say(desk, instructions="Say «Buenos días, señora.» and nothing else.") == ["Buenos días, señora."]
    assert say(desk, instructions="Say « a «b» c » now, not «this».") == ["a «b» c"]
    assert say(desk, instructions="Be brief.") == ["Uno."]


def test_a_steering_item_may_quote_too() -> None:
    """A system item since the last response is obeyed by the next response without instructions, once."""
    desk = Desk(script(turns=[{"says": ["Uno."]}]))
    system(desk, "Say «Tres.»")
    system(desk, "Nothing to read here.")
    desk.user("Hola")
    assert say(desk) == ["Tres."]
    assert say(desk) == ["Uno."]


def test_session_instructions_are_never_read_aloud() -> None:
    """Guillemets in the session's instructions are prose: only a request is obeyed."""
    desk = Desk(script(opening="Hola."))
    desk.update(instructions="Words of the week: «oui», «non».")
    assert say(desk) == ["Hola."]


def test_a_seeded_session_goes_on_where_the_earlier_one_was() -> None:
    """After a reconnect the seeded messages count: the next user message is answered by the next turn."""
    desk = Desk(script(opening="Hola.", turns=[{"says": ["Uno."]}, {"says": ["Dos."]}, {"says": ["Tres."]}]))
    desk.user("a")
    answer = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Uno."}]}
    desk.send("conversation.item.create", item=answer)
    assert say(desk) == ["Uno."]  # asked again: what was said before the line broke
    desk.user("b")
    assert say(desk) == ["Dos."]
    assert lines(desk.say()) == ["Tres."]


def test_a_seeded_user_message_without_an_answer_is_answered() -> None:
    """A session that broke before the answer gives that answer now."""
    desk = Desk(script(turns=[{"says": ["Uno."]}]))
    desk.user("a")
    assert say(desk) == ["Uno."]


def test_an_out_of_band_response_leaves_the_conversation_alone() -> None:
    """conversation none: no conversation id, no conversation items, metadata echoed, its line chosen by purpose."""
    desk = Desk(script(opening="Hola.", asides={"hint": "Try «un café».", "": "Mm."}))
    metadata = {"purpose": "hint", "n": "1"}
    aside = {"conversation": "none", "metadata": metadata, "output_modalities": ["text"]}
    events = desk.send("response.create", response=aside)
    assert not any(kind.startswith("conversation.") for kind in types(events))
    response = one(events, "response.done")["response"]
    assert response["conversation_id"] is None
    assert response["metadata"] == metadata
    assert response["output_modalities"] == ["text"]
    assert response["output"][0]["content"] == [{"type": "output_text", "text": "Try «un café»."}]
    assert one(events, "response.output_text.done")["text"] == "Try «un café»."
    assert one(events, "response.content_part.done")["part"] == {"type": "text", "text": "Try «un café»."}
    assert say(desk, conversation="none") == ["Mm."]
    assert desk.session.conversation.items == []
    assert say(desk) == ["Hola."]


def test_out_of_band_responses_run_beside_the_conversation() -> None:
    """Any number runs in parallel; only a second one for the conversation is refused; speech cancels none of them."""
    desk = Desk(script(opening="Una frase larga para hablar un buen rato."), pace=1.0)
    desk.send("response.create")
    asides = [one(desk.send("response.create", response={"conversation": "none"}), "response.created") for _ in "ab"]
    error = one(desk.send("response.create", event_id="mine"), "error")["error"]
    assert error["code"] == "conversation_already_has_active_response"
    assert error["event_id"] == "mine"
    assert desk.session.violations == []
    assert [race.code for race in desk.session.races] == ["conversation_already_has_active_response"]
    events = desk.append(noise(200, -20.0)) + desk.wait(8_000)
    ended = {
        event["response"]["id"]: event["response"]["status"] for event in events if event["type"] == "response.done"
    }
    assert [ended.get(aside["response"]["id"], "completed") for aside in asides] == ["completed", "completed"]
    assert sorted(ended.values()).count("cancelled") == 1


def test_input_replaces_the_context() -> None:
    """`input` is all that is read, references included; an unknown reference is an error."""
    desk = Desk()
    desk.update(instructions="")
    desk.user("x" * 400)
    text = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "y" * 40}]}
    item_id = desk.session.conversation.items[0].id
    tokens = []
    for given in ([], [text], [text, {"type": "item_reference", "id": item_id}]):
        done = one(desk.send("response.create", response={"conversation": "none", "input": given}), "response.done")
        tokens.append(done["response"]["usage"]["input_tokens"])
    assert tokens == [0, 10, 110]
    wrong = {"conversation": "none", "input": [{"type": "item_reference", "id": "item_none"}]}
    assert one(desk.send("response.create", response=wrong), "error")["error"]["code"] == "item_not_found"


def test_cancelling_by_the_client() -> None:
    """response.cancel ends the active or the named response; with none active it is a race, not a violation."""
    desk = Desk(script(opening="Una frase larga para hablar."), pace=1.0)
    error = one(desk.send("response.cancel"), "error")["error"]
    assert (error["code"], desk.session.violations) == ("response_cancel_not_active", [])
    desk.send("response.create")
    aside = one(desk.send("response.create", response={"conversation": "none"}), "response.created")["response"]["id"]
    done = one(desk.send("response.cancel", response_id=aside), "response.done")["response"]
    assert (done["id"], done["status_details"]["reason"]) == (aside, "client_cancelled")
    assert one(desk.send("response.cancel"), "response.done")["response"]["status"] == "cancelled"


def test_a_response_cancelled_before_its_first_word_costs_nothing() -> None:
    """Nothing generated: all usage is zero and the response has no items."""
    desk = Desk(script(turns=[{"says": ["Uno."], "delay_ms": 1_000}]))
    desk.user("Hola")
    desk.send("response.create")
    response = one(desk.send("response.cancel"), "response.done")["response"]
    assert response["output"] == []
    assert response["usage"]["total_tokens"] == 0


def test_pace_is_a_multiple_of_real_time() -> None:
    """At a pace of 4 the audio takes a quarter of its length to arrive, delta by delta; a burst takes no time."""
    desk = Desk(script(opening="Una frase bastante larga para hablar un rato."), pace=4.0)
    desk.send("response.create")
    began_ms = desk.now_ms
    events = desk.wait(3_000)
    length_ms = len(audio_of(desk.events)) / 48
    done_ms = desk.times_ms[types(desk.events, deltas=True).index("response.done")]
    assert done_ms - began_ms == pytest.approx(length_ms / 4, abs=1)
    assert one(events, "rate_limits.updated")


def test_the_output_limit_makes_a_response_incomplete() -> None:
    """max_output_tokens stops the audio: status incomplete, reason max_output_tokens, the item incomplete too."""
    desk = Desk(script(opening="Una frase bastante larga para que no quepa en tan poco espacio."))
    response = one(desk.send("response.create", response={"max_output_tokens": 40}), "response.done")["response"]
    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "incomplete"
    assert response["max_output_tokens"] == 40
    assert 30 <= response["usage"]["output_tokens"] <= 55


def test_usage_counts_audio_by_time_and_caches_what_was_read_before() -> None:
    """10 tokens a second of the user's audio, 20 of the model's; cached grows and is a part of the input."""
    desk = Desk(script(opening="Hola.", turns=[{"says": ["Uno, dos, tres."]}, {"says": ["Cuatro."]}]))
    desk.update(instructions="x" * 40, tools=[LOG])
    usages = [one(desk.send("response.create"), "response.done")["response"]["usage"]]
    spoken_ms = len(audio_of(desk.events)) // 48
    for _ in range(2):
        usages.append(one(desk.say(700, silence_ms=400), "response.done")["response"]["usage"])
    preamble = usages[0]["input_token_details"]["text_tokens"]
    assert preamble == 10 + -(-len(json.dumps([LOG])) // 4)
    assert usages[0]["input_token_details"]["cached_tokens"] == 0
    assert usages[0]["output_token_details"]["audio_tokens"] == spoken_ms // 50
    read = usages[1]["input_token_details"]
    assert read["audio_tokens"] == spoken_ms // 50 + 9  # 700 + 200 ms; the start has no audio before it to pad
    assert read["cached_tokens_details"] == {
        "text_tokens": preamble,
        "audio_tokens": spoken_ms // 50,
        "image_tokens": 0,
    }
    cached = [usage["input_token_details"]["cached_tokens"] for usage in usages]
    assert cached == sorted(cached)
    for usage in usages:
        assert usage["input_tokens"] == sum(
            usage["input_token_details"][kind] for kind in ("text_tokens", "audio_tokens", "image_tokens")
        )
        assert usage["input_token_details"]["cached_tokens"] <= usage["input_tokens"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_changed_instructions_empty_the_cache() -> None:
    """The cache is the common beginning: other instructions, nothing cached."""
    desk = Desk()
    desk.send("response.create")
    desk.update(instructions="Something else.")
    usage = one(desk.send("response.create"), "response.done")["response"]["usage"]
    assert usage["input_token_details"]["cached_tokens"] == 0
    assert usage["input_token_details"]["audio_tokens"] > 0


def test_truncation_by_ratio_drops_the_oldest() -> None:
    """Beyond the limit the context shrinks to the ratio of it, at the cost of the cache."""
    desk = Desk(script(again="Ja."))
    ratio = {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 100}}
    desk.update(instructions="", output_modalities=["text"], truncation=ratio)
    sizes = []
    for _ in range(6):
        desk.user("x" * 100)
        sizes.append(one(desk.send("response.create"), "response.done")["response"]["usage"]["input_tokens"])
    assert max(sizes) <= 100
    assert sizes[0] < sizes[1] < sizes[2]
    assert min(sizes[3:]) <= 50


def test_rate_limits_follow_a_moment_later_and_can_be_switched_off() -> None:
    """rate_limits.updated comes 43 ms after response.done with a tokens entry only, or never."""
    desk = Desk()
    assert "rate_limits.updated" not in types(desk.send("response.create") + desk.wait(42))
    assert [limit["name"] for limit in one(desk.wait(2), "rate_limits.updated")["rate_limits"]] == ["tokens"]
    silent = Desk(script(rate_limits=False))
    assert "rate_limits.updated" not in types(silent.send("response.create") + silent.wait(1_000))


@pytest.mark.parametrize(
    ("fault", "status", "details"),
    [
        ({"kind": "response_failed"}, "failed", {"type": "server_error", "code": "server_error"}),
        (
            {"kind": "response_failed", "type": "tokens", "code": "rate_limit_exceeded"},
            "failed",
            {"type": "tokens", "code": "rate_limit_exceeded"},
        ),
        ({"kind": "insufficient_quota"}, "failed", {"type": "insufficient_quota", "code": "insufficient_quota"}),
        ({"kind": "incomplete", "reason": "content_filter", "after_ms": 500}, "incomplete", "content_filter"),
    ],
)
def test_responses_fail_on_demand(fault: dict[str, Any], status: str, details: Any) -> None:
    """A fault ends the response it belongs to with its status, once; response.done always comes."""
    desk = Desk(script(turns=[{"says": ["Una frase bastante larga."], "faults": [fault]}]))
    desk.user("Hola")
    response = one(desk.send("response.create"), "response.done")["response"]
    assert response["status"] == status
    if status == "failed":
        error = response["status_details"]["error"]
        assert {name: error[name] for name in ("type", "code")} == details
        assert response["output"] == []
    else:
        assert response["status_details"]["reason"] == details
        assert 0 < len(audio_of(desk.events)) / 48 < 1_000
    assert one(desk.send("response.create"), "response.done")["response"]["status"] == "completed"


def test_the_second_response_of_a_turn_may_fail() -> None:
    """`nth` counts the responses of the turn."""
    fault = {"kind": "response_failed", "nth": 2}
    desk = Desk(script(turns=[{"says": ["Uno."], "faults": [fault]}]))
    desk.user("Hola")
    statuses = [one(desk.send("response.create"), "response.done")["response"]["status"] for _ in range(3)]
    assert statuses == ["completed", "failed", "completed"]


def test_a_first_word_may_come_late() -> None:
    """`slow` delays the first output after response.created, on top of the turn's own delay."""
    desk = Desk(script(turns=[{"says": ["Uno."], "delay_ms": 100, "faults": [{"kind": "slow", "after_ms": 2_000}]}]))
    desk.user("Hola")
    assert types(desk.send("response.create")) == ["response.created"]
    assert desk.wait(2_099) == []
    assert types(desk.wait(1))[0] == "response.output_item.added"


def test_the_line_may_break_at_an_event_and_only_once() -> None:
    """`drop` breaks the connection when its event was sent; a later session with the same script is spared."""
    spending = Spending()
    broken = script(faults=[{"kind": "drop", "at": "response.output_audio.delta", "nth": 2}])
    desk = Desk(broken, faults=spending)
    kinds = types(desk.send("response.create"), deltas=True)
    assert kinds.count("response.output_audio.delta") == 2
    assert desk.closed is not None
    assert desk.closed.code is None
    second = Desk(broken, faults=spending)
    assert one(second.send("response.create"), "response.done")
    assert second.closed is None


def test_the_line_may_break_because_of_what_the_client_sends_or_of_time() -> None:
    """`at` may be a client's event; without it only time counts. Close has a code and a reason."""
    desk = Desk(script(faults=[{"kind": "close", "at": "session.update", "code": 1011, "reason": "keepalive"}]))
    assert desk.update() == []
    assert desk.closed is not None
    assert (desk.closed.code, desk.closed.reason) == (1011, "keepalive")
    desk = Desk(script(faults=[{"kind": "session_expired", "after_ms": 5_000}]))
    assert one(desk.wait(5_000), "error")["error"]["code"] == "session_expired"
    assert desk.closed is not None
    assert desk.closed.code == 1001


def test_the_server_may_hang_or_complain() -> None:
    """`hang` sends nothing any more although the socket lives; `error` is an event after which all goes on."""
    desk = Desk(script(faults=[{"kind": "hang", "at": "response.created"}]))
    assert types(desk.send("response.create")) == ["response.created"]
    assert desk.wait(60_000) == desk.send("response.create") == []
    desk = Desk(script(faults=[{"kind": "error", "after_ms": 10, "code": "server_error"}]))
    assert one(desk.wait(10), "error")["error"]["code"] == "server_error"
    assert one(desk.send("response.create"), "response.done")
    assert desk.session.violations == []


def test_a_turn_brings_its_own_faults() -> None:
    """Line faults of a turn count from when its answer was asked for."""
    desk = Desk(
        script(opening="Hola.", turns=[{"says": ["Uno."], "faults": [{"kind": "drop", "at": "response.done"}]}])
    )
    desk.send("response.create")
    assert desk.closed is None
    desk.user("Hola")
    desk.send("response.create")
    assert desk.closed is not None


def test_the_voice_is_locked_by_the_first_audio() -> None:
    """Before it the voice may change, after it neither session nor response may have another; the same one is fine."""
    desk = Desk()
    assert one(desk.update(audio={"output": {"voice": "marin"}}), "session.updated")
    desk.send("response.create", response={"output_modalities": ["text"]})
    assert one(desk.update(audio={"output": {"voice": "cedar"}}), "session.updated")
    desk.send("response.create")
    events = desk.update(audio={"output": {"voice": "marin"}}, instructions="New.")
    assert one(events, "error")["error"]["code"] == "cannot_update_voice"
    assert desk.session.settings["instructions"] != "New."
    asked = {"audio": {"output": {"voice": "marin"}}}
    assert one(desk.send("response.create", response=asked), "error")["error"]["code"] == "cannot_update_voice"
    assert one(desk.update(audio={"output": {"voice": "cedar"}}), "session.updated")


def test_a_response_may_have_its_own_format() -> None:
    """audio.output.format of a response holds for that response only."""
    desk = Desk(script(opening="Hola.", again="Hola."))
    narrow = desk.send("response.create", response={"audio": {"output": {"format": {"type": "audio/pcmu"}}}})
    assert one(narrow, "response.done")["response"]["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    assert len(audio_of(desk.send("response.create"))) == pytest.approx(len(audio_of(narrow)) * 6, abs=6)


def test_seeded_audio_of_a_user_is_kept() -> None:
    """A client may create a user's audio item; it counts as a turn and as input audio."""
    desk = Desk(script(turns=[{"says": ["Uno."]}]))
    audio = base64.b64encode(bytes(48 * 1_000)).decode()
    item = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_audio", "audio": audio, "transcript": "hola"}],
    }
    desk.send("conversation.item.create", item=item)
    events = desk.send("response.create")
    assert lines(events) == ["Uno."]
    assert one(events, "response.done")["response"]["usage"]["input_token_details"]["audio_tokens"] == 10
