"""The plots of docs/theory.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmdm.diffusion.discrete import exact
from lmdm.diffusion.schedule import SCHEDULES
from lmdm.theory.identities import SOLVERS, enumerated, measured_order
from lmdm.theory.pictures import lines

STEPS = (25, 50, 100, 200, 400)
SAMPLING_STEPS = (1, 2, 4, 8, 16, 32)


def schedules(path: Path) -> None:
    """alpha and sigma by time, and the log-SNR, of every path on 0..1."""
    t = torch.linspace(0.001, 0.999, 200, dtype=torch.float64)
    kept: dict[str, Any] = {"alpha": {}, "sigma": {}, "lambda": {}}
    for name, make in SCHEDULES.items():
        schedule = make()
        if schedule.valid_range[1] != 1.0:
            continue
        for what, function in (
            ("alpha", schedule.alpha),
            ("sigma", schedule.sigma),
            ("lambda", schedule.lambda_),
        ):
            if (name, what) != ("ve", "sigma"):  # up to 50: off the picture
                kept[what][name] = (t.tolist(), torch.as_tensor(function(t)).tolist())
    titles = {"alpha": "alpha", "sigma": "sigma", "lambda": "log(alpha/sigma)"}
    lines([(titles[what], "t", "", curves) for what, curves in kept.items()], path)


def orders(path: Path) -> None:
    """Error of the variance by number of steps, on VP and Gaussian data, without sampling."""
    curves = {}
    for name, (_, expected) in SOLVERS.items():
        found = measured_order(name, SCHEDULES["vp"](), STEPS)
        curves[f"{name}: {found.order:.2f} ({expected})"] = (found.steps, found.errors)
    panel = ("measured order (theory)", "steps", "|Var - V|/V", curves)
    lines([panel], path, log=True)


def steps_against_distance(path: Path) -> None:
    """Total variation to the data by steps, exactly, of every discrete sampler."""
    data = enumerated(3, 3, 0)
    samplers: dict[str, Callable[[int], Tensor]] = {
        "uniform, D plugged in (wrong)": lambda n: data.sampled(n, data.denoiser),
        "uniform, R plugged in": lambda n: data.sampled(n, data.leave_one_out),
        "ReAUDM": lambda n: exact.lifted_sampled(data, n, remask=True),
        "AUDM": lambda n: exact.lifted_sampled(data, n, remask=False),
        "masked": lambda n: exact.masked_sampled(data, n),
    }
    curves = {
        name: (SAMPLING_STEPS, [data.total_variation(law(n)) for n in SAMPLING_STEPS])
        for name, law in samplers.items()
    }
    panel = ("exact posteriors, K = 3, L = 3", "steps", "total variation to the data", curves)
    lines([panel], path, log=True)
