"""Calls that outlive a process: two instances behind a balancer, one of which is told to stop, or killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from db import endings
from rehearsal.carrier import CallEnded, Phone
from rehearsal.report import CallResult
from ringua.rehearsal import LinePlan, set_up_line
from ringua.storage import Storage
from telephony.answering import ending_from_checkpoint
from tests.journeys.line import PATIENCE_S, QUIET_MS, Kept, kept, speech
from tests.journeys.site import Site, site
from tests.tutor.scenes import cafe

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT = speech("es-woman-2")
SCENE = cafe()
FIRST = "Hola, buenos días. Quisiera un café con leche, por favor."


async def reach_the_role(phone: Phone) -> None:
    """Presses 1 in the menu, hears the greeting out and orders."""
    await phone.wait_for("gather", PATIENCE_S)
    await phone.press("1")
    await phone.wait_for("stream", PATIENCE_S)
    await phone.hear_silence(QUIET_MS, PATIENCE_S)
    await phone.say(SHORT, "ulaw")
    await phone.hear_silence(QUIET_MS, PATIENCE_S)


async def talk_to_the_end(phone: Phone) -> None:
    """Speaks and listens until the role says goodbye."""
    try:
        for _ in range(6):
            await phone.say(SHORT, "ulaw")
            await phone.hear_silence(QUIET_MS * 2, PATIENCE_S)
    except CallEnded:
        return


def learner_texts(left: Kept) -> list[str | None]:
    """What the learner said, as it is kept."""
    return [turn.text for turn in left.turns if turn.speaker == "learner"]


async def moved(storage: Storage, data_dir: Path, how: str, number: str) -> tuple[CallResult, Kept, Site, int]:
    """A call whose instance goes away in the middle of it, while another is there."""
    async with site(storage, data_dir, drain_s=0.5) as place:

        async def behave(phone: Phone) -> None:
            await reach_the_role(phone)
            if how == "SIGTERM":
                place.first.terminate()
            else:
                place.first.kill()
            await phone.wait_for("stream-end", PATIENCE_S)
            await phone.wait_for("stream", PATIENCE_S)
            await phone.hear_silence(QUIET_MS * 2, PATIENCE_S)
            await talk_to_the_end(phone)

        result = await place.call(behave, number)
        return result, await kept(storage, result), place, await place.first.ended()


async def drained(storage: Storage, data_dir: Path) -> tuple[Kept, CallResult, int]:
    """A call that ends in time while its instance takes no new ones; and a caller who comes too late."""
    async with site(storage, data_dir, instances=1, drain_s=60) as place:
        turned_away: list[CallResult] = []

        async def late(phone: Phone) -> None:
            await phone.wait_for("ended", PATIENCE_S)

        async def behave(phone: Phone) -> None:
            await reach_the_role(phone)
            place.first.terminate()
            await phone.pause(0.5)
            turned_away.append(await place.call(late, "+12025550153"))
            await talk_to_the_end(phone)

        result = await place.call(behave, "+12025550152")
        return await kept(storage, result), turned_away[0], await place.first.ended()


async def orphaned(storage: Storage, data_dir: Path) -> tuple[CallResult, Kept]:
    """A call whose only instance is killed: nobody is left who could close it."""
    async with site(storage, data_dir, instances=1) as place:

        async def behave(phone: Phone) -> None:
            await reach_the_role(phone)
            place.first.kill()
            await phone.wait_for("ended", PATIENCE_S)

        result = await place.call(behave, "+12025550154")
        place.carrier.warnings.clear()  # nobody answered the carrier: that is the point
        return result, await kept(storage, result)


@dataclass(frozen=True)
class Journeys:
    """The calls of this module, which run at the same time."""

    terminated: asyncio.Task[tuple[CallResult, Kept, Site, int]]
    killed: asyncio.Task[tuple[CallResult, Kept, Site, int]]
    drained: asyncio.Task[tuple[Kept, CallResult, int]]
    orphaned: asyncio.Task[tuple[CallResult, Kept]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def journeys(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Journeys]:
    """Starts every call, each with processes of its own."""
    data_dir = tmp_path_factory.mktemp("data")
    await set_up_line(storage, LinePlan())
    running = Journeys(
        asyncio.create_task(moved(storage, data_dir, "SIGTERM", "+12025550150")),
        asyncio.create_task(moved(storage, data_dir, "kill -9", "+12025550151")),
        asyncio.create_task(drained(storage, data_dir)),
        asyncio.create_task(orphaned(storage, data_dir)),
    )
    yield running
    tasks = (running.terminated, running.killed, running.drained, running.orphaned)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(("how", "code"), [("terminated", 0), ("killed", -9)])
async def test_a_call_goes_on_on_another_instance_when_its_own_ends(journeys: Journeys, how: str, code: int) -> None:
    """A deploy, or a crash: the caller is brought back into the same conversation, and hears no dead line."""
    result, left, place, ended = await getattr(journeys, how)
    assert ended == code
    assert (left.row.state, left.row.end_reason, left.row.streams) == ("closed", "role", 2)
    assert f":{place.balancer.instances[1].port}/" in result.streams[1].url
    assert learner_texts(left)[0] == FIRST
    earned = [event.data["goal"] for event in left.events if event.kind == "goal"]
    assert len(earned) == len(set(earned))
    assert {"greet", "order_drink"} <= set(earned)
    gap_ms = (result.streams[1].opened_ms or 0) - (result.streams[0].closed_ms or 0)
    assert gap_ms < 5_000


async def test_a_draining_instance_finishes_its_calls_and_asks_new_callers_to_ring_again(journeys: Journeys) -> None:
    """With time enough nobody is moved; who calls meanwhile hears a sentence at once, not a dead line."""
    left, turned_away, code = await journeys.drained
    assert (left.row.end_reason, left.row.streams) == ("role", 1)
    assert SCENE.native.say("door.unavailable") in [event.text for event in turned_away.events("say")]
    assert code == 0


async def test_a_call_whose_every_process_died_is_closed_with_what_it_had(journeys: Journeys, storage: Storage) -> None:
    """The sweep finds it, once: closed, with the turns and goals of its last checkpoint; its cost is not complete."""
    result, before = await journeys.orphaned
    assert before.row.state == "live"
    for task in (journeys.terminated, journeys.killed, journeys.drained):
        await task

    async def sweep() -> list[object]:
        closed = await endings.close_stale(
            storage.database, lambda call: ending_from_checkpoint(call, "process_lost"), older_than_s=0
        )
        return [one.call_id for one in closed]

    assert before.row.id in await sweep()
    left = await kept(storage, result)
    assert (left.row.state, left.row.end_reason, left.row.cost_complete) == ("closed", "process_lost", False)
    assert learner_texts(left) == [FIRST]
    assert [event.kind for event in left.events].count("goal") == 2
    assert left.row.cost_micro_usd is not None
    assert await sweep() == []
