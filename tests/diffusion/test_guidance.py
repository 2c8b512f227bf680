"""Guidance whose answer is known: Gaussian classes, one kind for the other, end points."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lmdm.diffusion import grid
from lmdm.diffusion.gaussian import GaussianData, MixtureData
from lmdm.diffusion.guidance import ClassifierFree, ClassifierGuidance, guided, projected
from lmdm.diffusion.prediction import Kind
from lmdm.diffusion.sampling import sample
from lmdm.diffusion.schedule import VP, Cosine, RectifiedFlow, Schedule
from lmdm.diffusion.solvers import DDIM, DDIMPlusPlus, Heun
from tests.laws.network import random

ONE, OTHER = GaussianData(1.0, 0.3), GaussianData(-1.0, 0.3)
CLASSES = MixtureData(
    torch.tensor([0.5, 0.5], dtype=torch.float64),
    torch.tensor([[1.0], [-1.0]], dtype=torch.float64),
    0.3,
)


@pytest.mark.parametrize("schedule", [VP(), RectifiedFlow(), Cosine()])
@pytest.mark.parametrize("kind", list(Kind))
def test_guidance_is_the_same_in_every_kind(kind: Kind, schedule: Schedule) -> None:
    """One affine map converts both, and weights that sum to 1 pass through it."""
    x, t = random(4, 1, seed=1), 0.6

    def guided(first: Kind, second: Kind) -> Tensor:
        both = ONE.denoiser(schedule, first), CLASSES.denoiser(schedule, second)
        return ClassifierFree(*both, 2.5, schedule)(x, t).eps(x, t, schedule)

    wanted = guided(Kind.EPS, Kind.EPS)
    assert (guided(kind, Kind.EPS) - wanted).abs().max() < 1e-11
    assert (guided(kind, kind) - wanted).abs().max() < 1e-11
    null, one = CLASSES.x0(x, t, schedule), ONE.x0(x, t, schedule)
    by_hand = (x - schedule.alpha(t) * (null + 2.5 * (one - null))) / schedule.sigma(t)
    assert (wanted - by_hand).abs().max() < 1e-11


@pytest.mark.parametrize("schedule", [VP(), RectifiedFlow(), Cosine()])
def test_classifier_guidance_at_gamma_1_is_the_class(schedule: Schedule) -> None:
    """Bayes: the mixture's score and the classifier's gradient are the class's score."""

    def log_probability(x: Tensor, t: float | Tensor) -> Tensor:
        return CLASSES.responsibilities(x, t, schedule)[:, 0].log()

    x, t = random(6, 1, seed=1), 0.4
    null = CLASSES.denoiser(schedule, Kind.EPS)
    found = ClassifierGuidance(null, log_probability, 1.0, schedule)(x, t)
    assert (found.eps(x, t, schedule) - ONE.eps(x, t, schedule)).abs().max() < 1e-11
    for gamma in (0.0, 2.0):  # and classifier-free guidance with the same weight
        found = ClassifierGuidance(null, log_probability, gamma, schedule)(x, t)
        free = ClassifierFree(ONE.denoiser(schedule, Kind.EPS), null, gamma, schedule)(x, t)
        assert (found.value - free.value).abs().max() < 1e-11


def test_guided_ode_ends_where_the_closed_form_says() -> None:
    """Between two Gaussians of one variance guidance moves the mean: exact end points.

    eps = eps_null + w (eps_one - eps_null) is that of a Gaussian with mean m_null + w (m_one -
    m_null), so the guided flow is that Gaussian's exact flow.
    """
    schedule, w = VP(), 3.0
    guided = ClassifierFree(
        ONE.denoiser(schedule, Kind.EPS), OTHER.denoiser(schedule, Kind.EPS), w, schedule
    )
    x = random(50, 1, seed=1)
    times = grid.uniform_t(schedule, 400, first=1e-3)
    end = sample(guided, schedule, times, Heun(), x)
    aim = GaussianData(-1.0 + w * 2.0, 0.3)
    assert (end - aim.flow(x, 1.0, 1e-3, schedule)).abs().max() < 1e-3


def test_cfg_plus_plus_interpolates_between_null_and_guided_data() -> None:
    """At guidance 0 DDIM++ is the null's DDIM; its last step is the guided x0."""
    schedule = Cosine()
    x, times = random(5, 1, seed=1), [0.9, 0.5, 0.2]
    one, null = ONE.denoiser(schedule, Kind.V), OTHER.denoiser(schedule, Kind.V)
    off = sample(ClassifierFree(one, null, 0.0, schedule), schedule, times, DDIMPlusPlus(), x)
    assert (off - sample(null, schedule, times, DDIM(), x)).abs().max() < 1e-13
    on = ClassifierFree(one, null, 0.6, schedule)
    last = sample(on, schedule, [0.4, 0.0], DDIMPlusPlus(), x)
    assert (last - on(x, 0.4).x0(x, 0.4, schedule)).abs().max() < 1e-13
    assert math.isfinite(float(last.sum()))


def test_projection_keeps_a_share_of_the_parallel_part_and_all_of_the_rest() -> None:
    delta, along = random(3, 2, 5, seed=1), random(3, 2, 5, seed=2)
    for d, a, got in zip(delta, along, projected(delta, along, 0.2), strict=True):
        unit = a / a.norm()
        parallel = (d * unit).sum() * unit
        torch.testing.assert_close(got, 0.2 * parallel + (d - parallel))
    torch.testing.assert_close(projected(along, along, 0.2), 0.2 * along)
    assert projected(delta, torch.zeros_like(along), 0.2).isfinite().all()


def test_projected_guidance_makes_nothing_larger_along_the_prediction() -> None:
    """Of x0 itself only what is orthogonal to it is added: its own size along it stays."""
    one, null = random(2, 4, 6, seed=1), random(2, 4, 6, seed=2)
    far = guided(one, null, 7.0, one, 0.0)
    along = (far * one).sum((1, 2)) / one.square().sum((1, 2))
    torch.testing.assert_close(along, torch.ones_like(along))
    plain = null + 7.0 * (one - null)
    torch.testing.assert_close(guided(one, null, 7.0, one, 1.0), plain)
    half = guided(one, null, 7.0, one, 0.5)
    torch.testing.assert_close(half, (far + plain) / 2)  # linear in the share that is kept
    for guidance in (0.0, 0.7, 1.0):  # nothing is exaggerated, nothing is taken away
        between = guided(one, null, guidance, one, 0.0)
        assert torch.equal(between, guided(one, null, guidance))
