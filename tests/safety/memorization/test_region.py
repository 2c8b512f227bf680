from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lmdm.errors import InputError
from lmdm.safety.memorization.region import SMALLEST_STD, Region, calibrate, norms_of

SETTING = {"model": "abc", "steps": 4, "guidance": 7.5}


def made(generator: torch.Generator) -> tuple[Region, list[torch.Tensor]]:
    traces = [torch.rand(4, 3, generator=generator, dtype=torch.float64) for _ in range(20)]
    return calibrate(traces, SETTING), traces


def test_norms_are_those_of_each_sample() -> None:
    z = torch.zeros(2, 1, 2, 2)
    proposal = torch.tensor([[[[3.0, 4.0], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 2.0]]]])
    norms = norms_of(z, proposal, 2 * proposal)
    assert norms.tolist() == [[5.0, 2.0], [10.0, 4.0], [5.0, 2.0]]


def test_the_region_is_mean_and_deviation_by_step_and_norm() -> None:
    region, traces = made(torch.Generator().manual_seed(0))
    stacked = torch.stack(traces)
    assert torch.allclose(region.mean, stacked.mean(0), atol=1e-15)
    assert torch.allclose(region.std, stacked.std(0), atol=1e-15)
    profile = region.profile(stacked)
    assert torch.allclose(profile.mean(0), torch.zeros(4, 3, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(region.z(stacked[:, 2].T, 2), profile[:, 2].T)


def test_a_norm_that_never_varies_has_a_floor() -> None:
    region = calibrate([torch.ones(4, 3)] * 9, SETTING)
    assert float(region.std.min()) == SMALLEST_STD


def test_it_survives_the_disk_and_is_bound_to_its_setting(tmp_path: Path) -> None:
    region, _ = made(torch.Generator().manual_seed(1))
    path = tmp_path / "region.safetensors"
    region.save(path)
    again = Region.load(path)
    assert torch.equal(again.mean, region.mean) and torch.equal(again.std, region.std)
    again.check(SETTING)
    with pytest.raises(InputError, match=r"guidance 7\.5, not 3\.0"):
        again.check(SETTING | {"guidance": 3.0})
    with pytest.raises(InputError, match="dtype"):
        again.check(SETTING | {"dtype": "torch.float16"})


def test_an_altered_region_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "region.safetensors"
    metadata = {"setting": '{"steps": 4}', "trajectories": "9", "fingerprint": "0" * 64}
    save_file({"mean": torch.ones(4, 3), "std": torch.ones(4, 3)}, path, metadata)
    with pytest.raises(InputError, match="not a stability region"):
        Region.load(path)
    save_file({"mean": torch.ones(4, 2), "std": torch.ones(4, 2)}, path)
    with pytest.raises(InputError, match="not a stability region"):
        Region.load(path)


def test_too_few_or_unequal_trajectories_are_refused() -> None:
    with pytest.raises(InputError, match="more prompts or seeds"):
        calibrate([torch.ones(4, 3)] * 3, SETTING)
    with pytest.raises(InputError, match="number of steps"):
        calibrate([torch.ones(4, 3)] * 8 + [torch.ones(5, 3)], SETTING)
