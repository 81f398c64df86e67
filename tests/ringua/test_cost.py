"""What practice costs, as an operator sees it; the page about it; and who is told when a budget fills up."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_string
from email.policy import default as email_policy
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import structlog
from sqlalchemy import select
from typer.testing import CliRunner, Result

from db import budgets, calls, learners, ledger, limits, lines, schools, staff
from db.engine import Database
from db.ledger import NewEntry
from db.limits import Payer
from db.models_money import BudgetAlert
from ringua import costs
from ringua.cli import Trouble, app
from ringua.jobs.budget import tell_budget
from ringua.mail import Mail, MailFailed
from ringua.settings import SettingsError, load

PAGE = Path(__file__).parent.parent.parent / "docs" / "costs.md"
SECRET = "only-for-tests-only-for-tests-only-for-tests"
SOL = "Colegio Sol"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> Iterator[None]:
    """The test's own database; wide output."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("RINGUA_SECRET_KEY", SECRET)
    monkeypatch.setenv("RINGUA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("SMTP_URL", raising=False)
    yield
    structlog.reset_defaults()


def ringua(*arguments: str) -> Result:
    """Runs a command."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, Trouble), result.output
    return result


def trouble(*arguments: str) -> str:
    """Runs a command that cannot succeed; returns the sentence it is refused with."""
    result = ringua(*arguments)
    assert isinstance(result.exception, Trouble), result.output
    return str(result.exception)


# --- the page


@pytest.mark.parametrize("table", [costs.estimate_table, costs.call_table, costs.plan_table])
def test_the_page_s_tables_are_the_program_s(table: object) -> None:
    """A new price file makes this fail until docs/costs.md says what is true."""
    assert callable(table)
    assert str(table()) in PAGE.read_text("utf-8")


def test_the_page_s_sentences_are_the_program_s() -> None:
    """Every figure in a sentence is worked out anew, however the lines are broken."""
    page = " ".join(PAGE.read_text("utf-8").split())
    for sentence in costs.sentences():
        assert sentence in page


def test_the_page_names_only_commands_that_there_are() -> None:
    """Each `ringua` command of the page is understood, whatever it finds."""
    for line in re.findall(r"^\./run ringua (.+)$", PAGE.read_text("utf-8"), re.MULTILINE):
        words = line.partition("#")[0].replace('"Colegio Sol"', "Sol").split()
        assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0, line


# --- plans


def test_a_plan_is_projected_with_its_assumptions() -> None:
    """Both models, from a minute to a year, and what was taken for granted."""
    shown = ringua("cost", "--plan", "272x15x20").output
    for text in ("gpt-realtime-2.1-mini", "803 to 1,267", "6,436 to 10,151", "Prices as of 2026-11-20", "90%"):
        assert text in shown


def test_a_plan_as_json_adds_up() -> None:
    """Students times a student's month is the month; its twelve times the year."""
    plan = json.loads(ringua("cost", "--plan", "100x10x18", "--json").output)
    assert (plan["students"], plan["minutes_a_day"], plan["days_a_month"]) == (100, 10, 18)
    for model in plan["models"]:
        for end in (0, 1):
            assert model["per_month"][end] == pytest.approx(100 * model["per_student_month"][end], abs=1)
            assert model["per_year"][end] == pytest.approx(12 * model["per_month"][end], abs=0.1)
            assert model["per_student_month"][end] == pytest.approx(180 * model["per_minute"][end], rel=0.01)


def test_a_plan_without_a_carrier_s_price_says_so() -> None:
    """A number in a country that the price file does not have is left out, not taken for free."""
    assert "no price for +34" in ringua("cost", "--plan", "10x10x10", "--number", "+34").output
    plan = json.loads(ringua("cost", "--plan", "10x10x10", "--number", "+34", "--json").output)
    assert {model["carrier_priced"] for model in plan["models"]} == {False}


@pytest.mark.parametrize(
    ("plan", "length"),
    [
        ("272x15x20", "Calls take 10 minutes;"),
        ("272x5x20", "Calls take 5 minutes;"),
        ("272x1x20", "Calls take a minute;"),
    ],
)
def test_a_plan_says_how_long_its_calls_are(plan: str, length: str) -> None:
    """Ten minutes, or the day's where those are fewer: what is reckoned with, to people and to programs."""
    assert length in ringua("cost", "--plan", plan).output
    assert any(length in said for said in json.loads(ringua("cost", "--plan", plan, "--json").output)["assumptions"])


def test_what_is_no_plan_is_refused() -> None:
    """With a sentence that shows one; a number begins with + and digits."""
    assert "272x15x20" in trouble("cost", "--plan", "many")
    for number in ("foo", "34", "+", "+1x", "+01"):
        assert f"{number} is no beginning of a number" in trouble("cost", "--plan", "272x15x20", "--number", number)
    assert ringua("cost", "--plan", "272x15x20", "--number", "+1 787").exit_code == 0


# --- what was spent


async def spent_a_little(database: Database) -> tuple[UUID, UUID]:
    """A school whose learner has called, and who paid for what; its id and the learner's."""
    async with database.anyone() as session:
        school_id = await schools.create(session, SOL, "America/Puerto_Rico")
    async with database.school(school_id) as session:
        line = await lines.add(session, school_id=school_id, number="+17875550100", name="A1")
        learner = await learners.create_with_number(
            session,
            school_id=school_id,
            number_hash=b"hash",
            last_two="42",
            native="en",
            target="es",
            level="A1",
        )
        call = await calls.open_call(
            session,
            school_id=school_id,
            line_id=line.id,
            carrier_sid="CA1",
            account_sid="AC1",
            max_calls=9,
            learner_id=learner.id,
        )
        await calls.connected(session, call.id)
        used = {"text_in": 1_000, "audio_in": 300, "text_out": 20, "audio_out": 180}
        await ledger.book(
            session,
            Payer(school_id, line.id, learner.id, call.id),
            [
                NewEntry("response", "a", 1_250_000, 1_250_000, used),
                NewEntry("carrier_minutes", "b", None, 30_000, {"minutes": 1}),
            ],
        )
        await ledger.book(session, Payer(school_id), [NewEntry("message", "c", 24_600, 24_600, {"segments": 2})])
    return school_id, learner.id


def test_costs_are_shown_by_school_kind_and_learner(database_url: str) -> None:
    """Money, what of it is unknown, calls, minutes; a learner is an id, never a name or a number."""
    assert "no school yet" in ringua("cost").output

    async def fill() -> UUID:
        database = await Database.connect(database_url)
        _, learner = await spent_a_little(database)
        await database.close()
        return learner

    learner = asyncio.run(fill())
    assert "1.27 + 1 unknown (at most 0.03)" in ringua("cost").output
    shown = ringua("cost", "--school", SOL).output
    for text in ("response", "carrier minutes", "1.25", str(learner), "guests"):
        assert text in shown
    (found,) = json.loads(ringua("cost", "--school", SOL, "--json").output)
    assert found["today"]["usd"] == pytest.approx(1.2746)
    assert (found["today"]["tokens"], found["today"]["calls"]) == (1_500, 1)
    for parts in (found["by_kind"], found["by_learner"]):
        assert sum(part["usd"] for part in parts) == pytest.approx(found["total"]["usd"])
        assert sum(part["unknown_entries"] for part in parts) == found["total"]["unknown_entries"] == 1
    assert "no school named" in trouble("cost", "--school", "North")


# --- budgets


def test_a_budget_is_set_listed_and_removed() -> None:
    """The way of an operator, with what is used of each; the half hour a day is shown until it is changed."""
    ringua("school", "add", SOL)
    ringua("line", "add", "+17875550100", "--school", SOL)
    assert "30 min" in ringua("budget", "list", SOL).output
    for given in (
        ("--usd", "100"),
        ("--usd", "1500", "--period", "month"),
        ("--usd", "20", "--per", "line", "--line", "+17875550100"),
        ("--usd", "2", "--per", "call"),
        ("--minutes", "20", "--per", "learner"),
    ):
        assert "Set." in ringua("budget", "set", SOL, *given).output
    shown = ringua("budget", "list", SOL).output
    for text in ("100.00 USD", "1,500.00 USD", "+17875550100", "2.00 USD", "20 min", "0.00 USD"):
        assert text in shown
    assert "the default" not in shown
    ids = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", shown)
    assert len(ids) == 5
    assert ringua("budget", "remove", SOL, ids[0]).output == "Removed.\n"
    assert "no limit" in trouble("budget", "remove", SOL, ids[0])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((), "--usd or --minutes"),
        (("--usd", "1", "--minutes", "1"), "--usd or --minutes"),
        (("--usd", "0"), "above 0"),
        (("--usd", "nan"), "nan is no amount"),
        (("--usd", "-inf"), "-inf is no amount"),
        (("--usd", "1e308"), "is no amount"),
        (("--minutes", "inf"), "inf is no amount"),
        (("--usd", "1", "--per", "class"), "school, line, learner, call"),
        (("--usd", "1", "--period", "week"), "day, month, call"),
        (("--usd", "1", "--line", "+17875550100"), "scope line or call"),
        (("--usd", "1", "--per", "learner", "--learner", "Ana"), "no learner's id"),
        (("--usd", "1", "--per", "learner", "--learner", str(UUID(int=7))), "has no learner"),
        (("--usd", "1", "--per", "line", "--line", "+17875550199"), "no line"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(given: tuple[str, ...], says: str) -> None:
    """Each with one sentence."""
    ringua("school", "add", SOL)
    ringua("line", "add", "+17875550100", "--school", SOL)
    assert says in trouble("budget", "set", SOL, *given)


def test_another_school_s_line_is_refused() -> None:
    """A limit is for a line of the school itself."""
    for name, number in ((SOL, "+17875550100"), ("North", "+17875550101")):
        ringua("school", "add", name)
        ringua("line", "add", number, "--school", name)
    assert "no line of Colegio Sol" in trouble(
        "budget", "set", SOL, "--usd", "1", "--per", "line", "--line", "+17875550101"
    )


# --- who is told


@dataclass
class Postbox:
    """A mail server on this machine that keeps what it is given; ``refuse`` makes it take nothing."""

    port: int = 0
    refuse: bool = False
    taken: list[tuple[list[str], str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One conversation, as RFC 5321 has it, as far as a client without extensions goes."""
        to: list[str] = []
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode().strip():
            verb = line.split(" ", 1)[0].upper()
            if verb == "RCPT":
                to.append(line.split(":", 1)[1].strip().strip("<>"))
            if verb == "DATA":
                writer.write(b"354 go on\r\n")
                body = (await reader.readuntil(b"\r\n.\r\n")).decode()
                self.taken.append((to, body))
            answer = {"QUIT": b"221 bye\r\n", "MAIL": b"554 no\r\n" if self.refuse else b"250 ok\r\n"}
            writer.write(answer.get(verb, b"250 ok\r\n"))
            await writer.drain()
            if verb == "QUIT":
                break
        writer.close()

    @property
    def mail(self) -> Mail:
        """The client's side."""
        return Mail.parse(f"smtp://127.0.0.1:{self.port}?from=line@example.org")


@asynccontextmanager
async def postbox() -> AsyncIterator[Postbox]:
    """A running mail server."""
    box = Postbox()
    server = await asyncio.start_server(box.serve, "127.0.0.1")
    box.port = server.sockets[0].getsockname()[1]
    async with server:
        yield box


async def filled(database: Database, school_id: UUID, micro_usd: int) -> int:
    """A budget of a dollar a day of which so much is spent; its day's id."""
    async with database.school(school_id) as session:
        await limits.put(session, school_id=school_id, scope="school", period="day", unit="micro_usd", amount=1_000_000)
        payer, at = Payer(school_id), datetime.now(UTC)
        (period,) = await budgets.ready(session, payer, await limits.holding_for(session, payer, at))
        await ledger.book(session, payer, [NewEntry("response", "x", micro_usd, micro_usd)], at=at)
    return period


async def told_at(database: Database, school_id: UUID) -> dict[int, bool]:
    """Which percentages were told of."""
    async with database.school(school_id) as session:
        return {one.percent: one.told_at is not None for one in await session.scalars(select(BudgetAlert))}


async def test_a_school_is_told_by_mail_once(database: Database) -> None:
    """Owners and teachers, of the highest that was reached; the lower ones count as told, a second run sends none."""
    async with database.anyone() as session:
        school_id = await schools.create(session, SOL, "America/Puerto_Rico")
    async with database.school(school_id) as session:
        for name, role in (("ana", "owner"), ("luis", "teacher"), ("eva", "viewer")):
            assert role in staff.ROLES
            await staff.add(session, school_id, name=name, email=f"{name}@example.org", role=role)
    period = await filled(database, school_id, 930_000)
    async with postbox() as box:
        for _ in range(2):
            await tell_budget(database, box.mail, school_id=school_id, period_id=period, percent=90)
        ((to, text),) = box.taken
    assert to == ["ana@example.org", "luis@example.org"]
    mail = message_from_string(text, policy=email_policy)
    assert str(mail["Subject"]).startswith(f"{SOL}: 90 % of the budget for ")
    assert "0.93 spent" in mail.get_content()
    assert await told_at(database, school_id) == {70: True, 90: True}


async def test_staff_of_the_command_line_get_the_mail(database: Database) -> None:
    """Whom an operator adds is told, but a viewer, and whoever was removed again is not."""

    async def told(*arguments: str) -> None:
        assert (await asyncio.to_thread(ringua, *arguments)).exit_code == 0

    await told("school", "add", SOL)
    for name, role in (("ana", "owner"), ("luis", "teacher"), ("eva", "viewer"), ("gone", "teacher")):
        await told("staff", "add", SOL, f"{name}@example.org", "--role", role)
    await told("staff", "remove", SOL, "gone@example.org")
    async with database.anyone() as session:
        school = await schools.by_name(session, SOL)
    assert school is not None
    period = await filled(database, school.id, 750_000)
    async with postbox() as box:
        await tell_budget(database, box.mail, school_id=school.id, period_id=period, percent=70)
        ((to, text),) = box.taken
    assert to == ["ana@example.org", "luis@example.org"]
    assert "70 % of the budget" in str(message_from_string(text, policy=email_policy)["Subject"])


@pytest.mark.parametrize("offline", [True, False], ids=["listen and repeat", "no calls"])
@pytest.mark.parametrize("percent", [70, 100])
async def test_the_mail_says_what_callers_hear(database: Database, offline: bool, percent: int) -> None:
    """That they may listen and repeat, what that costs and how it is ended; or, where no line offers it, only when to
    ring again. Before the budget is gone it says so of the time when it will be."""
    async with database.anyone() as session:
        school_id = await schools.create(session, SOL, "America/Puerto_Rico")
    async with database.school(school_id) as session:
        await staff.add(session, school_id, name="Ana", email="ana@example.org", role="owner")
        await lines.add(session, school_id=school_id, number="+17875550100", name="A1", offline=offline)
    period = await filled(database, school_id, percent * 10_000)
    async with postbox() as box:
        await tell_budget(database, box.mail, school_id=school_id, period_id=period, percent=percent)
        ((_, text),) = box.taken
    told = " ".join(message_from_string(text, policy=email_policy).get_content().split())
    assert ("can listen to phrases and repeat them" in told) == offline
    assert ("--no-offline" in told) == offline
    assert "ring again tomorrow" in told
    assert ("When all of it is used" in told) == (percent < 100)
    assert ("Calls that are going on are ended kindly." in told) == (percent == 100)


async def test_a_server_that_takes_no_mail_leaves_the_alert_open(database: Database) -> None:
    """The job fails and is tried again; the sentence names the setting and no address."""
    async with database.anyone() as session:
        school_id = await schools.create(session, SOL, "America/Puerto_Rico")
    async with database.school(school_id) as session:
        await staff.add(session, school_id, name="Ana", email="ana@example.org", role="owner")
    period = await filled(database, school_id, 750_000)
    async with postbox() as box:
        box.refuse = True
        with pytest.raises(MailFailed, match="check SMTP_URL") as refused:
            await tell_budget(database, box.mail, school_id=school_id, period_id=period, percent=70)
    assert "ana" not in str(refused.value)
    assert await told_at(database, school_id) == {70: False}


@pytest.mark.parametrize("with_server", [False, True], ids=["no server", "nobody to tell"])
async def test_without_mail_the_alert_is_in_the_log_and_stays_for_the_console(
    database: Database, with_server: bool
) -> None:
    """The row is there, not dated, and nothing is sent."""
    async with database.anyone() as session:
        school_id = await schools.create(session, SOL, "America/Puerto_Rico")
    period = await filled(database, school_id, 1_200_000)
    async with postbox() as box:
        with structlog.testing.capture_logs() as logged:
            mail = box.mail if with_server else None
            await tell_budget(database, mail, school_id=school_id, period_id=period, percent=100)
        assert box.taken == []
    assert [entry["event"] for entry in logged] == ["budget.reached"]
    assert await told_at(database, school_id) == {70: False, 90: False, 100: False}


async def test_an_alert_of_another_school_is_not_told(database: Database) -> None:
    """A job with the wrong school finds nothing."""
    async with database.anyone() as session:
        school_id = await schools.create(session, SOL, "America/Puerto_Rico")
        other = await schools.create(session, "North", "UTC")
    period = await filled(database, school_id, 1_200_000)
    async with postbox() as box:
        await tell_budget(database, box.mail, school_id=other, period_id=period, percent=100)
        await tell_budget(database, box.mail, school_id=uuid4(), period_id=period, percent=100)
        assert box.taken == []


def test_a_mail_server_is_read_from_its_address() -> None:
    """User, password and port as they are, or as is usual; the sender is named or is the user."""
    mail = Mail.parse("smtps://line%40example.org:p%3Ass@mail.example.org")
    assert (mail.host, mail.port, mail.encrypted) == ("mail.example.org", 465, True)
    assert (mail.user, mail.password, mail.sender) == ("line@example.org", "p:ss", "line@example.org")
    assert "p:ss" not in repr(mail)
    assert Mail.parse("smtp://mail.example.org?from=a@b.org").port == 587


@pytest.mark.parametrize("url", ["mail.example.org", "http://mail.example.org?from=a@b.org", "smtp://mail.example.org"])
def test_a_wrong_mail_server_stops_the_start(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sentence that names the setting, and not its value, which may hold a password."""
    monkeypatch.setenv("SMTP_URL", url)
    with pytest.raises(SettingsError, match="SMTP_URL is wrong: it") as refused:
        load()
    assert "(it is" not in str(refused.value)
