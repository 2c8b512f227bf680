"""Laws of conversion on the fly: nothing held back, nothing coloured."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.resampling import Resampler

RATES = [(44100, 48000), (48000, 44100), (96000, 44100), (44100, 96000), (44100, 32000)]


def sine(frequency: float, rate: int, seconds: float) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return np.repeat(np.sin(2 * np.pi * frequency * times)[:, None], 2, axis=1).astype(np.float32)


def converted(audio: np.ndarray, from_rate: int, to_rate: int, piece: int = 221) -> np.ndarray:
    stream = Resampler(from_rate, to_rate, 2)
    pieces = [stream.process(audio[at : at + piece]) for at in range(0, len(audio), piece)]
    return np.concatenate(pieces)


def test_the_same_rate_passes_as_it_is() -> None:
    audio = sine(440.0, 48000, 0.1)
    assert (converted(audio, 48000, 48000) == audio).all()


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
@settings(deadline=None, max_examples=20)
@given(pieces=st.lists(st.integers(1, 700), min_size=20, max_size=60))
def test_what_goes_in_comes_out_at_once(from_rate: int, to_rate: int, pieces: list[int]) -> None:
    """However the sound is cut up: once it flows, as much comes out as goes in, to the frame."""
    stream = Resampler(from_rate, to_rate, 2)
    stream.process(np.zeros((from_rate // 50, 2), np.float32))
    held = stream.held_seconds
    assert 0 < held < 0.007
    for count in pieces:
        stream.process(np.zeros((count, 2), np.float32))
        assert stream.held_seconds == pytest.approx(held, abs=2.0 / min(from_rate, to_rate))


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_nothing_is_moved(from_rate: int, to_rate: int) -> None:
    """A click comes out at its own moment, to the frame; only what is held back is late."""
    audio = np.zeros((from_rate, 2), np.float32)
    audio[from_rate // 2] = 1.0
    heard = converted(audio, from_rate, to_rate)
    assert np.abs(heard[:, 0]).argmax() == pytest.approx(to_rate / 2, abs=2)


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
@pytest.mark.parametrize("frequency", [100.0, 1000.0, 10000.0, 15000.0])
def test_a_tone_stays_itself(from_rate: int, to_rate: int, frequency: float) -> None:
    """Same level within 0.1 dB, and nothing else above -90 dB: no images, no aliases."""
    heard = converted(sine(frequency, from_rate, 1.5), from_rate, to_rate)
    heard = heard[to_rate // 4 : to_rate // 4 + to_rate, 0].astype(np.float64)
    window = np.blackman(to_rate) ** 2
    spectrum = np.abs(np.fft.rfft(heard * window)) / (window.sum() / 2)
    near = slice(round(frequency) - 8, round(frequency) + 9)
    assert abs(20 * np.log10(spectrum[near].max())) < 0.1
    spectrum[near] = 0.0
    assert spectrum.max() < 10 ** (-90 / 20)


def test_what_the_new_rate_cannot_hold_is_gone() -> None:
    """23 kHz would fold to 21.1 kHz at 44.1 kHz."""
    heard = converted(sine(23000.0, 48000, 1.0), 48000, 44100)
    assert np.abs(heard[4410:-4410]).max() < 10 ** (-90 / 20)


def test_the_terminal_hears_nothing_of_one_that_a_thread_still_holds_at_the_end() -> None:
    program = (
        "import threading, time\n"
        "from audio_io.resampling import Resampler\n"
        "kept = Resampler(44100, 48000, 2)\n"
        "threading.Thread(target=lambda _: time.sleep(9), args=(kept,), daemon=True).start()\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
