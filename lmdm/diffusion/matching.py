"""Any two Gaussian paths are one, read at the same log-SNR and another scale.

A network trained on one path predicts on every other: x' = (alpha'/alpha) x at lambda' = lambda has
the same x0 and eps, so x0 and eps carry over unchanged and the other kinds are converted (dossier B
§3). DDIM trajectories on matched grids coincide up to that scale.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lmdm.diffusion.elementary import Time, finite, quotient, rows, sqrt
from lmdm.diffusion.prediction import Denoiser, Kind, Prediction, SingularTimeError
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
