"""What a network predicts, and how each kind becomes each other kind.

Beside x = alpha x0 + sigma eps every kind is one more line in (x0, eps):

    kind    value                            is also
    eps     eps                              -sigma score
    x0      x0                               E[x0 | x]
    v       alpha' x0 + sigma' eps           velocity dx/dt of the probability-flow ODE
    score   -eps / sigma                     gradient of log p_t
    vp_v    alpha eps - sigma x0             "v-prediction" of VP practice (arXiv 2202.00512)
    edm_F   (x0 - c_skip y) / c_out          EDM's network, y = x/alpha (arXiv 2206.00364)

So every conversion is affine, value' = a x + b value, with numbers a and b of the schedule and the
time ("A Tutorial on Diffusion Theory", arXiv 2605.22586, §2). vp_v equals v only for alpha = cos t,
sigma = sin t, and stays a kind of its own.

Singular ends: eps and score say nothing of x0 where alpha = 0, x0 says nothing of eps where
sigma = 0, and the score is infinite there. Such a conversion raises `SingularTimeError`; no inf
and no nan goes on silently. Removable singularities (v at either end, edm_F and vp_v everywhere, x0
from anything at the clean end) are computed in forms that have none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from torch import Tensor

from lmdm.diffusion.elementary import Time, combined, finite, quotient, sqrt
from lmdm.diffusion.schedule import Schedule

SIGMA_DATA = 0.5  # EDM's standard deviation of the data


class Kind(StrEnum):
    """Kinds of prediction; see the table above."""

    EPS = "eps"
    X0 = "x0"
    V = "v"
    SCORE = "score"
    VP_V = "vp_v"
    EDM_F = "edm_F"


class SingularTimeError(ValueError):
    """A conversion that the path makes impossible at this time (alpha = 0 or sigma = 0)."""


@dataclass(frozen=True)
class Prediction:
    """A network's output and what it is. value has the shape of the noisy x.

    null: under classifier-free guidance, what the null condition alone predicts (kind the same);
    "++" solvers go on along it. sigma_data belongs to kind edm_F alone.
    """

    value: Tensor
    kind: Kind
    null: Tensor | None = None
    sigma_data: float = SIGMA_DATA

    def to(self, kind: Kind, x: Tensor, t: Time, schedule: Schedule) -> Prediction:
        """The same prediction in another kind."""
        values = [
            None if each is None
            else convert(each, self.kind, kind, x, t, schedule, self.sigma_data)
            for each in (self.value, self.null)
        ]  # fmt: skip
        assert values[0] is not None
        return replace(self, value=values[0], kind=Kind(kind), null=values[1])

    def unguided(self) -> Prediction:
        """The null condition's own prediction.

        Raises:
            ValueError: there is none.
        """
        if self.null is None:
            raise ValueError(
                "this solver needs the null condition's prediction; guide the denoiser"
            )
        return replace(self, value=self.null, null=None)

    def v(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        """The velocity of the probability-flow ODE."""
        return convert(self.value, self.kind, Kind.V, x, t, schedule, self.sigma_data)

    def x0(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        """The clean data it points to."""
        return convert(self.value, self.kind, Kind.X0, x, t, schedule, self.sigma_data)

    def eps(self, x: Tensor, t: Time, schedule: Schedule) -> Tensor:
        """The noise it points to."""
        return convert(self.value, self.kind, Kind.EPS, x, t, schedule, self.sigma_data)


def convert(
    value: Tensor,
    source: Kind | str,
    target: Kind | str,
    x: Tensor,
    t: Time,
    schedule: Schedule,
    sigma_data: float = SIGMA_DATA,
) -> Tensor:
    """The prediction `value` of kind `source` at (x, t), as kind `target`.

    value and x have one shape [B, ...]; t is a number, a tensor [B], or broadcasts against x.

    Raises:
        SingularTimeError: the path makes it impossible at (some of) t.
        ValueError: an unknown kind.
    """
    source, target = Kind(source), Kind(target)
    if source == target:
        return value
    on_x, on_value = conversion(source, target, t, schedule, sigma_data)
    return combined(on_x, x, on_value, value)


def conversion(
    source: Kind | str,
    target: Kind | str,
    t: Time,
    schedule: Schedule,
    sigma_data: float = SIGMA_DATA,
) -> tuple[Time, Time]:
    """(a, b) of value' = a x + b value. Raises as `convert`."""
    source, target = Kind(source), Kind(target)
    if source == target:
        return 0.0, 1.0
    if target is Kind.X0:
        found = x0_of(source, t, schedule, sigma_data)
    elif target is Kind.EPS:
        found = eps_of(source, t, schedule, sigma_data)
    elif target is Kind.SCORE:
        on_x, on_value = eps_of(source, t, schedule, sigma_data)
        sigma = schedule.sigma(t)
        found = quotient(-1 * on_x, sigma), quotient(-1 * on_value, sigma)
    else:
        on_x0, on_eps = line(target, t, schedule, sigma_data)
        x0, eps = x0_of(source, t, schedule, sigma_data), eps_of(source, t, schedule, sigma_data)
        found = on_x0 * x0[0] + on_eps * eps[0], on_x0 * x0[1] + on_eps * eps[1]
    if not (finite(found[0]) and finite(found[1])):
        raise SingularTimeError(
            f"{source} cannot be converted to {target} at t = {_shown(t)}: "
            f"{type(schedule).__name__} is singular there; keep t off the end, or predict v"
        )
    return found


def line(
    kind: Kind, t: Time, schedule: Schedule, sigma_data: float = SIGMA_DATA
) -> tuple[Time, Time]:
    """(p, q) of value = p x0 + q eps, the definition of the kind."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    if kind is Kind.EPS:
        return 0.0, 1.0
    if kind is Kind.X0:
        return 1.0, 0.0
    if kind is Kind.V:
        return schedule.dalpha(t), schedule.dsigma(t)
    if kind is Kind.SCORE:
        return 0.0, quotient(-1.0, sigma)
    if kind is Kind.VP_V:
        return -1 * sigma, alpha
    norm = sqrt(sigma**2 + (sigma_data * alpha) ** 2)
    return quotient(sigma, sigma_data * norm), quotient(-sigma_data * alpha, norm)


def x0_of(
    kind: Kind, t: Time, schedule: Schedule, sigma_data: float = SIGMA_DATA
) -> tuple[Time, Time]:
    """(a, b) of x0 = a x + b value; infinite where the kind says nothing of x0."""
    if kind is Kind.X0:
        return 0.0, 1.0
    if kind is Kind.V:
        return schedule.x0_of_velocity(t)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    if kind is Kind.EPS:
        return quotient(1.0, alpha), quotient(-1 * sigma, alpha)
    if kind is Kind.SCORE:
        return quotient(1.0, alpha), quotient(sigma**2, alpha)
    if kind is Kind.VP_V:
        square = alpha**2 + sigma**2
        return quotient(alpha, square), quotient(-1 * sigma, square)
    square = sigma**2 + (sigma_data * alpha) ** 2
    return quotient(sigma_data**2 * alpha, square), quotient(sigma * sigma_data, sqrt(square))


def eps_of(
    kind: Kind, t: Time, schedule: Schedule, sigma_data: float = SIGMA_DATA
) -> tuple[Time, Time]:
    """(a, b) of eps = a x + b value; infinite where the kind says nothing of eps."""
    if kind is Kind.EPS:
        return 0.0, 1.0
    if kind is Kind.V:
        return schedule.eps_of_velocity(t)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    if kind is Kind.X0:
        return quotient(1.0, sigma), quotient(-1 * alpha, sigma)
    if kind is Kind.SCORE:
        return 0.0, -1 * sigma
    if kind is Kind.VP_V:
        square = alpha**2 + sigma**2
        return quotient(sigma, square), quotient(alpha, square)
    square = sigma**2 + (sigma_data * alpha) ** 2
    return quotient(sigma, square), quotient(-sigma_data * alpha, sqrt(square))


def _shown(t: Time) -> str:
    if isinstance(t, Tensor):
        return ", ".join(f"{each:.4g}" for each in t.flatten()[:4].tolist())
    return f"{t:.4g}"


Denoiser = Callable[[Tensor, Time], Prediction]  # (noisy x [B, ...], time) -> its prediction
