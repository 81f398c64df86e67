"""The tables, as Python sees them. Migrations make them; a test proves that both agree.

Every table with a ``school_id`` is bound by row-level security, and its references carry the school with them, so that
a row can never point into another school. Times are aware UTC, money is integer micro-dollars.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Protocol
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Maps plain Python types to the Postgres types this house uses."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text(),
        bytes: BYTEA(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
        list[str]: ARRAY(Text()),
        list[bytes]: ARRAY(BYTEA()),
    }


_NOW = text("now()")
_EMPTY = text("'{}'")
_FALSE = text("false")
_TRUE = text("true")
_ZERO = text("0")


class School(Base):
    """A school: the tenant that owns lines, learners and calls."""

    __tablename__ = "schools"
    __table_args__ = (
        CheckConstraint(
            "quiet_from_h BETWEEN 0 AND 23 AND quiet_kids_from_h BETWEEN 0 AND 23 AND quiet_until_h BETWEEN 0 AND 23",
            name="schools_quiet",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    timezone: Mapped[str]
    """An IANA name, such as ``Europe/Madrid``."""
    quiet_from_h: Mapped[int] = mapped_column(server_default=text("20"), default=20)
    """No text messages from this hour of the school's clocks, on lines for children from the next one ..."""
    quiet_kids_from_h: Mapped[int] = mapped_column(server_default=text("18"), default=18)
    quiet_until_h: Mapped[int] = mapped_column(server_default=text("8"), default=8)
    """... to this one; equal hours are no quiet time at all."""
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class LineSettings(Protocol):
    """What a line must have before it may take calls."""

    @property
    def native(self) -> str | None: ...
    @property
    def target(self) -> str | None: ...
    @property
    def level(self) -> str | None: ...
    @property
    def class_prompt(self) -> str | None: ...
    @property
    def scenarios(self) -> list[str]: ...


def missing_settings(line: LineSettings) -> list[str]:
    """The names of what is not set, in the order in which a person would set it."""
    values = {
        "native": line.native,
        "target": line.target,
        "level": line.level,
        "class_prompt": line.class_prompt,
        "scenarios": line.scenarios,
    }
    return [name for name, value in values.items() if not value]


class Line(Base):
    """A telephone number and what is practised on it."""

    __tablename__ = "lines"
    __table_args__ = (
        UniqueConstraint("school_id", "id"),
        CheckConstraint("minors IN ('none', '13+', 'under13')", name="lines_minors"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    number: Mapped[str] = mapped_column(unique=True)
    """E.164, unique among all schools."""
    name: Mapped[str]
    native: Mapped[str | None]
    target: Mapped[str | None]
    level: Mapped[str | None]
    class_prompt: Mapped[str | None]
    scenarios: Mapped[list[str]] = mapped_column(server_default=_EMPTY, default=list)
    open: Mapped[bool] = mapped_column(server_default=_FALSE, default=False)
    model: Mapped[str | None]
    texts: Mapped[bool] = mapped_column(server_default=_TRUE, default=True)
    """Whether callers are offered, and sent, text messages."""
    offline: Mapped[bool] = mapped_column(server_default=_TRUE, default=True)
    """Whether callers may listen and repeat when a budget is spent, which costs the carrier's minutes."""
    helpline: Mapped[str | None]
    """Whom a caller in need can ring, as it is read aloud: "988"."""
    safeguarding_number: Mapped[bytes | None]
    """The school's safeguarding contact, E.164, encrypted; gets a text about calls that people must look at."""
    minors: Mapped[str] = mapped_column(server_default=text("'none'"), default="none")
    """The youngest callers: ``none``, ``13+`` or ``under13``."""
    kids: Mapped[bool] = mapped_column(server_default=_FALSE, default=False)
    """Children's mode."""
    natives: Mapped[list[str]] = mapped_column(server_default=_EMPTY, default=list)
    """Languages that callers may be spoken to in; empty: only ``native``."""
    targets: Mapped[list[str]] = mapped_column(server_default=_EMPTY, default=list)
    """Languages that can be practised; empty: only ``target``."""
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)

    def missing(self) -> list[str]:
        """The names of what is not set: native, target, level, class_prompt, scenarios."""
        return missing_settings(self)

    @property
    def live(self) -> bool:
        """Whether calls are taken: open, and nothing missing."""
        return self.open and not self.missing()

    @property
    def for_children(self) -> bool:
        """Whether its callers are children: in words and scenes for them, and their families' texts come earlier."""
        return self.kids or self.minors == "under13"

    @property
    def for_minors(self) -> bool:
        """Whether its callers may be under age: no text goes to their own telephones, and they are not asked."""
        return self.kids or self.minors != "none"


class CarrierAccount(Base):
    """An account at a carrier, whose signatures we accept and whose REST interface we use."""

    __tablename__ = "carrier_accounts"
    __table_args__ = (CheckConstraint("kind IN ('twilio', 'rehearsal')", name="carrier_accounts_kind"),)

    sid: Mapped[str] = mapped_column(primary_key=True)
    school_id: Mapped[UUID | None] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    """None: the service's own account, shared by all schools."""
    kind: Mapped[str]
    tokens: Mapped[list[bytes]]
    """Encrypted; the current one first, during a rotation the other one after it."""
    rest_base: Mapped[str]
    expires_at: Mapped[datetime | None]


class Learner(Base):
    """Someone who practises. The name is optional, the telephone number lives in CallerIdentity."""

    __tablename__ = "learners"
    __table_args__ = (UniqueConstraint("school_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    native: Mapped[str]
    target: Mapped[str]
    level: Mapped[str]
    first_name: Mapped[str | None]
    settings: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY, default=dict)
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    heard_at: Mapped[datetime | None]
    """When they called last, of the calls that no longer say whose they were (``db.retention``)."""


class CallerIdentity(Base):
    """A telephone number, or a SIP phone's name, by which a learner is recognised; several learners may share one."""

    __tablename__ = "caller_identities"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="CASCADE"),
        UniqueConstraint("school_id", "number_hash", "learner_id"),
        Index("caller_identities_learner", "learner_id"),
        Index("caller_identities_messaged", "number_hash", postgresql_where=text("number_encrypted IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    learner_id: Mapped[UUID]
    number_hash: Mapped[bytes]
    last_two: Mapped[str]
    """Of the number; empty for a SIP phone, whose name is kept nowhere."""
    number_encrypted: Mapped[bytes | None]
    """Present only while a message may be sent to the number."""


class Call(Base):
    """One telephone call, from the first webhook to its end. A row per carrier call, whatever happens in between."""

    __tablename__ = "calls"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "line_id"], ["lines.school_id", "lines.id"]),
        # A learner who is forgotten leaves the call's time and cost behind, without identity.
        ForeignKeyConstraint(
            ["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="SET NULL (learner_id)"
        ),
        ForeignKeyConstraint(
            ["school_id", "began_in"], ["calls.school_id", "calls.id"], ondelete="SET NULL (began_in)"
        ),
        UniqueConstraint("school_id", "id"),
        CheckConstraint("state IN ('menu', 'connecting', 'live', 'after', 'closed')", name="calls_state"),
        Index("calls_open_heartbeat", "heartbeat_at", postgresql_where=text("state <> 'closed'")),
        Index(
            "calls_started",
            "school_id",
            "started_at",
            postgresql_include=["connected_at", "ended_at", "heartbeat_at", "end_reason"],
        ),
        Index(
            "calls_line_started",
            "line_id",
            "school_id",
            "started_at",
            postgresql_include=[
                *("connected_at", "ended_at", "heartbeat_at", "end_reason"),
                *("id", "learner_id", "caller_hash", "scenario", "completed"),
            ],
        ),
        Index("calls_learner_started", "learner_id", "school_id", "started_at"),
        Index("calls_began_in", "began_in", "started_at", postgresql_where=text("began_in IS NOT NULL")),
        Index("calls_caller_started", "caller_hash", "started_at", postgresql_where=text("caller_hash IS NOT NULL")),
        CheckConstraint("kept IN ('words', 'figures', 'cost')", name="calls_kept"),
        Index("calls_with_words", "school_id", "ended_at", postgresql_where=text("kept = 'words'")),
        Index(
            "calls_without_scene",
            "school_id",
            "ended_at",
            postgresql_where=text("kept = 'words' AND scenario IS NULL"),
        ),
        Index("calls_with_figures", "school_id", "ended_at", postgresql_where=text("kept <> 'cost'")),
        Index(
            "calls_with_resume",
            "school_id",
            "ended_at",
            postgresql_where=text("resume IS NOT NULL AND state = 'closed'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    line_id: Mapped[UUID]
    learner_id: Mapped[UUID | None]
    """None: a guest."""
    carrier_sid: Mapped[str] = mapped_column(unique=True)
    account_sid: Mapped[str]
    caller_hash: Mapped[bytes | None]
    """None: the number was withheld."""
    state: Mapped[str] = mapped_column(server_default=text("'menu'"))
    menu: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY, default=dict)
    step: Mapped[int] = mapped_column(server_default=_ZERO, default=0)
    """Counts the menu's answers: a repeated webhook finds another step and changes nothing."""
    scenario: Mapped[str | None]
    level: Mapped[str | None]
    class_prompt_version: Mapped[int | None]
    """The version of the class's material that was live when the call began; None: the line's standing text."""
    streams: Mapped[int] = mapped_column(server_default=_ZERO, default=0)
    """How many media streams the call has had; the last one owns it."""
    started_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    connected_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]
    completed: Mapped[bool] = mapped_column(server_default=_FALSE, default=False)
    """Whether the scenario's goals were reached, by its own rule of success."""
    carrier_status: Mapped[str | None]
    carrier_sequence: Mapped[int] = mapped_column(server_default=text("-1"), default=-1)
    carrier_s: Mapped[int | None]
    """How long the carrier says the call was, in seconds; None: it has not said so yet."""
    cost_micro_usd: Mapped[int | None] = mapped_column(BigInteger)
    cost_complete: Mapped[bool] = mapped_column(server_default=_FALSE, default=False)
    usage: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY, default=dict)
    resume: Mapped[dict[str, Any] | None]
    """What another process needs to go on with the conversation; gone once the call has ended well."""
    began_in: Mapped[UUID | None]
    """The call in which the scene began, where this one went on with it (``db.chains``); None: here."""
    kept: Mapped[str] = mapped_column(server_default=text("'words'"), default="words")
    """What is left of the call: its words too, figures only, or time and cost (``db.stripping``)."""


class Turn(Base):
    """One turn as it was heard, in milliseconds from the start of the media; below zero: in the call gone on with."""

    __tablename__ = "turns"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "call_id"], ["calls.school_id", "calls.id"], ondelete="CASCADE"),
        UniqueConstraint("call_id", "ordinal"),
        CheckConstraint("speaker IN ('role', 'learner', 'helper')", name="turns_speaker"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    call_id: Mapped[UUID]
    ordinal: Mapped[int]
    speaker: Mapped[str]
    item_id: Mapped[str | None]
    text: Mapped[str | None]
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    cut: Mapped[bool] = mapped_column(server_default=_FALSE, default=False)


class CallEvent(Base):
    """Something else that happened in a call: a key, a hint, a goal, a fault."""

    __tablename__ = "call_events"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "call_id"], ["calls.school_id", "calls.id"], ondelete="CASCADE"),
        UniqueConstraint("call_id", "ordinal"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    call_id: Mapped[UUID]
    ordinal: Mapped[int]
    at_ms: Mapped[int]
    kind: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(server_default=_EMPTY, default=dict)


class Token(Base):
    """A one-use right to open the media of one call; only its hash is kept."""

    __tablename__ = "tokens"
    __table_args__ = (Index("tokens_expiry", "school_id", "expires_at"),)

    hash: Mapped[bytes] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    carrier_sid: Mapped[str]
    payload: Mapped[dict[str, Any]]
    expires_at: Mapped[datetime]


class Clip(Base):
    """A fixed phrase as telephone audio. Without a school it is shared by all."""

    __tablename__ = "clips"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    school_id: Mapped[UUID | None] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    text: Mapped[str]
    language: Mapped[str]
    voice: Mapped[str]
    speed: Mapped[float]
    ulaw: Mapped[bytes]
    """G.711 µ-law at 8 kHz: 8 bytes are 1 ms."""
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Debrief(Base):
    """What a learner takes away from a call; one a call, written once."""

    __tablename__ = "debriefs"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "call_id"], ["calls.school_id", "calls.id"], ondelete="CASCADE"),
    )

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    content: Mapped[dict[str, Any]]
    source: Mapped[str]
    """Who wrote it, such as a model or our own rules."""
    model: Mapped[str | None]
    cost_micro_usd: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Message(Base):
    """One text message to a learner, or to a school's safeguarding contact, written before the carrier hears of it."""

    __tablename__ = "messages"
    __table_args__ = (
        ForeignKeyConstraint(["school_id", "call_id"], ["calls.school_id", "calls.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["school_id", "learner_id"], ["learners.school_id", "learners.id"], ondelete="CASCADE"),
        CheckConstraint(
            "state IN ('new', 'sending', 'unknown', 'sent', 'delivered', 'failed', 'suppressed')", name="messages_state"
        ),
        CheckConstraint("learner_id IS NOT NULL OR kind = 'safeguarding'", name="messages_recipient"),
        Index("messages_call", "call_id"),
        Index("messages_learner", "learner_id"),
        Index("messages_number", "number_hash", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    call_id: Mapped[UUID]
    learner_id: Mapped[UUID | None]
    """None: it goes to the safeguarding contact of the sender's line."""
    account_sid: Mapped[str]
    """The carrier account of the call."""
    sender: Mapped[str]
    """The line's number, E.164."""
    kind: Mapped[str]
    key: Mapped[str] = mapped_column(unique=True)
    """What the message is for (``debrief:<call id>``): there is never a second one."""
    body: Mapped[str]
    number_hash: Mapped[bytes]
    """The recipient; the number itself is in CallerIdentity as long as consent stands."""
    state: Mapped[str] = mapped_column(server_default=text("'new'"))
    """``new`` and ``sending`` are ours; ``unknown``: the carrier may have taken it; ``sent``: it has."""
    carrier_sid: Mapped[str | None] = mapped_column(unique=True)
    status_rank: Mapped[int] = mapped_column(server_default=_ZERO, default=0)
    """How far the carrier's reports have got; they come twice and out of order."""
    error_code: Mapped[int | None]
    attempts: Mapped[int] = mapped_column(server_default=_ZERO, default=0)
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    attempted_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]


class Consent(Base):
    """A caller's answer to the question whether texts may come. One is current per number and school."""

    __tablename__ = "consents"
    __table_args__ = (
        CheckConstraint("kind IN ('sms', 'audio')", name="consents_kind"),
        Index(
            "consents_current",
            "school_id",
            "number_hash",
            "kind",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("consents_number", "number_hash"),
        Index("consents_carrier", "carrier_sid"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    number_hash: Mapped[bytes]
    kind: Mapped[str]
    given: Mapped[bool]
    asked_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    carrier_sid: Mapped[str]
    """The call, or the text message, in which it was given."""
    wording: Mapped[str]
    """The version of the sentence that asked."""
    ended_at: Mapped[datetime | None]


class OptOut(Base):
    """A number that must get no text from any school. Closed: only functions of ``db.consents`` reach it."""

    __tablename__ = "opt_outs"

    number_hash: Mapped[bytes] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=_NOW)
    source: Mapped[str]


class TextReceived(Base):
    """A text message that reached us, by its carrier's identifier alone, so that a repeated webhook does nothing; and
    that a number was told what this is, by a digest that is another one each day."""

    __tablename__ = "texts_received"
    __table_args__ = (Index("texts_received_at", "at"),)

    carrier_sid: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=_NOW)


class SenderBlock(Base):
    """A sender, or with an empty ``sender`` a whole account, that the carrier lets send nothing as it is set up."""

    __tablename__ = "sender_blocks"

    account_sid: Mapped[str] = mapped_column(primary_key=True)
    sender: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[int]
    at: Mapped[datetime] = mapped_column(server_default=_NOW)
