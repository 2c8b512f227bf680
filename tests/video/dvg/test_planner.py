"""Budgets, actions, demands: the dossier's checked figures, and independent arithmetic."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmdm.errors import InputError
from lmdm.video.dvg.demand import global_motion, spatial_demand, temporal_demand
from lmdm.video.dvg.planner import (
    Action,
    BudgetConfig,
    candidates,
    density,
    planned,
    scores,
    shares,
    speed_ups,
    stage_shapes,
    valid_budgets,
)

WAN = BudgetConfig((21, 60, 104), unit=2)


def test_the_dossiers_budget():
    """§4: steps 14/11/11/14, 13 candidates from (0.5, 16) to (1.0, ~10), budgets 0.36..0.78."""
    assert WAN.stage_steps == (14, 11, 11, 14)
    found = candidates(WAN)
    assert len(found) == 13
    assert max(a.frames for a in found if a.spatial == 0.5) == 16
    assert {a.frames for a in found if a.spatial == 1.0} == {9, 10}
    assert valid_budgets(WAN) == (0.36, 0.78)
    twelve = BudgetConfig((21, 60, 104), steps=12, unit=2)
    assert twelve.stage_steps == (3, 3, 2, 4)
    assert valid_budgets(twelve) == (0.42, 0.81)


def test_density_and_speed_by_hand():
    action = Action(0.7, 13)
    shapes = stage_shapes(WAN, action)
    assert shapes == ((8, 30, 52), (13, 42, 72), (13, 60, 104), (21, 60, 104))
    tokens = [math.prod(shape) for shape in shapes]
    spent = sum(t * n for t, n in zip(tokens, (14, 11, 11, 14), strict=True)) / 50
    assert density(WAN, action) == pytest.approx(spent / tokens[-1])
    linear, quadratic = speed_ups(WAN, action)
    assert linear == pytest.approx(2.0, abs=0.05) and quadratic == pytest.approx(2.6, abs=0.05)


@given(st.integers(6, 30), st.integers(8, 70), st.integers(8, 110), st.integers(8, 60), st.data())
def test_candidates_spend_the_budget_on_grids_that_only_grow(t, h, w, steps, data):
    unit = data.draw(st.sampled_from([1, 2]))
    try:
        low, high = valid_budgets(BudgetConfig((t, h, w), steps, unit=unit))
    except InputError:
        return
    budget = data.draw(st.sampled_from([low, high]))
    config = BudgetConfig((t, h, w), steps, budget, unit=unit)
    for action in candidates(config):
        assert abs(density(config, action) - budget) <= 0.02 + 1e-9
        shapes = stage_shapes(config, action)
        assert shapes[-1] == (t, h, w)
        for before, after in itertools.pairwise(shapes):
            assert all(a <= b for a, b in zip(before, after, strict=True))
        assert all(size % unit == 0 for shape in shapes[:3] for size in shape[1:])


@pytest.mark.parametrize("budget", [0.1, 0.3, 0.85, 1.0])
def test_budgets_that_nothing_spends_are_refused_with_the_range(budget):
    with pytest.raises(InputError, match=r"0\.36 to 0\.78"):
        candidates(BudgetConfig((21, 60, 104), budget=budget, unit=2))


def test_the_score_by_hand():
    actions = [Action(0.5, 16), Action(0.7, 13), Action(1.0, 10)]
    d_s = math.exp(2.6 * 0.3) / (math.exp(2.6 * 0.3) + math.exp(2.6 * 0.6))
    assert shares(0.3, 0.6, 2.6) == pytest.approx((d_s, 1 - d_s))
    middle = ((0.49 - 0.25) / 0.75, (13 - 10) / 6)
    gains = [(0.0, 1.0), middle, (1.0, 0.0)]
    expected = [-0.5 * (s - d_s) ** 2 - 0.5 * (t - 1 + d_s) ** 2 for s, t in gains]
    assert scores(actions, 0.3, 0.6, 2.6) == pytest.approx(expected)


def texture(length: float, speed: float, frames: int = 8, seed: int = 0) -> torch.Tensor:
    """A band-limited texture [4, T, 30, 52] that moves to the right by `speed` cells a frame."""
    generator = torch.Generator().manual_seed(seed)
    f_y = torch.fft.fftfreq(30)[:, None] * 2 * math.pi
    f_x = torch.fft.fftfreq(52)[None, :] * 2 * math.pi
    spectrum = torch.fft.fft2(torch.randn(4, 30, 52, generator=generator, dtype=torch.float64))
    spectrum = spectrum * torch.exp(-0.25 * length**2 * (f_y**2 + f_x**2))
    moved = [spectrum * torch.exp(-1j * f_x * speed * t) for t in range(frames)]
    return torch.fft.ifft2(torch.stack(moved, dim=1)).real


def test_a_translation_is_measured():
    """Slow against its texture's length, a moving texture gives its own speed, to the right."""
    motion = global_motion(texture(8.0, 0.5))
    assert motion[:, 0].mean() == pytest.approx(0.5, abs=0.12)
    assert motion[:, 1].abs().mean() < 0.1


def test_faster_texture_gets_more_frames_and_finer_more_pixels():
    config = BudgetConfig((16, 60, 104), unit=2)
    smooth = [texture(6.0, speed) for speed in (0.0, 0.5, 1.0, 2.0, 4.0)]
    demands = [temporal_demand(video) for video in smooth]
    assert demands[0] < 1e-6 and demands == sorted(demands) and demands[-1] > 0.5
    plans = [planned(config, spatial_demand(v), temporal_demand(v)) for v in smooth]
    assert [plan.frames for plan in plans] == sorted(plan.frames for plan in plans)
    assert plans[0].frames < plans[-1].frames
    still = [texture(length, 0.0) for length in (6.0, 2.0, 0.5)]
    fine = [spatial_demand(video) for video in still]
    assert fine == sorted(fine)
    rates = [planned(config, spatial_demand(v), temporal_demand(v)).spatial for v in still]
    assert rates == sorted(rates)


def test_known_failure_opposite_motions_cancel():
    """One vector a frame: two halves that part look nearly still (dossier §6 (i))."""
    right, left = texture(4.0, 1.5, seed=1), texture(4.0, -1.5, seed=1)
    both = torch.cat([right[:, :, :15], left[:, :, 15:]], dim=2)
    assert temporal_demand(both) < 0.5 * temporal_demand(right)


def test_known_failure_steps_beyond_the_texture_alias():
    """A fine texture that moves by 4 looks slower than a smooth one (dossier §6 (ii))."""
    assert temporal_demand(texture(0.8, 4.0)) < 0.5 * temporal_demand(texture(6.0, 4.0))


def test_noise_would_always_give_the_same_wrong_answer():
    """Dossier §9: m_s = 0.63 and m_t = 0.07 of white noise, whatever the video."""
    noise = torch.randn(16, 8, 30, 52, generator=torch.Generator().manual_seed(0))
    assert spatial_demand(noise) == pytest.approx(0.63, abs=0.02)
    assert temporal_demand(noise) == pytest.approx(0.07, abs=0.04)


@pytest.mark.parametrize(
    "bad",
    [
        {"shape": (21, 1, 104)}, {"transitions": (0.5, 0.3, 0.7)}, {"transitions": (0.0, 0.5, 0.7)},
        {"budget": 0.0}, {"shifts": (7.0, 0.0, 11.0, 11.0)},
    ],
)  # fmt: skip
def test_impossible_budgets_are_refused(bad):
    with pytest.raises(InputError):
        BudgetConfig(**({"shape": (21, 60, 104)} | bad))
