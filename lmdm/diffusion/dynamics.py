"""Differential equations of a path: forward, reverse, and the one-parameter family between.

    forward SDE   dX = f X dt + g dW
    reverse       dX = [f X - (1 + ell^2)/2 g2 score] dt + ell g dW,  t falling
    ell = 0       the probability-flow ODE, dX/dt = v;  ell = 1 the reverse SDE

All members of the family have the same marginals p_t, not the same paths ("A Tutorial on Diffusion
Theory", arXiv 2605.22586, §3; Remark 3.7). Drifts go through v and eps, never through f, which is
infinite where alpha is 0: f X - (1 + ell^2)/2 g2 score = v + ell^2 (Delta/alpha) eps.
"""

from __future__ import annotations

from torch import Tensor

from lmdm.diffusion.elementary import Time, combined, exp, finite, quotient, sqrt
from lmdm.diffusion.prediction import Prediction, SingularTimeError
from lmdm.diffusion.schedule import Schedule


def reverse_drift(
    prediction: Prediction, x: Tensor, t: Time, schedule: Schedule, ell: float = 0.0
) -> Tensor:
    """Drift of the family's member ell >= 0 at (x, t), by forward time: a step back subtracts it.

    Raises:
        SingularTimeError: ell > 0 where alpha is 0: g2 is infinite there. Start the SDE before it.
    """
    v = prediction.v(x, t, schedule)
    if ell == 0.0:
        return v
    noise_rate = quotient(schedule.wronskian(t), schedule.alpha(t))
    if not finite(noise_rate):
        raise SingularTimeError(
            f"the SDE of {type(schedule).__name__} has no drift at t = {t}: g2 is infinite there; "
            "begin a little earlier, or take ell = 0"
        )
    return combined(1.0, v, ell**2 * noise_rate, prediction.eps(x, t, schedule))


def diffusion(t: Time, schedule: Schedule, ell: float) -> Time:
    """ell g, what multiplies dW."""
    return ell * sqrt(schedule.g2(t))


def frozen_noise_step(x: Tensor, t: Time, s: Time, eps: Tensor, schedule: Schedule) -> Tensor:
    """The exact ODE solution from t to s if eps does not change on the way (Prop. 5.1).

    x_s = (alpha_s/alpha_t) x - sigma_s (e^h - 1) eps with h = lambda_s - lambda_t: DPM-Solver-1.
    Needs sigma_s > 0 and alpha_t > 0; `solvers.DDIM` is the same without either condition.
    """
    h = schedule.lambda_(s) - schedule.lambda_(t)
    scale = quotient(schedule.alpha(s), schedule.alpha(t))
    return combined(scale, x, -1 * schedule.sigma(s) * (exp(h) - 1), eps)
