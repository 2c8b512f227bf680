"""DecQ beside RAE at equal training, with the ablations that decide: small runs, several seeds.

Every run differs from DecQ in one thing. Frozen features are computed once and shared. Runs are
ordered so that what is done when the time is out is a comparison already; the next call goes on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from lmdm.config import read_json, write_json
from lmdm.image.autoencoder import AutoencoderConfig, Latents, RepresentationAutoencoder, taps_for
from lmdm.image.backbones.protocol import Features, VisionBackbone, layer_norm
from lmdm.image.dataset import PreparedImages, rows_of_step
from lmdm.image.generator import dimension_shift, generate_latents, starting_noise
from lmdm.image.joint_dit import JointDiT, JointDiTConfig
from lmdm.image.losses import PerceptualDistance, judge_for
from lmdm.image.metrics import (
    frechet_distance,
    likeness,
    linear_probe,
    pixel_features,
    pooled_features,
    psnr,
)
from lmdm.image.model_folder import WEIGHTS, load_autoencoder
from lmdm.image.probes import PROBES, probed
from lmdm.image.run import Optimization, accelerator_for
from lmdm.image.stage1 import Stage1, fit_autoencoder
from lmdm.image.stage2 import LatentTensors, Stage2, fit_generator
from lmdm.image.statistics import LatentStatistics
from lmdm.weights import sha256, write_beside

MAIN = ("rae", "decq", "last-layer")  # stage 1, over all seeds
GENERATED = ("rae", "decq")  # stage 2


@dataclass(frozen=True)
class StudyPlan:
    """Sizes of the study; small enough for two processor cores."""

    seeds: int = 3
    ablation_seeds: int = 1
    steps: int = 500
    batch: int = 16
    decoder_dim: int = 96
    decoder_depth: int = 3
    decoder_heads: int = 3
    queries: int = 8
    condenser_multiplier: int = 1
    taps: tuple[int, ...] = ()  # () takes a quarter, a half, three quarters of the depth, and 0
    noise_tau: float = 0.3
    generator_steps: int = 600
    generator_batch: int = 32
    generator_checkpoints: int = 4
    samples: int = 256
    sampling_steps: int = 16


@dataclass(frozen=True)
class Job:
    """One run: a variant of one seed, its first stage or its second."""

    variant: str
    seed: int
    stage: int

    @property
    def name(self) -> str:
        """Its folder below runs/."""
        return f"{self.variant}-seed{self.seed}"


def variants(plan: StudyPlan, base: AutoencoderConfig) -> dict[str, AutoencoderConfig]:
    """Name -> configuration. The first three are compared over all seeds."""
    found = {
        "rae": replace(base, queries=0),
        "decq": base,
        "last-layer": replace(base, read="last-layer"),
        "nothing": replace(base, read="nothing"),
    }
    for queries in (max(1, plan.queries // 4), 2 * plan.queries):
        found[f"{queries}-queries"] = replace(base, queries=queries)
    for tap in base.taps:
        found[f"tap-{tap}-only"] = replace(base, taps=(tap,))
    found["no-noise-rae"] = replace(base, queries=0)
    found["no-noise-decq"] = base
    return found


def jobs(plan: StudyPlan, names: list[str]) -> Iterator[Job]:
    """Stage 1's comparison, stage 2's of one seed, the ablations, stage 2's other seeds."""
    for seed in range(1, plan.seeds + 1):
        yield from (Job(name, seed, 1) for name in MAIN)
    yield from (Job(name, 1, 2) for name in GENERATED)
    for seed in range(1, plan.ablation_seeds + 1):
        yield from (Job(name, seed, 1) for name in names if name not in MAIN)
    for seed in range(2, plan.seeds + 1):
        yield from (Job(name, seed, 2) for name in GENERATED)


class FrozenFeatures:
    """The backbone's features of all pictures at all taps that any variant reads, once.

    Kept on disk in 16 bits; every run reads the same rounded numbers.
    """

    def __init__(
        self,
        images: PreparedImages,
        backbone: VisionBackbone,
        taps: set[int],
        folder: Path,
        device: torch.device,
    ) -> None:
        self.depth, self.device = backbone.depth, device
        wanted = sorted(taps | {self.depth})
        told = f"{backbone.fingerprint} {backbone.image_size} {wanted}".encode()
        digest = hashlib.sha256(told + images.pixels.tobytes()).hexdigest()
        path = folder / f"features-{digest[:16]}.safetensors"
        if not path.exists():
            parts: list[tuple[Tensor, ...]] = []
            with torch.no_grad():
                starts = range(0, len(images), 64)
                for start in tqdm(starts, desc="features", leave=False, disable=None):
                    rows = list(range(start, min(start + 64, len(images))))
                    found = backbone.features(images.batch(rows).to(device), wanted).taps
                    parts.append(tuple(tap.half().cpu() for tap in found))
            columns = [torch.cat(column) for column in zip(*parts, strict=True)]
            tensors = {str(tap): column for tap, column in zip(wanted, columns, strict=True)}
            path.parent.mkdir(parents=True, exist_ok=True)
            write_beside(path, lambda part: save_file(tensors, part))
        self.taps = {int(name): tensor for name, tensor in load_file(path).items()}

    def rows(self, rows: Any, taps: tuple[int, ...]) -> Features:
        """The features of some pictures; z is the last layer's affine-free LayerNorm."""
        last = layer_norm(self.taps[self.depth][rows].to(self.device))
        read = (self.taps[tap][rows].to(self.device, torch.float32) for tap in taps)
        return Features(last, tuple(read))


class Study:
    """The pictures, the judge and the plan; runs jobs and remembers their figures."""

    def __init__(
        self,
        out: Path,
        plan: StudyPlan,
        backbone: VisionBackbone,
        train: PreparedImages,
        test: PreparedImages,
        probe: PreparedImages,
        resolution: int,
        device: str = "cpu",
    ) -> None:
        self.out, self.plan, self.backbone = out, plan, backbone
        self.accelerator = accelerator_for(device, "no")
        self.device = self.accelerator.device
        backbone.to(self.device)
        self.train, self.test, self.probe = train, test, probe
        self.base = AutoencoderConfig(
            backbone=backbone.name,
            backbone_size=backbone.image_size,
            backbone_fingerprint=backbone.fingerprint,
            resolution=resolution,
            queries=plan.queries,
            condenser_multiplier=plan.condenser_multiplier,
            taps=plan.taps or tuple(taps_for(backbone.depth)),
            decoder_dim=plan.decoder_dim,
            decoder_depth=plan.decoder_depth,
            decoder_heads=plan.decoder_heads,
        )
        self.variants = variants(plan, self.base)
        self.jobs = list(jobs(plan, list(self.variants)))
        self.judge = judge_for(backbone, resolution).to(self.device)
        self.spaces: dict[str, Callable[[Tensor], Any]] = {
            "judge": partial(pooled_features, judge=self.judge),
            "backbone": partial(pooled_features, judge=backbone),
            "pixels": pixel_features,
        }
        taps = {tap for each in self.variants.values() for tap in each.read_taps(backbone.depth)}
        self.features = {
            name: FrozenFeatures(images, backbone, taps, out, self.device)
            for name, images in (("train", train), ("test", test), ("probe", probe))
        }
        real = self.test.batch(list(range(len(test)))).to(self.device)
        self.real = {name: features(real) for name, features in self.spaces.items()}

    def folder(self, job: Job) -> Path:
        """Where a job's run is kept."""
        return self.out / "runs" / job.name / ("autoencoder" if job.stage == 1 else "generator")

    def run(self, minutes: float | None) -> bool:
        """Does what is not yet done, at least a step of it; True when nothing is left."""
        began, worked = time.monotonic(), False
        for job in self.jobs:
            result = self.folder(job) / "result.json"
            if result.exists():
                continue
            left = None if minutes is None else minutes - (time.monotonic() - began) / 60
            if left is not None and left <= 0 and worked:
                return False
            worked = True
            figures = (self._stage1 if job.stage == 1 else self._stage2)(job, left)
            if figures is None:
                return False
            write_json(result, figures)
        return True

    def results(self) -> dict[str, list[dict[str, Any]]]:
        """Figures of the jobs that are done: "decq/1" -> one entry a seed."""
        found: dict[str, list[dict[str, Any]]] = {}
        for job in self.jobs:
            path = self.folder(job) / "result.json"
            if path.exists():
                found.setdefault(f"{job.variant}/{job.stage}", []).append(read_json(path))
        return found

    def _stage1(self, job: Job, minutes: float | None) -> dict[str, Any] | None:
        config, plan = self.variants[job.variant], self.plan
        tau = 0.0 if job.variant.startswith("no-noise") else plan.noise_tau
        stage = Stage1(noise_tau=tau, query_noise_tau=tau, flip=False)
        optimization = Optimization(steps=plan.steps, batch=plan.batch, seed=job.seed)
        taps = config.read_taps(self.backbone.depth)

        def batches(step: int) -> tuple[Tensor, Features]:
            rows = rows_of_step(step, plan.batch, len(self.train), job.seed)
            images = self.train.batch(rows).to(self.device)
            return images, self.features["train"].rows(rows, taps)

        folder = self.folder(job)
        done = fit_autoencoder(
            folder, config, stage, optimization, self.backbone, batches, self.accelerator, minutes
        )
        if not done:
            return None
        return self._judge_autoencoder(load_autoencoder(folder, self.backbone)[0].to(self.device))

    def _latents(self, autoencoder: RepresentationAutoencoder, which: str) -> LatentTensors:
        features, count = self.features[which], len(getattr(self, which))
        parts: list[Latents] = []
        with torch.no_grad():
            for start in range(0, count, 256):
                rows = slice(start, start + 256)
                parts.append(autoencoder.condense(features.rows(rows, autoencoder.backbone_taps)))
        q = [part.q for part in parts if part.q is not None]
        return LatentTensors(torch.cat([part.z for part in parts]), torch.cat(q) if q else None)

    @torch.no_grad()
    def _judge_autoencoder(self, autoencoder: RepresentationAutoencoder) -> dict[str, Any]:
        perceptual = PerceptualDistance(self.judge)
        latents = self._latents(autoencoder, "test")
        real = self.test.batch(list(range(len(self.test)))).to(self.device)
        made = torch.cat([autoencoder.decode(part) for part in latents.batches(64)])
        figures: dict[str, Any] = {
            name: float(values.mean()) for name, values in likeness(made, real, perceptual).items()
        }
        figures["parameters"] = sum(p.numel() for p in autoencoder.parameters())
        figures |= self._frechet(made)
        if latents.q is not None:
            for kind in PROBES:
                changed = LatentTensors(latents.z, probed(latents.q, kind))
                wrong = torch.cat([autoencoder.decode(part) for part in changed.batches(64)])
                figures[f"psnr_{kind}"] = float(psnr(wrong, real).mean())
        tokens = self._latents(autoencoder, "probe")
        labels = np.array(self.probe.labels)
        patches = tokens.z.mean(1).double().cpu().numpy()
        figures["probe"] = linear_probe(patches, labels).tolist()
        if tokens.q is not None:
            both = np.concatenate([patches, tokens.q.flatten(1).double().cpu().numpy()], axis=1)
            figures["probe_with_queries"] = linear_probe(both, labels).tolist()
        return figures

    def _stage2(self, job: Job, minutes: float | None) -> dict[str, Any] | None:
        plan = self.plan
        home = self.folder(replace(job, stage=1))
        rae = self.folder(Job("rae", job.seed, 1))
        autoencoder = load_autoencoder(home, self.backbone)[0].to(self.device)
        plain = load_autoencoder(rae, self.backbone)[0].to(self.device)
        latents = self._latents(autoencoder, "train")
        queries = autoencoder.config.queries
        statistics = LatentStatistics.of(
            latents.batches(), autoencoder.grid**2, queries, autoencoder.token_dim
        )
        labels = np.array(self.train.labels)
        config = JointDiTConfig(
            dim=96, depth=3, heads=3, head_dim=128, head_heads=4, classes=len(self.train.classes)
        )
        judge = partial(self._judge_generator, autoencoder, plain, statistics, labels, job.seed)
        folder = self.folder(job)
        done = fit_generator(
            folder,
            config,
            Stage2(),
            Optimization(
                steps=plan.generator_steps, batch=plan.generator_batch, seed=job.seed, ema=0.99
            ),
            latents,
            labels,
            statistics,
            autoencoder.grid,
            {"autoencoder_sha256": sha256(home / WEIGHTS), "classes": list(self.train.classes)},
            self.accelerator,
            minutes,
            checkpoint_every=max(1, plan.generator_steps // plan.generator_checkpoints),
            at_checkpoint=judge,
        )
        if not done:
            return None
        rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        seen = {row["step"]: row for row in rows if "frechet_judge" in row}  # the last of each step
        return {"curve": [seen[step] for step in sorted(seen)]}

    @torch.no_grad()
    def _judge_generator(
        self,
        autoencoder: RepresentationAutoencoder,
        plain: RepresentationAutoencoder,
        statistics: LatentStatistics,
        labels: Any,
        seed: int,
        step: int,
        dit: JointDiT,
    ) -> dict[str, float]:
        """Fréchet distances to the real test pictures; the same noise and labels at every step."""
        del step
        plan = self.plan
        wanted = torch.from_numpy(np.random.default_rng(seed).choice(labels, plan.samples))
        noise = starting_noise(dit, seed, 0, plan.samples)
        shift = dimension_shift(len(statistics.mean), autoencoder.token_dim)
        parts: list[Latents] = []
        for some, part in zip(noise.split(64), wanted.split(64), strict=True):
            some, part = some.to(self.device), part.to(self.device)
            x = generate_latents(dit, some, part, plan.sampling_steps, shift)
            parts.append(statistics.denormalize(x))
        decoders: dict[str, Callable[[Latents], Tensor]] = {"": autoencoder.decode}
        if autoencoder.config.queries:
            decoders["_without_queries"] = lambda latents: plain.decode(Latents(latents.z, None))
        figures: dict[str, float] = {}
        for suffix, decode in decoders.items():
            made = torch.cat([decode(part) for part in parts])
            figures |= {name + suffix: value for name, value in self._frechet(made).items()}
        return figures

    def _frechet(self, made: Tensor) -> dict[str, float]:
        """Distances of pictures to the real test pictures, in every space."""
        return {
            f"frechet_{name}": frechet_distance(features(made), self.real[name])
            for name, features in self.spaces.items()
        }
