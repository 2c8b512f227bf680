"""The bridge q(x_s | x_t, x0) from t back to s < t, and the two ways to use a prediction in it.

With v = x_t and r = alpha_t/alpha_s, for a law m of the clean token (one-hot for a known x0):

    B_m(x_s) = [r 1{x_s = v} + (1 - r) pi_v] [alpha_s m(x_s) + (1 - alpha_s) pi(x_s)] / Z_m
    Z_m      = alpha_t m(v) + (1 - alpha_t) pi_v

Plugging in the leave-one-out posterior R gives the true marginal exactly, sum_j D_j B_{e_j} = B_R;
plugging in the denoiser D counts the observation v twice (dossier C §3).
"""

from __future__ import annotations

from torch import Tensor

from lmdm.diffusion.discrete.process import TokenProcess, sites
from lmdm.diffusion.elementary import Time


def plug_in(m: Tensor, v: Tensor, t: Time, s: Time, process: TokenProcess) -> Tensor:
    """B_m [..., K] for laws m [..., K] and noisy tokens v [...]; s < t numbers or [B]."""
    alpha_t, alpha_s = sites(process.alpha(t), v), sites(process.alpha(s), v)
    law = process.law(m)
    ratio = _wide(alpha_t) / _wide(alpha_s)
    back = (1.0 - ratio) * law[v][..., None].expand_as(m)
    back = back.scatter_add(-1, v[..., None], (back.new_ones(v.shape) * _narrow(ratio))[..., None])
    numerator = back * (_wide(alpha_s) * m + (1.0 - _wide(alpha_s)) * law)
    observed = m.gather(-1, v[..., None])
    return numerator / (_wide(alpha_t) * observed + (1.0 - _wide(alpha_t)) * law[v][..., None])


def marginalised(d: Tensor, v: Tensor, t: Time, s: Time, process: TokenProcess) -> Tensor:
    """sum_j D_j B_{e_j} [..., K]: the bridge averaged over a denoiser d [..., K]."""
    alpha_t = sites(process.alpha(t), v)
    law_v = process.law(d)[v][..., None]
    total = (1.0 - _wide(alpha_t)) * law_v.expand_as(d)  # Z_{e_j}
    total = total.scatter_add(-1, v[..., None], (total.new_ones(v.shape) * alpha_t)[..., None])
    weights = d / total  # B is Z-weighted linear in m, so the average is one numerator
    share = weights.sum(-1, keepdim=True)
    m = weights / share
    kernel = plug_in(m, v, t, s, process)
    observed = m.gather(-1, v[..., None])
    return kernel * share * (_wide(alpha_t) * observed + (1.0 - _wide(alpha_t)) * law_v)


def _wide(alpha: Time) -> Time:
    """alpha with a dimension for tokens."""
    return alpha[..., None] if isinstance(alpha, Tensor) and alpha.ndim else alpha


def _narrow(ratio: Time) -> Time:
    return ratio[..., 0] if isinstance(ratio, Tensor) and ratio.ndim else ratio
