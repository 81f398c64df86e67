"""What the transcoder costs and how well it filters, beside what others would use. Prints a table.

Run ``python benchmarks/transcoder.py``; the exit status is 1 when a target of the design is missed. Costs are the
least of many repetitions: the machine is shared, and interruptions only ever add.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from timeit import repeat

import numpy as np
import soxr
from rich.console import Console
from rich.table import Table

from telephony.audio import g711
from telephony.audio.resample import MODEL_HZ, PHONE_HZ, Downsampler, Upsampler
from telephony.audio.transcode import transcoder
from tests.telephony.audio.tones import (
    AMPLITUDE,
    PCM16,
    Convert,
    delay_ms,
    gain_db,
    samples,
    snr_db,
    tone,
    worst_spur_db,
)

Make = Callable[[int, int], Convert]
"""Makes a stream from one rate to another, PCM16 in and out."""

UP, DOWN = (PHONE_HZ, MODEL_HZ), (MODEL_HZ, PHONE_HZ)
BAND_HZ = range(300, 3_401, 50)
NOISE = np.random.default_rng(8).integers(-20_000, 20_000, 4_800).astype(PCM16).tobytes()


def ours(rate_in: int, _rate_out: int) -> Convert:
    """The converter that calls use."""
    return Upsampler().process if rate_in == PHONE_HZ else Downsampler().process


def soxr_stream(rate_in: int, rate_out: int) -> Convert:
    """The streaming converter that most voice frameworks use, at its default quality."""
    stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="int16", quality="HQ")
    return lambda pcm16: bytes(stream.resample_chunk(np.frombuffer(pcm16, PCM16)).tobytes())


def ratecv(rate_in: int, rate_out: int) -> Convert:
    """The standard library's linear interpolation."""
    import audioop  # here, where g711 has already imported it without its warning

    state = None

    def convert(pcm16: bytes) -> bytes:
        nonlocal state
        converted, state = audioop.ratecv(pcm16, 2, 1, rate_in, rate_out, state)
        return converted

    return convert


SUBJECTS: dict[str, Make] = {"ours": ours, "soxr HQ": soxr_stream, "ratecv": ratecv}


@dataclass
class Report:
    """A table that fills, and the targets that ours misses."""

    table: Table = field(
        default_factory=lambda: Table("figure", "target", *SUBJECTS, title="µ-law 8 kHz <-> PCM16 24 kHz")
    )
    missed: list[str] = field(default_factory=list)

    def row(self, figure: str, values: Iterable[float], limit: float | None = None, digits: int = 1) -> None:
        """One figure of all converters, or of ours alone; the limit is an upper one."""
        shown = [f"{value:.{digits}f}" for value in values]
        self.table.add_row(figure, "" if limit is None else f"<= {limit:g}", *shown)
        if limit is not None and float(shown[0]) > limit:
            self.missed.append(f"{figure}: {shown[0]}, to reach {limit:g}")

    def costs(self) -> None:
        """Microseconds for a piece of a stream."""
        for duration_ms, limit in ((20, 20.0), (200, None)):
            up, down = NOISE[: duration_ms * 16], NOISE[: duration_ms * 48]
            self.row(f"up, µs per {duration_ms} ms", [cost_us(m(*UP), up) for m in SUBJECTS.values()], limit)
            self.row(f"down, µs per {duration_ms} ms", [cost_us(m(*DOWN), down) for m in SUBJECTS.values()], limit)
        line = transcoder("pcm")
        self.row("caller to model with G.711, µs per 20 ms", [cost_us(line.to_model, g711.encode(NOISE[:320]))], 20)
        self.row("model to caller with G.711, µs per 20 ms", [cost_us(line.to_caller, NOISE[:960])], 20)

    def lateness(self) -> None:
        """The filters' delay, and what a stream holds back beyond it."""
        for name, way in (("up", UP), ("down", DOWN)):
            self.row(f"{name}, delay of the result, ms", [delay_ms(m(*way), *way) for m in SUBJECTS.values()], 3, 2)
            self.row(f"{name}, withheld at most, ms", [withheld_ms(m(*way), *way) for m in SUBJECTS.values()], 0)

    def filters(self) -> None:
        """Decibels."""
        for name, way in (("up", UP), ("down", DOWN)):
            errors = [max(abs(gain_db(m(*way), hz, *way)) for hz in BAND_HZ) for m in SUBJECTS.values()]
            self.row(f"{name}, 300-3400 Hz off by at most, dB", errors, 0.5, 2)
        images = [max(worst_spur_db(m(*UP), hz, *UP) for hz in BAND_HZ) for m in SUBJECTS.values()]
        self.row("images of 300-3400 Hz, dB", images, -60)
        for name, tones_hz in (("4.1-12 kHz", range(4_100, 12_000, 25)), ("4.1 kHz", [4_100]), ("4.6 kHz", [4_600])):
            aliases = [max(worst_spur_db(m(*DOWN), hz, *DOWN) for hz in tones_hz) for m in SUBJECTS.values()]
            self.row(f"aliases of {name}, dB", aliases, -60)
        self.row("1 kHz there and back through µ-law, SNR in dB", [through_ulaw_db()])

    def streams(self) -> None:
        """How many samples depend on how the stream was cut."""
        pieces = [NOISE[i : i + 77] for i in range(0, len(NOISE), 77)]
        for name, way in (("up", UP), ("down", DOWN)):
            cut = ours(*way)
            whole, piecewise = samples(ours(*way)(NOISE)), samples(b"".join(map(cut, pieces)))
            self.row(f"{name}, samples changed by cutting", [float(np.count_nonzero(whole != piecewise))], 0, 0)


def cost_us(convert: Convert, piece: bytes) -> float:
    """Microseconds for one piece of a stream."""
    convert(piece)
    return min(repeat(lambda: convert(piece), number=200, repeat=150)) / 200 * 1e6


def withheld_ms(convert: Convert, rate_in: int, rate_out: int) -> float:
    """The most that a stream has taken and not yet given back, in milliseconds, over two seconds of frames."""
    frame, came, withheld = tone(1_000, rate_in, 0.02), 0, 0.0
    for i in range(1, 101):
        came += len(convert(frame)) // 2
        withheld = max(withheld, 20 * i - came * 1_000 / rate_out)
    return withheld


def through_ulaw_db() -> float:
    """A 1 kHz tone from the model to the caller and back, against itself."""
    line = transcoder("pcm")
    came = samples(line.to_model(line.to_caller(tone(1_000, MODEL_HZ))))
    late = round((delay_ms(ours(*UP), *UP) + delay_ms(ours(*DOWN), *DOWN)) * MODEL_HZ / 1_000)
    ideal = AMPLITUDE * np.sin(2 * np.pi * 1_000 * (np.arange(len(came)) - late) / MODEL_HZ)
    return snr_db(came[MODEL_HZ // 2 :], ideal[MODEL_HZ // 2 :])


def main() -> int:
    """Prints the table and what it misses."""
    report = Report()
    report.costs()
    report.lateness()
    report.filters()
    report.streams()
    console = Console()
    console.print(report.table)
    for miss in report.missed:
        console.print(f"missed: {miss}")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
