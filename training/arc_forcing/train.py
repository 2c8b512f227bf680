"""Stage 2: the generator rolls out its own stream, the discriminator judges the whole."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from lmdm.dit.model import DiT
from lmdm.errors import InputError
from lmdm.stream.config import StreamConfig
from training import engine
from training.arc_forcing import losses
from training.arc_forcing.config import ArcForcingConfig
from training.arc_forcing.discriminator import Discriminator
from training.arc_forcing.rollout import Beginning, grids_of, kept_context, roll
from training.base import load_base, resized
from training.checkpoint import State, bare
from training.data.examples import Examples, ExampleSource, joined
from training.data.pieces import open_pieces
from training.data.shards import read_manifest
from training.engine import Rows, generator_of, row_noise, seed_of


class Generator(nn.Module):
    """Rollouts of several rows, as one module that DDP can wrap."""

    def __init__(self, dit: DiT, stream: StreamConfig) -> None:
        super().__init__()
        self.dit, self.stream = dit, stream

    def forward(
        self, examples: Examples, kept: list[int], seeds: list[int], grids: list[list[float]]
    ) -> Tensor:
        """Latents [B, C, frames of the rollout]; of each row's context the newest `kept` frames."""
        context = self.stream.context_frames
        rows = []
        for row, (keep, seed) in enumerate(zip(kept, seeds, strict=True)):
            condition = examples.global_condition
            latents, local = examples.latents[row], examples.local[row]
            begun = Beginning(
                latents[:, context - keep : context],
                local[:, context - keep : context],
                local[:, context:],
                examples.text[row],
                seed,
                None if condition is None else condition[row],
            )
            rows.append(roll(self.dit, self.stream, begun, grids))
        return torch.stack(rows)


def freeze_constants(dit: DiT) -> None:
    """Weights that only make keys and values of text: constants of a rollout (dossier §4)."""
    for name, parameter in dit.named_parameters():
        if "to_cond_embed" in name or "cross_attn.to_kv" in name or "cross_attn.k_norm" in name:
            parameter.requires_grad_(False)


class ArcForcingTrainer:
    """See `training.engine.Trainer`."""

    name = "arc-forcing"

    def __init__(self, config: ArcForcingConfig, accelerator: Accelerator, _: Path) -> None:
        self.config, self.accelerator = config, accelerator
        plan, judge = config.rollout, config.discriminator
        self.base = load_base(config.model)
        self.base.check(read_manifest(config.latents))
        own = self.base.stream
        sized = resized(
            own, plan.strategy or own.strategy, plan.context_frames, plan.block_frames, ""
        )
        steps = plan.grid_steps or own.steps
        # Rollouts are played as ARC-Forced models are: ping-pong, without guidance.
        self.stream = replace(sized, sampler="ping-pong", steps=steps, guided=False)
        most = plan.most_steps or steps
        if not plan.fewest_steps <= most or (plan.grid == "first" and most > steps):
            raise InputError(
                f"config keys 'rollout.fewest_steps' and 'rollout.most_steps' are "
                f"{plan.fewest_steps} and {most}; they must rise, and stay within grid_steps, "
                f"{steps}"
            )
        self.context = self.stream.context_frames
        self.frames = self.context + plan.blocks * self.stream.block_frames
        self.rows = Rows.of(config.engine, accelerator)
        pieces = open_pieces(config.latents, "train", self.frames, config.streamed)
        if pieces is None:
            raise InputError(f"{config.latents} has no piece of the split train")
        embed = self.base.text_encoder.encode if self.base.text_encoder else None
        self.source = ExampleSource(
            pieces,
            self.base.conditioning,
            embed,
            self.base.text_dim,
            self.frames,
            config.engine.seed,
            config.dropout,
            self.base.global_condition,
            self.stream.block_frames,
        )
        generator = Generator(self.base.dit, self.stream)
        freeze_constants(generator.dit)
        backbone = load_base(judge.model or config.model).dit
        depth = backbone.config.depth
        layer = judge.layer or min(depth - 1, round(0.75 * depth))
        if layer >= depth:
            raise InputError(
                f"config key 'discriminator.layer' is {layer}; the backbone has layers "
                f"0..{depth - 1}"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.engine.seed)
            discriminator = Discriminator(backbone, layer, self.context, judge.head_dim)
        self._blueprint = copy.deepcopy(generator.dit).to("meta")
        if config.engine.activation_checkpointing:
            engine.checkpointed_layers(generator)
            engine.checkpointed_layers(discriminator)
        average = copy.deepcopy(generator.dit).eval() if config.ema else None
        plans: dict[str, tuple[engine.OptimizerConfig, nn.Module]]
        plans = {"generator": (config.optimizer, generator)}
        self.generator, players = engine.prepare(accelerator, config.engine, generator, plans)
        plans = {
            "discriminator": (judge.optimizer, discriminator),
            "warmup": (judge.warmup, discriminator.backbone),
        }
        self.discriminator, judges = engine.prepare(
            accelerator, config.engine, discriminator, plans
        )
        self.optimizers = {**players, **judges}
        self.state = State(
            {"generator": self.generator, "discriminator": self.discriminator},
            {
                name: ("generator" if name == "generator" else "discriminator", each.optimizer)
                for name, each in self.optimizers.items()
            },
            {} if average is None else {"generator": average.to(accelerator.device)},
        )
        self._figures: dict[str, Tensor | float] = {}

    # -- what a step's rows are ---------------------------------------------------------------

    def _examples(self, step: int, rows: list[int]) -> Examples:
        batch = self.source.batch(step, rows, self.config.engine.batch_size)
        return batch.to(self.accelerator.device)

    def _roll(self, examples: Examples, step: int, rows: list[int]) -> tuple[Examples, Tensor]:
        """Real sequences with the context that is kept, and rollouts [B, C, frames of them]."""
        c, seed = self.config, self.config.engine.seed
        kept = [kept_context(c.rollout, self.stream, seed, step, row) for row in rows]
        seeds = [seed_of(seed, step, row, 33) % 2**31 for row in rows]
        grids = grids_of(c.rollout, self.stream, seed, step)
        rolled = self.generator(examples, kept, seeds, grids)
        latents = examples.latents.clone()
        for row, keep in enumerate(kept):
            latents[row, :, : self.context - keep] = 0.0
        return examples._replace(latents=latents), rolled

    def _with(self, real: Examples, rolled: Tensor) -> Examples:
        """x^ = context and blocks."""
        latents = torch.cat([real.latents[..., : self.context], rolled.to(real.latents)], dim=-1)
        return real._replace(latents=latents)

    def _level(self, like: Tensor, step: int, rows: list[int], kind: Any) -> tuple[Tensor, Tensor]:
        """Noise level and noise of each row, the same for real and generated."""
        seed = self.config.engine.seed
        drawn = [losses.noise_levels(kind, 1, generator_of(seed, step, r, 34)) for r in rows]
        return torch.cat(drawn).to(like), row_noise(like, seed, step, 35, rows=rows)

    # -- the three kinds of step --------------------------------------------------------------

    def facts(self) -> Mapping[str, Any]:
        """Sizes and hashes."""
        return {
            "model_sha256": self.base.sha256,
            "codec_sha256": self.base.codec_sha256,
            "hours": round(self.source.pieces.hours, 4),
            "generator_parameters": engine.trained_parameters(self.generator),
            "discriminator_parameters": engine.trained_parameters(self.discriminator),
        }

    def step(self, step: int) -> Mapping[str, Tensor | float]:
        """Warm up the discriminator, then train it and the generator in turns."""
        judge = self.config.discriminator
        if step < judge.warmup_steps:
            found = self._descend("warmup", step, self._warmup_loss)
        elif (step - judge.warmup_steps) % 2 == 0:
            found = self._descend("discriminator", step, self._discriminator_loss)
        else:
            with engine.frozen(bare(self.discriminator)):
                found = self._descend("generator", step, self._generator_loss)
            for average in self.state.averages.values():
                weights = self.state.part("generator", "dit")
                engine.update_average(average, weights, step, self.config.ema)
        self._figures |= found
        return self._figures

    def _descend(self, name: str, step: int, loss: Any) -> dict[str, Tensor]:
        c = self.config
        plan = {
            "generator": c.optimizer,
            "discriminator": c.discriminator.optimizer,
            "warmup": c.discriminator.warmup,
        }[name]
        module = self.generator if name == "generator" else self.discriminator
        done = step if name == "warmup" else step - c.discriminator.warmup_steps
        total = c.engine.steps - c.discriminator.warmup_steps
        if name == "warmup":
            total = c.discriminator.warmup_steps
        found = engine.descend(
            self.accelerator,
            module,
            self.optimizers[name],
            plan,
            plan.rate(done, max(1, total)),
            lambda rows: loss(step, rows),
            self.rows.microbatches(),
        )
        return {f"{name}/{key}": value for key, value in found.items()}

    def _warmup_loss(self, step: int, rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        examples = self._examples(step, rows)
        levels = self.config.discriminator.warmup_levels
        t, noise = self._level(examples.latents, step, rows, levels)
        loss = self.discriminator(examples, t, noise, warmup=True).mean()
        return loss, {"loss": loss}

    def _discriminator_loss(self, step: int, rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        judge, seed = self.config.discriminator, self.config.engine.seed
        examples = self._examples(step, rows)
        with torch.no_grad():
            real, rolled = self._roll(examples, step, rows)
        fake = self._with(real, rolled)
        t, noise = self._level(real.latents, step, rows, judge.levels)
        parts = {"real": real, "fake": fake}
        if judge.contrastive:
            order = losses.derangement(self.config.engine.batch_size, generator_of(seed, step, 36))
            others = self._examples(step, [int(order[row]) for row in rows])
            parts["mismatched"] = real.conditioned_as(others)
        for penalty, name in ((judge.r1, "real"), (judge.r2, "fake")):
            if penalty:
                drawn = row_noise(real.latents, seed, step, 37, rows=rows)
                moved = parts[name].latents + judge.penalty_sigma * drawn
                parts[f"near_{name}"] = parts[name]._replace(latents=moved)
        # One pass for all of them, as distributed training wants it.
        together = joined(list(parts.values()))
        count = len(parts)
        logits = self.discriminator(together, t.repeat(count), noise.repeat(count, 1, 1))
        found = dict(zip(parts, logits.chunk(count), strict=True))
        terms = {"relativistic": losses.relativistic_discriminator(found["real"], found["fake"])}
        if judge.contrastive:
            terms["contrastive"] = losses.contrastive(found["real"], found["mismatched"])
        for name, key in (("r1", "real"), ("r2", "fake")):
            if f"near_{key}" in found:
                terms[name] = losses.gradient_penalty(
                    found[key], found[f"near_{key}"], judge.penalty_sigma
                )
        weights = {"contrastive": judge.contrastive, "r1": judge.r1, "r2": judge.r2}
        loss = torch.stack([weights.get(n, 1.0) * term for n, term in terms.items()]).sum()
        gap = (found["real"] - found["fake"]).mean()
        return loss, {"loss": loss, "gap": gap, **terms}

    def _generator_loss(self, step: int, rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        examples = self._examples(step, rows)
        real, rolled = self._roll(examples, step, rows)
        fake = self._with(real, rolled)
        t, noise = self._level(real.latents, step, rows, self.config.discriminator.levels)
        judge = bare(self.discriminator)
        on_fake = judge(fake, t, noise)
        with torch.no_grad():
            on_real = judge(real, t, noise)
        loss = losses.relativistic_generator(on_real, on_fake)
        spread = rolled.detach().std() / real.latents[..., self.context :].std()
        return loss, {"loss": loss, "gap": (on_real - on_fake).mean(), "std_ratio": spread}

    def validate(self) -> Mapping[str, float]:
        """Nothing: rollouts are judged by `lmdm train evaluate`."""
        return {}

    def export(self, folder: Path) -> None:
        """Write the model folder, set to be played as it was trained."""
        weights = self.state.trained("generator", "dit")
        if self.accelerator.is_main_process:
            plain = copy.deepcopy(self._blueprint)
            plain.load_state_dict(weights, assign=True)
            steps = self.config.steps_played or self.stream.steps
            self.base.save(folder, plain.eval(), replace(self.stream, steps=steps))


def arc_forcing(
    folder: Path, file: Path | None, settings: list[str], minutes: float
) -> dict[str, Any]:
    """See `engine.train`."""
    return engine.train(ArcForcingTrainer, ArcForcingConfig, folder, file, settings, minutes, False)
