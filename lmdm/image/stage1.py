"""Fits stage 1: condenser and decoder over a frozen backbone, from pixels alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from lmdm.errors import InputError
from lmdm.fitting import update_average
from lmdm.image.autoencoder import AutoencoderConfig, RepresentationAutoencoder
from lmdm.image.backbones.protocol import Features, VisionBackbone
from lmdm.image.dataset import PreparedImages, rows_of_step, seeded
from lmdm.image.losses import (
    Discriminator,
    PerceptualDistance,
    adaptive_weight,
    discriminator_hinge,
    judge_for,
)
from lmdm.image.model_folder import save_autoencoder
from lmdm.image.run import Optimization, as_plan, begin, descend, train

Batch = Callable[[int], tuple[Tensor, Features]]  # step -> images [B, 3, H, W], their features


@dataclass(frozen=True)
class Stage1:
    """What stage 1 is trained for. The weights of the losses are RAE's where they are not 0."""

    noise_tau: float = 0.3  # RAE: 0.8 for DINOv2
    query_noise_tau: float = 0.3
    perceptual: float = 0.0  # RAE: 1
    adversarial: float = 0.0  # RAE: 0.75, times the adaptive weight
    discriminator_from: float = 6 / 16  # of the steps: when the discriminator begins to learn
    adversarial_from: float = 8 / 16  # and when the decoder begins to heed it
    flip: bool = True  # left and right, at random

    def __post_init__(self) -> None:
        if min(self.noise_tau, self.query_noise_tau, self.perceptual, self.adversarial) < 0:
            raise InputError("noise and loss weights must not be negative")


class Batches:
    """Pictures and their frozen features, step by step."""

    def __init__(
        self,
        images: PreparedImages,
        backbone: VisionBackbone,
        taps: tuple[int, ...],
        plan: Optimization,
        flip: bool,
        accelerator: Accelerator,
    ) -> None:
        self.images, self.backbone, self.taps = images, backbone, taps
        self.plan, self.flip, self.accelerator = plan, flip, accelerator

    def __call__(self, step: int) -> tuple[Tensor, Features]:
        """Images in 0..1 and features of this process's pictures."""
        at, plan = self.accelerator, self.plan
        rows = rows_of_step(
            step, plan.batch, len(self.images), plan.seed, at.process_index, at.num_processes
        )
        images = self.images.batch(rows)
        if self.flip:
            generator = seeded(plan.seed + 1, step, at.process_index)
            turned = torch.rand(len(images), generator=generator) < 0.5
            images[turned] = images[turned].flip(-1)
        images = images.to(at.device)
        with torch.no_grad(), at.autocast():
            return images, self.backbone.features(images, self.taps)


def fit_autoencoder(
    folder: Path,
    config: AutoencoderConfig,
    stage: Stage1,
    plan: Optimization,
    backbone: VisionBackbone,
    batches: Batch,
    accelerator: Accelerator,
    minutes: float | None = None,
    checkpoint_every: int = 200,
) -> bool:
    """Trains, or goes on training, in a folder; True when the plan is done.

    The folder then holds the averaged weights as model.safetensors beside config.json.
    """
    begin(folder, as_plan(autoencoder=config, stage1=stage, optimization=plan), accelerator)
    torch.manual_seed(plan.seed)
    network = RepresentationAutoencoder(config, backbone).to(accelerator.device)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), plan.learning_rate, betas=(0.9, 0.95))
    networks: dict[str, nn.Module] = {"network": network, "average": average}
    optimizers: dict[str, torch.optim.Optimizer] = {"network": optimizer}
    prepared, optimizer = accelerator.prepare(network, optimizer)

    perceptual: PerceptualDistance | None = None
    critic: nn.Module | None = None
    if stage.perceptual or stage.adversarial:
        judge = judge_for(backbone, config.resolution).to(accelerator.device)
    if stage.perceptual:
        perceptual = PerceptualDistance(judge)
    if stage.adversarial:
        discriminator = Discriminator(judge).to(accelerator.device)
        critic_optimizer = torch.optim.Adam(
            discriminator.parameters(), plan.learning_rate, betas=(0.5, 0.9)
        )
        networks["discriminator"] = discriminator
        optimizers["discriminator"] = critic_optimizer
        critic, critic_optimizer = accelerator.prepare(discriminator, critic_optimizer)

    def step_of(step: int) -> dict[str, float]:
        images, features = batches(step)
        at = accelerator.device
        generator = seeded(plan.seed, step, accelerator.process_index, at)
        with accelerator.autocast():
            made = prepared(features, stage.noise_tau, stage.query_noise_tau, generator)
        l1 = (made - images).abs().mean()
        loss, figures = l1, {"l1": l1.item()}
        if perceptual is not None:
            apart = perceptual(made, images).mean()
            loss, figures["perceptual"] = loss + stage.perceptual * apart, apart.item()
        if critic is not None and step >= stage.adversarial_from * plan.steps:
            critic.requires_grad_(False)
            fooled = -critic(made).mean()
            weight = adaptive_weight(loss, fooled, network.decoder.to_pixels.weight)
            loss = loss + stage.adversarial * weight * fooled
            critic.requires_grad_(True)
        descend(loss, network, optimizer, accelerator, plan.clip)
        update_average(average, network, step, plan.ema)
        if critic is not None and step >= stage.discriminator_from * plan.steps:
            told = discriminator_hinge(critic(images), critic(made.detach()))
            critic_optimizer.zero_grad()
            accelerator.backward(told)
            critic_optimizer.step()
            figures["discriminator"] = told.item()
        return figures

    done = train(
        plan,
        folder,
        accelerator,
        networks,
        optimizers,
        step_of,
        title=f"stage 1 ({'DecQ' if config.queries else 'RAE'})",
        minutes=minutes,
        checkpoint_every=checkpoint_every,
    )
    if accelerator.is_main_process:
        save_autoencoder(folder, average)
    accelerator.wait_for_everyone()
    return done
