"""The trained table: what a network's output means x its loss, over seeds, on Markov text.

Read from it: R bounds the entropy better than D that was trained by the same loss; D plugged into
the bridge unconverted is far worse; R nets see less of their own token.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from lmdm.errors import InputError
from lmdm.outputs import make_folder
from lmdm.theory.evaluation import bound, loo_sensitivity, unconverted_bound
from lmdm.theory.fitting import FitConfig, fit
from lmdm.theory.markov import MarkovText
from lmdm.theory.models import ModelConfig, TokenModel
from lmdm.theory.network import NetworkConfig
from lmdm.theory.reports import write_text

LOSSES = ("elbo", "ce")
CELLS = tuple((means, loss) for means in ("loo", "denoiser") for loss in LOSSES)


@dataclass(frozen=True)
class TableConfig:
    """Sizes of every run, the same for all cells."""

    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 2000
    batch: int = 128
    width: int = 64
    layers: int = 2
    training_sequences: int = 100_000
    test_sequences: int = 4096
    sampling_steps: int = 16


def cell(config: TableConfig, folder: Path, seed: int, means: str, loss: str) -> dict[str, Any]:
    """One row, trained and measured, or read from `folder` where an earlier run left it.

    Raises:
        InputError: the folder cannot be written, or holds a damaged row.
    """
    name = f"{means}-{loss}-{config.steps}-{seed}"
    path, state = make_folder(folder) / f"{name}.json", folder / f"{name}-training"
    if not path.exists():
        write_text(path, json.dumps(measured_cell(config, means, loss, seed, state)) + "\n")
        shutil.rmtree(state, ignore_errors=True)
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise InputError(f"{path} is damaged; delete it to measure it anew") from None


def measured_cell(
    config: TableConfig, means: str, loss: str, seed: int, state: Path
) -> dict[str, Any]:
    """One network, trained (from where `state` was left) and measured."""
    text = MarkovText()
    network = NetworkConfig(
        text.vocabulary, text.length, width=config.width, layers=config.layers, kernel=5
    )
    model = TokenModel(ModelConfig(network, means, loss, tuple("abcdefgh")))
    tokens = text.draw(config.training_sequences, 1)
    fit(model, tokens, FitConfig(config.steps, config.batch, seed=seed), state, quiet=True)
    test = text.draw(config.test_sequences, 2)
    samples = model.sample(
        config.test_sequences, config.sampling_steps, torch.Generator().manual_seed(seed)
    )
    row = {
        "means": means,
        "loss": loss,
        "seed": seed,
        "nelbo": bound(model, test),
        "loo_sensitivity": loo_sensitivity(model, test[:1024]),
        "bigram_tv": text.bigram_distance(samples),
    }
    if means == "denoiser" and loss == "ce":
        row["unconverted_nelbo"] = unconverted_bound(model, test)
    return row


def summary(config: TableConfig, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds, what the table must show, and what is only compared with the dossier.

    claims: what follows from the theory and so tests this code; `holds` says whether it does.
    published: the margin of the dossier's own table, a figure of its chain and its network. Whether
    it is reached here is reported, and proves or disproves nothing of this code.
    """

    def over(means: str, loss: str, key: str) -> list[float]:
        found = sorted((row["seed"], row[key]) for row in rows if _cell_of(row) == (means, loss))
        return [value for _, value in found]

    def averaged(key: str) -> dict[tuple[str, str], float]:
        return {each: round(mean(over(*each, key)), 4) for each in CELLS}

    keys = ("nelbo", "loo_sensitivity", "bigram_tv")
    nelbo, seen, bigrams = (averaged(key) for key in keys)
    cells = [
        {"means": each[0], "loss": each[1]}
        | dict(zip(keys, (nelbo[each], seen[each], bigrams[each]), strict=True))
        for each in CELLS
    ]
    raw = over("denoiser", "ce", "unconverted_nelbo")
    bounds = {each: over(*each, "nelbo") for each in CELLS}
    worst_r = _each_seed(max, *(bounds["loo", loss] for loss in LOSSES))
    best_d = _each_seed(min, *(bounds["denoiser", loss] for loss in LOSSES))
    sees_r = _each_seed(max, *(over("loo", loss, "loo_sensitivity") for loss in LOSSES))
    sees_d = _each_seed(min, *(over("denoiser", loss, "loo_sensitivity") for loss in LOSSES))
    return {
        "config": asdict(config),
        "entropy": round(MarkovText().entropy, 4),
        "cells": cells,
        "unconverted_nelbo": round(mean(raw), 4),
        "claims": {
            "R below D, both by ELBO": _margin(bounds["denoiser", "elbo"], bounds["loo", "elbo"]),
            "R below D, both by CE": _margin(bounds["denoiser", "ce"], bounds["loo", "ce"]),
            "unconverted worse by 0.3": _margin(raw, bounds["denoiser", "ce"], 0.3),
            "R less sensitive than D": _margin(sees_d, sees_r),
        },
        "published": {"worst R below best D by 0.01": _margin(best_d, worst_r, 0.01)},
        "rows": list(rows),
    }


def _cell_of(row: dict[str, Any]) -> tuple[str, str]:
    return row["means"], row["loss"]


def _each_seed(pick: Callable[[Sequence[float]], float], *columns: list[float]) -> list[float]:
    return [pick(values) for values in zip(*columns, strict=True)]


def _margin(above: list[float], below: list[float], wanted: float = 0.0) -> dict[str, Any]:
    """How far one column lies above another, seed by seed: the mean, the range, and the claim."""
    margins = [high - low for high, low in zip(above, below, strict=True)]
    return {
        "margin": round(mean(margins), 4),
        "over_seeds": [round(min(margins), 4), round(max(margins), 4)],
        "wanted": wanted,
        "holds": mean(margins) > wanted,
    }
