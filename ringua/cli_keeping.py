"""The command line's part on learners and what is kept of them: find, show, change, export, forget; policies."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args
from uuid import UUID

import typer
from rich.table import Column, Table
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncSession

from db import audit, directory, exporting, forgetting, policies, ratings, schools, topics
from db.audio_files import AudioFiles
from db.directory import Entry
from db.keyring import KeyringError
from db.models import School
from db.policies import PolicyRefused
from ringua import storage
from ringua.jobs.purge import remove_recordings
from ringua.settings import load
from ringua.storage import Storage
from ringua.terminal import Trouble, find_school, language_tag, level_name, out, run
from telephony.languages import same_language
from tutor.script import catalogue
from tutor.script.grade import UnknownGrade, grade
from tutor.talk.needs import Preset

learner_app = typer.Typer(no_args_is_help=True, help="Learners: found, shown, changed, exported, forgotten.")
policy_app = typer.Typer(no_args_is_help=True, help="How long a school keeps what.")

NOTHING = "none"
"""Takes a setting away."""
MOST_SHOWN = 200

SchoolOption = Annotated[str | None, typer.Option(help="The learner's school; needed unless the id is given.")]
WhoArgument = Annotated[str, typer.Argument(help="The id, the last two digits of the number, or the first name.")]


@dataclass(frozen=True, slots=True)
class FoundLearner:
    """A learner and where they are."""

    school: School
    entry: Entry

    @property
    def id(self) -> UUID:
        return self.entry.learner.id


@learner_app.command("list")
def learner_list(
    school: str,
    digits: Annotated[str | None, typer.Option(help="The last two digits of the number.")] = None,
    name: Annotated[str | None, typer.Option(help="The first name.")] = None,
) -> None:
    """Lists the learners of a school."""

    async def work() -> None:
        table = Table(Column("Learner", no_wrap=True), "Name", "Number", "Native", "Target", "Level", "Calls", "Last")
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                entries = await directory.find(session, last_two=digits, first_name=name, limit=MOST_SHOWN + 1)
        for entry in entries[:MOST_SHOWN]:
            learner = entry.learner
            table.add_row(
                *(str(learner.id), Text(learner.first_name or "-"), _digits(entry)),
                *(learner.native, learner.target, learner.level, str(entry.calls)),
                "-" if entry.last_call is None else f"{entry.last_call:%Y-%m-%d}",
            )
        out.print(table if entries else "No such learner.")
        if len(entries) > MOST_SHOWN:
            out.print(f"There are more than {MOST_SHOWN}: say --digits or --name.")

    run(work())


@learner_app.command("show")
def learner_show(who: WhoArgument, school: SchoolOption = None) -> None:
    """Shows a learner and their settings."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_learner(data, who, school)
            async with data.database.school(found.school.id) as session:
                rating = await ratings.get(session, found.id, found.entry.learner.target)
        learner, entry = found.entry.learner, found.entry
        locked = rating is not None and rating.locked
        rows: dict[str, object] = {
            "learner": learner.id,
            "school": found.school.name,
            "first name": learner.first_name,
            "number": _digits(entry),
            "native": learner.native,
            "target": learner.target,
            "level": f"{learner.level}, locked: it stays until --unlock" if locked else learner.level,
            "since": f"{learner.created_at:%Y-%m-%d}",
            "calls": entry.calls,
            "last call": None if entry.last_call is None else f"{entry.last_call:%Y-%m-%d %H:%M} UTC",
            **{name.replace("_", " "): value for name, value in sorted(learner.settings.items())},
        }
        table = Table(show_header=False)
        for name, value in rows.items():
            table.add_row(name, Text("-" if value is None else _shown(value)))
        out.print(table)

    run(work())


@learner_app.command("set")
def learner_set(
    who: WhoArgument,
    school: SchoolOption = None,
    native: Annotated[str | None, typer.Option(help="Their own language, such as en.")] = None,
    target: Annotated[str | None, typer.Option(help="The language they learn, such as es.")] = None,
    level: Annotated[str | None, typer.Option(help="CEFR level, A1 to C2; the rating goes on from there.")] = None,
    lock: Annotated[
        bool | None, typer.Option("--lock/--unlock", help="Whether the level stays, whatever the calls show.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="First name; none takes it away.")] = None,
    school_grade: Annotated[str | None, typer.Option("--grade", help="K or 1 to 5, for children; or none.")] = None,
    preset: Annotated[str | None, typer.Option(help=f"How they are waited for: {', '.join(get_args(Preset))}.")] = None,
    slower: Annotated[
        bool | None, typer.Option("--slower/--usual-speed", help="Whether the role speaks slower.")
    ] = None,
    remember: Annotated[
        bool | None, typer.Option("--remember/--no-remember", help="Whether a few facts may be remembered, as agreed.")
    ] = None,
) -> None:
    """Changes what is given of a learner; the rest stays."""
    given = {"native": native, "target": target, "level": level, "first_name": name, "grade": school_grade}
    changes = _changes(given | {"preset": preset, "slower": slower, "remember": remember})
    if not changes and lock is None:
        raise Trouble("Nothing to change: say what, such as --level B1.")

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_learner(data, who, school)
            learner = found.entry.learner
            spoken, practised = (changes.get(kind) or getattr(learner, kind) for kind in ("native", "target"))
            if changes.keys() & {"native", "target"}:
                require_pair(spoken, practised)
            async with data.database.school(found.school.id) as session:
                await directory.change(session, found.id, changes)
                if changes.get("remember") is False:
                    await topics.forget_facts(session, found.id)
                if "level" in changes or lock is not None:
                    await _set_level(session, found.id, practised, changes.get("level"), learner.level, lock)
                await audit.record(
                    session,
                    found.school.id,
                    actor=audit.COMMAND_LINE,
                    action="change",
                    subject="learner",
                    data=dict.fromkeys(sorted(changes), True)
                    | ({} if lock is None else {"locked": lock})
                    | {"learner": str(found.id)},
                )
        out.print(f"Changed {found.id}.")

    run(work())


@learner_app.command("export")
def learner_export(
    who: WhoArgument,
    school: SchoolOption = None,
    file: Annotated[Path | None, typer.Option(help="Where the JSON goes, readable by you alone; else shown.")] = None,
    safeguarding: Annotated[
        bool, typer.Option(help="With what the guard found; never for a parent whom it may be about.")
    ] = False,
) -> None:
    """Gives out everything that is held about a learner, as JSON."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_learner(data, who, school)
            try:
                async with data.database.school(found.school.id) as session:
                    held = await exporting.export_learner(
                        session, found.id, keyring=data.keyring, safeguarding=safeguarding
                    )
                    await audit.record(
                        session,
                        found.school.id,
                        actor=audit.COMMAND_LINE,
                        action="export",
                        subject="learner",
                        data={"learner": str(found.id), "safeguarding": safeguarding},
                    )
            except KeyringError as error:
                raise Trouble(f"{error}.") from error
        text = json.dumps(held, ensure_ascii=False, indent=2)
        if file is None:
            out.print(Text(text))
            return
        _write(file, text)
        out.print(f"Wrote {file}: {_calls(len(held['calls']))}.")

    run(work())


@learner_app.command("forget")
def learner_forget(
    who: WhoArgument,
    school: SchoolOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Without asking.")] = False,
) -> None:
    """Forgets a learner: everything but the time and cost of their calls. It cannot be taken back."""

    async def work() -> None:
        settings = load()
        async with storage.opened(settings) as data:
            found = await find_learner(data, who, school)
            if not yes:
                _confirm(found)
            async with data.database.school(found.school.id) as session:
                gone = await forgetting.forget_learner(session, found.id, actor=audit.COMMAND_LINE)
            # The worker would do it too; whoever asked for it sees it done.
            files = await remove_recordings(data.database, found.school.id, AudioFiles(settings.data_dir))
        if not gone.found:
            raise Trouble("Somebody else has just forgotten this learner.")
        out.print(f"Forgotten. {_calls(gone.calls)} left behind: nobody's, with time and cost.")
        for name, count in sorted(gone.rows.items()):
            out.print(f"  {name.replace('_', ' ')}: {count}")
        if files:
            out.print(f"  recordings: {files}")
        if gone.carrier_copies:
            out.print(f"The worker has the carrier delete what it keeps: {gone.carrier_copies} calls and messages.")

    run(work())


# --- policies


@policy_app.command("show")
def policy_show(school: str) -> None:
    """Shows how long a school keeps what."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            async with data.database.school(owner.id) as session:
                policy = await policies.of_school(session)
        table = Table(show_header=False)
        days = policy.transcript_days
        table.add_row("transcripts", f"{days} days" if days else "never stored")
        table.add_row("figures", f"{policy.metrics_days} days")
        table.add_row("learners who do not call", f"{policy.learner_days} days")
        table.add_row("sound", f"{policy.audio_hours} hours, of adults who agreed" if policy.audio_hours else "none")
        table.add_row("transcript on the page after a call", "shown" if policy.show_transcript else "not shown")
        trusted = "of whoever calls from the number" if policy.trust_numbers else "with a PIN or an attested number"
        table.add_row("the role knows of earlier calls", trusted)
        out.print(table)

    run(work())


@policy_app.command("set")
def policy_set(
    school: str,
    transcript_days: Annotated[int | None, typer.Option(help="What was said: 0 (never stored) to 365 days.")] = None,
    metrics_days: Annotated[int | None, typer.Option(help="Figures of calls: 30 to 800 days.")] = None,
    learner_days: Annotated[int | None, typer.Option(help="Learners who do not call: 30 to 3650 days.")] = None,
    audio_hours: Annotated[int | None, typer.Option(help="Sound of adults who agreed: 0 to 24 hours.")] = None,
    show_transcript: Annotated[
        bool | None, typer.Option("--show-transcript/--hide-transcript", help="On the page after a call.")
    ] = None,
    trust_numbers: Annotated[
        bool | None,
        typer.Option(
            "--trust-numbers/--distrust-numbers", help="Talk of earlier calls with whoever shows the learner's number."
        ),
    ] = None,
) -> None:
    """Changes how long a school keeps what; what is over by the new policy goes within an hour or so."""
    given = {
        "transcript_days": transcript_days,
        "metrics_days": metrics_days,
        "learner_days": learner_days,
        "audio_hours": audio_hours,
        "show_transcript": show_transcript,
        "trust_numbers": trust_numbers,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise Trouble("Nothing to change: say what, such as --transcript-days 30.")

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            try:
                async with data.database.school(owner.id) as session:
                    await policies.change(session, owner.id, **changes)
                    await audit.record(
                        session,
                        owner.id,
                        actor=audit.COMMAND_LINE,
                        action="change",
                        subject="policy",
                        data=changes,
                    )
            except PolicyRefused as error:
                raise Trouble(str(error)) from error
        out.print(f"Changed the policy of {owner.name}.")

    run(work())


# --- the rest


async def find_learner(data: Storage, who: str, school: str | None) -> FoundLearner:
    """The one learner who is meant; raises ``Trouble`` for nobody and for several."""
    asked: Mapping[str, Any]
    try:
        asked = {"learner_id": UUID(who)}
    except ValueError:
        asked = {"last_two": who} if re.fullmatch(r"\d\d", who) else {"first_name": who}
    if school is not None:
        places = [await find_school(data, school)]
    elif "learner_id" in asked:
        async with data.database.anyone() as session:
            places = await schools.all(session)
    else:
        raise Trouble("Say --school: a name or two digits may be somebody's at every school.")
    found = []
    for place in places:
        async with data.database.school(place.id) as session:
            found += [FoundLearner(place, entry) for entry in await directory.find(session, **asked)]
    if not found:
        raise Trouble("There is no such learner: `ringua learner list SCHOOL` shows all.")
    if len(found) > 1:
        ids = ", ".join(str(one.id) for one in found[:5])
        raise Trouble(f"{len(found)} learners are meant by that: give the id of one ({ids}{' …' * (len(found) > 5)}).")
    return found[0]


def require_pair(native: str, target: str) -> None:
    """Refuses, with ``Trouble``, a learner who would practise what they speak."""
    if same_language(native, target):
        raise Trouble(f"Who speaks {native} has nothing to practise in {target}: give another --target.")


async def _set_level(
    session: AsyncSession, learner_id: UUID, target: str, chosen: str | None, now: str, lock: bool | None
) -> None:
    """Gives a learner a level, a lock on it, or both; a level that is locked stays so where nothing is said of it."""
    before = await ratings.taken(session, learner_id, target, level=now)
    if before is None:
        return  # forgotten meanwhile
    if chosen is not None:
        await ratings.set_level(session, learner_id, target, chosen, locked=before.locked if lock is None else lock)
    elif lock:
        await ratings.set_level(session, learner_id, target, before.level, locked=True)
    else:
        await ratings.lock(session, learner_id, target, locked=False)


def _confirm(found: FoundLearner) -> None:
    name = found.entry.learner.first_name or "a learner without a name"
    question = f"Forget {name} ({_digits(found.entry)}, {found.school.name}, {_calls(found.entry.calls)}) for good?"
    if not typer.confirm(question):
        raise Trouble("Nobody was forgotten.")


def _changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, checked: a name of a language, level, grade or preset that exists."""
    changes = {name: value for name, value in given.items() if value is not None}
    shelf = catalogue.load()
    if "native" in changes:
        changes["native"] = language_tag(shelf, changes["native"], "native")
    if "target" in changes:
        changes["target"] = language_tag(shelf, changes["target"], "target")
    if "level" in changes:
        changes["level"] = level_name(shelf, changes["level"])
    for name in changes.keys() & {"grade", "first_name"}:
        changes[name] = None if changes[name].strip().lower() in ("", NOTHING) else changes[name].strip()
    try:
        if changes.get("grade") is not None:
            grade(changes["grade"])
    except UnknownGrade as error:
        raise Trouble(str(error)) from error
    if changes.get("preset", "usual") not in get_args(Preset):
        raise Trouble(f"--preset is {', '.join(get_args(Preset))}, not {changes['preset']}.")
    return changes


def _write(path: Path, text: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Trouble(f"{path} is there already: give another file, so that nothing is lost.") from None
    except OSError as error:
        raise Trouble(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def _calls(count: int) -> str:
    return f"{count} call" if count == 1 else f"{count} calls"


def _digits(entry: Entry) -> str:
    return ", ".join(f"…{digits}" if digits else "a SIP phone" for digits in entry.last_two) or "no number"


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
