"""When sound is missing the last bars loop, without a click, and always in the same way."""

import numpy as np
import pytest

from lmdm.live.hold import FADE_AFTER, FADE_SAMPLES, Hold
from lmdm.live.messages import Mute, NoteOn, Panic, SetGain
from lmdm.live.mixdown import RAMP_SAMPLES, Fade

SAMPLE_RATE = 44100


def tone(samples):
    phase = 2 * np.pi * 437.3 * np.arange(samples) / SAMPLE_RATE
    return np.stack([np.sin(phase), np.cos(phase)], axis=1).astype(np.float32)


def test_fresh_sound_passes_unchanged():
    sound = tone(5000)
    hold = Hold(1000)
    out = np.concatenate([hold.next(100, sound[i : i + 100]) for i in range(0, 5000, 100)])
    np.testing.assert_array_equal(out, sound)


def test_no_join_is_steeper_than_the_sound_itself():
    sound = tone(3 * SAMPLE_RATE)
    hold = Hold(30011)
    pieces = [hold.next(len(sound), sound)]
    pieces += [hold.next(512, sound[:0]) for _ in range(300)]  # several turns of the loop
    pieces += [hold.next(len(sound), sound)]
    steps = np.abs(np.diff(np.concatenate(pieces), axis=0)).max()
    assert steps < 1.1 * np.abs(np.diff(sound, axis=0)).max()


def test_the_loop_is_as_loud_as_the_sound_and_fades_in_the_end():
    sound = tone(3 * SAMPLE_RATE)
    hold = Hold(SAMPLE_RATE)
    hold.next(len(sound), sound)
    first = hold.next(SAMPLE_RATE, sound[:0])
    assert np.sqrt(np.mean(first**2)) == pytest.approx(np.sqrt(0.5), rel=0.05)
    hold.next(FADE_AFTER + FADE_SAMPLES, sound[:0])
    assert not hold.next(1000, sound[:0]).any()


def test_nothing_remembered_is_silence():
    assert not Hold(1000).next(64, tone(0)).any()


def test_a_missing_piece_sounds_the_same_however_it_is_cut():
    sound = tone(20000)

    def heard(cut):
        hold = Hold(8000)
        out = [hold.next(12000, sound[:12000])]
        out += [hold.next(n, sound[:0]) for n in cut]
        out += [hold.next(8000, sound[12000:])]
        return np.concatenate(out)

    np.testing.assert_array_equal(heard([9000]), heard([1, 4000, 999, 4000]))


def test_gain_and_mute_are_ramps_of_ten_milliseconds():
    fade = Fade()
    ones = np.ones((2000, 2), np.float32)
    fade.process(ones)
    fade.apply(SetGain(-6.0))
    out = fade.process(ones)
    assert np.abs(np.diff(out, axis=0)).max() < 1.01 * (1 - 10 ** (-6 / 20)) / RAMP_SAMPLES
    assert out[-1, 0] == pytest.approx(10 ** (-6 / 20))
    fade.apply(Panic())
    assert not fade.process(ones)[RAMP_SAMPLES:].any()
    fade.apply(Mute(False))
    fade.apply(NoteOn(60))
    assert fade.process(ones)[-1, 0] == pytest.approx(10 ** (-6 / 20))


def test_a_ramp_is_the_same_however_it_is_cut():
    ones = np.ones((1000, 2), np.float32)

    def ramped(cut):
        fade = Fade()
        fade.apply(SetGain(-17.3))
        return np.concatenate([fade.process(ones[:n]) for n in cut])

    np.testing.assert_array_equal(ramped([1000]), ramped([1, 300, 141, 558]))
