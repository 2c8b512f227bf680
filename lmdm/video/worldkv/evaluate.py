"""Revisits: what is shown on return, against what the same rollout showed first (dossier §6)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmdm.video.dit import VideoDiT
from lmdm.video.report import mean_and_error
from lmdm.video.worldkv.bank import MemoryBank
from lmdm.video.worldkv.ring import CELLS, CHUNK, VIEW, RingModel, cells_of, random_sweep
from lmdm.video.worldkv.rollout import MemoryPolicy, Rollout

POLICIES: dict[str, MemoryPolicy] = {
    "full": MemoryPolicy("full"),
    "sliding": MemoryPolicy("sliding"),
    "sliding, same tokens": MemoryPolicy("sliding", recent=4),
    "retrieval k=2": MemoryPolicy(),
    "retrieval k=2, corrected": MemoryPolicy(rope_correction=True),
    "random k=2": MemoryPolicy(metric="random"),
    "random k=2, corrected": MemoryPolicy(metric="random", rope_correction=True),
    "attention k=2, corrected": MemoryPolicy(metric="attention", rope_correction=True),
    "k=2, keep .25": MemoryPolicy(keep=0.25),
    "k=4, keep .25": MemoryPolicy(retrieve=4, keep=0.25),
    "k=2, keep .25, random tokens": MemoryPolicy(keep=0.25, rule="random"),
    "k=4, keep .25, corrected": MemoryPolicy(retrieve=4, keep=0.25, rope_correction=True),
}


FIGURES = (
    "revisit_mse", "variance", "mean_tokens", "max_tokens", "seconds", "bank_megabytes",
    "last_to_first_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Revisit:
    """One cell seen again: in which chunk, after how many chunks unseen, and the error."""

    chunk: int
    gap: int
    error: float


def revisits(latents: Tensor, positions: Tensor, unseen: int) -> list[Revisit]:
    """Every cell that comes back after more than `unseen` chunks, against its first showing.

    latents [B, C, T, 1, VIEW]. The error is the mean square over rollouts and channels; all frames
    of the chunk in which the cell comes back count as one.
    """
    cells = cells_of(positions[: latents.shape[2]])
    first: dict[int, Tensor] = {}
    last: dict[int, int] = {}
    found = []
    for chunk in range(latents.shape[2] // CHUNK):
        errors = defaultdict(list)
        for frame in range(chunk * CHUNK, (chunk + 1) * CHUNK):
            for place in range(VIEW):
                cell, value = int(cells[frame, place]), latents[:, :, frame, 0, place]
                if cell not in first:
                    first[cell] = value
                elif chunk - last.get(cell, chunk) > unseen:
                    errors[cell].append(float((value - first[cell]).square().mean()))
        for frame in range(chunk * CHUNK, (chunk + 1) * CHUNK):
            for cell in cells[frame].tolist():
                if errors.get(cell):
                    found.append(Revisit(chunk, chunk - last[cell], float(np.mean(errors[cell]))))
                    errors[cell] = []
                last[cell] = chunk
    return found


def by_gap(found: list[Revisit]) -> dict[int, dict[str, float]]:
    """Gap in chunks -> mean square error, PSNR in dB (for contents of +-2), and how many."""
    grouped = defaultdict(list)
    for each in found:
        grouped[each.gap].append(each.error)
    return {
        gap: {
            "mse": float(np.mean(errors)),
            "psnr": 10 * math.log10(16 / max(float(np.mean(errors)), 1e-12)),
            "count": len(errors),
        }
        for gap, errors in sorted(grouped.items())
    }


def roll(
    network: VideoDiT, policy: MemoryPolicy, positions: Tensor, chunks: int, batch: int
) -> Rollout:
    """A finished rollout of the ring world."""
    rollout = Rollout(RingModel(network, positions, batch), policy, MemoryBank())
    for _ in rollout.chunks(chunks):
        pass
    return rollout


def table(
    network: VideoDiT, seeds: int, chunks: int, batch: int, policies: list[str], unseen: int = 3
) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """Every policy on `seeds` random trajectories (each with `batch` rollouts of its own noise).

    Yields (policy, table so far). Figures are means over seeds with standard errors: revisit MSE,
    variance of what is shown (a model that freezes would recall perfectly), tokens, seconds.
    """
    done: dict[str, dict[str, Any]] = {}
    for name in policies:
        rows = defaultdict(list)
        for seed in range(seeds):
            positions = random_sweep(chunks * CHUNK, np.random.default_rng(seed)) % CELLS
            policy = replace(POLICIES[name], seed=seed)
            rollout = roll(network, policy, positions, chunks, batch)
            latents = torch.cat(rollout.latents, dim=2)
            errors = [each.error for each in revisits(latents, positions, unseen)]
            rows["revisit_mse"].append(float(np.mean(errors)))
            rows["variance"].append(float(latents.var()))
            tokens = [report.past_tokens for report in rollout.reports]
            rows["mean_tokens"].append(float(np.mean(tokens)))
            rows["max_tokens"].append(float(max(tokens)))
            rows["seconds"].append(sum(report.seconds for report in rollout.reports))
            rows["bank_megabytes"].append(rollout.bank.bytes / 1e6)
            rows["last_to_first_seconds"].append(_late_cost(rollout))
            done[name] = {
                key: dict(zip(("mean", "error"), mean_and_error(values), strict=True))
                for key, values in rows.items()
            }
            yield name, done


def joined(tables: Sequence[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """One table of several models: of each figure the mean of the models' means, the standard error
    between models, and every model's. Policies that not all tables have are left out.
    """
    names = [name for name in tables[0] if all(name in table for table in tables)]
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        found[name] = {}
        for key in FIGURES:
            values = [float(table[name][key]["mean"]) for table in tables]
            mean, error = mean_and_error(values)
            found[name][key] = {"mean": mean, "error": error, "models": values}
    return found


def _late_cost(rollout: Rollout) -> float:
    """Seconds of the last quarter's chunks over those of the second quarter."""
    seconds = [report.seconds for report in rollout.reports]
    quarter = len(seconds) // 4
    return sum(seconds[-quarter:]) / max(1e-9, sum(seconds[quarter : 2 * quarter]))


JUDGED = {"retrieval k=2", "random k=2", "k=4, keep .25"}  # what a verdict needs


def verdict(done: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The dossier's falsifiers: retrieval must beat random retrieval; at equal budget, compressed
    and more must beat whole and fewer; the token count must not grow.
    """

    def mse(name: str) -> float:
        return float(done[name]["revisit_mse"]["mean"])

    answers = {
        "retrieval_beats_random": mse("retrieval k=2") < mse("random k=2"),
        "compressed_and_more_beats_whole_and_fewer": mse("k=4, keep .25") < mse("retrieval k=2"),
        "tokens_bounded": done["retrieval k=2"]["max_tokens"]["mean"] <= 90,
    }
    return answers | {"falsified": not all(answers.values())}


def frame_revisits(
    latents: Tensor, poses: Tensor, chunk: int, unseen: int, tolerance: float = 1e-3
) -> list[Revisit]:
    """For any world: frames [B, C, T, H, W] from a pose that was taken before, against the first.

    Two poses are one if their translations differ by at most `tolerance` and their rotations by as
    many radians. A frame counts if that pose was last taken more than `unseen` chunks before.
    """
    found, first, last = [], list[int](), dict[int, int]()
    for frame in range(latents.shape[2]):
        same = next((i for i in first if _one_pose(poses[i], poses[frame], tolerance)), None)
        number = frame // chunk
        if same is None:
            first.append(frame)
            same = frame
        elif number - last[same] > unseen:
            error = float((latents[:, :, frame] - latents[:, :, same]).square().mean())
            found.append(Revisit(number, number - last[same], error))
        last[same] = number
    return found


def _one_pose(one: Tensor, other: Tensor, tolerance: float) -> bool:
    moved = float((one[:3, 3] - other[:3, 3]).norm())
    trace = float((one[:3, :3] * other[:3, :3]).sum())
    return moved <= tolerance and math.acos(min(1.0, max(-1.0, (trace - 1) / 2))) <= tolerance
