"""The dossier's enumeration table and falsifiers: K = 3, L = 3, p0 ~ Dirichlet(0.3), exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from lmdm.diffusion.discrete import exact
from lmdm.diffusion.discrete.bridge import marginalised, plug_in
from lmdm.diffusion.discrete.exact import ExactData, integrated
from lmdm.diffusion.discrete.losses import cross_entropy, max_coupling, nelbo
from lmdm.diffusion.discrete.process import TokenProcess
from lmdm.diffusion.discrete.representation import (
    Representation,
    TokenPrediction,
    neighbour_law,
)
from lmdm.diffusion.prediction import SingularTimeError

LOO, DENOISER, SCORE = Representation
P0 = torch.from_numpy(np.random.default_rng(0).dirichlet(np.full(27, 0.3)))
DATA = ExactData(TokenProcess(3), 3, P0)
SKEWED = ExactData(TokenProcess(3, stationary=(0.5, 0.3, 0.2)), 3, P0)
WHOLE = ExactData(TokenProcess(3, epsilon=0.0), 3, P0)  # alpha from 1 to 0: the NELBO is H(p0)
BOTH = pytest.mark.parametrize("data", [DATA, SKEWED], ids=["uniform", "skewed"])


@BOTH
@pytest.mark.parametrize("t", [0.02, 0.45, 0.9, 1.0])
def test_conversions_are_bayes(data: ExactData, t: float) -> None:
    """R, D and scores by definition, each from each other (dossier C §3, relations 1, 4, 5)."""
    x, process = data.sequences, data.process
    loo, denoiser, marginal = data.leave_one_out(t), data.denoiser(t), data.marginal(t)
    ratios = torch.empty_like(loo)
    for site in range(3):
        for token in range(3):
            other = x.clone()
            other[:, site] = token
            index = (other * torch.tensor([9, 3, 1])).sum(1)
            ratios[:, site, token] = marginal[index] / marginal
    by_definition = {LOO: loo.log(), DENOISER: denoiser.log(), SCORE: ratios.log()}
    for source, logits in by_definition.items():
        for target, wanted in by_definition.items():
            found = TokenPrediction(logits, source).to(target, x, t, process).logits
            assert (found.exp() - wanted.exp()).abs().max() < 1e-10, (source, target)


@BOTH
def test_leave_one_out_does_not_depend_on_the_own_token(data: ExactData) -> None:
    loo = data.leave_one_out(0.5).view(3, 3, 3, 3, 3)
    assert (loo[0, :, :, 0] - loo[2, :, :, 0]).abs().max() < 1e-15
    denoiser = data.denoiser(0.5).view(3, 3, 3, 3, 3)
    assert (denoiser[0, :, :, 0] - denoiser[2, :, :, 0]).abs().max() > 0.1


@BOTH
@pytest.mark.parametrize(("t", "s"), [(1.0, 0.7), (0.5, 0.2), (0.3, 0.0)])
def test_the_bridge_with_r_is_the_true_reverse_kernel(data: ExactData, t: float, s: float) -> None:
    """sum_j D_j B_{e_j} = B_R; the brute force over (x0, x_s); and D plugged in is neither."""
    x, process = data.sequences, data.process
    kernel = plug_in(data.leave_one_out(t), x, t, s, process)
    assert (kernel.sum(-1) - 1).abs().max() < 1e-14
    assert (kernel - data.reverse(t, s)).abs().max() < 1e-14
    assert (kernel - marginalised(data.denoiser(t), x, t, s, process)).abs().max() < 1e-14
    step, back = replace(data, p0=data.p0), data.marginal(s)
    forward = _transition(process, t, s)
    joint = back[:, None] * step.product(forward[step.sequences])  # q(x_s, x_t)
    brute = step._site_posterior(joint / joint.sum(0))
    assert (kernel - brute).abs().max() < 1e-12
    wrong = plug_in(data.denoiser(t), x, t, s, process)
    distance = 0.5 * (wrong - kernel).abs().sum(-1).mean()
    assert distance > 0.01 or t == 1.0


def _transition(process: TokenProcess, t: float, s: float) -> Tensor:
    """q(x_t | x_s) at one position: r = alpha_t/alpha_s."""
    ratio, law = process.alpha(t) / process.alpha(s), process.law(P0)
    return ratio * torch.eye(3, dtype=torch.float64) + (1 - ratio) * law[None]


def test_denoiser_and_leave_one_out_are_far_apart() -> None:
    """Mean TV(D, R) at alpha = .55 and of the kernels: 0.335 and 0.093 in the dossier."""
    t = (1 - 0.55) / 0.999
    loo, denoiser, x = DATA.leave_one_out(t), DATA.denoiser(t), DATA.sequences
    weights = DATA.marginal(t)[:, None]
    assert float((weights * 0.5 * (loo - denoiser).abs().sum(-1)).sum() / 3) > 0.2
    kernels = [plug_in(each, x, t, 0.5 * t, DATA.process) for each in (loo, denoiser)]
    assert float((weights * 0.5 * (kernels[0] - kernels[1]).abs().sum(-1)).sum() / 3) > 0.05


def test_the_bridge_s_own_optimum_is_r() -> None:
    """Free minimisation of the expected bridge KL ends at R, not at D (dossier C §3.3)."""
    t, s, x, process = 0.5, 0.4, DATA.sequences, DATA.process
    truth, weights = DATA.reverse(t, s), DATA.marginal(t)[:, None, None]
    logits = torch.zeros(27, 3, 3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([logits], lr=1, max_iter=300, tolerance_grad=1e-13,
                                  tolerance_change=0, line_search_fn="strong_wolfe")  # fmt: skip

    def kl() -> Tensor:
        optimiser.zero_grad()
        kernel = plug_in(torch.softmax(logits, -1), x, t, s, process)
        # weighted evenly, so that rare contexts converge too
        loss = (truth * (truth.log() - kernel.log())).sum()
        loss.backward()
        return loss

    optimiser.step(kl)
    found = torch.softmax(logits.detach(), -1)
    assert (found - DATA.leave_one_out(t)).abs().max() < 1e-5
    assert float((weights * (found - DATA.denoiser(t)).abs()).sum(-1).max()) > 0.01


def expected(data: ExactData, posterior: Callable[[float], Tensor], loss: Callable) -> float:
    """Integral over t of the expected loss a sequence, all by enumeration."""
    size = len(data.sequences)
    x0 = data.sequences[:, None].expand(size, size, -1)
    x_t = data.sequences[None].expand(size, size, -1)

    def at(t: float) -> float:
        each = loss(posterior(t).expand(size, size, -1, -1), x0, x_t, t).sum(-1)
        return float((data.p0[:, None] * data.forward(t) * each).sum())

    return integrated(at, points=20, power=4.0)


def nelbo_of(representation: Representation, process: TokenProcess) -> Callable:
    return lambda p, x0, x_t, t: nelbo(
        TokenPrediction(p.log(), representation), x0, x_t, t, process
    )


def test_nelbo_of_the_exact_posterior_is_the_entropy() -> None:
    """H(p0) = 2.6490 for R, from either representation; 4.071 for D plugged in as if it were R;
    3.505 for the max-coupling process with its own optimum D.
    """
    process = WHOLE.process
    assert pytest.approx(2.6490, abs=5e-5) == WHOLE.entropy
    for representation, posterior in ((LOO, WHOLE.leave_one_out), (DENOISER, WHOLE.denoiser)):
        found = expected(WHOLE, posterior, nelbo_of(representation, process))
        assert found == pytest.approx(WHOLE.entropy, abs=1e-6)
    wrong = expected(WHOLE, WHOLE.denoiser, nelbo_of(LOO, process))
    assert wrong == pytest.approx(4.071, abs=2e-3)
    coupled = expected(
        WHOLE, WHOLE.denoiser,
        lambda p, x0, x_t, t: max_coupling(TokenPrediction(p.log(), DENOISER), x0, x_t, t, process),
    )  # fmt: skip
    assert coupled == pytest.approx(3.505, abs=2e-3)


def test_nelbo_with_another_stationary_law_is_the_entropy_too() -> None:
    process = replace(SKEWED.process, epsilon=0.0)
    data = replace(SKEWED, process=process)
    found = expected(data, data.leave_one_out, nelbo_of(LOO, process))
    assert found == pytest.approx(data.entropy, abs=1e-6)


def test_lifted_nelbo_is_the_entropy() -> None:
    """The jump loss with the exact posterior of (x, u), averaged over private mask symbols."""
    from lmdm.diffusion.discrete.absorbing import LiftedState, loss

    size, sequences, process = 27, WHOLE.sequences, WHOLE.process

    def at(t: float) -> float:
        alpha = float(process.alpha(t))
        d = exact.lifted_posterior(WHOLE, t)[None].expand(size, -1, -1, -1, -1)
        x0 = sequences[:, None, None].expand(size, size, size, 3)
        x = sequences[None, :, None].expand(size, size, size, 3)
        u = sequences[None, None].expand(size, size, size, 3)
        chance = (alpha * (x == x0) + (1 - alpha) * (x == u)).to(P0).prod(-1) / size
        each = loss(TokenPrediction(d.clamp_min(1e-300).log(), DENOISER), x0, LiftedState(x, u), t,
                    process)  # fmt: skip
        return float((WHOLE.p0[:, None, None] * chance * each.sum(-1)).sum())

    assert integrated(at, points=16, power=4.0) == pytest.approx(WHOLE.entropy, abs=1e-6)


def test_nelbo_s_minimum_over_cross_entropy_is_the_denoiser() -> None:
    """The cross-entropy of R, converted, is that of D, and lower than R's taken raw."""
    t, x = 0.4, DATA.sequences
    x0, x_t = x[:, None].expand(27, 27, 3), x[None].expand(27, 27, 3)
    weights = DATA.p0[:, None] * DATA.forward(t)

    def loss(p: Tensor, representation: Representation) -> float:
        prediction = TokenPrediction(p.log().expand(27, 27, 3, 3), representation)
        each = cross_entropy(prediction, x0, x_t, t, DATA.process).sum(-1)
        return float((weights * each).sum())

    best = loss(DATA.denoiser(t), DENOISER)
    assert loss(DATA.leave_one_out(t), LOO) == pytest.approx(best, rel=1e-12)
    assert loss(DATA.leave_one_out(t), DENOISER) > best + 0.1


STEPS = (1, 4, 8, 16, 32)
TABLE = {  # dossier C §8: total variation of the sampler's law to p0
    "plug-in R": (0.422, 0.221, 0.121, 0.062, 0.031),
    "plug-in D": (0.422, 0.326, 0.317, 0.314, 0.314),
    "AUDM": (0.422, 0.164, 0.087, 0.046, 0.024),
    "ReAUDM": (0.422, 0.171, 0.092, 0.048, 0.025),
    "masked": (0.422, 0.134, 0.069, 0.035, 0.018),
}
SAMPLERS: dict[str, Callable[[int], Tensor]] = {
    "plug-in R": lambda steps: DATA.sampled(steps, DATA.leave_one_out),
    "plug-in D": lambda steps: DATA.sampled(steps, DATA.denoiser),
    "AUDM": lambda steps: exact.lifted_sampled(DATA, steps, remask=False),
    "ReAUDM": lambda steps: exact.lifted_sampled(DATA, steps, remask=True),
    "masked": lambda steps: exact.masked_sampled(DATA, steps),
}


@pytest.mark.parametrize("sampler", TABLE)
def test_steps_against_total_variation(sampler: str) -> None:
    for steps, wanted in zip(STEPS, TABLE[sampler], strict=True):
        law = SAMPLERS[sampler](steps)
        assert float(law.sum()) == pytest.approx(1.0, abs=1e-12)
        assert DATA.total_variation(law) == pytest.approx(wanted, abs=2e-3), steps


def test_falsifiers_at_many_steps() -> None:
    """R converges (.008 at 128 steps); D plugged in stays on its plateau (.314)."""
    assert DATA.total_variation(SAMPLERS["plug-in R"](128)) == pytest.approx(0.008, abs=1e-3)
    assert DATA.total_variation(SAMPLERS["plug-in D"](128)) == pytest.approx(0.314, abs=2e-3)


def test_random_single_sites_keep_the_marginal_and_parallel_sites_do_not() -> None:
    """Gibbs on p_s with c = alpha R + (1 - alpha) pi (dossier C §5)."""
    x = DATA.sequences
    worst = 0.0
    for s in (0.05, 0.3, 0.8):
        law = DATA.marginal(s)
        c = neighbour_law(DATA.leave_one_out(s), DATA.process.alpha(s), DATA.process)
        stay = torch.nn.functional.one_hot(x, 3).to(c)
        scan = torch.zeros_like(law)
        for site in range(3):
            kernel = stay.clone()
            kernel[:, site] = c[:, site]
            scan += law @ DATA.product(kernel) / 3
        assert (scan - law).abs().sum() < 1e-14
        worst = max(worst, float((law @ DATA.product(c) - law).abs().sum()))
    assert worst > 0.04


def test_the_remasking_conditional_by_enumeration() -> None:
    """P(u_s | x0, x_s) from the joint law of the lift, u uniform and x_s = x0 w.p. alpha else u."""
    count, alpha = 3, float(DATA.process.alpha(0.4))
    for x0 in range(count):
        joint = torch.zeros(count, count, dtype=torch.float64)  # [x_s, u]
        for u in range(count):
            joint[x0, u] += alpha / count
            joint[u, u] += (1 - alpha) / count
        conditional = joint / joint.sum(1, keepdim=True)
        for x_s in range(count):
            stays = 1.0 if x_s != x0 else 1 / (1 + (count - 1) * alpha)
            assert conditional[x_s, x_s] == pytest.approx(stays, abs=1e-15)
    assert joint.sum(1) == pytest.approx(DATA.one_site(0.4)[x0].numpy())  # averaged over u: uniform


def test_conversions_at_the_ends_are_refused() -> None:
    x = DATA.sequences
    with pytest.raises(SingularTimeError, match="at t = 0"):
        TokenPrediction(torch.zeros(27, 3, 3), LOO).to(DENOISER, x, 0.0, DATA.process)
    with pytest.raises(SingularTimeError, match="alpha = 0"):
        TokenPrediction(torch.zeros(27, 3, 3), SCORE).to(LOO, x, 1.0, WHOLE.process)
