"""The sound of a take does not depend on the pieces it came in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmdm.cli.mastering import mastering
from lmdm.live.messages import Mute, SetGain
from lmdm.live.mixdown import Mixdown
from lmdm.live.take import Applied

CHANGES = (Applied(1500, SetGain(-9.5)), Applied(2000, Mute(True)), Applied(6000, Mute(False)))


def mixed(sound, cuts):
    mixdown = Mixdown(*mastering())
    for change in CHANGES:
        mixdown.change(change)
    pieces = np.split(sound, sorted(cuts))
    return np.concatenate([*(mixdown.process(piece) for piece in pieces), mixdown.flush()])


SOUND = np.random.default_rng(0).standard_normal((9000, 2)).astype(np.float32)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9000), max_size=12))
def test_it_is_the_same_however_it_is_cut(cuts):
    np.testing.assert_array_equal(mixed(SOUND, cuts), mixed(SOUND, []))


def test_it_is_as_long_as_the_stream_and_in_time_with_it():
    quiet = np.zeros((3000, 2), np.float32)
    quiet[1234] = 0.5
    mixdown = Mixdown(*mastering())
    out = np.concatenate([mixdown.process(quiet), mixdown.flush()])
    assert out.shape == quiet.shape
    assert np.abs(out[:, 0]).argmax() == 1234
    assert out[1234, 0] == pytest.approx(0.5, rel=1e-3)


def test_it_stays_below_the_ceiling_and_silent_while_muted():
    out = mixed(10 * SOUND, [])
    assert np.abs(out).max() <= 10 ** (-1 / 20)
    assert np.abs(out[3000:6000]).max() < 0.05  # what is left is the DC block's slow return
    assert np.abs(out[8000:]).max() > 0.1
