"""The figures of one model on a folder of pictures."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from lmdm.figures import new_figure, write_figure
from lmdm.image.autoencoder import Latents, RepresentationAutoencoder, encode
from lmdm.image.backbones.protocol import VisionBackbone
from lmdm.image.dataset import PreparedImages
from lmdm.image.generator import generate_latents, starting_noise
from lmdm.image.joint_dit import JointDiT
from lmdm.image.losses import PerceptualDistance
from lmdm.image.metrics import frechet_distance, likeness, linear_probe, pooled_features, psnr
from lmdm.image.outputs import spread_labels
from lmdm.image.probes import PROBES, probed
from lmdm.image.statistics import LatentStatistics

FOLDS = 5


@torch.no_grad()
def evaluate_autoencoder(
    autoencoder: RepresentationAutoencoder,
    backbone: VisionBackbone,
    judge: VisionBackbone,
    images: PreparedImages,
    device: torch.device,
    batch: int,
) -> dict[str, Any]:
    """Likeness, Fréchet distance of the reconstructions, probes of the queries, linear probe."""
    perceptual = PerceptualDistance(judge)
    figures: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    real, made, patches, details = [], [], [], []
    for start in tqdm(range(0, len(images), batch), desc="evaluate", leave=False, disable=None):
        rows = list(range(start, min(start + batch, len(images))))
        some = images.batch(rows).to(device)
        latents = encode(autoencoder, backbone, some)
        back = autoencoder.decode(latents)
        for name, values in likeness(back, some, perceptual).items():
            figures[name].append(values)
        real.append(pooled_features(some, judge))
        made.append(pooled_features(back, judge))
        patches.append(latents.z.mean(1).double().cpu().numpy())
        if latents.q is None:
            continue
        details.append(latents.q.flatten(1).double().cpu().numpy())
        for kind in PROBES:
            wrong = autoencoder.decode(Latents(latents.z, probed(latents.q, kind)))
            figures[f"psnr_{kind}"].append(psnr(wrong, some).double().cpu().numpy())
    found: dict[str, Any] = {}
    for name, parts in figures.items():
        values = np.concatenate(parts)
        found[name] = {"mean": float(values.mean()), "deviation": float(values.std())}
    if len(images) > 1:
        found["frechet_reconstructions"] = frechet_distance(
            np.concatenate(made), np.concatenate(real)
        )
    labels = np.array(images.labels)
    if len(images.classes) > 1 and np.bincount(labels).min() >= FOLDS:
        z = np.concatenate(patches)
        found["linear_probe"] = _accuracy(linear_probe(z, labels, FOLDS))
        if details:
            both = np.concatenate([z, np.concatenate(details)], axis=1)
            found["linear_probe_with_queries"] = _accuracy(linear_probe(both, labels, FOLDS))
    return found


def _accuracy(folds: NDArray[np.float64]) -> dict[str, float]:
    return {"mean": float(folds.mean()), "error": float(folds.std(ddof=1) / len(folds) ** 0.5)}


@torch.no_grad()
def evaluate_generator(
    dit: JointDiT,
    statistics: LatentStatistics,
    autoencoder: RepresentationAutoencoder,
    judge: VisionBackbone,
    images: PreparedImages,
    shift: float,
    samples: int,
    steps: int,
    device: torch.device,
    batch: int,
) -> dict[str, Any]:
    """Fréchet distance of generated pictures to the folder's, in the judge's pooled features."""
    labels = spread_labels(samples, dit.config.classes, None)
    made = []
    for first in tqdm(range(0, samples, batch), desc="generate", leave=False, disable=None):
        part = labels[first : first + batch].to(device)
        noise = starting_noise(dit, 1, first, len(part)).to(device)
        x = generate_latents(dit, noise, part, steps, shift)
        pictures = autoencoder.decode(statistics.denormalize(x))
        made.append(pooled_features(pictures, judge))
    real = [
        pooled_features(
            images.batch(list(range(start, min(start + batch, len(images))))).to(device), judge
        )
        for start in range(0, len(images), batch)
    ]
    distance = frechet_distance(np.concatenate(made), np.concatenate(real))
    return {"frechet_generated": distance, "samples": samples, "steps": steps}


@torch.no_grad()
def cost(autoencoder: RepresentationAutoencoder, backbone: VisionBackbone) -> dict[str, Any]:
    """Parameters, and floating-point operations of one picture, by part (torch's own counter)."""
    device = next(autoencoder.parameters()).device
    image = torch.zeros(1, 3, autoencoder.config.resolution, autoencoder.config.resolution).to(
        device
    )
    counts = {}
    with FlopCounterMode(display=False) as counter:
        features = backbone.features(image, autoencoder.backbone_taps)
    counts["backbone"] = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        latents = autoencoder.condense(features)
    counts["condenser"] = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        autoencoder.decode(latents)
    counts["decoder"] = counter.get_total_flops()
    condenser = autoencoder.condenser
    return {
        "flops": counts | {"total": sum(counts.values())},
        "parameters": {
            "condenser": 0 if condenser is None else sum(p.numel() for p in condenser.parameters()),
            "decoder": sum(p.numel() for p in autoencoder.decoder.parameters()),
        },
    }


def plot(figures: dict[str, dict[str, Any]], path: Path) -> None:
    """Bars of PSNR, SSIM and perceptual distance, a model each; lines are deviations."""
    names = ("psnr", "ssim", "perceptual")
    titles = ("PSNR, dB (more is better)", "SSIM (more is better)", "perceptual (less is better)")
    figure = new_figure(9, 3)
    for axis, name, title in zip(figure.subplots(1, 3), names, titles, strict=True):
        means = [entry[name]["mean"] for entry in figures.values()]
        spreads = [entry[name]["deviation"] for entry in figures.values()]
        axis.bar(range(len(means)), means, yerr=spreads, color="#4477aa", ecolor="#222222")
        axis.set_xticks(range(len(means)), list(figures), rotation=20, ha="right")
        axis.set_title(title, fontsize=9)
    write_figure(path, figure)
