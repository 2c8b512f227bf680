"""The rendered sound agrees with its labels, and pieces appear on disk whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fluidsynth", reason="rendering needs libfluidsynth")

import soundfile
from safetensors.numpy import load_file

from training.recipes.starter.corpus import compose, main, render_piece
from training.recipes.starter.palette import INSTRUMENTS
from training.recipes.starter.render import (
    PEAK_CEILING,
    SAMPLE_RATE,
    SOUNDFONT,
    Sampler,
    divided,
    limited,
    mixed,
)
from training.recipes.starter.score import ChordSpan, Part, Score, perform
from training.recipes.starter.store import is_complete

needs_soundfont = pytest.mark.skipif(not SOUNDFONT.is_file(), reason=f"{SOUNDFONT} not installed")
STRUCK = ("grand piano", "vibraphone", "marimba", "harp", "square lead", "standard drum kit")


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    return Sampler()


def two_seconds() -> Score:
    piano = Part(INSTRUMENTS["grand piano"])
    for beat, pitch in enumerate((48, 60, 67, 76)):
        piano.add(float(beat), 0.5, pitch, 90)
    kit = Part(INSTRUMENTS["standard drum kit"])
    for beat in range(4):
        kit.add(beat + 0.5, 0.1, 38, 100)
    spans = [ChordSpan(0.0, 4.0, frozenset({0, 4, 7}))]
    captions = ["a", "b", "c", "d"]
    return Score("test", 120.0, "C major", 4, [piano, kit], spans, captions)


@needs_soundfont
@pytest.mark.parametrize("name", STRUCK)
def test_a_struck_note_sounds_within_ten_milliseconds_of_its_label(
    sampler: Sampler, name: str
) -> None:
    instrument = INSTRUMENTS[name]
    onsets = np.arange(5) * 0.731 + 0.2
    pitch = 38 if instrument.is_drum else 60
    notes = np.asarray([[on, on + 0.2, pitch, 110, 0] for on in onsets], dtype=np.float32)
    audio = np.abs(sampler.play(notes, instrument, 4.0, reverb=0, room=0.2)).max(axis=0)
    for onset in onsets:
        start = int((onset - 0.02) * SAMPLE_RATE)
        window = audio[start : start + int(0.3 * SAMPLE_RATE)]
        before = window[: int(0.015 * SAMPLE_RATE)].max()
        heard = np.argmax(window > before + 0.05 * window.max()) / SAMPLE_RATE - 0.02
        assert abs(heard) <= 0.010


@needs_soundfont
def test_a_short_piece_has_energy_at_every_labelled_onset(sampler: Sampler) -> None:
    performance = perform(two_seconds(), np.random.default_rng(0))
    mix = mixed(performance, sampler, np.random.default_rng(1)).whole
    assert mix.shape == (2, round(performance.seconds * SAMPLE_RATE))
    assert np.abs(mix).max() <= PEAK_CEILING + 1e-4
    # A stroke is where the high-passed sound leaps; the reverb's tail has no such leaps.
    edge = np.abs(np.diff(mix.mean(axis=0)))
    for onset in performance.notes[:, 0]:
        centre = int(onset * SAMPLE_RATE)
        before = edge[max(0, centre - 900) : max(1, centre - 200)].mean()
        after = edge[centre - 100 : centre + 900].mean()
        assert after > 1.5 * before + 1e-5


@needs_soundfont
def test_rendering_does_not_depend_on_what_was_rendered_before(sampler: Sampler) -> None:
    performance = perform(two_seconds(), np.random.default_rng(0))
    first = mixed(performance, sampler, np.random.default_rng(1)).whole
    mixed(perform(two_seconds(), np.random.default_rng(5)), sampler, np.random.default_rng(6))
    second = mixed(performance, sampler, np.random.default_rng(1)).whole
    np.testing.assert_allclose(first, second, atol=2e-4)


def test_the_limiter_keeps_quiet_sound_and_the_ceiling() -> None:
    quiet = np.linspace(-0.5, 0.5, 100, dtype=np.float32).reshape(2, 50)
    np.testing.assert_array_equal(limited(quiet), quiet)
    loud = 5 * np.sin(np.linspace(0, 60, 2000, dtype=np.float32)).reshape(2, 1000)
    assert np.abs(limited(loud)).max() <= PEAK_CEILING


@needs_soundfont
def test_a_divided_band_is_the_whole_band(sampler: Sampler) -> None:
    performance = perform(two_seconds(), np.random.default_rng(0))
    mix = mixed(performance, sampler, np.random.default_rng(1))
    division = divided(mix, np.random.default_rng(2))
    assert division is not None
    assert len(division.played) == 1
    played = division.played[0]
    np.testing.assert_allclose(division.played_sound, limited(mix.stems[played]))
    np.testing.assert_allclose(division.rest_sound, limited(mix.stems[1 - played]))
    if np.abs(sum(mix.stems)).max() < PEAK_CEILING:  # nothing was limited
        np.testing.assert_allclose(
            division.played_sound + division.rest_sound, mix.whole, atol=1e-5
        )
    alone = mix._replace(stems=[mix.stems[0], 0 * mix.stems[1]])
    assert divided(alone, np.random.default_rng(2)) is None


@needs_soundfont
def test_a_piece_on_disk_holds_its_promises(tmp_path: Path) -> None:
    folder = tmp_path / "starter-7-00002"
    seconds = render_piece(folder, 2, 7)
    audio, rate = soundfile.read(folder / "mix.flac", always_2d=True)
    assert rate == SAMPLE_RATE
    assert audio.shape == (round(seconds * SAMPLE_RATE), 2)
    assert np.abs(audio).max() <= PEAK_CEILING + 1e-4
    assert -30 < 10 * np.log10((audio**2).mean()) < -13
    labels = load_file(folder / "labels.safetensors")
    assert {name: (array.shape[1], str(array.dtype)) for name, array in labels.items()} == {
        "notes": (5, "float32"),
        "beats": (2, "float32"),
        "chords": (14, "float32"),
    }
    described = json.loads((folder / "piece.json").read_text(encoding="utf-8"))
    score, _ = compose(2, 7)
    assert described["captions"] == score.captions
    assert described["bpm"] == pytest.approx(score.bpm, abs=0.1)
    assert [stem["name"] for stem in described["stems"]] == [p.instrument.name for p in score.parts]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


@needs_soundfont
def test_rendering_again_leaves_whole_pieces_alone(tmp_path: Path) -> None:
    arguments = ["render", "--out", str(tmp_path), "--pieces", "2", "--seed", "7", "--workers", "1"]
    whole = tmp_path / "starter-7-00000"
    whole.mkdir()
    (whole / "piece.json").write_text("{}", encoding="utf-8")
    assert main(arguments) == 0
    assert (whole / "piece.json").read_text(encoding="utf-8") == "{}"
    assert is_complete(tmp_path / "starter-7-00001")


def test_impossible_counts_are_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", "--out", str(tmp_path), "--pieces", "0"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--pieces" in error
