"""The trained table: what a network's output means x its loss, over seeds, on Markov text.

The dossier's falsifiers are read from it: both ways of training R bound the entropy better than
both of D; D plugged into the bridge unconverted is far worse; R nets hardly see their own token.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from lmdm.theory.evaluation import bound, loo_sensitivity, unconverted_bound
from lmdm.theory.fitting import Fit, FitConfig
from lmdm.theory.markov import MarkovText
from lmdm.theory.models import ModelConfig, TokenModel
from lmdm.theory.network import NetworkConfig
from lmdm.weights import write_beside

CELLS = (("loo", "elbo"), ("loo", "ce"), ("denoiser", "elbo"), ("denoiser", "ce"))


@dataclass(frozen=True)
class TableConfig:
    """Sizes of every run, the same for all cells."""

    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 1000
    batch: int = 128
    width: int = 64
    layers: int = 2
    training_sequences: int = 100_000
    test_sequences: int = 4096
    sampling_steps: int = 16


def trained_table(
    config: TableConfig, folder: Path, on_cell: Callable[[dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """Trains and measures what is not yet in `folder`; returns (and writes) the report."""
    folder.mkdir(parents=True, exist_ok=True)
    text = MarkovText()
    rows = []
    for seed in config.seeds:
        for means, loss in CELLS:
            path = folder / f"{means}-{loss}-{config.steps}-{seed}.json"
            if path.exists():
                rows.append(json.loads(path.read_text(encoding="utf-8")))
            else:
                rows.append(measured_cell(config, text, means, loss, seed))
                line = json.dumps(rows[-1])
                write_beside(path, lambda part, line=line: part.write_text(line, encoding="utf-8"))
            if on_cell is not None:
                on_cell(rows[-1])
    report = summary(config, text, rows)
    kept = json.dumps(report, indent=1) + "\n"
    write_beside(folder / "report.json", lambda part: part.write_text(kept, encoding="utf-8"))
    return report


def measured_cell(
    config: TableConfig, text: MarkovText, means: str, loss: str, seed: int
) -> dict[str, Any]:
    """One network, trained and measured."""
    network = NetworkConfig(
        text.vocabulary, text.length, width=config.width, layers=config.layers, kernel=5
    )
    model = TokenModel(ModelConfig(network, means, loss, tuple("abcdefgh")))
    tokens = text.draw(config.training_sequences, 1)
    Fit(model, tokens, FitConfig(config.steps, config.batch, seed=seed)).run()
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


def summary(
    config: TableConfig, text: MarkovText, rows: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Means over seeds, and which falsifiers the table passes."""

    def over(means: str, loss: str, key: str) -> list[float]:
        return [row[key] for row in rows if (row["means"], row["loss"]) == (means, loss)]

    cells = [
        {"means": means, "loss": loss}
        | {key: round(mean(over(means, loss, key)), 4)
           for key in ("nelbo", "loo_sensitivity", "bigram_tv")}
        for means, loss in CELLS
    ]  # fmt: skip
    nelbo = {(cell["means"], cell["loss"]): cell["nelbo"] for cell in cells}
    seen = {(cell["means"], cell["loss"]): cell["loo_sensitivity"] for cell in cells}
    unconverted = round(mean(over("denoiser", "ce", "unconverted_nelbo")), 4)
    gap = min(nelbo["denoiser", loss] for loss in ("elbo", "ce")) - max(
        nelbo["loo", loss] for loss in ("elbo", "ce")
    )
    return {
        "config": asdict(config),
        "entropy": round(text.entropy, 4),
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
