"""Train the starter codec on folders of audio: resumable, one process or several.

accelerate launch -m training.codec --audio DIR [DIR …] --run RUN [--minutes 60]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from lmdm.codec.spectral import SpectralCodec, SpectralCodecConfig
from lmdm.codec.spectrum import FRAME_SAMPLES
from training.audio_pool import AudioPool
from training.checkpoint import TrainingState, under
from training.codec_loss import analyse, loss_terms, weighted


@dataclass(frozen=True)
class CodecTraining:
    """How the codec is trained."""

    batch: int = 16  # segments a step
    frames: int = 48  # latent frames a segment (2.2 s)
    learning_rate: float = 1.5e-3
    warmup_steps: int = 200
    total_steps: int = 12000  # the cosine's end
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 1
    checkpoint_minutes: float = 4.0
    refresh_steps: int = 300  # look for new audio files this often
    latent_noise: float = 0.1  # on unit-variance latents, so that decoding forgives small errors


def learning_rate(plan: CodecTraining, step: int) -> float:
    """Linear warm-up, then a cosine down to a twentieth."""
    if step < plan.warmup_steps:
        return plan.learning_rate * (step + 1) / plan.warmup_steps
    done = min(1.0, (step - plan.warmup_steps) / max(1, plan.total_steps - plan.warmup_steps))
    cosine = 0.5 * (1 + torch.cos(torch.tensor(done * torch.pi)).item())
    return plan.learning_rate * (0.05 + 0.95 * cosine)


class CodecStep(torch.nn.Module):
    """Encode, disturb the latents, decode to raw heads: one module, so that DDP can wrap it."""

    def __init__(self, codec: SpectralCodec) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, features: Tensor) -> Any:
        """features [B, T, F] -> decoder heads."""
        latents = self.codec.encode_features(features)
        noise = self.codec.config.latent_noise * torch.randn_like(latents)
        state = self.codec.initial_state(len(features))
        return self.codec.heads(latents + noise, state)[0]


def validate(codec: SpectralCodec, pool: AudioPool, plan: CodecTraining) -> dict[str, float]:
    """Mean loss terms on held-out segments, always the same ones."""
    learning_whitening = codec.whiten.training
    codec.eval()
    generator = np.random.default_rng(7)
    totals: dict[str, float] = {}
    rounds = 3
    for _ in range(rounds):
        audio = torch.from_numpy(
            pool.batch(generator, plan.batch, plan.frames * FRAME_SAMPLES, held_out=True)
        )
        with torch.no_grad():
            latents = codec.encode(audio)
            output = codec.heads(latents, codec.initial_state(len(audio)))[0]
            for name, value in loss_terms(codec, output, analyse(codec, audio)).items():
                totals[name] = totals.get(name, 0.0) + value.item() / rounds
    codec.train()
    codec.whiten.train(learning_whitening)
    return totals


def freeze_encoder(codec: SpectralCodec, source: Path) -> None:
    """Take over another run's codec and keep its encoder: its latents stay what they are."""
    codec.load_state_dict(under(load_file(source / "state.safetensors"), "model."))
    for module in (codec.encoder_in, codec.encoder, codec.encoder_out):
        module.requires_grad_(False)
    codec.whiten.eval()


def train(
    pool: AudioPool, run: Path, plan: CodecTraining, minutes: float, decoder_of: Path | None
) -> None:
    """Train until `minutes` have passed or the plan's steps are done; Ctrl-C saves.

    decoder_of: a run whose encoder is kept as it is, so that only the decoder learns.
    """
    accelerator = Accelerator()
    torch.manual_seed(plan.seed + accelerator.process_index)
    config = SpectralCodecConfig(latent_noise=plan.latent_noise)
    codec = SpectralCodec(config)
    if decoder_of is not None:
        freeze_encoder(codec, decoder_of)
    trained = [p for p in codec.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=plan.learning_rate, weight_decay=plan.weight_decay, betas=(0.9, 0.98)
    )
    saved = TrainingState(run)
    step = saved.restore(codec, optimizer)
    (run / "plan.json").write_text(json.dumps(asdict(plan), indent=1))
    stepper, optimizer = accelerator.prepare(CodecStep(codec), optimizer)
    samples = plan.frames * FRAME_SAMPLES
    stream = pool.segments(plan.seed + 1000 * step + accelerator.process_index, plan.batch, samples)
    started = last_save = time.monotonic()
    bar = tqdm(total=plan.total_steps, initial=step, mininterval=10, desc="codec")
    log = (run / "log.jsonl").open("a")
    try:
        while step < plan.total_steps and time.monotonic() - started < minutes * 60:
            audio = torch.from_numpy(next(stream)).to(accelerator.device)
            with torch.no_grad():
                features = codec.features(audio)
            targets = analyse(codec, audio)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(plan, step)
            with torch.autocast(accelerator.device.type, torch.bfloat16):
                output = stepper(features)
            terms = loss_terms(codec, type(output)(*(head.float() for head in output)), targets)
            optimizer.zero_grad()
            accelerator.backward(weighted(terms))
            accelerator.clip_grad_norm_(trained, plan.clip)
            optimizer.step()
            step += 1
            bar.update()
            if step % 20 == 0:
                row = {name: round(value.item(), 4) for name, value in terms.items()}
                log.write(json.dumps({"step": step, **row}) + "\n")
                log.flush()
                bar.set_postfix(row)
            if step % plan.refresh_steps == 0:
                pool.refresh(limit=200)
            if time.monotonic() - last_save > plan.checkpoint_minutes * 60:
                last_save = time.monotonic()
                saved.save(codec, optimizer, step)
                held = validate(codec, pool, plan)
                row = {f"held_out_{name}": round(value, 4) for name, value in held.items()}
                log.write(json.dumps({"step": step, "hours": round(pool.hours, 2), **row}) + "\n")
    except KeyboardInterrupt:
        print("interrupted; saving")
    saved.save(codec, optimizer, step)
    bar.close()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="folders of audio")
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoints and logs")
    parser.add_argument(
        "--cache", type=Path, default=None, help="decoded audio; default RUN/../cache"
    )
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--decoder-of", type=Path, help="run whose encoder is kept")
    for field in fields(CodecTraining):
        kind = type(field.default)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    arguments = parser.parse_args()
    plan = CodecTraining(**{f.name: getattr(arguments, f.name) for f in fields(CodecTraining)})
    arguments.run.mkdir(parents=True, exist_ok=True)
    pool = AudioPool(arguments.audio, arguments.cache or arguments.run.parent / "cache")
    print(f"{pool.refresh(limit=600)} files, {pool.hours:.2f} h")
    train(pool, arguments.run, plan, arguments.minutes, arguments.decoder_of)


if __name__ == "__main__":
    main()
