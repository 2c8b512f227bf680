"""Maps between notations: generative time, EDM's scaling."""

from __future__ import annotations

import math

import pytest

from lmdm.diffusion.gaussian import GaussianData
from lmdm.diffusion.notations import GenerativeTime, full_log_snr, scaled, unscaled
from lmdm.diffusion.prediction import Kind
from lmdm.diffusion.schedule import EDM, VP, Cosine, RectifiedFlow, Schedule
from tests.laws.network import random

PATHS = [VP(), EDM(3.0), RectifiedFlow(), Cosine()]


@pytest.mark.parametrize("schedule", PATHS)
def test_generative_time_turns_signs_and_nothing_else(schedule: Schedule) -> None:
    """eq. 104: g2 = -(sigma^2)' + 2 (alpha'/alpha) sigma^2 with derivatives by u."""
    turned = GenerativeTime(schedule)
    last = schedule.valid_range[1]
    for part in (0.2, 0.7):
        u, h = part * last, 1e-6 * last
        alpha, sigma = turned.alpha(u), turned.sigma(u)
        assert turned.forward_time(turned.forward_time(u)) == pytest.approx(u)
        slope = (turned.alpha(u + h) - turned.alpha(u - h)) / (2 * h)
        assert turned.dalpha(u) == pytest.approx(slope, abs=1e-7)
        g2 = -2 * sigma * turned.dsigma(u) + 2 * turned.dalpha(u) / alpha * sigma**2
        assert turned.g2(u) == pytest.approx(g2, rel=1e-12)


@pytest.mark.parametrize("schedule", PATHS)
def test_generative_flow_runs_from_noise_to_data(schedule: Schedule) -> None:
    """Euler steps along dx/du follow the exact flow, u rising."""
    data, turned = GaussianData(0.4, 0.3), GenerativeTime(schedule)
    first, last = 0.3 * schedule.valid_range[1], 0.6 * schedule.valid_range[1]
    denoiser, steps = data.denoiser(schedule, Kind.V), 400
    x = begin = random(6, 1, seed=1)
    for step in range(steps):
        u = first + (last - first) * step / steps
        x = x + (last - first) / steps * turned.velocity(denoiser, x, u)
    ends = turned.forward_time(first), turned.forward_time(last)
    assert (x - data.flow(begin, *ends, schedule)).abs().max() < 5e-3


@pytest.mark.parametrize("schedule", PATHS)
def test_edm_s_scaling_is_undone(schedule: Schedule) -> None:
    x = random(3, 2, seed=1)
    t = 0.4 * schedule.valid_range[1]
    y, level = scaled(x, t, schedule)
    back, again = unscaled(y, level, schedule)
    assert (back - x).abs().max() < 1e-12
    assert again == pytest.approx(t, rel=1e-12)
    assert full_log_snr(t, schedule) == pytest.approx(-2 * math.log(level), rel=1e-12)
