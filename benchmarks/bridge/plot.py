"""Small line charts as SVG, for a page that needs no library: panels side by side, one colour a subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 40, 104
TICKS = 5
_INK, _GRID = "#333333", "#dddddd"
_LEGEND_ROW = 17


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through (number of calls, value)."""

    label: str
    points: Sequence[tuple[int, float]]
    colour: str
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart; x are the counts that its curves have, evenly spaced."""

    title: str
    curves: Sequence[Curve]


def svg(panels: Sequence[Panel]) -> str:
    """Draws the panels from left to right."""
    width = WIDTH * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="{_INK}">',
        f'<rect width="{width}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate({number * WIDTH} 0)">', *_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> list[str]:
    counts = sorted({calls for curve in panel.curves for calls, _ in curve.points})
    top = _ceiling(max((value for curve in panel.curves for _, value in curve.points), default=1.0))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(calls: int) -> float:
        share = counts.index(calls) / (len(counts) - 1) if len(counts) > 1 else 0.5
        return LEFT + 12 + share * (right - LEFT - 24)

    def y(value: float) -> float:
        return bottom - value / top * (bottom - TOP)

    parts = [f'<text x="{LEFT}" y="22" font-size="13" font-weight="bold">{escape(panel.title)}</text>']
    for tick in range(TICKS + 1):
        value = top * tick / TICKS
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{right}" stroke="{_GRID}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    parts += [f'<text x="{x(calls):.1f}" y="{bottom + 17}" text-anchor="middle">{calls}</text>' for calls in counts]
    parts.append(f'<text x="{right}" y="{bottom + 31}" text-anchor="end" font-size="11">calls at once</text>')
    for number, curve in enumerate(panel.curves):
        places = [(x(calls), y(value)) for calls, value in curve.points]
        style = f'stroke="{curve.colour}" stroke-width="2" fill="none"' + (' stroke-dasharray="5 4"' * curve.dashed)
        path = "L".join(f"{across:.1f} {down:.1f}" for across, down in places)
        parts.append(f'<path d="M{path}" {style}/>' if places else "")
        parts += [f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{curve.colour}"/>' for across, down in places]
        row = bottom + 48 + number * _LEGEND_ROW
        parts.append(
            f'<path d="M{LEFT} {row - 4}h26" {style}/><text x="{LEFT + 34}" y="{row}">{escape(curve.label)}</text>'
        )
    return parts


def _ceiling(value: float) -> float:
    """The next round number at or above a value: 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0**-9
    while True:
        for step in (1.0, 2.0, 2.5, 5.0):
            if step * power >= value:
                return round(step * power, 9)
        power *= 10
