"""Spoken lines from espeak-ng, whose library comes from PyPI as the extra `voices`.

It is GPL-3 and never a dependency of the core: without it `available()` is False and the realtime stand-in falls back
to tones. It knows text and languages, no protocol."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import threading
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]

WORDS_PER_MINUTE = (
    175  # espeak-ng's normal rate; measured 15 to 19 characters a second in Spanish, French, German, English
)
SLOWEST_WPM, FASTEST_WPM = 80, 450  # espeak-ng's own limits: a speed under 0.46 sounds like 0.46
NATIVE_HZ = 22_050  # checked at start: espeak_Initialize returns it
CACHE_BYTES = 48 * 1024 * 1024  # some 17 minutes at 24 kHz

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: a bad data path is an error code, not the end of the process
_CHARS_UTF8 = 1
_PARAMETER_RATE = 1
_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class VoicesError(RuntimeError):
    """The line cannot be spoken; the message is one sentence that says why and what to do."""


def available() -> bool:
    """True when the extra `voices` (espeakng-loader) is installed."""
    return importlib.util.find_spec("espeakng_loader") is not None


class Voices:
    """espeak-ng behind one method. Any number may exist: they share the one library and its lock, not their caches."""

    def __init__(self) -> None:
        self._engine = _Engine.shared()
        self._spoken: OrderedDict[tuple[str, str, str, float, int], bytes] = OrderedDict()
        self._spoken_bytes = 0
        self._lock = threading.Lock()

    def speak(
        self, text: str, language: str, *, speed: float = 1.0, rate_hz: int = 24_000, variant: str | None = None
    ) -> bytes:
        """Returns the line as 16-bit little-endian mono PCM at `rate_hz`.

        `language` is a tag such as `es`, `pt-BR` or `zh`; a regional tag falls back to its base. `speed` is a multiple
        of the normal rate (0.46 to 2.57 are honoured, beyond is clamped). `variant` is one of espeak-ng's, such as `f3`
        or `m3`. About 5 ms for a sentence, nothing for one already spoken (only the cache makes a
        line sound the same twice: espeak-ng varies by some samples). Raises VoicesError for a language espeak-ng
        does not have, and for Japanese with kanji in it, of which it would only say that they are kanji. Chinese and
        Arabic are read by their own voices, whatever the language: another would only name the script.
        """
        if rate_hz <= 0 or speed <= 0:
            raise ValueError("rate_hz and speed are positive numbers")
        language = reader_of(text, language)
        key = (text, language, variant or "", speed, rate_hz)
        with self._lock:
            if (known := self._spoken.get(key)) is not None:
                self._spoken.move_to_end(key)
                return known
        samples = self._engine.synthesise(text, language, variant, round(WORDS_PER_MINUTE * speed))
        pcm = to_pcm16(resample(samples, NATIVE_HZ, rate_hz))
        with self._lock:
            if key not in self._spoken:
                self._spoken[key] = pcm
                self._spoken_bytes += len(pcm)
            while self._spoken_bytes > CACHE_BYTES:
                self._spoken_bytes -= len(self._spoken.popitem(last=False)[1])
        return pcm


def reader_of(text: str, language: str) -> str:
    """The language whose voice can read a text: `language`, or that of its script. Raises VoicesError for kanji."""
    base = language.lower().replace("_", "-").split("-")[0]
    han, arabic = bool(_HAN.search(text)), bool(_ARABIC.search(text))
    if base == "ja" and han:
        raise VoicesError("espeak-ng reads the kana of Japanese and no kanji.")
    if han and base not in ("zh", "cmn", "yue"):
        return "zh"
    return "ar" if arabic and base not in ("ar", "arb", "fa", "ur") else language


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Returns the whole utterance at another rate: ceil(n * to / from) samples, nothing above the lower half-rate.

    It works on the spectrum: bins above the new half-rate are dropped and the last 8 % below it fade, so that nothing
    rings. Only for whole utterances; a stream would click at every border.
    """
    if from_hz == to_hz or not len(samples):
        return samples
    common = int(np.gcd(from_hz, to_hz))
    up, down = to_hz // common, from_hz // common
    wanted = -(-len(samples) * up // down)
    block = down * 32  # a length made of small primes transforms fast; the rest is silence, cut off again below
    padded = -(-(len(samples) + from_hz // 50) // block) * block
    spectrum = np.fft.rfft(samples, padded)
    length = padded // down * up
    bins = min(len(spectrum), length // 2 + 1)
    fade = np.clip((bins - np.arange(bins)) / (0.08 * bins), 0.0, 1.0)
    shaped = np.zeros(length // 2 + 1, dtype=np.complex128)
    shaped[:bins] = spectrum[:bins] * (0.5 - 0.5 * np.cos(np.pi * fade))
    return np.fft.irfft(shaped, length)[:wanted] * (length / padded)


def to_pcm16(samples: Samples) -> bytes:
    """Returns 16-bit little-endian PCM of samples on the scale of -32,768 to 32,767, clipped there."""
    return np.clip(np.rint(samples), -32_768, 32_767).astype("<i2").tobytes()


class _Engine:
    """The library itself: one per process, because espeak-ng keeps its state in globals."""

    _shared: _Engine | None = None
    _lock = threading.Lock()

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise VoicesError(
                "Spoken voices need the extra `voices` (espeak-ng, GPL-3): run `pip install 'ringua[voices]'`."
            ) from error
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        rate = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data, _DONT_EXIT)
        if rate != NATIVE_HZ:
            raise VoicesError(
                f"espeak-ng did not start (it answered {rate} instead of {NATIVE_HZ}); reinstall `espeakng-loader`."
            )
        self._chunks: list[bytes] = []
        self._callback = _SynthCallback(self._keep)  # kept here: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)

    @classmethod
    def shared(cls) -> _Engine:
        with cls._lock:
            if cls._shared is None:
                cls._shared = cls()
            return cls._shared

    def _keep(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, count * 2))
        return 0

    def synthesise(self, text: str, language: str, variant: str | None, words_per_minute: int) -> Samples:
        encoded = text.encode() + b"\0"
        with self._lock:
            self._choose(language, variant)
            rate = min(max(words_per_minute, SLOWEST_WPM), FASTEST_WPM)
            self._library.espeak_SetParameter(_PARAMETER_RATE, rate, 0)
            self._chunks.clear()
            failed = self._library.espeak_Synth(encoded, len(encoded), 0, 0, 0, _CHARS_UTF8, None, None)
            self._library.espeak_Synchronize()
            if failed:
                raise VoicesError(f"espeak-ng could not speak a line of {len(text)} characters (its code: {failed}).")
            return np.frombuffer(b"".join(self._chunks), dtype="<i2").astype(np.float64)

    def _choose(self, language: str, variant: str | None) -> None:
        tag = language.lower().replace("_", "-")
        base = tag.split("-")[0]
        for name in (tag, _ALIASES.get(base, base)):
            chosen = f"{name}+{variant}" if variant else name
            if self._library.espeak_SetVoiceByName(chosen.encode()) == 0:
                return
        raise VoicesError(f"espeak-ng has no voice for the language `{language}`; use a tag such as `es` or `fr`.")


# What espeak-ng calls a language that is usually written otherwise.
_ALIASES = {"zh": "cmn", "no": "nb", "en": "en-us", "arb": "ar"}

_HAN = re.compile("[\u3400-\u9fff]")
_ARABIC = re.compile("[\u0620-\u064a]")
