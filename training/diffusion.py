"""Train the diffusion transformer on encoded pieces: resumable, one process or several.

accelerate launch -m training.diffusion --latents DIR --run RUN [--minutes 60]
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from lmdm.conditioning.local import LocalConditioning
from lmdm.conditioning.text import MiniLMTextEncoder
from lmdm.dit.config import DiTConfig
from lmdm.dit.model import DiT
from training.checkpoint import TrainingState
from training.latents import Examples, LatentPieces
from training.losses import encoder_decoder_loss, parallel_block_loss

STARTER_CONTROLS = ("notes", "beat", "chord", "loudness", "drums")


@dataclass(frozen=True)
class DiffusionTraining:
    """How the starter's transformer is trained."""

    dim: int = 320
    depth: int = 8
    block: int = 4  # latent frames a block
    context: int = 96  # latent frames of context (4.5 s)
    frames: int = 128  # latent frames an example
    batch: int = 16
    encoder_decoder_share: float = 0.2  # of steps; the others train the block-causal stream
    encoder_decoder_copies: int = 8
    context_noise: float = 0.3
    null_dropout: float = 0.1
    text_dropout: float = 0.1
    learning_rate: float = 1.2e-3
    warmup_steps: int = 100
    total_steps: int = 4000
    weight_decay: float = 0.02
    ema: float = 0.998
    clip: float = 1.0
    seed: int = 1
    checkpoint_minutes: float = 4.0


def starter_config(plan: DiffusionTraining, local_channels: int) -> DiTConfig:
    """The starter's transformer: heads of 64 channels, one text token, no global condition."""
    return DiTConfig(
        dim=plan.dim,
        depth=plan.depth,
        heads=plan.dim // 64,
        text_dim=MiniLMTextEncoder.dim,
        global_dim=0,
        local_channels=local_channels,
    )


def learning_rate(plan: DiffusionTraining, step: int) -> float:
    """Linear warm-up, then a cosine down to a fiftieth."""
    warm = min(1.0, (step + 1) / plan.warmup_steps)
    done = min(1.0, step / plan.total_steps)
    return plan.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


class DiffusionStep(nn.Module):
    """One of the two losses, as one module that DDP can wrap."""

    def __init__(self, dit: DiT, plan: DiffusionTraining) -> None:
        super().__init__()
        self.dit, self.plan = dit, plan

    def forward(
        self, examples: Examples, encoder_decoder: bool, generator: torch.Generator
    ) -> torch.Tensor:
        """The scalar loss."""
        p = self.plan
        if encoder_decoder:
            return encoder_decoder_loss(
                self.dit,
                examples,
                p.block,
                p.context,
                p.encoder_decoder_copies,
                p.context_noise,
                generator,
            )
        return parallel_block_loss(
            self.dit, examples, p.block, p.context, p.context_noise, generator
        )


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Exponential moving average of the weights; short memory while the run is young."""
    keep = min(decay, (step + 1) / (step + 10))
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)


@torch.no_grad()
def validate(dit: DiT, pieces: LatentPieces, plan: DiffusionTraining) -> dict[str, float]:
    """Both losses on fixed held-out crops with fixed noise."""
    generator, numbers = torch.Generator().manual_seed(5), np.random.default_rng(5)
    step = DiffusionStep(dit, plan)
    totals = {"block_causal": 0.0, "encoder_decoder": 0.0}
    rounds = 4
    for _ in range(rounds):
        examples = pieces.batch(numbers, plan.batch, plan.frames, 0.0, 0.0)
        totals["block_causal"] += step(examples, False, generator).item() / rounds
        totals["encoder_decoder"] += step(examples, True, generator).item() / rounds
    return totals


def train(
    plan: DiffusionTraining, latents: Path, run: Path, tokenizer: Path, minutes: float
) -> None:
    """Train until `minutes` have passed or the plan's steps are done; Ctrl-C saves."""
    accelerator = Accelerator()
    conditioning = LocalConditioning(STARTER_CONTROLS)
    embed = MiniLMTextEncoder(tokenizer).encode
    pieces = LatentPieces(latents, "train", conditioning, embed)
    held_out = LatentPieces(latents, "validation", conditioning, embed)
    print(f"{len(pieces.pieces)} pieces, {pieces.hours:.2f} h; held out {held_out.hours:.2f} h")

    torch.manual_seed(plan.seed)
    dit = DiT(starter_config(plan, conditioning.channels))
    with torch.no_grad():  # unit-length embeddings have tiny entries; start where they are heard
        first = dit.to_cond_embed[0]
        assert isinstance(first, nn.Linear)
        first.weight.mul_(math.sqrt(MiniLMTextEncoder.dim))
    average = copy.deepcopy(dit)
    trained = [p for p in dit.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=plan.learning_rate, betas=(0.9, 0.95), weight_decay=plan.weight_decay
    )
    saved = TrainingState(run)
    step = saved.restore(dit, optimizer, {"average": average})
    (run / "plan.json").write_text(json.dumps(asdict(plan), indent=1))
    stepper, optimizer = accelerator.prepare(DiffusionStep(dit, plan), optimizer)

    # Seeds follow from the step: a resumed run sees the data that an unbroken one would.
    def examples_of(number: int) -> Examples:
        numbers = np.random.default_rng([plan.seed, number, accelerator.process_index])
        return pieces.batch(numbers, plan.batch, plan.frames, plan.null_dropout, plan.text_dropout)

    started = last_save = time.monotonic()
    bar = tqdm(total=plan.total_steps, initial=step, mininterval=10, desc="diffusion")
    log = (run / "log.jsonl").open("a")
    try:
        with ThreadPoolExecutor(1) as ahead:
            pending = ahead.submit(examples_of, step)
            while step < plan.total_steps and time.monotonic() - started < minutes * 60:
                examples = pending.result()
                pending = ahead.submit(examples_of, step + 1)
                generator = torch.Generator().manual_seed(
                    plan.seed * 1_000_003 + step * 64 + accelerator.process_index
                )
                choice = torch.rand((), generator=generator).item()
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(plan, step)
                with torch.autocast(accelerator.device.type, torch.bfloat16):
                    loss = stepper(examples, choice < plan.encoder_decoder_share, generator)
                optimizer.zero_grad()
                accelerator.backward(loss)
                norm = accelerator.clip_grad_norm_(trained, plan.clip)
                optimizer.step()
                update_average(average, dit, step, plan.ema)
                step += 1
                bar.update()
                if step % 20 == 0:
                    row = {"loss": round(loss.item(), 4), "grad": round(float(norm), 3)}
                    log.write(json.dumps({"step": step, **row}) + "\n")
                    bar.set_postfix(row)
                if time.monotonic() - last_save > plan.checkpoint_minutes * 60:
                    last_save = time.monotonic()
                    saved.save(dit, optimizer, step, {"average": average})
                    held = {k: round(v, 4) for k, v in validate(average, held_out, plan).items()}
                    log.write(json.dumps({"step": step, "held_out": held}) + "\n")
                    log.flush()
    except KeyboardInterrupt:
        print("interrupted; saving")
    saved.save(dit, optimizer, step, {"average": average})
    bar.close()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="train the diffusion transformer")
    parser.add_argument("--latents", type=Path, required=True, help="folder that encode wrote")
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoints and logs")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json")
    parser.add_argument("--minutes", type=float, default=1e9)
    for field in fields(DiffusionTraining):
        kind = type(field.default)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    arguments = parser.parse_args()
    plan = DiffusionTraining(
        **{f.name: getattr(arguments, f.name) for f in fields(DiffusionTraining)}
    )
    arguments.run.mkdir(parents=True, exist_ok=True)
    train(plan, arguments.latents, arguments.run, arguments.tokenizer, arguments.minutes)


if __name__ == "__main__":
    main()
