"""The pure parts of the pictures: spectrum, waveform, taps, colours."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtGui import QColor

from ui import theme
from ui.hearing import Hearing
from ui.sound_picture import heat_table
from ui.spectrogram import (
    HIGHEST_HZ,
    HOP,
    LOWEST_HZ,
    SAMPLE_RATE,
    SpectrogramColumns,
    WaveformColumns,
)
from ui.status_line import fitted
from ui.words import seconds_words


@pytest.mark.parametrize("hertz", [110.0, 440.0, 3000.0])
def test_a_tone_lights_its_own_row(hertz):
    rows = 120
    time_axis = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = 0.5 * np.sin(2 * np.pi * hertz * time_axis)
    columns = SpectrogramColumns(rows).feed(np.stack([tone, tone], axis=1).astype(np.float32))
    brightest = int(columns[-1].argmax())
    expected = rows * np.log(hertz / LOWEST_HZ) / np.log(HIGHEST_HZ / LOWEST_HZ)
    assert abs(brightest + 0.5 - expected) <= 1.5


def test_silence_is_black():
    columns = SpectrogramColumns(64).feed(np.zeros((8 * HOP, 2), np.float32))
    assert columns.shape == (8, 64)
    assert not columns.any()


@given(st.lists(st.integers(0, 3000), max_size=12))
def test_columns_do_not_depend_on_how_the_sound_is_cut(cuts):
    sound = np.random.default_rng(3).standard_normal((9000, 2)).astype(np.float32)
    for make in (lambda: SpectrogramColumns(24), WaveformColumns):
        whole = make().feed(sound)
        pieces, columns, start = [], make(), 0
        for cut in [*cuts, len(sound)]:
            end = min(start + cut, len(sound))
            pieces.append(columns.feed(sound[start:end]))
            start = end
        pieces.append(columns.feed(sound[start:]))
        np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_hearing_gives_each_sample_once_and_never_grows():
    hearing = Hearing(pieces=4)
    for index in range(3):
        hearing.hear(np.full((2, 2), index, np.float32), index)
    assert hearing.take()[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert hearing.take().shape == (0, 2)
    for index in range(100):
        hearing.hear(np.full((2, 2), index, np.float32), index)
    assert len(hearing.take()) == 8


def test_seconds_are_told_like_a_clock():
    assert [seconds_words(each) for each in (0, 59.9, 61, 3725)] == [
        "0:00", "0:59", "1:01", "1:02:05",
    ]  # fmt: skip


def luminance(code: str) -> float:
    """Relative luminance of WCAG 2.2."""
    colour = QColor(code)
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4
        for each in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_words_stand_out_from_their_ground():
    for ground in (theme.GROUND, theme.PANEL, theme.WELL, theme.RAISED, theme.CHOSEN):
        assert contrast(theme.TEXT, ground) >= 7.0
    for tint in (theme.QUIET, theme.WARNING, theme.ALARM, theme.FRESH, theme.ACCENT):
        for ground in (theme.GROUND, theme.PANEL, theme.WELL):
            assert contrast(tint, ground) >= 4.5
    for tint in theme.PROMPT_COLOURS:
        assert contrast(theme.GROUND, tint) >= 4.5  # letters on their colour


# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency" (2009), severity 1.0, on linear RGB.
DEFICIENCIES = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
               (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
               (-0.011820, 0.042940, 0.968881)),
}  # fmt: skip


@pytest.mark.parametrize("kind", DEFICIENCIES)
def test_prompt_colours_are_told_apart_without_red_or_green(kind):
    def seen(code: str) -> np.ndarray:
        colour = QColor(code)
        rgb = np.array([colour.redF(), colour.greenF(), colour.blueF()]) ** 2.2
        return np.clip(np.array(DEFICIENCIES[kind]) @ rgb, 0, 1) ** (1 / 2.2)

    colours = [seen(code) for code in theme.PROMPT_COLOURS]
    for index, first in enumerate(colours):
        for second in colours[index + 1 :]:
            assert np.abs(first - second).max() > 0.1


def test_the_heat_table_only_grows_lighter():
    lightness = [luminance(f"#{code & 0xFFFFFF:06x}") for code in heat_table()]
    assert len(lightness) == 256
    assert all(b >= a for a, b in pairwise(lightness))


@given(st.lists(st.floats(0.0, 500.0), min_size=1, max_size=6), st.floats(0.0, 2000.0))
def test_phrases_are_cut_only_when_they_must_and_then_fit(widths, room):
    given_widths = fitted(widths, room)
    assert sum(given_widths) <= max(room, 0.0) + 1e-6 or given_widths == widths
    assert all(cut <= wide for cut, wide in zip(given_widths, widths, strict=True))
    if sum(widths) <= room:
        assert given_widths == pytest.approx(widths)
