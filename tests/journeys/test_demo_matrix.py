"""Rehearsed calls in every scene, for every pair of languages and at every level, against one running service.

The calls are the demo's, with a learner in a hurry: short sounds for sentences, no time in the menu.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from db import debriefs, jobs
from rehearsal.realtime_speech import Speech
from rehearsal.report import CallResult
from ringua.callers import HURRY, spoken
from ringua.demo import plan_of
from ringua.jobs import all_jobs
from ringua.rehearsal import LinePlan, set_up_line
from ringua.scripts import script_for
from ringua.settings import load
from ringua.storage import Storage
from tests.journeys.line import PracticeLine, practising
from tutor.learning.debrief import Debrief
from tutor.script import catalogue
from tutor.script.level import LEVELS
from tutor.script.scene import Scene

in_one_loop = pytest.mark.asyncio(loop_scope="module")

SIDE_BY_SIDE = 6
"""Calls at the same time: so few that a machine busy with other tests still plays them in real time."""

AT_THE_DOOR_S = 30.0

SHELF = catalogue.load()


def covering() -> list[Scene]:
    """One call for each pair of languages, so that each scene and each level is played too."""
    natives = [language.tag for language in SHELF.natives if language.tag == language.base]
    targets = [language.tag for language in SHELF.targets if language.tag == language.base]
    pairs = [(native, target) for native in natives for target in targets if native != target]
    return [
        SHELF.scene(
            SHELF.scenarios[number % len(SHELF.scenarios)].id,
            native=native,
            target=target,
            level=LEVELS[(number + number // len(LEVELS)) % len(LEVELS)],
        )
        for number, (native, target) in enumerate(pairs)
    ]


SCENES = covering()


def named(scene: Scene) -> str:
    """How a call is called in the test's output."""
    return f"{scene.scenario.id}-{scene.native.tag}-{scene.target.tag}-{scene.level.name}"


@dataclass(frozen=True)
class Matrix:
    """The calls of this module, all started; each can be waited for."""

    line: PracticeLine
    calls: dict[str, asyncio.Task[CallResult]]

    async def ended(self, scene: Scene) -> CallResult:
        """A scene's call, after it ended."""
        return await self.calls[named(scene)]


async def _call(
    line: PracticeLine, scene: Scene, number: int, free: asyncio.Semaphore, door: asyncio.Lock
) -> CallResult:
    """Rehearses one scene on a line of its own."""
    # What the text model would write depends on the call that asks, and all share one model: facts speak instead.
    script, dialled = replace(script_for(scene), text=()), f"+1500555{1000 + number}"
    await set_up_line(line.storage, plan_of(scene), dialled)
    sound = Speech(None).say("Sí, sí", "es", voice="verse", speed=1.0, audio_format="audio/pcmu")
    caller = spoken(scene, [sound] * len(script.turns), HURRY)
    async with free:
        # The model plays what it was told when a call's session opened, so callers come in one by one.
        async with door:
            line.model.play(script)
            sessions = len(line.model.sessions)
            call = asyncio.create_task(
                line.rehearsal.call(caller, from_=f"+12025550{100 + number}", to=dialled), name=named(scene)
            )
            await line.model.until(lambda: len(line.model.sessions) > sessions, timeout_s=AT_THE_DOOR_S)
        return await call


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def matrix(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Matrix]:
    """Starts a line and all its calls."""
    directory: Path = tmp_path_factory.mktemp("data")
    async with practising(load(data_dir=directory), storage, plan=LinePlan(), speech_scale=0.05) as line:
        free, door = asyncio.Semaphore(SIDE_BY_SIDE), asyncio.Lock()
        calls = {
            named(scene): asyncio.create_task(_call(line, scene, number, free, door))
            for number, scene in sorted(
                enumerate(SCENES), key=lambda one: -len(script_for(one[1]).turns)
            )  # the long first
        }
        yield Matrix(line, calls)
        for call in calls.values():
            call.cancel()
        await asyncio.gather(*calls.values(), return_exceptions=True)


def test_each_scene_each_pair_and_each_level_is_called() -> None:
    """Forty-three calls: eighteen scenes, eight languages to learn from six others, six levels."""
    assert {scene.scenario.id for scene in SCENES} == {scenario.id for scenario in SHELF.scenarios}
    assert len({(scene.native.tag, scene.target.tag) for scene in SCENES}) == len(SCENES) == 43
    assert {scene.level.name for scene in SCENES} == set(LEVELS)


@in_one_loop
@pytest.mark.parametrize("scene", SCENES, ids=named)
async def test_a_rehearsed_call_reaches_its_goals_and_is_closed(matrix: Matrix, scene: Scene) -> None:
    """The role greets first and in the target, the goals are earned with the learner's words, the row is closed."""
    line, result = matrix.line, await matrix.ended(scene)
    result.raise_for_complaints()
    said = line.of(result, "said")
    assert (said[0].data["speaker"], said[0].data["text"]) == ("role", scene.greeting)
    assert said[0].data["language"] == scene.target.tag
    earned = {entry.data["goal"]: entry.data["evidence"] for entry in line.of(result, "goal")}
    assert sum(goal in earned for goal in scene.scenario.success_of) >= scene.scenario.success_need
    assert set(earned.values()) == {"quote"}
    assert line.of(result, "hint")
    kept = await line.kept(result)
    assert (kept.row.state, kept.row.end_reason, kept.row.completed) == ("closed", "role", True)
    assert (kept.row.scenario, kept.row.level) == (scene.scenario.id, scene.level.name)
    heard = [turn.text for turn in kept.turns if turn.speaker == "role"]
    assert heard[0] == scene.greeting
    assert heard[-1] == script_for(scene).turns[-1].says[-1]


@in_one_loop
async def test_no_stand_in_complains(matrix: Matrix) -> None:
    """No wrong frame, no bad document, no event that the model would refuse, in any language."""
    for scene in SCENES:
        await matrix.ended(scene)
    races = {"response_cancel_not_active"}
    assert [str(violation) for violation in matrix.line.model.violations if violation.code not in races] == []


@in_one_loop
async def test_every_call_has_its_debrief_in_the_learners_language(matrix: Matrix) -> None:
    """The worker writes one for each call: what went well, and what can be done now."""
    line = matrix.line
    results = {named(scene): await matrix.ended(scene) for scene in SCENES}
    await jobs.run_worker(line.storage.url, all_jobs(line.storage, line.rehearsal.settings), wait=False, signals=False)
    for scene in SCENES:
        row = (await line.kept(results[named(scene)])).row
        async with line.storage.database.school(row.school_id) as session:
            kept = await debriefs.get(session, row.id)
        assert kept is not None, named(scene)
        written = Debrief.read(kept.content)
        assert written.praise in scene.native.says.values()
        assert set(scene.scenario.success_of) <= {*written.can_dos}
