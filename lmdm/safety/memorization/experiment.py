"""The digits experiment whole: train, calibrate, score every kind of prompt, mitigate, report.

For every seed and guidance: separation of memorised prompts from normal, frequency-matched and
single-image ones, copy rates with and without mitigation, and how often it acts on each kind.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmdm.safety.memorization import plots
from lmdm.safety.memorization.digits import KINDS, DigitsConfig, DigitsModel, from_pixels
from lmdm.safety.memorization.evaluation import Array, separation, trajectory_scores
from lmdm.safety.memorization.mitigation import Mitigation
from lmdm.safety.memorization.models import Sampling
from lmdm.safety.memorization.region import Region, calibrate
from lmdm.safety.memorization.runs import PromptRun, run_prompts
from lmdm.safety.memorization.watch import Watch
from lmdm.weights import write_beside

GUIDANCES = (1.0, 3.0, 7.5)
FIRST = 3  # steps of the early variant


def experiment(
    folder: Path,
    config: DigitsConfig,
    seeds: Sequence[int] = (0, 1, 2),
    trajectories: int = 8,
    steps: int = 50,
    guidances: Sequence[float] = GUIDANCES,
    quiet: bool = False,
) -> dict[str, Any]:
    """Runs what is not there yet; writes report.json, profiles.png and grid.png into `folder`."""
    rows = []
    for seed in seeds:
        model = DigitsModel.train(folder / f"seed{seed}", replace(config, seed=seed), quiet)
        for guidance in guidances:
            here = folder / f"seed{seed}" / f"guidance{guidance:g}"
            sampling = Sampling("ddim", steps, guidance)
            rows.append({"seed": seed, **_measure(model, sampling, trajectories, here, quiet)})
    report = {
        "config": asdict(config),
        "sampler": f"ddim, {steps} steps, {trajectories} trajectories a prompt",
        "rows": rows,
        "mean over seeds": {f"{g:g}": _mean(rows, g) for g in guidances},
    }
    text = json.dumps(report, indent=1)
    write_beside(folder / "report.json", lambda part: part.write_text(text))
    return report


def _measure(
    model: DigitsModel, sampling: Sampling, trajectories: int, folder: Path, quiet: bool
) -> dict[str, Any]:
    kinds = {kind: [p for p in model.prompts if p.startswith(kind)] for kind in KINDS}
    half = len(kinds["normal"]) // 2
    reference, kinds["normal"] = kinds["normal"][:half], kinds["normal"][half:]
    numbers = range(trajectories)
    watch = Watch()
    runs = run_prompts(model, reference, numbers, sampling, watch, folder / "reference", quiet)
    region = calibrate([t for run in runs for t in run.norms], model.setting(sampling))
    judged = Watch(region)
    mended = Watch(region, Mitigation())
    plain = {
        kind: run_prompts(model, prompts, numbers, sampling, judged, folder / kind, quiet)
        for kind, prompts in kinds.items()
    }
    treated = {
        kind: run_prompts(model, prompts, numbers, sampling, mended, folder / f"{kind}-m", quiet)
        for kind, prompts in kinds.items()
    }
    _pictures(folder, region, plain, treated)
    memorised = scores(plain["memorised"], region)
    early = scores(plain["memorised"], region, FIRST)
    row: dict[str, Any] = {"guidance": sampling.guidance}
    for kind in ("normal", "matched", "single"):
        others = scores(plain[kind], region)
        row[f"memorised against {kind}"] = asdict(separation(memorised, others))
        early_others = scores(plain[kind], region, FIRST)
        row[f"memorised against {kind}, first {FIRST} steps"] = asdict(
            separation(early, early_others)
        )
    row["single against normal"] = asdict(
        separation(scores(plain["single"], region), scores(plain["normal"], region))
    )
    row["copy rate"] = {kind: _copies(model, runs) for kind, runs in plain.items()}
    row["copy rate, mitigated"] = {kind: _copies(model, runs) for kind, runs in treated.items()}
    row["share acted on"] = {
        kind: float(np.mean([run.active.any(dim=1).float().mean() for run in runs]))
        for kind, runs in treated.items()
    }
    return row


def z_of(runs: Sequence[PromptRun], region: Region) -> Array:
    """Signed z-scores of all trajectories, [N, K, 3]."""
    return region.profile(torch.cat([run.norms for run in runs])).numpy()


def scores(runs: Sequence[PromptRun], region: Region, first: int | None = None) -> dict[str, Array]:
    """prompt -> score of each of its trajectories."""
    return {run.prompt: trajectory_scores(z_of([run], region), first) for run in runs}


def _copies(model: DigitsModel, runs: Sequence[PromptRun]) -> float:
    copied = [model.copies(from_pixels(run.images)).float().mean() for run in runs]
    return float(torch.stack(copied).mean())


def _pictures(
    folder: Path,
    region: Region,
    plain: dict[str, list[PromptRun]],
    treated: dict[str, list[PromptRun]],
) -> None:
    plots.profiles(folder / "profiles.png", {k: z_of(runs, region) for k, runs in plain.items()})
    shown = {}
    for kind in plain:
        shown[kind] = plain[kind][0].images
        shown[f"{kind}, mitigated"] = treated[kind][0].images
    plots.grid(folder / "grid.png", shown)


def _mean(rows: Sequence[dict[str, Any]], guidance: float) -> dict[str, Any]:
    """Mean and standard error over seeds of what a table shows."""
    chosen = [row for row in rows if row["guidance"] == guidance]
    table: dict[str, Any] = {}
    for key, value in chosen[0].items():
        if isinstance(value, dict) and "auc" in value:
            table[f"AUC, {key}"] = _spread([row[key]["auc"] for row in chosen])
        elif isinstance(value, dict):
            for kind in value:
                table[f"{key}, {kind}"] = _spread([row[key][kind] for row in chosen])
    return table


def _spread(values: Sequence[float]) -> dict[str, float]:
    error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0
    return {"mean": round(float(np.mean(values)), 4), "standard error": round(error, 4)}
