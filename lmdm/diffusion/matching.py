"""Any two Gaussian paths are one, read at the same log-SNR and another scale.

A network trained on one path predicts on every other: x' = (alpha'/alpha) x at lambda' = lambda has
the same x0 and eps, so x0 and eps carry over unchanged and the other kinds are converted (dossier B
§3). DDIM trajectories on matched grids coincide up to that scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmdm.diffusion.elementary import Time, finite, quotient, rows, sqrt
from lmdm.diffusion.prediction import Denoiser, Kind, Prediction, SingularTimeError, convert
from lmdm.diffusion.schedule import Schedule


def matched_time(t: Time, source: Schedule, target: Schedule) -> Time:
    """The time on `target` with the log-SNR that `source` has at t.

    Raises:
        SingularTimeError: target does not reach that log-SNR at a finite time.
    """
    found = target.t_of_lambda(source.lambda_(t))
    if not finite(found):
        raise SingularTimeError(
            f"{type(target).__name__} never reaches the log-SNR of {type(source).__name__} at "
            f"t = {t}; keep t off the end"
        )
    return found


def matched_scale(t: Time, source: Schedule, target: Schedule) -> Time:
    """alpha'/alpha between source at t and target at the matched time; right at alpha = 0 too."""
    s = matched_time(t, source, target)
    norms = [
        sqrt(each.alpha(u) ** 2 + each.sigma(u) ** 2) for each, u in ((target, s), (source, t))
    ]
    return quotient(*norms)


def carried(
    x: Tensor,
    value: Tensor,
    t: Tensor,
    source: tuple[Schedule, Kind],
    target: tuple[Schedule, Kind],
) -> tuple[Tensor, Tensor, Tensor]:
    """(x, value, t) of a prediction on one path, as (x', value', t') on another.

    x, value [B, ...], t [B]; source and target are paths with what is predicted on them.

    Raises:
        SingularTimeError: a conversion is impossible at one of the times.
    """
    (path, kind), (other, other_kind) = source, target
    if path == other:
        return x, convert(value, kind, other_kind, x, t, path), t
    s = torch.as_tensor(matched_time(t, path, other))
    y = x * rows(matched_scale(t, path, other), x)
    noisy = torch.as_tensor(path.lambda_(t)) < 0
    if bool(noisy.all()) or not bool(noisy.any()):
        # of x0 and eps the one that x is not nearly the same as: less is lost by rounding
        through = Kind.X0 if bool(noisy.all()) else Kind.EPS
        inner = convert(value, kind, through, x, t, path)
        return y, convert(inner, through, other_kind, y, s, other), s
    halves = [carried(x[part], value[part], t[part], source, target) for part in (noisy, ~noisy)]
    value = torch.empty_like(value)
    value[noisy], value[~noisy] = halves[0][1], halves[1][1]
    return y, value, s


@dataclass(frozen=True)
class OnAnotherPath:
    """A denoiser of `source` as one of `target`, predicting `kind` there."""

    denoiser: Denoiser
    source: Schedule
    target: Schedule
    kind: Kind

    def __call__(self, x: Tensor, t: Time) -> Prediction:
        """The prediction at (x, t) of the target path."""
        s = matched_time(t, self.target, self.source)
        y = x * rows(matched_scale(t, self.target, self.source), x)
        prediction = self.denoiser(y, s)
        if self.kind is Kind.EPS:
            return Prediction(prediction.eps(y, s, self.source), Kind.EPS)
        x0 = prediction.x0(y, s, self.source)
        if self.kind is Kind.X0:
            return Prediction(x0, Kind.X0)
        return Prediction(x0, Kind.X0).to(self.kind, x, t, self.target)
