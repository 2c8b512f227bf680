"""Any two paths are one: converted denoisers give the same samples, up to the scale."""

from __future__ import annotations

import itertools

import pytest
import torch

from lmdm.diffusion.denoisers import Clipped, EDMPreconditioned, Network
from lmdm.diffusion.gaussian import GaussianData, MixtureData
from lmdm.diffusion.grid import uniform_t
from lmdm.diffusion.matching import OnAnotherPath, matched_scale, matched_time
from lmdm.diffusion.prediction import Kind, SingularTimeError
from lmdm.diffusion.sampling import sample
from lmdm.diffusion.schedule import EDM, VE, VP, Cosine, RectifiedFlow, Schedule
from lmdm.diffusion.solvers import DDIM, EDMHeun
from tests.laws.network import random

PATHS = [VP(), VE(), EDM(), RectifiedFlow(), Cosine()]
DATA = MixtureData(
    torch.tensor([0.5, 0.5], dtype=torch.float64),
    torch.tensor([[-1.0, 0.3], [0.5, 0.9]], dtype=torch.float64),
    0.05,
)


@pytest.mark.parametrize(("source", "target"), list(itertools.pairwise([*PATHS, PATHS[0]])))
@pytest.mark.parametrize("solver", [DDIM(), EDMHeun()])
def test_trajectories_coincide_on_matched_grids(
    source: Schedule, target: Schedule, solver: DDIM | EDMHeun
) -> None:
    """x' = (alpha'/alpha) x from beginning to end (dossier B §3)."""
    levels = torch.logspace(0.9, -1.5, 16, dtype=torch.float64)
    times, matched = (torch.as_tensor(each.t_of_lambda(-levels.log())) for each in (source, target))
    assert torch.allclose(matched_time(times, source, target), matched, rtol=1e-9)
    x = float(source.alpha(float(times[0]))) * 5 * random(8, 2, seed=1)
    denoiser = DATA.denoiser(source, Kind.EPS)
    end = sample(denoiser, source, times, solver, x)
    other = OnAnotherPath(denoiser, source, target, Kind.V)
    begin = x * matched_scale(float(times[0]), source, target)
    found = sample(other, target, matched, solver, begin)
    wanted = end * matched_scale(float(times[-1]), source, target)
    assert (found - wanted).abs().max() <= 1e-9 * (1 + wanted.abs().max())


def test_scale_is_right_where_alpha_is_0() -> None:
    assert matched_scale(1.0, RectifiedFlow(), Cosine()) == pytest.approx(1.0)
    assert matched_scale(0.3, RectifiedFlow(), VP()) == pytest.approx(
        VP().alpha(VP().t_of_lambda(RectifiedFlow().lambda_(0.3))) / 0.7
    )
    with pytest.raises(SingularTimeError, match="VP never reaches"):
        matched_time(1.0, RectifiedFlow(), VP())


def test_edm_preconditioning_is_the_published_one() -> None:
    """D = c_skip y + c_out F(c_in y, log(level)/4)."""
    schedule, x, t = VP(), random(3, 2, seed=1), 0.4
    level, y = float(schedule.sigma(t) / schedule.alpha(t)), random(3, 2, seed=1)
    y = x / schedule.alpha(t)
    seen = []

    def network(inputs: torch.Tensor, noise: float | torch.Tensor) -> torch.Tensor:
        seen.append(float(noise))
        return torch.tanh(inputs)

    x0 = EDMPreconditioned(network, schedule)(x, t).x0(x, t, schedule)
    square = level**2 + 0.25
    wanted = 0.25 / square * y + level * 0.5 / square**0.5 * torch.tanh(y / square**0.5)
    assert (x0 - wanted).abs().max() < 1e-12
    assert seen == [pytest.approx(0.25 * torch.tensor(level).double().log().item())]


def test_clipping_is_a_wrapper_and_only_that() -> None:
    schedule, x = RectifiedFlow(), 4 * random(5, 1, seed=1)
    plain = GaussianData(0.0, 4.0).denoiser(schedule, Kind.V)
    x0 = plain(x, 0.3).x0(x, 0.3, schedule)
    clipped = Clipped(Network(lambda x, t: plain(x, t).value, Kind.V), schedule)(x, 0.3)
    assert torch.equal(clipped.value, x0.clamp(-1, 1))
    assert float(x0.abs().max()) > 1
    assert len(uniform_t(schedule, 3)) == 4
