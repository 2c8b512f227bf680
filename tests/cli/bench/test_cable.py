"""What was on a cable is found again and dated, whatever the machine did to it."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from lmdm.cli.bench.cable import Cable, Recording

RATE, PERIOD, BEGUN = 48000, 256, 1000.0
LATE = 3000  # samples before the sound begins on the cable


def recorded(sound: np.ndarray, lost: dict[int, int], late: float = 0.0) -> Recording:
    """A recording of `sound` [n] in periods, each arriving up to `late` s after its end.

    lost: periods that the server lost before a piece, so that what follows has a later moment.
    """
    draw = np.random.default_rng(2)
    recording, periods = Recording(RATE), 0
    for piece in range(len(sound) // PERIOD):
        periods += 1 + lost.get(piece, 0)
        pcm = np.repeat(sound[piece * PERIOD : (piece + 1) * PERIOD, None], 2, axis=1)
        recording.pieces.append(pcm)
        recording.samples += PERIOD
        at = BEGUN + periods * PERIOD / RATE + late * draw.random()
        recording.arrivals.append((at, recording.samples))
    return recording


@pytest.fixture(scope="module")
def heard() -> np.ndarray:
    return 0.1 * np.random.default_rng(1).standard_normal(6 * 44100).astype(np.float32)


@pytest.fixture(scope="module")
def sent(heard: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(LATE, np.float32), soxr.resample(heard, 44100, RATE)])


def test_a_place_is_found_and_dated(heard, sent):
    cable = Cable(recorded(sent, {}, late=0.004), heard)
    for position in (44100, 100_000, 200_000):
        place = round(position * RATE / 44100) + LATE
        assert abs(cable.place(position) - place) <= 1
        assert cable.time(place) == pytest.approx(BEGUN + place / RATE, abs=0.001)
        assert abs(cable.sample(cable.time(place)) - place) <= PERIOD


def test_after_a_gap_in_the_sound_places_are_found_where_they_are(heard, sent):
    gap = np.zeros(777, np.float32)
    broken = np.concatenate([sent[:100_000], gap, sent[100_000:]])
    cable = Cable(recorded(broken, {}), heard)
    for position in (44100, 88_000, 93_000, 200_000):  # just before the gap, and just after it
        place = round(position * RATE / 44100) + LATE
        assert abs(cable.place(position) - (place + 777 * (place >= 100_000))) <= 1


def test_what_follows_a_lost_period_has_a_later_moment(heard, sent):
    cable = Cable(recorded(sent, {500: 3}), heard)
    before, after = 100 * PERIOD, 900 * PERIOD
    assert cable.time(before) == pytest.approx(BEGUN + before / RATE, abs=1e-6)
    assert cable.time(after) == pytest.approx(BEGUN + (after + 3 * PERIOD) / RATE, abs=1e-6)


def test_other_sound_is_not_taken_for_ours(heard):
    other = np.random.default_rng(5).standard_normal(6 * RATE).astype(np.float32)
    assert Cable(recorded(other, {}), heard).place(100_000) is None


@pytest.mark.parametrize(("before", "after"), [(1.0, 0.25), (0.25, 1.0), (1.0, 0.0), (0.0, 1.0)])
def test_a_fader_is_heard_to_move(heard, sent, before, after):
    moved_at = 150_000
    level = np.where(np.arange(len(sent)) < moved_at, before, after).astype(np.float32)
    cable = Cable(recorded(sent * level, {}), heard)
    if before == 0.0:  # nothing before tells where the sound lies
        cable._offset = LATE
    at = cable.level_moved(BEGUN + (moved_at - 900) / RATE)
    assert at == pytest.approx(BEGUN + moved_at / RATE, abs=0.0025)


def test_a_fader_that_stays_is_not_heard_to_move(heard, sent):
    assert Cable(recorded(sent, {}), heard).level_moved(BEGUN + 2.0) is None


def test_a_fader_in_displaced_sound_is_not_dated(heard, sent):
    """A gap just before the move leaves nothing to compare with: no date beats a wrong one."""
    moved_at = 2 * RATE
    gapped = np.concatenate([sent[: moved_at - 2000], np.zeros(1500, np.float32), sent])[
        : len(sent)
    ]
    gapped[moved_at:] *= 0.25
    assert Cable(recorded(gapped, {}), heard).level_moved(BEGUN + (moved_at - 900) / RATE) is None
