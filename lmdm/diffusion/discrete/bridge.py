"""The bridge q(x_s | x_t, x0) from t back to s < t, and the two ways to use a prediction in it.

With v = x_t and r = alpha_t/alpha_s, for a law m of the clean token (one-hot for a known x0):

    B_m(x_s) = [r 1{x_s = v} + (1 - r) pi_v] [alpha_s m(x_s) + (1 - alpha_s) pi(x_s)] / Z_m
    Z_m      = alpha_t m(v) + (1 - alpha_t) pi_v

Plugging in the leave-one-out posterior R gives the true marginal exactly, sum_j D_j B_{e_j} = B_R;
plugging in the denoiser D counts the observation v twice (dossier C §3).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from lmdm.diffusion.discrete.process import TokenProcess, sites
from lmdm.diffusion.elementary import Time


def plug_in(m: Tensor, v: Tensor, t: Time, s: Time, process: TokenProcess) -> Tensor:
    """B_m [..., K] for laws m [..., K] and noisy tokens v [...]; s < t numbers or [B]."""
    alpha_t, alpha_s = (sites(process.alpha(each), m) for each in (t, s))
    ratio, law = alpha_t / alpha_s, process.law(m)
    here = F.one_hot(v, process.vocabulary).to(m)
    back = ratio * here + (1.0 - ratio) * law[v][..., None]
    return back * (alpha_s * m + (1.0 - alpha_s) * law) / _normaliser(m, v, t, process)


def marginalised(d: Tensor, v: Tensor, t: Time, s: Time, process: TokenProcess) -> Tensor:
    """sum_j D_j B_{e_j} [..., K]: the bridge averaged over a denoiser d [..., K].

    The numerator of B is affine in m, so the average is one bridge, of m_j ∝ D_j / Z_{e_j}.
    """
    alpha_t = sites(process.alpha(t), d)
    here = F.one_hot(v, process.vocabulary).to(d)
    weights = d / (alpha_t * here + (1.0 - alpha_t) * process.law(d)[v][..., None])
    share = weights.sum(-1, keepdim=True)
    m = weights / share
    return share * _normaliser(m, v, t, process) * plug_in(m, v, t, s, process)


def _normaliser(m: Tensor, v: Tensor, t: Time, process: TokenProcess) -> Tensor:
    """Z_m = alpha_t m(v) + (1 - alpha_t) pi_v [..., 1]: how likely v is, if m is the clean law."""
    alpha_t, at = sites(process.alpha(t), m), v[..., None]
    return alpha_t * m.gather(-1, at) + (1.0 - alpha_t) * process.law(m)[at]
