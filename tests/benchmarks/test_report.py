"""Verdicts, the page and the picture of the benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from benchmarks.bridge.report import judge, quiet, write
from benchmarks.bridge.run import Figures, SideBySide, Spread

GOOD = Spread(100, 0.2, 1.0, 3.0)
SERVICE = Figures("service", 100, 0.2, GOOD, GOOD, GOOD, GOOD, GOOD, 300_000.0, 0, 0, 0.3, 0.0)
RELAY = replace(SERVICE, subject="relay", cpu_s=0.15, heard_error=Spread.of([]))
BESIDE = SideBySide(50, 0.2, 0.16, 1.25)


def missed(*figures: Figures, beside: SideBySide | None = BESIDE, slack: float = 1.0) -> list[str]:
    """The sentences of what was missed."""
    return [verdict.sentence for verdict in judge(figures, beside, slack=slack) if not verdict.met]


def test_figures_within_the_design_meet_every_target() -> None:
    """All nine of them."""
    assert len(judge([RELAY, SERVICE], BESIDE)) == 9
    assert missed(RELAY, SERVICE) == []


def test_each_miss_says_what_was_measured_and_what_is_to_reach() -> None:
    """One sentence a target, in the design's own figures."""
    slow = replace(SERVICE, uplink=Spread(100, 0.7, 6.0, 9.0), pieces_wrong=1)
    assert missed(RELAY, slow, beside=replace(BESIDE, ratio=1.6)) == [
        "missed: CPU beside the relay 1.60 times, to reach 1.5, with 50 calls each.",
        "missed: caller to model, p50 0.70 ms, to reach 0.5, at 100 calls.",
        "missed: caller to model, p99 6.00 ms, to reach 5, at 100 calls.",
        "missed: audio lost or wrong 1.00 pieces, to reach 0, at 100 calls.",
    ]


def test_slack_widens_the_limits_but_never_excuses_lost_audio() -> None:
    """Tests on a busy machine allow ten times the delays."""
    slow = replace(SERVICE, uplink=Spread(100, 0.7, 6.0, 9.0), frames_lost=1)
    assert missed(RELAY, slow, slack=10) == ["missed: audio lost or wrong 1.00 pieces, to reach 0, at 100 calls."]


def test_a_figure_without_samples_is_a_miss() -> None:
    """Nothing measured is nothing met."""
    assert len(missed(RELAY, replace(SERVICE, barge_in=Spread.of([])))) == 1


def test_the_targets_hold_at_a_hundred_calls() -> None:
    """More calls are shown, and judged by nobody; fewer are judged when nothing nearer was measured."""
    crowded = replace(SERVICE, calls=200, uplink=Spread(1, 50.0, 90.0, 90.0))
    assert missed(RELAY, SERVICE, crowded) == []
    assert len(missed(replace(crowded, calls=20))) == 2
    assert judge([crowded], None) == []


def test_others_on_the_machine_are_mentioned() -> None:
    """Delays under someone else's load are upper bounds, and the page says so."""
    assert quiet([RELAY, SERVICE]) is None
    assert "40%" in (quiet([RELAY, replace(SERVICE, others=0.4)]) or "")


def test_the_page_holds_the_table_and_the_command(tmp_path: Path) -> None:
    """Whoever reads it can run it again."""
    single = [replace(one, calls=1, memory_bytes=float("nan")) for one in (RELAY, SERVICE)]
    figures = [*single, RELAY, SERVICE]
    page, picture = write(tmp_path, figures, judge(figures, BESIDE), "./run ringua bench --calls 1,100")
    text = page.read_text("utf-8")
    assert "./run ringua bench --calls 1,100" in text
    assert "| 100 | service | 0.200 | 0.20 / 1.00 |" in text
    assert "met: CPU beside the relay 1.25 times, to reach 1.5, with 50 calls each." in text
    assert "nan" not in text
    drawing = ET.fromstring(picture.read_text("utf-8"))
    labels = {label.text for label in drawing.iter("{http://www.w3.org/2000/svg}text")}
    assert {"service", "relay that does nothing", "1", "100"} <= labels
