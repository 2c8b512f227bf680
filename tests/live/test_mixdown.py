"""The sound of a take does not depend on the pieces it came in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmdm.cli.stage.mastering import mastering
from lmdm.live.messages import Mute, SetDry, SetGain, SetHighPass, SetLowPass, SetWet
from lmdm.live.mixdown import Mixdown
from lmdm.live.take import Applied

CHANGES = (Applied(1500, SetGain(-9.5)), Applied(2000, Mute(True)), Applied(6000, Mute(False)))
EFFECTS = (
    Applied(700, SetLowPass(800.0)), Applied(1300, SetWet(0.3)), Applied(6100, SetDry(0.7)),
    Applied(6200, SetHighPass(200.0)), Applied(7000, SetLowPass(None)), Applied(7001, SetWet(1.0)),
)  # fmt: skip


def mixed(sound, cuts, changes=CHANGES, live=None):
    mixdown = Mixdown(*mastering())
    for change in changes:
        mixdown.change(change)
    places = sorted(cuts)
    beside = np.split(np.zeros_like(sound) if live is None else live, places)
    pieces = [mixdown.process(*each) for each in zip(np.split(sound, places), beside, strict=True)]
    return np.concatenate([*pieces, mixdown.flush()])


SOUND = np.random.default_rng(0).standard_normal((9000, 2)).astype(np.float32)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9000), max_size=12))
def test_it_is_the_same_however_it_is_cut(cuts):
    changes = sorted(CHANGES + EFFECTS, key=lambda each: each.sample)
    whole = mixed(SOUND, [], changes, SOUND[::-1])
    np.testing.assert_array_equal(mixed(SOUND, cuts, changes, SOUND[::-1]), whole)


def test_a_take_has_what_was_heard_of_effects_and_live_input():
    quiet, live = 0.1 * SOUND, 0.1 * SOUND[::-1]
    plain = mixed(quiet, [], ())
    wet = mixed(quiet, [], (Applied(0, SetWet(0.0)),))
    assert np.abs(wet[2000:]).max() < 1e-3
    low = mixed(quiet, [], (Applied(0, SetLowPass(300.0)),))
    assert 0.0 < np.std(low[2000:]) < 0.3 * np.std(plain[2000:])
    dry = mixed(quiet, [], (Applied(0, SetWet(0.0)), Applied(0, SetDry(1.0))), live)
    np.testing.assert_allclose(dry[2000:-2000], live[2000:-2000], atol=0.02)
    late = mixed(quiet, [], (Applied(4500, SetWet(0.0)),))
    np.testing.assert_array_equal(late[:4500], plain[:4500])  # nothing acts before its place


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
