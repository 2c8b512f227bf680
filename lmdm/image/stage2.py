"""Fits stage 2: the joint diffusion transformer, on latents that stage 1 has encoded."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from lmdm.errors import InputError
from lmdm.fitting import update_average
from lmdm.image.autoencoder import Latents
from lmdm.image.dataset import rows_of_step, seeded
from lmdm.image.generator import dimension_shift, velocity_loss
from lmdm.image.joint_dit import JointDiT, JointDiTConfig
from lmdm.image.model_folder import save_generator
from lmdm.image.run import Optimization, as_plan, begin, descend, train
from lmdm.image.statistics import LatentStatistics


class LatentSource(Protocol):
    """Latents by row: shards on disk, or tensors."""

    def __len__(self) -> int: ...

    def rows(self, rows: NDArray[np.int64]) -> Latents:
        """The latents of some pictures, in float32."""
        ...


@dataclass(frozen=True)
class Stage2:
    """What stage 2 is trained for."""

    query_weight: float = 1.0  # of a detail token in the loss, beside a patch token's 1
    shift: float = 0.0  # of the timesteps; 0 takes sqrt(tokens * channels / 4096)

    def __post_init__(self) -> None:
        if self.query_weight < 0 or self.shift < 0:
            raise InputError("the queries' weight and the shift must not be negative")


def fit_generator(
    folder: Path,
    config: JointDiTConfig,
    stage: Stage2,
    plan: Optimization,
    latents: LatentSource,
    labels: NDArray[np.int64],
    statistics: LatentStatistics,
    grid: int,
    about: dict[str, Any],
    accelerator: Accelerator,
    minutes: float | None = None,
    checkpoint_every: int = 200,
    at_checkpoint: Callable[[int, JointDiT], dict[str, float]] | None = None,
) -> bool:
    """Trains, or goes on training, in a folder; True when the plan is done.

    about: goes into config.json (the autoencoder's hash, the names of the classes).
    at_checkpoint: sees the averaged network; its figures go into the log.
    """
    parts = as_plan(dit=config, stage2=stage, optimization=plan)
    begin(folder, parts | {"autoencoder_sha256": about["autoencoder_sha256"]}, accelerator)
    torch.manual_seed(plan.seed)
    dim = statistics.mean.shape[1]
    queries = len(statistics.mean) - statistics.patches
    network = JointDiT(config, dim, grid, queries).to(accelerator.device)
    average = copy.deepcopy(network).requires_grad_(False)
    statistics = statistics.to(accelerator.device)
    optimizer = torch.optim.Adam(network.parameters(), plan.learning_rate, betas=(0.9, 0.95))
    networks: dict[str, nn.Module] = {"network": network, "average": average}
    optimizers: dict[str, torch.optim.Optimizer] = {"network": optimizer}
    prepared, optimizer = accelerator.prepare(network, optimizer)
    shift = stage.shift or dimension_shift(len(statistics.mean), dim)
    told = torch.from_numpy(labels)

    def step_of(step: int) -> dict[str, float]:
        rows = rows_of_step(
            step,
            plan.batch,
            len(latents),
            plan.seed,
            accelerator.process_index,
            accelerator.num_processes,
        )
        batch = latents.rows(rows).to(accelerator.device)
        with accelerator.autocast():
            loss = velocity_loss(
                prepared,
                statistics.normalize(batch),
                told[rows].to(accelerator.device),
                shift,
                statistics.patches,
                stage.query_weight,
                network.no_class,
                config.class_dropout,
                seeded(plan.seed, step, accelerator.process_index, accelerator.device),
            )
        descend(loss, network, optimizer, accelerator, plan.clip)
        update_average(average, network, step, plan.ema)
        return {"loss": loss.item()}

    done = train(
        plan,
        folder,
        accelerator,
        networks,
        optimizers,
        step_of,
        title="stage 2 (joint)" if queries else "stage 2 (RAE)",
        minutes=minutes,
        checkpoint_every=checkpoint_every,
        at_checkpoint=(lambda step: at_checkpoint(step, average)) if at_checkpoint else None,
    )
    if accelerator.is_main_process:
        save_generator(folder, average, statistics, about | {"shift": shift})
    accelerator.wait_for_everyone()
    return done


class LatentTensors:
    """Latents in memory."""

    def __init__(self, z: Tensor, q: Tensor | None) -> None:
        self.z, self.q = z, q

    def __len__(self) -> int:
        return len(self.z)

    def rows(self, rows: NDArray[np.int64]) -> Latents:
        """See `LatentSource`."""
        return Latents(self.z[rows], None if self.q is None else self.q[rows])

    def batches(self, size: int = 256) -> list[Latents]:
        """All of them, `size` at a time."""
        parts = np.array_split(np.arange(len(self)), max(1, -(-len(self) // size)))
        return [self.rows(part) for part in parts]
