"""Laws of the concealment: time goes on without the source, and no edge is ever heard."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.concealment import FADE_SECONDS, Audio, Concealment

RATE = 44100


class Sine:
    """A source of a 220 Hz sine that can be switched off; its own time stops then."""

    def __init__(self) -> None:
        self.total, self.on = 0, True

    def read(self, count: int) -> Audio:
        """Up to `count` frames."""
        count = count if self.on else 0
        times = np.arange(self.total, self.total + count) / RATE
        self.total += count
        return np.repeat(np.sin(2 * np.pi * 220 * times)[:, None], 2, axis=1).astype(np.float32)


STEEPEST = 2 * np.pi * 220 / RATE  # of the sine itself, a sample


@settings(deadline=None, max_examples=60)
@given(script=st.lists(st.tuples(st.booleans(), st.integers(1, 1500)), min_size=1, max_size=12))
def test_gaps_never_click(script: list[tuple[bool, int]]) -> None:
    """The steepest step stays near the material's own, wherever the source stops and returns."""
    source = Sine()
    conceal = Concealment(source.read, RATE, channels=2)
    heard = [np.zeros((1, 2), np.float32)]
    for on, count in script:
        source.on = on
        pcm = conceal.take_available(count)
        heard.append(pcm if on else conceal.make_up(count))
        assert len(heard[-1]) == count
    audio = np.concatenate(heard)
    # Sine and mirrored tail may fall together, and each ramp adds its own slope.
    assert np.abs(np.diff(audio, axis=0)).max() <= 3 * STEEPEST + 3 / (FADE_SECONDS * RATE)


def test_waiting_is_not_starvation() -> None:
    source = Sine()
    conceal = Concealment(source.read, RATE, channels=2)
    assert (conceal.make_up(500) == 0).all()
    assert (conceal.started, conceal.starvations, conceal.starved_frames) == (False, 0, 0)


def test_starvation_is_counted_and_fades_within_20_ms() -> None:
    source = Sine()
    conceal = Concealment(source.read, RATE, channels=2)
    conceal.take_available(2000)
    made_up = conceal.make_up(2000)
    conceal.make_up(100)
    assert (conceal.starvations, conceal.starved_frames) == (1, 2100)
    assert np.abs(made_up[: RATE // 100]).max() > 0.3
    assert (made_up[RATE * 20 // 1000 :] == 0).all()
    conceal.take_available(10)
    conceal.make_up(10)
    assert conceal.starvations == 2


def test_undisturbed_source_passes_exactly() -> None:
    source, twin = Sine(), Sine()
    conceal = Concealment(source.read, RATE, channels=2)
    conceal.take_available(1000)
    twin.read(1000)
    assert (conceal.take_available(5000) == twin.read(5000)).all()
