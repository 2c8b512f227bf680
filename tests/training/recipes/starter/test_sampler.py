"""A stem depends on nothing but its notes, and sounds where its labels say."""

import numpy as np
import pytest

from training.recipes.starter.palette import INSTRUMENTS, Instrument
from training.recipes.starter.render import SAMPLE_RATE, SOUNDFONT, Sampler

pytestmark = pytest.mark.skipif(
    not SOUNDFONT.is_file(), reason=f"{SOUNDFONT} is missing: install fluid-soundfont-gm"
)

# Milliseconds. The pad swells; FluidR3's choir sample about D4 begins with 29 ms of silence.
SLOW = {"warm pad": 20.0, "choir": 32.0}


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    return Sampler()


def stem(onset: float, offset: float, pitch: int) -> np.ndarray:
    return np.asarray([[onset, offset, pitch, 100]], dtype=np.float32)


@pytest.mark.parametrize(
    ("before", "pitch"), [("choir", 55), ("warm pad", 60), ("standard drum kit", 49)]
)
def test_a_stem_is_the_same_whatever_was_played_before(
    sampler: Sampler, before: str, pitch: int
) -> None:
    piano = INSTRUMENTS["grand piano"]
    notes = np.concatenate([stem(0.5, 1.0, 60), stem(0.9, 1.4, 64)])
    first = sampler.play(notes, piano, 2.0, 40, 0.5)
    # Ends inside a note, far from a multiple of FluidSynth's block.
    sampler.play(stem(0.2, 1.5, pitch), INSTRUMENTS[before], 1.5 + 17 / SAMPLE_RATE, 90, 0.8)
    np.testing.assert_array_equal(sampler.play(notes, piano, 2.0, 40, 0.5), first)


@pytest.mark.parametrize("instrument", INSTRUMENTS.values(), ids=lambda i: i.name)
def test_sound_begins_at_the_label(sampler: Sampler, instrument: Instrument) -> None:
    pitch = 38 if instrument.is_drum else (instrument.low + instrument.high) // 2
    for onset in (0.3, 0.3007, 0.3013):
        audio = sampler.play(stem(onset, onset + 0.3, pitch), instrument, 0.9, 0, 0.2)
        size = np.abs(audio).max(axis=0)
        begun = int(np.argmax(size > size.max() * 10 ** (-50 / 20))) / SAMPLE_RATE
        latest = SLOW.get(instrument.name, 10.0) / 1000
        assert -0.005 <= begun - onset <= latest, f"{1000 * (begun - onset):.1f} ms"
