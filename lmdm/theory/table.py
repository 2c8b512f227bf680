"""The trained table: what a network's output means x its loss, over seeds, on Markov text.

The dossier's falsifiers are read from it: both ways of training R bound the entropy better than
both of D; D plugged into the bridge unconverted is far worse; R nets hardly see their own token.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from lmdm.errors import InputError
from lmdm.theory.evaluation import bound, loo_sensitivity, unconverted_bound
from lmdm.theory.fitting import FitConfig, fit
from lmdm.theory.markov import MarkovText
from lmdm.theory.models import ModelConfig, TokenModel
from lmdm.theory.network import NetworkConfig
from lmdm.theory.reports import new_folder, write_text

CELLS = (("loo", "elbo"), ("loo", "ce"), ("denoiser", "elbo"), ("denoiser", "ce"))


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
    path, state = new_folder(folder) / f"{name}.json", folder / f"{name}-training"
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
    """Means over seeds, and which falsifiers the table passes."""

    def over(means: str, loss: str, key: str) -> list[float]:
        return [row[key] for row in rows if (row["means"], row["loss"]) == (means, loss)]

    def averaged(key: str) -> dict[tuple[str, str], float]:
        return {each: round(mean(over(*each, key)), 4) for each in CELLS}

    keys = ("nelbo", "loo_sensitivity", "bigram_tv")
    nelbo, seen, bigrams = (averaged(key) for key in keys)
    cells = [
        {"means": each[0], "loss": each[1]}
        | dict(zip(keys, (nelbo[each], seen[each], bigrams[each]), strict=True))
        for each in CELLS
    ]
    unconverted = round(mean(over("denoiser", "ce", "unconverted_nelbo")), 4)
    gap = min(nelbo["denoiser", loss] for loss in ("elbo", "ce")) - max(
        nelbo["loo", loss] for loss in ("elbo", "ce")
    )
    return {
        "config": asdict(config),
        "entropy": round(MarkovText().entropy, 4),
        "cells": cells,
        "unconverted_nelbo": unconverted,
        "falsifiers": {
            "R below D by 0.01": bool(gap >= 0.01),
            "unconverted worse by 0.3": bool(unconverted - nelbo["denoiser", "ce"] >= 0.3),
            "R less sensitive than D": bool(
                max(seen["loo", loss] for loss in ("elbo", "ce"))
                < min(seen["denoiser", loss] for loss in ("elbo", "ce"))
            ),
        },
        "gap": round(gap, 4),
        "rows": list(rows),
    }
