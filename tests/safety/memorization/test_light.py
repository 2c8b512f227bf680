"""The light: what makes it speak, what it refuses, and how its false rate is measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmdm.checkpoints import STARTER, load
from lmdm.errors import InputError
from lmdm.formats.own import weights_of
from lmdm.live.controls import Controls
from lmdm.live.session import Session
from lmdm.live.session_light import LIGHT_FILE, SessionLight
from lmdm.safety.memorization.light import (
    CHECK_FRAMES,
    UPDATE_FRAMES,
    Light,
    MemorizationLight,
    Threshold,
    UpdateWitness,
)
from lmdm.safety.memorization.ordinary import Playing, performances, threshold, update_witness
from lmdm.safety.memorization.passages import WINDOW_FRAMES, Passages
from lmdm.safety.memorization.region import Region
from lmdm.weights import sha256

SETTING = {"model": "abc", "steps": 2, "guidance": 1.5}
RATE = Threshold(2.0, 0.01, (0.0, 0.03), 4, 2.0)
NEAR = replace(RATE, value=0.9)
BLOCK = 4


def noise(frames: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, frames + 24, generator=generator).unfold(1, 25, 1).mean(dim=2)


PIECE = noise(400, 1)


@pytest.fixture(scope="module")
def light() -> Light:
    region = Region(torch.full((2, 3), 10.0).double(), torch.ones(2, 3).double(), SETTING, 100)
    corpus = [("a piece", PIECE), *((f"other {n}", noise(200, n)) for n in range(2, 8))]
    return Light("abc", (UpdateWitness(region, RATE),), Passages.of(corpus), NEAR)


def usual(z: float = 0.5) -> Tensor:
    """Norms [2, 3] whose update is `z` standard deviations off in the second step."""
    norms = torch.full((2, 3), 10.0).double()
    norms[1, 0] += z
    return norms


def follow(light: Light) -> MemorizationLight:
    return MemorizationLight(light, BLOCK, 44100 / 2048)


def play(lamp: MemorizationLight, latents: Tensor, z: float = 0.5, first: int = 1) -> None:
    for number, block in enumerate(latents.split(BLOCK, dim=1)):
        lamp.hear(first + number, block, usual(z), SETTING)


def test_ordinary_playing_leaves_it_clear_and_a_short_beginning_unknown(light):
    lamp = follow(light)
    assert lamp.verdict().state == "unknown"
    play(lamp, noise(UPDATE_FRAMES, 50))
    verdict = lamp.verdict()
    assert verdict.state == "clear" and verdict.score == pytest.approx(0.5)
    assert verdict.similarity is not None and verdict.similarity < 0.9


def test_a_training_passage_is_named_with_its_place(light):
    lamp = follow(light)
    play(lamp, PIECE[:, 200 : 200 + 2 * WINDOW_FRAMES])
    verdict = lamp.verdict()
    assert verdict.state == "near" and verdict.text.startswith("close to a piece at 0:1")


def test_unusual_updates_are_told_either_way(light):
    for z in (-5.0, 5.0):
        lamp = follow(light)
        play(lamp, noise(UPDATE_FRAMES, 50), z)
        assert lamp.verdict().state == "unusual"


def test_other_steps_or_guidance_are_not_judged(light):
    lamp = follow(light)
    for number, block in enumerate(noise(UPDATE_FRAMES, 50).split(BLOCK, dim=1)):
        lamp.hear(number + 1, block, usual(50.0), {**SETTING, "guidance": 4.0})
    verdict = lamp.verdict()
    assert verdict.score is None and "not calibrated for 2 steps at guidance 4" in verdict.text
    without = follow(replace(light, passages=None, nearness=None))
    without.hear(1, noise(BLOCK, 1), usual(50.0), {**SETTING, "steps": 8})
    assert without.verdict().state == "unknown"


def test_blocks_made_anew_take_the_place_of_those_taken_back(light):
    once, twice = follow(light), follow(light)
    latents = noise(UPDATE_FRAMES, 60)
    play(once, latents, 1.0)
    play(twice, latents, 1.0)
    play(twice, noise(8 * BLOCK, 61), 9.0, first=UPDATE_FRAMES // BLOCK - 7)
    play(twice, latents[:, -8 * BLOCK :], 1.0, first=UPDATE_FRAMES // BLOCK - 7)
    assert twice.verdict().score == pytest.approx(once.verdict().score)


def test_a_file_holds_it_whole_and_nothing_else_is_one(light, tmp_path: Path):
    path = tmp_path / "light.safetensors"
    light.save(path)
    again = Light.load(path)
    assert again.model == "abc" and again.nearness == NEAR
    assert again.updates[0].threshold == RATE
    assert torch.equal(again.updates[0].region.mean, light.updates[0].region.mean)
    lamp = follow(again)
    play(lamp, PIECE[:, :96])
    assert lamp.verdict().state == "near"

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    facts = json.loads(metadata["facts"])
    facts["updates"][0]["threshold"]["value"] = 99.0  # a light that never speaks
    save_file(load_file(path), path, {**metadata, "facts": json.dumps(facts)})
    with pytest.raises(InputError, match="is not a memorization light"):
        Light.load(path)


def test_the_starters_own_light_is_for_its_weights_and_small():
    path = STARTER / LIGHT_FILE
    light = Light.load(path)
    light.check(sha256(STARTER / "config.json", *weights_of(STARTER)))
    assert path.stat().st_size < 3e6
    assert light.passages is not None and len(light.passages.pieces) == 764
    assert light.nearness is not None and light.nearness.performances == 48
    assert light.nearness.false_rate < 0.02


def test_without_updates_it_judges_passages_alone(light):
    alone = Light("abc", (), light.passages, light.nearness)
    lamp = follow(alone)
    play(lamp, noise(200, 70))
    assert (lamp.verdict().state, lamp.verdict().text) == ("clear", "no training passage is near")
    play(lamp, PIECE[:, 200 : 200 + 2 * WINDOW_FRAMES], first=100)
    assert lamp.verdict().state == "near"


def test_the_light_of_another_model_is_refused(light):
    light.check("abc")
    with pytest.raises(InputError, match="calibrated for the model abc, not def"):
        light.check("def")


def test_the_false_rate_is_that_of_each_half_by_the_others_threshold():
    generator = np.random.default_rng(0)
    first = [list(generator.normal(size=2000)) for _ in range(10)]
    second = [list(generator.normal(size=2000)) for _ in range(10)]

    def judged(one, other):
        return threshold(one + other, [(one, other), (other, one)], 0.05, 0.5)

    found = judged(first, second)
    assert found.value == pytest.approx(1.645, abs=0.1)
    assert found.false_rate == pytest.approx(0.05, abs=0.01)
    assert found.interval[0] < found.false_rate < found.interval[1]
    assert (found.performances, found.minutes) == (20, pytest.approx(20 * 2000 * 0.5 / 60, abs=0.1))
    shifted = [[value + 3 for value in track] for track in second]
    assert judged(first, shifted).false_rate == pytest.approx(0.46, abs=0.02)
    quiet = threshold(first, [(shifted, first)], 0.05, 0.5)
    assert (quiet.false_rate, quiet.interval[0]) == (0.0, 0.0)
    assert quiet.interval[1] == pytest.approx(1 - 0.05**0.1)  # of ten, none
    with pytest.raises(InputError, match="too short"):
        judged([[1.0]], [[]])


def test_a_model_is_calibrated_played_and_goes_on_where_it_was_cut(tiny_model: Path, tmp_path):
    """The whole way, on a tiny model: performances, a light, and a session that it follows."""
    torch.set_num_threads(1)
    model = load(tiny_model)
    playing = Playing(("felt piano", "choir"), 2, 1.5, performances=4, seconds=10)
    played = performances(model, playing, tmp_path / "p", quiet=True)
    for name in ("0001", "0003"):
        (tmp_path / "p" / f"{name}.safetensors").unlink()
    again = performances(model, playing, tmp_path / "p", quiet=True)
    assert all(torch.equal(a.norms, b.norms) for a, b in zip(played, again, strict=True))
    with pytest.raises(InputError, match="another model or setting"):
        performances(model, replace(playing, guidance=3.0), tmp_path / "p", quiet=True)

    setting = playing.setting(model)
    witness = update_witness(played, setting, model, 0.05)
    path = tmp_path / "light.safetensors"
    Light(model.sha256, (witness,)).save(path)
    session = Session(model, Controls(guidance=1.5, steps=2))
    lamp = SessionLight.of(model, session, str(path))
    states = []
    for _ in range(UPDATE_FRAMES // session.block_frames):
        lamp.hear(session.next_block().latents)
        states.append(lamp.verdict()["state"])
    assert states[0] == "unknown" and states[-1] in ("clear", "unusual")
    assert SessionLight.of(model, session, "").verdict() == {}


def test_looking_for_passages_is_rare_enough_to_be_cheap(light, monkeypatch: pytest.MonkeyPatch):
    looks = []
    nearest = Passages.nearest
    monkeypatch.setattr(
        Passages, "nearest", lambda self, window: looks.append(1) or nearest(self, window)
    )
    play(follow(light), noise(400, 70))
    assert len(looks) <= 400 // CHECK_FRAMES
