"""Stage 1: fine-tune (or train from nothing) on encoded music."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from lmdm.dit.model import DiT
from lmdm.errors import InputError
from training import engine
from training.base import load_base, resized
from training.checkpoint import State
from training.data.examples import Examples, ExampleSource
from training.data.pieces import open_pieces
from training.data.shards import read_manifest
from training.engine import HELD_OUT_STEP, Rows, generator_of, row_noise, seed_of
from training.finetune.config import FinetuneConfig
from training.finetune.lora import add_lora, merged
from training.finetune.losses import (
    ContextDropout,
    outpainting_loss,
    parallel_block_loss,
    sobol_timesteps,
    window_loss,
)

HELD_OUT_ROWS = 32


class FinetuneStep(nn.Module):
    """The loss of some rows of a step, as one module that DDP and FSDP can wrap."""

    def __init__(self, dit: DiT, config: FinetuneConfig, context: int, block: int) -> None:
        super().__init__()
        self.dit, self.config = dit, config
        self.context, self.block = context, block

    def forward(
        self, examples: Examples, strategy: str, step: int, rows: list[int], of: int, zeros: bool
    ) -> Tensor:
        """Mean loss of examples that are the given rows of a batch of `of` rows."""
        c, seed, latents = self.config, self.config.engine.seed, examples.latents
        parallel = strategy == "parallel-blocks"
        copies = c.copies if strategy == "encoder-decoder" else 1
        each = latents.shape[-1] // self.block if parallel else copies
        length = self.context + self.block
        t = sobol_timesteps(of * each, length, seed_of(seed, step, 11)).view(of, each)[rows]
        t = t.to(latents)
        noised = None
        if c.context_noise:
            strength = torch.stack([_uniform(seed, step, 12, row) for row in rows]).square()
            noised = row_noise(latents, seed, step, 13, rows=rows)
            noised = noised * (c.context_noise * strength).to(latents)[:, None, None]
        noise = row_noise(latents, seed, step, 14, rows=rows)
        if parallel:
            losses = parallel_block_loss(
                self.dit, examples, self.block, self.context, t, noise, noised
            )
            return losses.mean()
        dropped = drop_context(c, step, rows, self.context, self.block)
        if strategy == "outpainting":
            given = (examples, self.block, t[:, 0], noise, dropped, zeros)
            losses = outpainting_loss(self.dit, *given)
            return losses.mean()
        target = latents[:, None, :, self.context :].expand(-1, copies, -1, -1)
        losses = window_loss(
            self.dit,
            examples,
            self.block,
            t,
            row_noise(target, seed, step, 15, rows=rows),
            dropped,
            strategy,
            zeros=zeros,
            context_noise=None if noised is None else noised[..., : self.context],
        )
        return losses.mean()


def _uniform(*numbers: int) -> Tensor:
    return torch.rand((), generator=generator_of(*numbers))


def drop_context(
    config: FinetuneConfig, step: int, rows: list[int], context: int, block: int
) -> ContextDropout:
    """Each row's context dropout (dossier §3)."""
    rates, blocks = config.context_dropout, context // block
    dropped = ContextDropout.none(len(rows), context)
    for place, row in enumerate(rows):
        drawn = torch.rand(5, generator=generator_of(config.engine.seed, step, row, 16)).tolist()
        if drawn[0] < rates.whole:
            dropped.absent[place] = True
        elif drawn[1] < rates.oldest and blocks > 1:
            missing = 1 + int(drawn[2] * blocks)
            dropped.absent[place, : missing * block] = True
        dropped.no_mask[place] = drawn[3] < rates.mask
        dropped.no_latents[place] = drawn[4] < rates.latents
    return dropped


class FinetuneTrainer:
    """See `training.engine.Trainer`."""

    name = "finetune"

    def __init__(self, config: FinetuneConfig, accelerator: Accelerator, _: Path) -> None:
        self.config, self.accelerator = config, accelerator
        self.base = load_base(
            config.model, config.controls, config.network, config.stem_init, config.engine.seed
        )
        self.base.check(read_manifest(config.latents))
        self.stream = resized(
            self.base.stream,
            config.strategy,
            config.context_frames,
            config.block_frames,
            config.absent_context,
        )
        self._zeros = self.stream.absent_context == "zeros"
        if config.strategy == "parallel-blocks" and self._zeros:
            raise InputError(
                "config key 'absent_context' is zeros; parallel-blocks trains streams that see "
                "nothing where no music was (empty): use block-causal"
            )
        context, block = self.stream.context_frames, self.stream.block_frames
        parallel = config.strategy == "parallel-blocks"
        self.frames = max(context + block, (config.frames or context + 8 * block) * parallel)
        self.frames -= self.frames % block
        self.rows = Rows.of(config.engine, accelerator)
        self.source, self.held_out = self._sources()
        dit = self.base.dit
        if config.lora.rank:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.engine.seed)
                dit = add_lora(dit, config.lora)
        self._blueprint = copy.deepcopy(dit).to("meta")
        if config.engine.activation_checkpointing:
            engine.checkpointed_layers(dit)
        average = copy.deepcopy(dit).eval() if config.ema else None
        step = FinetuneStep(dit, config, context, block)
        self.module, optimizers = engine.prepare(
            accelerator, config.engine, step, {"finetune": (config.optimizer, step)}
        )
        self.optimizer = optimizers["finetune"]
        self.average = None if average is None else average.to(accelerator.device)
        averages = {} if self.average is None else {"finetune": self.average}
        self.state = State(
            {"finetune": self.module},
            {"finetune": ("finetune", self.optimizer.optimizer)},
            averages,
        )

    def _sources(self) -> tuple[ExampleSource, ExampleSource | None]:
        """Training and held-out examples."""
        c, base = self.config, self.base
        sources: list[ExampleSource | None] = []
        for split in ("train", "validation"):
            training = split == "train"
            pieces = open_pieces(
                c.latents,
                split,
                self.frames,
                c.streamed and training,
                c.divided_weight if training else 1.0,
            )
            if pieces is None:
                sources.append(None)
                continue
            embed = base.text_encoder.encode if base.text_encoder else None
            source = ExampleSource(
                pieces,
                base.conditioning,
                embed,
                base.text_dim,
                self.frames,
                c.engine.seed,
                global_condition=base.global_condition,
                block=self.stream.block_frames,
            )
            if split == "train":
                source.dropout = c.dropout
            sources.append(source)
        if sources[0] is None:
            raise InputError(f"{c.latents} has no piece of the split train")
        return sources[0], sources[1]

    def examples(
        self, source: ExampleSource, step: int, rows: list[int], strategy: str
    ) -> Examples:
        """Rows of a step on the device, as long as the strategy wants them."""
        batch = source.batch(step, rows, self.config.engine.batch_size)
        batch = batch.to(self.accelerator.device)
        if strategy == "parallel-blocks":
            return batch
        length = self.stream.context_frames + self.stream.block_frames
        return batch.beginning(length)

    def strategy(self, step: int) -> str:
        """What one step trains."""
        drawn = float(_uniform(self.config.engine.seed, step, 17))
        other = drawn < self.config.encoder_decoder_share
        return "encoder-decoder" if other else self.config.strategy

    def facts(self) -> Mapping[str, Any]:
        """Sizes and hashes."""
        return {
            "model_sha256": self.base.sha256,
            "codec_sha256": self.base.codec_sha256,
            "hours": round(self.source.pieces.hours, 4),
            "trained_parameters": engine.trained_parameters(self.module),
        }

    def step(self, step: int) -> Mapping[str, Tensor | float]:
        """One optimiser step."""
        c, strategy = self.config, self.strategy(step)
        rate = c.optimizer.rate(step, c.engine.steps)

        def losses(rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
            examples = self.examples(self.source, step, rows, strategy)
            of = c.engine.batch_size
            loss = self.module(examples, strategy, step, rows, of, self._zeros)
            return loss, {"loss": loss}

        figures = engine.descend(
            self.accelerator,
            self.module,
            self.optimizer,
            c.optimizer,
            rate,
            losses,
            self.rows.microbatches(),
        )
        if self.average is not None:
            engine.update_average(self.average, self.state.part("finetune", "dit"), step, c.ema)
        return {**figures, f"loss/{strategy}": figures["loss"], "learning_rate": rate}

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Loss on fixed held-out rows with fixed noise; of the averaged weights too."""
        if self.held_out is None:
            return {}
        names = {self.config.strategy}
        if self.config.encoder_decoder_share:
            names.add("encoder-decoder")
        modules = {"": self.module}
        if self.average is not None:
            modules["average_"] = FinetuneStep(
                self.average, self.config, self.stream.context_frames, self.stream.block_frames
            )
        found = {}
        size = self.config.engine.microbatch
        for label, module in modules.items():
            module.eval()
            for strategy in sorted(names):
                total = 0.0
                for first in range(0, HELD_OUT_ROWS, size):
                    rows = list(range(first, min(first + size, HELD_OUT_ROWS)))
                    examples = self.examples(self.held_out, HELD_OUT_STEP, rows, strategy)
                    loss = module(
                        examples, strategy, HELD_OUT_STEP, rows, HELD_OUT_ROWS, self._zeros
                    )
                    total += float(loss) * len(rows) / HELD_OUT_ROWS
                found[f"{label}{strategy}"] = total
            module.train()
        return found

    def network(self) -> DiT:
        """A plain network with the trained (averaged, if there are such) weights. Collective."""
        plain = copy.deepcopy(self._blueprint)
        plain.load_state_dict(self.state.trained("finetune", "dit"), assign=True)
        return merged(plain) if self.config.lora.rank else plain

    def export(self, folder: Path) -> None:
        """Write the model folder."""
        dit = self.network()
        if self.accelerator.is_main_process:
            self.base.save(folder, dit.eval(), self.stream)


def finetune(
    folder: Path, file: Path | None, settings: list[str], minutes: float
) -> dict[str, Any]:
    """See `engine.train`."""
    return engine.train(FinetuneTrainer, FinetuneConfig, folder, file, settings, minutes)
