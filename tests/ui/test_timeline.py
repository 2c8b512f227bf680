"""Where things lie in the picture of the sound, and the picture itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtGui import QImage, QPainter

from ui.sound_picture import ROWS, SoundPicture
from ui.timeline import COLUMNS_PER_SECOND, Mark, Timeline


def test_the_play_head_moves_evenly_though_the_sound_comes_in_pieces():
    timeline = Timeline()
    steps = []
    for frame in range(600):
        if frame % 12 == 0:
            timeline.receive(12)
        before = timeline.head
        timeline.advance(1 / 60, late_ms=200.0)
        steps.append(timeline.head - before)
    settled = np.array(steps[300:])
    assert settled.mean() == pytest.approx(1.0, abs=0.02)
    assert settled.min() >= 0.0
    assert settled.max() < 2.5
    late = timeline.received - timeline.head
    assert late == pytest.approx(0.2 * COLUMNS_PER_SECOND, abs=8)


@given(st.lists(st.tuples(st.integers(0, 400), st.floats(0, 0.3), st.floats(0, 500))))
def test_the_play_head_never_passes_what_came_nor_goes_back_a_little(moves):
    timeline = Timeline()
    for columns, seconds, late in moves:
        timeline.receive(columns)
        before = timeline.head
        timeline.advance(seconds, late)
        assert timeline.head <= timeline.received
        assert timeline.head >= before or before - timeline.head > 0.5  # a jump, or none


def test_beats_passed_leave_their_columns():
    timeline = Timeline()
    timeline.receive(600)
    timeline.advance(0.0, 0.0)
    assert timeline.pass_beat(0.5, 120.0, 4) == []
    passed = timeline.pass_beat(4.5, 120.0, 4)
    assert [downbeat for _, downbeat in passed] == [False, False, False, True]
    assert [column for column, _ in passed] == [495, 525, 555, 585]
    assert timeline.pass_beat(0.0, 120.0, 4) == []  # the bar began anew
    assert timeline.pass_beat(900.0, 120.0, 4) == []


def test_a_knob_that_is_turned_on_and_on_keeps_one_mark():
    timeline = Timeline()
    for column in range(0, 200, 2):
        timeline.mark(Mark(float(column), "block", str(column), "set_guidance"))
        timeline.mark(Mark(float(column), "block", str(column), "set_density"))
    assert [mark.words for mark in timeline.marks] == ["198", "198"]
    timeline.mark(Mark(300.0, "block", "later", "set_guidance"))
    assert len(timeline.marks) == 3


def drawn(picture: SoundPicture) -> np.ndarray:
    """The picture as it is drawn, [height, width], newest column to the right."""
    wide, tall = picture.size
    image = QImage(wide, tall, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    picture.draw(painter, wide, 0.0, 1.0)
    painter.end()
    bits = image.bits()
    bits.setsize(image.sizeInBytes())
    return np.frombuffer(bits, np.uint32).reshape(tall, wide).copy()


def test_the_ring_scrolls_as_a_whole_picture_would(qapp):
    random = np.random.default_rng(0)
    spectra = random.integers(0, 256, (300, ROWS)).astype(np.uint8)
    waves = np.sort(random.uniform(-1, 1, (300, 2)), axis=1).astype(np.float32)
    pieces, whole = SoundPicture(), SoundPicture()
    for picture in (pieces, whole):
        picture.resize(120, 90, 0.3, 1)
    start = 0
    for count in (1, 7, 50, 3, 139, 100):
        pieces.add(spectra[start : start + count], waves[start : start + count])
        start += count
    whole.add(spectra, waves)
    np.testing.assert_array_equal(drawn(pieces), drawn(whole))
    pieces.resize(200, 60, 0.3, 2)  # another size shows the same sound
    whole.resize(200, 60, 0.3, 2)
    np.testing.assert_array_equal(drawn(pieces), drawn(whole))


def test_lines_are_part_of_the_picture_and_stay_through_another_size(qapp):
    picture = SoundPicture()
    picture.resize(50, 40, 1.0, 1)
    picture.add(None, np.zeros((30, 2), np.float32))
    before = drawn(picture)
    picture.rule(20, "#ffffff", 0.5)
    picture.rule(35, "#ffffff", 0.5)  # has not come yet
    after = drawn(picture)
    assert (before != after).any(axis=0).nonzero()[0].tolist() == [50 - 10]
    picture.add(None, np.zeros((10, 2), np.float32))
    bright = (drawn(picture) > 0xFF505050).all(axis=0).nonzero()[0].tolist()
    assert bright == [50 - 20, 50 - 5]
    picture.resize(60, 40, 1.0, 1)
    bright = (drawn(picture) > 0xFF505050).all(axis=0).nonzero()[0].tolist()
    assert bright == [60 - 20, 60 - 5]


def test_lines_long_past_are_forgotten(qapp):
    picture = SoundPicture()
    picture.resize(50, 40, 1.0, 1)
    picture.add(None, np.zeros((5000, 2), np.float32))
    picture.rule(3, "#ffffff", 0.5)  # beyond all memory
    for column in range(4990, 5000):
        picture.rule(column, "#ffffff", 0.5)
    picture.add(None, np.zeros((4200, 2), np.float32))
    picture.rule(9199, "#ffffff", 0.5)
    assert len(picture._lines) == 1
