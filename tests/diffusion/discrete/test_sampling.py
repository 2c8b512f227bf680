"""Samplers as they draw: against their exact laws, in exactly as many evaluations as asked."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lmdm.diffusion.discrete import absorbing, exact, masked
from lmdm.diffusion.discrete.absorbing import LiftedState
from lmdm.diffusion.discrete.exact import ExactData
from lmdm.diffusion.discrete.process import TokenProcess
from lmdm.diffusion.discrete.representation import Representation, TokenPrediction
from lmdm.diffusion.discrete.sampling import (
    Corrector,
    Shaping,
    categorical,
    nucleus,
    plan,
    sample,
)
from lmdm.errors import InputError

PROCESS = TokenProcess(3)
DATA = ExactData(PROCESS, 3, torch.from_numpy(np.random.default_rng(0).dirichlet(np.full(27, 0.3))))
DRAWS = 40_000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def index(tokens: Tensor) -> Tensor:
    return (tokens * torch.tensor([9, 3, 1])).sum(-1)


def law_of(tokens: Tensor) -> Tensor:
    return torch.bincount(index(tokens), minlength=27).double() / len(tokens)


class Perfect:
    """The exact posterior as a network that counts its calls."""

    def __init__(self, representation: Representation) -> None:
        self.representation, self.calls = representation, 0

    def __call__(self, x: Tensor, t: float | Tensor) -> TokenPrediction:
        self.calls += 1
        prediction = DATA.prediction(float(t), self.representation)
        return TokenPrediction(prediction.logits[index(x)], prediction.representation)


@pytest.mark.parametrize("representation", [Representation.LOO, Representation.DENOISER])
def test_ancestral_draws_follow_the_exact_law(representation: Representation) -> None:
    """Whatever the network's representation, since it is converted once."""
    network = Perfect(representation)
    x = sample(network, PROCESS, PROCESS.prior((DRAWS, 3), generator()), 4, generator(1))
    assert network.calls == 4
    wanted = DATA.sampled(4, DATA.leave_one_out)
    assert 0.5 * float((law_of(x) - wanted).abs().sum()) < 0.015


@pytest.mark.parametrize("remask", [False, True])
def test_lifted_draws_follow_the_exact_law(remask: bool) -> None:
    def network(state: LiftedState, t: float | Tensor) -> TokenPrediction:
        exact_d = exact.lifted_posterior(DATA, float(t))[index(state.x), index(state.u)]
        return TokenPrediction(exact_d.clamp_min(1e-300).log(), Representation.DENOISER)

    state = absorbing.prior(PROCESS, (DRAWS, 3), generator())
    x = absorbing.sample(network, PROCESS, state, 4, generator(1), remask=remask)
    wanted = exact.lifted_sampled(DATA, 4, remask)
    assert 0.5 * float((law_of(x) - wanted).abs().sum()) < 0.015


def test_masked_draws_follow_the_exact_law() -> None:
    def network(x: Tensor, t: float | Tensor) -> Tensor:
        agrees = ((x[:, None] == 3) | (x[:, None] == DATA.sequences)).all(-1)
        posterior = DATA.p0 * agrees
        known = torch.nn.functional.one_hot(DATA.sequences, 3).double()
        d = torch.einsum("bs,slk->blk", posterior, known)
        return (d / d.sum(-1, keepdim=True)).clamp_min(1e-300).log()

    x = masked.sample(network, PROCESS, (DRAWS, 3), 4, generator(1))
    wanted = exact.masked_sampled(DATA, 4)
    assert 0.5 * float((law_of(x) - wanted).abs().sum()) < 0.015


@pytest.mark.parametrize(("nfe", "sweeps"), [(16, 1), (16, 2), (17, 3), (1, 2), (2, 2), (9, 0)])
def test_every_evaluation_is_counted(nfe: int, sweeps: int) -> None:
    """corrected = (NFE - 1) // (1 + C), predictor steps NFE - C corrected, none at s = 0."""
    steps, corrected = plan(nfe, sweeps)
    assert steps + sweeps * corrected == nfe
    assert corrected == ((nfe - 1) // (1 + sweeps) if sweeps else 0)
    assert corrected < steps
    network, seen = Perfect(Representation.LOO), []
    corrector = Corrector(sweeps=sweeps, k=2)
    sample(network, PROCESS, PROCESS.prior((50, 3), generator()), nfe, generator(1),
           corrector=corrector, on_step=lambda s, x: seen.append(s))  # fmt: skip
    assert network.calls == nfe
    assert len(seen) == steps
    assert seen[-1] == 0.0


@pytest.mark.parametrize("select", ["margin", "maxprob", "current", "random"])
def test_corrected_draws_stay_near_the_data(select: str) -> None:
    """With exact predictors a corrector need not win (dossier C §8); it must not lose its way."""
    network = Perfect(Representation.LOO)
    x = sample(network, PROCESS, PROCESS.prior((DRAWS // 16, 3), generator()), 16, generator(1),
               corrector=Corrector(sweeps=1, k=1, select=select))  # fmt: skip
    assert DATA.total_variation(law_of(x)) < 0.17


def test_a_single_random_site_leaves_the_marginal_as_it_is() -> None:
    """Draws from p_s stay draws from p_s under one sweep of k = 1 at random."""
    s = 0.3
    marginal = DATA.marginal(s)
    x = DATA.sequences[torch.multinomial(marginal, DRAWS, True, generator=generator())]
    corrector = Corrector(sweeps=1, k=1, select="random")
    moved = corrector.sweep(x, s, DATA.leave_one_out(s)[index(x)], PROCESS, generator(2))
    assert (moved != x).any(1).float().mean() > 0.1
    assert ((moved != x).sum(1) <= 1).all()
    assert 0.5 * float((law_of(moved) - marginal).abs().sum()) < 0.015


def test_informed_selection_takes_the_least_certain_positions() -> None:
    loo = torch.tensor([[[0.98, 0.01, 0.01], [0.4, 0.3, 0.3], [0.01, 0.98, 0.01]]]).double()
    x = torch.tensor([[0, 0, 0]])
    chosen = []
    for seed in range(200):
        corrector = Corrector(1, 1, "margin", temperature=0.2)
        changed = corrector.sweep(x, 0.2, loo, PROCESS, generator(seed)) != x
        chosen.append(changed[0])
    counts = torch.stack(chosen).sum(0)  # position 2 holds an unlikely token
    assert counts[2] > 150
    assert counts[0] == 0


def test_temperature_acts_on_the_leave_one_out_posterior() -> None:
    """In its own space it scales log R; in the denoiser's it also freezes the observed token."""
    t, x = 0.1, DATA.sequences
    prediction = DATA.prediction(t, Representation.DENOISER)
    cold = Shaping(temperature=0.5).loo(prediction, x, t, PROCESS)
    wanted = DATA.leave_one_out(t) ** 2
    assert (cold - wanted / wanted.sum(-1, keepdim=True)).abs().max() < 1e-12
    frozen = Shaping(temperature=0.5, space=Representation.DENOISER).loo(prediction, x, t, PROCESS)
    own = x[..., None]
    assert (frozen.gather(-1, own) > cold.gather(-1, own)).all()
    plain = Shaping().loo(prediction, x, t, PROCESS)
    assert (plain - DATA.leave_one_out(t)).abs().max() < 1e-12


def test_nucleus_keeps_the_likeliest_tokens() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    assert torch.softmax(nucleus(logits, 0.6), -1).tolist() == pytest.approx([0.625, 0.375, 0, 0])
    assert torch.softmax(nucleus(logits, 0.1), -1).tolist() == pytest.approx([1, 0, 0, 0])
    assert nucleus(logits, 1.0) is logits


def test_draws_reach_into_the_tail() -> None:
    """Gumbel-max in float64: an event of 1e-9 beside one of 1 is not lost to float32's noise."""
    law = torch.tensor([1.0, 1e-4]).double().expand(200_000, 2)
    share = float((categorical(law, generator()) == 1).double().mean())
    assert share == pytest.approx(1e-4, rel=0.7)
    assert categorical(law[:1], generator()).dtype == torch.int64


def test_forward_noise_has_its_law() -> None:
    process = TokenProcess(3, stationary=(0.6, 0.3, 0.1))
    x0 = torch.zeros(DRAWS, 1, dtype=torch.int64)
    counts = torch.bincount(process.noised(x0, 0.7, generator()).flatten(), minlength=3) / DRAWS
    kept = 1 - 0.999 * 0.7
    assert counts.tolist() == pytest.approx(
        [kept + (1 - kept) * 0.6, (1 - kept) * 0.3, (1 - kept) * 0.1], abs=0.01
    )
    state = absorbing.noised(x0, torch.full((DRAWS,), 0.7), PROCESS, generator())
    clean = float((~state.masked).float().mean())
    assert clean == pytest.approx(kept * 2 / 3, abs=0.01)
    assert (state.x[~state.masked] == 0).all()


def test_the_lift_takes_leave_one_out_predictions() -> None:
    """D ∝ R [(1 - alpha) + alpha 1{j = u}] where masked, and one-hot where not."""
    alpha = PROCESS.alpha(0.5)
    loo = torch.tensor([[[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]]).double()
    state = LiftedState(torch.tensor([[1, 1]]), torch.tensor([[1, 2]]))
    prediction = TokenPrediction(loo.log(), Representation.LOO)
    d = absorbing.log_denoiser(prediction, state, 0.5, PROCESS).exp()[0]
    weights = torch.tensor([1 - alpha, 1.0, 1 - alpha]) * loo[0, 0]
    assert d[0].tolist() == pytest.approx((weights / weights.sum()).tolist())
    assert d[1].tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (lambda: TokenProcess(1), "2 or more"),
        (lambda: TokenProcess(3, epsilon=1.0), "below 1"),
        (lambda: TokenProcess(2, stationary=(0.9, 0.2)), "sum to 1"),
        (lambda: Shaping(temperature=0.0), "above 0"),
        (lambda: Shaping(top_p=1.5), "at most 1"),
        (lambda: Shaping(space=Representation.SCORE), "not on scores"),
        (lambda: Corrector(select="best"), "unknown selection 'best'"),
        (lambda: plan(0, 1), "1 or more"),
        (
            lambda: absorbing.prior(TokenProcess(2, stationary=(0.5, 0.5)), (1, 1), generator()),
            "uniform process",
        ),
    ],
)
def test_wrong_settings_are_refused(make: object, wrong: str) -> None:
    assert callable(make)
    with pytest.raises(InputError, match=wrong):
        make()


def test_losses_are_not_negative_and_finite_in_single_precision() -> None:
    from lmdm.diffusion.discrete.losses import antithetic_times, cross_entropy, nelbo

    numbers = generator(3)
    x0 = torch.randint(0, 3, (64, 3), generator=numbers)
    t = antithetic_times(64, numbers)
    assert (t.diff() > 0).all()
    assert t.min() >= 1e-3
    x_t = PROCESS.noised(x0, t, numbers)
    logits = 8 * torch.randn(64, 3, 3, generator=numbers)
    for representation in (Representation.LOO, Representation.DENOISER):
        prediction = TokenPrediction(logits, representation)
        for loss in (nelbo, cross_entropy):
            each = loss(prediction, x0, x_t, t, PROCESS)
            assert torch.isfinite(each).all()
            assert float(each.min()) >= -1e-5
    assert math.isfinite(float(nelbo(prediction, x0, x_t, t, PROCESS).sum()))
