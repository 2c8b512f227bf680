"""Matching and stepping, against an independent reading of the paper in NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from lmdm.errors import InputError
from lmdm.video.flowlong.geometry import WindowGeometry
from lmdm.video.flowlong.matching import aggregate, mismatch, ramp, windows_of
from lmdm.video.flowlong.sampler import (
    FlowLongConfig,
    WindowState,
    begin,
    noise_like,
    sample,
    step,
)
from lmdm.video.timesteps import flow_timesteps

GEOMETRY = WindowGeometry(13, 6, 31)
SHAPE = (3, 13, 2)


def windows(seed: int = 0, geometry: WindowGeometry = GEOMETRY) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(geometry.windows, 3, 13, 2, generator=generator, dtype=torch.float64)


def nonlinear(x: torch.Tensor, t: float, which: range) -> torch.Tensor:
    """A network that is not linear and mixes frames."""
    return torch.tanh(x.roll(1, 2) + x * t) + 0.3 * x.mean(2, keepdim=True)


def walk(config: FlowLongConfig, network=nonlinear, steps: int = 6, state=None) -> WindowState:
    state = state or begin(SHAPE, GEOMETRY, config)
    for each in sample(network, state, flow_timesteps(steps, 3.0).tolist(), GEOMETRY, config):
        state = each
    return state


def test_aggregate_frame_by_frame():
    """Every frame is the blend of the last neighbouring pair that covers it."""
    x = windows().numpy()
    stride, overlap = GEOMETRY.stride, GEOMETRY.overlap
    expected = np.full((3, GEOMETRY.timeline, 2), np.nan)
    for frame in range(GEOMETRY.timeline):
        pairs = [
            k for k in range(1, GEOMETRY.windows) if k * stride <= frame < k * stride + overlap
        ]
        if pairs:
            k = pairs[-1]
            i = frame - k * stride
            share = i / (overlap - 1)
            left, right = x[k - 1][:, stride + i], x[k][:, i]
            expected[:, frame] = (1 - share) * left + share * right
        else:
            k = min(frame // stride, GEOMETRY.windows - 1)
            k = max(w for w in range(k + 1) if w * stride <= frame < w * stride + 13)
            expected[:, frame] = x[k][:, frame - k * stride]
    got = aggregate(torch.from_numpy(x), GEOMETRY).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-15)


def test_where_three_windows_meet_the_last_pair_stands():
    """O = 7 > S = 6: frame 12 is in windows 0, 1 and 2; a mean of three would be 1."""
    x = torch.stack([torch.full((1, 13), float(k)) for k in range(3)])
    timeline = aggregate(x, WindowGeometry(13, 6, 25))
    assert timeline[0, 12] == 1.0  # share 0 of the pair (1, 2): window 1 alone, not (0 + 1 + 2) / 3
    assert timeline[0, 6] == 0.0  # share 0 of the pair (0, 1)
    assert timeline[0, 18] == 2.0  # share 1 of the pair (1, 2)


def test_the_ramp_reaches_both_ends():
    assert ramp(7).tolist() == pytest.approx([i / 6 for i in range(7)])
    assert ramp(1).tolist() == [0.5]


def test_matching_agreeing_windows_changes_nothing():
    timeline = torch.randn(3, GEOMETRY.timeline, 2, generator=torch.Generator().manual_seed(1))
    cut = windows_of(timeline, GEOMETRY)
    assert mismatch(cut, GEOMETRY) == 0.0
    torch.testing.assert_close(aggregate(cut, GEOMETRY), timeline, rtol=0, atol=1e-6)


@pytest.mark.parametrize("t", [0.9, 0.4])
def test_one_step_in_numpy(t):
    """Both branches of dossier §2 (3), from the formulas."""
    config = FlowLongConfig(t_star=0.6, seed=5)
    timeline = aggregate(windows(2), GEOMETRY)
    state = WindowState(3, windows_of(timeline, GEOMETRY), timeline)
    after = step(nonlinear, state, t, t - 0.1, GEOMETRY, config)

    x = state.windows.numpy()
    v = nonlinear(state.windows, t, range(4)).numpy()
    x0 = aggregate(torch.from_numpy(x - t * v), GEOMETRY).numpy()
    s = t - 0.1
    if t >= 0.6:
        expected = (1 - s) * x0 + s * noise_like(x0.shape, 5, 4).double().numpy()
    else:
        x1 = (timeline.numpy() - (1 - t) * x0) / t
        expected = (1 - s) * x0 + s * x1
    np.testing.assert_allclose(after.timeline.numpy(), expected, atol=1e-12)
    assert after.reports[-1].branch == ("stochastic" if t >= 0.6 else "deterministic")
    assert mismatch(after.windows, GEOMETRY) == 0.0


@pytest.mark.parametrize("variant", ["flowlong", "ode", "sde"])
def test_overlaps_agree_exactly_after_every_step(variant):
    state = walk(FlowLongConfig(variant))
    assert [report.after for report in state.reports] == [0.0] * 6
    assert max(report.before for report in state.reports) > 0.1


def test_deterministic_matching_of_x0_and_of_xt_are_one_algorithm():
    """Dossier §6: with Euler steps from a shared state both blends are the same linear map."""
    config = FlowLongConfig("ode", seed=3)
    start = begin(SHAPE, GEOMETRY, config)
    start = WindowState(0, start.windows.double(), start.timeline.double())
    by_x0 = walk(config, state=start).timeline
    blended = start
    timesteps = flow_timesteps(6, 3.0).tolist()
    for t, s in itertools.pairwise(timesteps):
        moved = blended.windows + (s - t) * nonlinear(blended.windows, t, range(4))
        timeline = aggregate(moved, GEOMETRY)
        blended = WindowState(0, windows_of(timeline, GEOMETRY), timeline)
    assert (by_x0 - blended.timeline).abs().max() < 5e-14


def test_but_with_own_noise_the_blend_of_xt_loses_variance():
    """The variance of blended noise falls to (1 - l)^2 + l^2, half in the middle."""
    geometry = WindowGeometry(13, 6, 19)
    still = lambda x, t, which: x / t  # noqa: E731 - says that the clean video is 0
    values = {}
    for variant in ("xt", "flowlong"):
        seen = []
        for seed in range(300):
            config = FlowLongConfig(variant, t_star=0.0, seed=seed)
            state = begin((8, 13), geometry, config)
            state = step(still, state, 1.0, 0.9, geometry, config)
            seen.append(state.timeline / 0.9)
        values[variant] = torch.stack(seen).var((0, 1))
    share = ramp(7)
    expected = (1 - share) ** 2 + share**2
    assert (values["xt"][6:13] - expected).abs().max() < 0.1
    assert (values["flowlong"] - 1).abs().max() < 0.12


def test_the_ode_starts_from_one_noise():
    state = begin(SHAPE, GEOMETRY, FlowLongConfig("ode"))
    assert mismatch(state.windows, GEOMETRY) == 0.0
    assert mismatch(begin(SHAPE, GEOMETRY, FlowLongConfig()).windows, GEOMETRY) > 1.0


def test_the_switch_is_a_noise_level():
    """Dossier §2: of 50 steps, 39 are stochastic at shift 5 and 21 at shift 1."""
    config = FlowLongConfig(t_star=0.6)
    for shift, expected in ((5.0, 39), (1.0, 21)):
        timesteps = flow_timesteps(50, shift).tolist()[:-1]
        assert sum(config.stochastic(t) for t in timesteps) == expected


def test_microbatches_change_nothing():
    whole = walk(FlowLongConfig(seed=1)).timeline
    for size in (1, 3):
        assert torch.equal(walk(FlowLongConfig(seed=1, microbatch=size)).timeline, whole)


@pytest.mark.parametrize("variant", ["flowlong", "own-noise", "indep"])
def test_a_resumed_walk_is_the_walk(variant):
    config = FlowLongConfig(variant, seed=4)
    timesteps = flow_timesteps(6, 3.0).tolist()
    states = list(sample(nonlinear, begin(SHAPE, GEOMETRY, config), timesteps, GEOMETRY, config))
    resumed = walk(config, state=states[2])
    assert torch.equal(resumed.timeline, states[-1].timeline)
    assert resumed.reports == states[-1].reports


def test_a_single_window_is_the_plain_sampler():
    geometry = WindowGeometry(13, 6, 10)
    config = FlowLongConfig("ode", seed=2)
    state = begin(SHAPE, geometry, config)
    x = state.windows.double()
    timesteps = flow_timesteps(5, 3.0).tolist()
    state = WindowState(0, x, x[0])
    *_, last = sample(nonlinear, state, timesteps, geometry, config)
    for t, s in itertools.pairwise(timesteps):
        x = x + (s - t) * nonlinear(x, t, range(1))
    torch.testing.assert_close(last.timeline, x[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("bad", [{"variant": "x0"}, {"t_star": 1.5}, {"microbatch": -1}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(InputError):
        FlowLongConfig(**bad)
