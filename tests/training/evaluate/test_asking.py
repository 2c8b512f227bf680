"""Judges of controls, accompaniment and prompts, on sounds and models whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lmdm.checkpoints import load
from lmdm.conditioning.loudness import level_of_db
from lmdm.conditioning.notes import NoteFrames
from lmdm.errors import InputError
from lmdm.live.hearing import ANSWER_DB
from training.data.pieces import Piece
from training.data.shards import read_manifest
from training.evaluate import accompaniment, asking, controls, prompts
from training.evaluate.embedding import MelStatistics
from training.evaluate.sources import held_out_latents

RATE = 44100


def stereo(mono: np.ndarray) -> np.ndarray:
    return np.stack([mono, mono], axis=1).astype(np.float32)


def tone(hertz: float, seconds: float = 4.0) -> np.ndarray:
    return stereo(0.2 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE))


def clicks(rate: float, seconds: float = 4.0) -> np.ndarray:
    """Decaying bursts, `rate` of them a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).normal(size=len(time))
    return stereo(0.3 * noise * np.exp(-40 * (time % (1 / rate))))


def test_measures_answer_what_they_are_named_for() -> None:
    assert controls.brightness(tone(4000.0)) > controls.brightness(tone(400.0)) + 0.5
    assert controls.low_share_db(tone(80.0)) > controls.low_share_db(tone(800.0)) + 20.0
    rates = [controls.density(clicks(rate)) for rate in (1.0, 2.0, 4.0, 8.0)]
    np.testing.assert_allclose(np.diff(rates), 1 / 6, atol=0.05)
    assert controls.correlation([0, 1, 2], [5, 6, 7]) == 1.0
    assert controls.correlation([0, 1, 2], [5, 5, 5]) is None


def test_agreement_is_high_with_the_same_and_low_with_another_harmony_and_rhythm() -> None:
    same = accompaniment.agreement(tone(440.0) + clicks(2.0), tone(880.0) + clicks(2.0))
    other = accompaniment.agreement(tone(440.0) + clicks(2.0), tone(622.25) + clicks(3.1))
    assert same[0] > other[0] + 0.3
    assert same[1] > other[1] + 0.5
    assert accompaniment.agreement(tone(440.0), 0 * tone(440.0))[1] == 0.0


def test_asking_is_the_streams_own_music(tiny_accompanist: Path) -> None:
    model = load(str(tiny_accompanist))
    frames = 3 * model.stream_config.block_frames
    sound = asking.played(model, "", {}, frames, seed=3)
    assert sound.shape == (frames * model.codec.frame_samples, 2)
    again = asking.played(model, "", {"chord": np.ones(12)}, frames + 1, seed=3)
    np.testing.assert_array_equal(sound, again)  # no such control, and no block begins
    busy = asking.played(model, "", {"density": np.ones(frames + 1)}, frames + 1, seed=3)
    assert not np.array_equal(sound, busy)
    assert not np.array_equal(sound, asking.played(model, "", {}, frames, seed=4))


def test_a_level_is_asked_for_as_the_instrument_asks(tiny_model: Path) -> None:
    model = load(str(tiny_model))
    frames = 3 * model.stream_config.block_frames
    unasked, asked, other = (
        asking.played(model, "", values, frames, seed=3)
        for values in ({}, {"loudness": level_of_db(ANSWER_DB)}, {"loudness": level_of_db(-50.0)})
    )
    np.testing.assert_array_equal(unasked, asked)
    assert not np.array_equal(unasked, other)


def test_each_block_asks_for_the_level_of_its_own_notes() -> None:
    sounding = np.zeros((128, 10), np.float32)
    sounding[60, 4:] = 1.0  # none, one, one: the last block is cut short
    notes = NoteFrames(0 * sounding, sounding)
    assert asking.levels({"notes": notes}, 10, 4) == [None, ANSWER_DB, ANSWER_DB]
    assert asking.levels({}, 3, 4) == [ANSWER_DB]
    asked = asking.levels({"notes": notes, "loudness": level_of_db(-30.0)}, 10, 4)
    assert asked == pytest.approx([-30.0] * 3)
    rising = asking.levels({"loudness": np.linspace(-1.0, 1.0, 8)}, 8, 4)
    assert rising == pytest.approx([level * 24.0 - 24.0 for level in (-4 / 7, 4 / 7)])


def test_a_model_that_does_not_hear_a_control_is_not_asked(
    tiny_model: Path, tiny_latents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, manifest = load(str(tiny_model)), read_manifest(tiny_latents)
    monkeypatch.setattr(controls, "SECONDS", 4.0)
    heard = model.conditioning.names if model.conditioning else ()
    assert set(controls.evaluate(model, manifest)) == set(heard) & set(controls.QUESTIONS)
    with pytest.raises(InputError, match="hears no accompaniment"):
        accompaniment.evaluate(model, manifest)


def test_a_probe_tells_families_apart(tmp_path: Path) -> None:
    for index in range(6):
        family, hertz = (("bass", 60.0), ("flute", 1800.0))[index % 2]
        folder = tmp_path / f"solo-{index}"
        folder.mkdir()
        soundfile.write(folder / "mix.flac", tone(hertz + 5 * index, 14.0), RATE)
        stems = [{"family": family}] + [{"family": "drums"}] * (index == 5)
        piece = {"stems": stems, "split": "test" if index > 3 else "train"}
        (folder / "piece.json").write_text(json.dumps(piece))
    found = prompts.solos(tmp_path)
    assert [solo.family for solo in found] == ["bass", "flute"] * 2 + ["bass"]  # one is no solo
    known = [solo for solo in found if solo.split == "train"]
    probe = prompts.FamilyProbe(MelStatistics(), known, 3.0)
    assert probe.families == ["bass", "flute"]
    assert probe.family(tone(70.0)) == "bass"
    assert probe.family(tone(1700.0)) == "flute"
    with pytest.raises(InputError, match="no rendered piece of one instrument"):
        prompts.solos(tmp_path / "solo-0")


def test_accompaniment_is_judged_by_visibility_beside_others_inputs(
    tiny_accompanist: Path, tiny_latents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    pieces = []
    for key in ("a", "b"):
        arrays = {
            name: generator.normal(size=(64, 90)).astype(np.float16) for name in ("input", "rest")
        }
        arrays |= {f"rest.{name}": np.zeros(90, np.float32) for name in ("loudness", "brightness")}
        division = {"input_stems": [0], "captions": ["drums"]}
        facts = {"key": key, "captions": ["a band"], "drum_stems": [], "division": division}
        pieces.append(Piece(arrays["rest"], arrays, facts))
    monkeypatch.setattr(accompaniment, "held_out_latents", lambda *_, **__: pieces)
    monkeypatch.setattr(accompaniment, "SECONDS", 4.0)
    manifest = read_manifest(tiny_latents)
    found = accompaniment.evaluate(load(str(tiny_accompanist)), manifest, (0, 1))
    assert found["pieces"] == ["a", "b"]
    assert set(found["agreement"]) == {"real", "random", "own +0", "own +1", "other +0", "other +1"}
    assert found["agreement"]["real"] != found["agreement"]["random"]


def test_held_out_pieces_are_spread_and_never_twice(tiny_latents: Path) -> None:
    manifest = read_manifest(tiny_latents)
    for count, expected in ((1, 1), (2, 2), (100, 2)):
        found = held_out_latents(manifest, count, 50)
        assert len({piece.facts["key"] for piece in found}) == len(found) == expected
    with pytest.raises(InputError, match="no held-out divided piece"):
        held_out_latents(manifest, 1, 50, divided=True)
