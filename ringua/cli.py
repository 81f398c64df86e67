"""The command line. Each command is a few lines; the work is elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfoNotFoundError

import typer
from rich.table import Column, Table
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncSession

from db import class_prompts
from db import lines as line_rows
from db import scenarios as scenario_rows
from db import schools as school_rows
from db.lines import NumberTaken
from db.schools import SchoolExists
from ringua import bench as benchmark
from ringua import (
    cli_callers,
    cli_classes,
    cli_keeping,
    cli_material,
    cli_money,
    cli_people,
    cli_report,
    cli_sip,
    cli_texts,
    inspecting,
    logs,
    serving,
    storage,
)
from ringua import demo as demo_call
from ringua import rehearse as rehearse_call
from ringua.settings import SettingsError, load
from ringua.storage import StorageError
from ringua.terminal import Trouble as Trouble
from ringua.terminal import e164, find_line, find_school, language_tag, level_name, out, run
from tutor.script import catalogue
from tutor.script.catalogue import Catalogue, CatalogueError
from tutor.script.class_prompt import ClassPrompt, ClassPromptError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Ringua: a telephone practice line for languages.",
)
line_app = typer.Typer(no_args_is_help=True, help="Lines: numbers, their languages, level, material and scenes.")
school_app = typer.Typer(no_args_is_help=True, help="Schools.")
db_app = typer.Typer(no_args_is_help=True, help="The database.")
app.add_typer(line_app, name="line")
app.add_typer(school_app, name="school")
app.add_typer(db_app, name="db")
app.add_typer(cli_material.scenario_app, name="scenario")
app.add_typer(cli_material.prompt_app, name="prompt")
app.add_typer(cli_callers.pin_app, name="pin")
app.add_typer(cli_callers.flag_app, name="flag")
app.add_typer(cli_money.budget_app, name="budget")
school_app.command("quiet")(cli_texts.school_quiet)
app.command("cost")(cli_money.cost)
app.add_typer(cli_keeping.learner_app, name="learner")
app.add_typer(cli_people.staff_app, name="staff")
app.add_typer(cli_keeping.policy_app, name="policy")
line_app.add_typer(cli_material.line_prompt_app, name="prompt")
line_app.command("safety")(cli_callers.line_safety)
line_app.command("assign")(cli_classes.line_assign)
line_app.command("sip")(cli_sip.line_sip)
app.add_typer(cli_classes.class_app, name="class")
app.add_typer(cli_classes.assignment_app, name="assignment")
cli_keeping.learner_app.command("sip")(cli_sip.learner_sip)
app.command("report")(cli_report.report)
app.command("analyse")(cli_report.analyse)


def main() -> None:
    """Runs the command line; every expected failure is one sentence and exit code 1."""
    try:
        app(standalone_mode=True)
    except (SettingsError, StorageError, Trouble, serving.PortTaken, rehearse_call.CannotCall) as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


# --- the service


@app.command()
def serve(
    worker: Annotated[bool, typer.Option(help="Also run a worker, as a child process.")] = True,
) -> None:
    """Answers calls until it is told to stop."""
    logs.configure()
    serving.serve(load(), with_worker=worker)


@app.command()
def worker() -> None:
    """Does the work that follows calls, until it is told to stop."""
    logs.configure()
    serving.work(load())


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Brings the database to this version's schema."""
    out.print(f"The database is at revision {storage.upgrade(load())}.")


# --- rehearsals


@app.command()
def demo(
    record: Annotated[Path, typer.Option(help="Where the call's stereo WAV goes.")] = Path("recordings/demo.wav"),
    scenario: Annotated[str, typer.Option(help="The scene; `ringua scenario list` shows all.")] = "cafe_order",
    target: Annotated[str, typer.Option(help="The language being learned: es, en, fr, de, it, pt, zh or ja.")] = "es",
    native: Annotated[str, typer.Option(help="The learner's own language: en, es, fr, pt, zh or ar.")] = "en",
    level: Annotated[str, typer.Option(help="CEFR level, A1 to C2.")] = "A1",
) -> None:
    """Places a practice call and shows it live; offline unless OPENAI_API_KEY is set."""
    logs.configure(level="ERROR")
    try:
        scene = demo_call.scene_of(scenario, native=native, target=target, level=level)
    except CatalogueError as error:
        raise Trouble(str(error)) from error
    run(demo_call.run(load(), record, out, scene))


@app.command()
def call(
    to: Annotated[str, typer.Option(help="The line's number, or sip:practice@ its SIP domain.")],
    from_: Annotated[str, typer.Option("--from", help="The caller's number, sip:name@domain, or anonymous.")],
    keys: Annotated[str, typer.Option(help="Keys to press in the menu, one a prompt.")] = "1",
    say: Annotated[list[Path] | None, typer.Option(help="8 kHz WAV to say, in order; repeat for more.")] = None,
    record: Annotated[Path | None, typer.Option(help="Where the call's stereo WAV goes.")] = None,
    url: Annotated[str | None, typer.Option(help="The service; default http://127.0.0.1:PORT.")] = None,
    credential: Annotated[str | None, typer.Option(help="The name with which a SIP phone authenticates.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Places a rehearsal call against a running service, signed and timed as a carrier would."""
    logs.configure(level="WARNING")
    plan = rehearse_call.Plan(to, from_, keys, tuple(say or ()), record, url, credential)
    run(rehearse_call.run(load(), plan, out, as_json=as_json))


@app.command()
def bench(
    calls: Annotated[
        str | None, typer.Option(help="How many calls at once, one run each (1,20,100,200); with --scale: ever.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long each run is measured.")] = 20.0,
    audio: Annotated[str, typer.Option(help="What the model is asked for: pcm or pcmu.")] = "pcm",
    scale: Annotated[
        bool, typer.Option("--scale", help="Measure the database instead, with millions of calls.")
    ] = False,
    learners: Annotated[int | None, typer.Option(help="With --scale: how many there are (150000).")] = None,
    seed: Annotated[int | None, typer.Option(help="With --scale: other people.")] = None,
    until: Annotated[str | None, typer.Option(help="With --scale: its moment, in ISO 8601.")] = None,
    data: Annotated[Path | None, typer.Option(help="With --scale: keep the database here, and use it again.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the page in docs/ anew.")] = False,
) -> None:
    """Measures what a call costs on this machine, beside a relay that does nothing; or what the database answers."""
    kept = data.absolute() if data is not None else None
    wanted = {"--learners": learners, "--seed": seed, "--until": until, "--data": kept}
    given = [part for name, value in wanted.items() if value is not None for part in (name, str(value))]
    if given and not scale:
        raise Trouble(f"{given[0]} is for the database: add --scale.")
    try:
        if scale:
            given += ["--calls", calls] if calls is not None else []
            raise SystemExit(benchmark.scale(given, write=write))
        raise SystemExit(benchmark.run(calls or "1,20,100,200", seconds, audio, write=write))
    except benchmark.NotACheckout as error:
        raise Trouble(str(error)) from error


# --- schools and lines


@school_app.command("add")
def school_add(
    name: str, timezone: Annotated[str, typer.Option(help="An IANA name such as America/Puerto_Rico.")] = "UTC"
) -> None:
    """Adds a school."""
    name = name.strip()
    if not name:
        raise Trouble('A school needs a name, by which commands find it: such as `ringua school add "Colegio Sol"`.')

    async def work() -> None:
        async with storage.opened(load()) as data, data.database.anyone() as session:
            try:
                await school_rows.create(session, name, timezone)
            except ZoneInfoNotFoundError as error:
                raise Trouble(f"There is no time zone {timezone}: use a name such as Europe/Madrid.") from error
            except SchoolExists as error:
                raise Trouble(f"There is a school named {name} already.") from error
        out.print(f"Added {name}.")

    run(work())


@school_app.command("list")
def school_list() -> None:
    """Lists the schools."""

    async def work() -> None:
        async with storage.opened(load()) as data, data.database.anyone() as session:
            table = Table("School", "Time zone")
            for school in await school_rows.all(session):
                table.add_row(school.name, school.timezone)
        out.print(table)

    run(work())


SchoolOption = Annotated[str, typer.Option(help="The school that owns the line.")]
NativeOption = Annotated[str | None, typer.Option(help="The callers' own language, such as en.")]
TargetOption = Annotated[str | None, typer.Option(help="The language they learn, such as es or es-MX.")]
NativesOption = Annotated[
    str | None, typer.Option(help="All languages callers may speak, comma-separated; they are asked which. none: one.")
]
TargetsOption = Annotated[
    str | None, typer.Option(help="All languages to practise, comma-separated; callers are asked which. none: one.")
]
LevelOption = Annotated[str | None, typer.Option(help="CEFR level, A1 to C2.")]
PromptOption = Annotated[Path | None, typer.Option(help="A file with this week's words and grammar.")]
ScenariosOption = Annotated[str | None, typer.Option(help="Scenes in the menu's order, comma-separated.")]
ModelOption = Annotated[str | None, typer.Option(help="Another realtime model for this line.")]
OpenOption = Annotated[bool | None, typer.Option("--open/--closed", help="Whether the line takes calls.")]
TextsOption = Annotated[bool | None, typer.Option("--texts/--no-texts", help="Whether callers are offered texts.")]
OfflineOption = Annotated[
    bool | None, typer.Option("--offline/--no-offline", help="Whether callers may listen and repeat on a spent budget.")
]


@line_app.command("add")
def line_add(
    number: str,
    school: SchoolOption,
    native: NativeOption = None,
    target: TargetOption = None,
    natives: NativesOption = None,
    targets: TargetsOption = None,
    level: LevelOption = None,
    prompt: PromptOption = None,
    scenarios: ScenariosOption = None,
    model: ModelOption = None,
    open_: OpenOption = True,
    texts: TextsOption = None,
    offline: OfflineOption = None,
) -> None:
    """Adds a line. It takes calls once native, target, level, class prompt and scenes are all set."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            owner = await find_school(data, school)
            try:
                async with data.database.school(owner.id) as session:
                    shelf = await scenario_rows.catalogue(session, catalogue.load())
                    switches = {"open": open_, "texts": texts, "offline": offline}
                    settings = _line_settings(shelf, native, target, level, prompt, scenarios, model, switches)
                    settings |= cli_callers.line_languages(shelf, natives, targets, native=native, target=target)
                    added = await line_rows.add(
                        session, school_id=owner.id, number=e164(number), name=school, **settings
                    )
                    await _keep_version(session, added.id, owner.timezone, settings)
            except NumberTaken as error:
                raise Trouble(f"{error}.") from error
        missing = added.missing()
        out.print(
            f"Added {added.number}. It takes no calls yet: {', '.join(missing)} not set."
            if missing
            else f"Added {added.number}; it takes calls."
        )

    run(work())


@line_app.command("set")
def line_set(
    number: str,
    native: NativeOption = None,
    target: TargetOption = None,
    natives: NativesOption = None,
    targets: TargetsOption = None,
    level: LevelOption = None,
    prompt: PromptOption = None,
    scenarios: ScenariosOption = None,
    model: ModelOption = None,
    open_: OpenOption = None,
    texts: TextsOption = None,
    offline: OfflineOption = None,
) -> None:
    """Changes what is given of a line; the rest stays."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_line(data, number)
            async with data.database.school(found.school_id) as session:
                shelf = await scenario_rows.catalogue(session, catalogue.load())
                switches = {"open": open_, "texts": texts, "offline": offline}
                settings = _line_settings(shelf, native, target, level, prompt, scenarios, model, switches)
                settings |= cli_callers.line_languages(
                    shelf,
                    natives,
                    targets,
                    native=native or found.native,
                    target=target or found.target,
                    before=(found.natives, found.targets),
                )
                await _keep_version(session, found.id, found.school_timezone, settings)
                await line_rows.update(session, found.id, **settings)
        out.print(f"Changed {found.number}.")

    run(work())


@line_app.command("list")
def line_list() -> None:
    """Lists every school's lines."""

    async def work() -> None:
        table = Table(Column("Number", no_wrap=True), "School", "Native", "Target", "Level", "Scenes", "Takes calls")
        async with storage.opened(load()) as data:
            async with data.database.anyone() as session:
                schools = await school_rows.all(session)
            for school in schools:
                async with data.database.school(school.id) as session:
                    for line in await line_rows.list_all(session):
                        missing = line.missing()
                        takes = "yes" if line.live else f"no: {', '.join(missing)} not set" if missing else "closed"
                        table.add_row(
                            line.number,
                            school.name,
                            line.native or "-",
                            line.target or "-",
                            line.level or "-",
                            ", ".join(line.scenarios) or "-",
                            takes,
                        )
        out.print(table)

    run(work())


@line_app.command("show")
def line_show(number: str) -> None:
    """Shows everything about a line."""

    async def work() -> None:
        async with storage.opened(load()) as data:
            found = await find_line(data, number)
            now = await inspecting.material_now(data, found)
            async with data.database.school(found.school_id) as session:
                line = await line_rows.get(session, found.id)
        table = Table(show_header=False)
        missing = ", ".join(found.missing())
        rows = {
            "number": found.number,
            "school": found.school_name,
            "takes calls": "yes" if found.live else f"no: {missing} not set" if missing else "closed",
            "native": found.native,
            "target": found.target,
            "callers may speak": ", ".join(found.natives) or None,
            "can be practised": ", ".join(found.targets) or None,
            "level": found.level,
            "scenes": ", ".join(found.scenarios),
            "model": found.model or "the service's",
            "texts": "offered" if found.texts else "off",
            "on a spent budget": "listen and repeat" if line is not None and line.offline else "call again later",
            "class prompt": found.class_prompt if now.version is None else None,
        }
        if now.version is not None and now.prompt is not None:
            rows["class prompt"] = f"version {now.version}\n{inspecting.written(now.prompt)}"
        for name, value in rows.items():
            table.add_row(name, Text(value or "-"))
        out.print(table)

    run(work())


async def _keep_version(session: AsyncSession, line_id: UUID, timezone: str, settings: dict[str, Any]) -> None:
    """A standing text is a version too, from today on: a call that is taken up again keeps the one it began with."""
    if "class_prompt" in settings:
        today = class_prompts.day_in(timezone, datetime.now(UTC))
        await class_prompts.add(session, line_id, ClassPrompt.parse(settings["class_prompt"]), starts_on=today)


def _line_settings(
    shelf: Catalogue,
    native: str | None,
    target: str | None,
    level: str | None,
    prompt: Path | None,
    scenarios: str | None,
    model: str | None,
    switches: Mapping[str, bool | None],
) -> dict[str, Any]:
    """What was given, checked against the catalogue."""
    given: dict[str, Any] = {name: on for name, on in switches.items() if on is not None}
    try:
        if native is not None:
            given["native"] = language_tag(shelf, native, "native")
        if target is not None:
            given["target"] = language_tag(shelf, target, "target")
        if level is not None:
            given["level"] = level_name(shelf, level)
        if scenarios is not None:
            given["scenarios"] = [shelf.scenario(name.strip()).id for name in scenarios.split(",") if name.strip()]
        if prompt is not None:
            text = prompt.read_text("utf-8")
            ClassPrompt.parse(text)
            given["class_prompt"] = text
    except (CatalogueError, ClassPromptError) as error:
        raise Trouble(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(f"The file {prompt} cannot be read: {error}.") from error
    if model is not None:
        given["model"] = model
    return given
