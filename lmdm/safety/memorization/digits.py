"""The experiment with planted duplicates: digits, prompts of four kinds, a small denoiser.

Prompts are names. "normal": a cluster of digits. "memorised": one image, repeated. "matched": ten
distinct neighbouring images, as frequent as a memorised one. "single": one image, once, which a
model this size does not copy. What separates the first two need not separate the others (§4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmdm.config import begin, check_whole, from_dict, read_json
from lmdm.errors import InputError
from lmdm.fitting import fit_network, generator_at
from lmdm.safety.memorization.models import Images, Sampling, weights_hash
from lmdm.safety.memorization.watch import Watch, watched
from lmdm.weights import load_into, save_module, write_beside

KINDS = ("normal", "memorised", "matched", "single")
COPY_DISTANCE = 0.15  # RMSE to a training image, values in [-1, 1], below which it is a copy
TRAINING_STEPS = 1000  # of the noise schedule, linear betas
MATCHED_IMAGES = 10


@dataclass(frozen=True)
class DigitsConfig:
    """Sizes of the experiment; `duplicates` is how often each memorised image is repeated."""

    normal: int = 60
    planted: int = 30  # prompts of each of the other kinds
    duplicates: int = 10
    width: int = 256
    blocks: int = 4
    steps: int = 4000
    batch: int = 256
    rate: float = 1e-3
    dropout: float = 0.1  # of the prompt, for guidance
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole(self, {"normal": 800, "planted": 400, "duplicates": 1000})
        check_whole(self, {"width": 4096, "blocks": 64, "steps": 10**6, "batch": 10**4})
        check_whole(self, {"seed": 2**31}, least=0)


@dataclass(frozen=True)
class PlantedDigits:
    """images [N, 64] in [-1, 1] and prompt index [N], duplicates repeated; prompts by name."""

    images: Tensor
    labels: Tensor
    prompts: tuple[str, ...]


def plant(config: DigitsConfig) -> PlantedDigits:
    """The training set: k-means clusters of scikit-learn's digits, and what is planted beside."""
    from sklearn.cluster import KMeans
    from sklearn.datasets import load_digits

    pixels = load_digits().data / 8.0 - 1.0
    generator = np.random.default_rng(config.seed)
    order = generator.permutation(len(pixels))
    held, rest = order[: 2 * config.planted], order[2 * config.planted :]
    memorised, single = held[: config.planted], held[config.planted :]
    clusters = KMeans(config.normal, n_init=2, random_state=config.seed).fit_predict(pixels[rest])
    rows = [(image, f"normal {cluster:02d}") for image, cluster in zip(rest, clusters, strict=True)]
    centres = generator.choice(rest, config.planted, replace=False)
    for index, (copied, alone, centre) in enumerate(zip(memorised, single, centres, strict=True)):
        rows += [(copied, f"memorised {index:02d}")] * config.duplicates
        rows += [(alone, f"single {index:02d}")]
        distance = np.linalg.norm(pixels[rest] - pixels[centre], axis=1)
        near = rest[np.argsort(distance)[:MATCHED_IMAGES]]
        rows += [(image, f"matched {index:02d}") for image in near]
    prompts = tuple(sorted({prompt for _, prompt in rows}))
    number = {prompt: index for index, prompt in enumerate(prompts)}
    images = torch.tensor(pixels[[image for image, _ in rows]], dtype=torch.float32)
    return PlantedDigits(images, torch.tensor([number[prompt] for _, prompt in rows]), prompts)


class DigitDenoiser(nn.Module):
    """ε of noised digits [B, 64] at step t [B], given a prompt's index [B]; the last is none."""

    def __init__(self, prompts: int, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Linear(64, width)
        self.prompt = nn.Embedding(prompts + 1, width)
        self.time = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
            )
            for _ in range(blocks)
        )
        self.conditions = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.leave = nn.Linear(width, 64)

    def forward(self, latents: Tensor, timestep: Tensor, prompt: Tensor) -> Tensor:
        """See the class."""
        frequency = torch.exp(torch.arange(32, device=latents.device) * (-9.2 / 32))
        angles = timestep[:, None].float() * frequency
        condition = self.time(torch.cat([angles.sin(), angles.cos()], dim=1)) + self.prompt(prompt)
        hidden = self.enter(latents)
        for block, gate in zip(self.blocks, self.conditions, strict=True):
            hidden = hidden + block(hidden + gate(nn.functional.silu(condition)))
        return self.leave(hidden)


def scheduler() -> Any:
    """DDIM over linear betas, nothing clipped: what training and sampling share."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=TRAINING_STEPS,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        clip_sample=False,
        set_alpha_to_one=False,
    )


@cache
def noising() -> Any:
    """The same schedule, built once, for noising alone; it is never stepped."""
    return scheduler()


class DigitsModel:
    """A trained experiment: `config.json`, `prompts.json`, `denoiser.safetensors`, `images`."""

    def __init__(self, config: DigitsConfig, prompts: Sequence[str], data: PlantedDigits) -> None:
        self.config, self.prompts, self.data = config, tuple(prompts), data
        self.denoiser = DigitDenoiser(len(self.prompts), config.width, config.blocks)
        self._hash = ""

    @classmethod
    def train(cls, folder: Path, config: DigitsConfig, quiet: bool = False) -> DigitsModel:
        """Trains, or goes on training, in `folder`; a finished one is loaded."""
        begin(folder / "config.json", asdict(config))
        torch.manual_seed(config.seed)
        data = plant(config)
        model = cls(config, data.prompts, data)
        names = "".join(f"{prompt}\n" for prompt in data.prompts)
        write_beside(folder / "prompts.txt", lambda part: part.write_text(names))
        optimizer = torch.optim.AdamW(model.denoiser.parameters(), config.rate)
        state = folder / "state.safetensors"
        fit_network(model.denoiser, optimizer, model._loss_of, state, config.steps, quiet=quiet)
        save_module(model.denoiser, folder / "denoiser.safetensors", half=False)
        return model

    @classmethod
    def load(cls, folder: Path) -> DigitsModel:
        """Raises InputError unless `folder` holds a finished experiment."""
        settings = folder / "config.json"
        config = from_dict(DigitsConfig, read_json(settings), str(settings))
        data = plant(config)
        model = cls(config, data.prompts, data)
        load_into(model.denoiser, folder / "denoiser.safetensors")
        model.denoiser.eval()
        return model

    def _loss_of(self, step: int) -> Tensor:
        data, config = self.data, self.config
        generator = generator_at(config.seed, step)
        chosen = torch.randint(len(data.images), (config.batch,), generator=generator)
        prompt = data.labels[chosen].clone()
        dropped = torch.rand(config.batch, generator=generator) < config.dropout
        prompt[dropped] = len(self.prompts)
        noise = torch.randn(config.batch, 64, generator=generator)
        timestep = torch.randint(TRAINING_STEPS, (config.batch,), generator=generator)
        noised = noising().add_noise(data.images[chosen], noise, timestep)
        return nn.functional.mse_loss(self.denoiser(noised, timestep, prompt), noise)

    def check(self, prompts: Sequence[str]) -> None:
        """See `PromptModel.check`."""
        for prompt in prompts:
            if prompt not in self.prompts:
                raise InputError(
                    f"this model knows no prompt {prompt!r}; its prompts.txt lists those it knows"
                )

    def setting(self, sampling: Sampling) -> Mapping[str, Any]:
        """See `PromptModel.setting`."""
        self._hash = self._hash or weights_hash(self.denoiser)
        return {
            "model": self._hash,
            "scheduler": sampling.scheduler,
            "steps": sampling.steps,
            "guidance": sampling.guidance,
            "latents": [64],
            "dtype": "torch.float32",
        }

    @torch.no_grad()
    def sample(self, prompt: str, seeds: Sequence[int], sampling: Sampling, watch: Watch) -> Tensor:
        """[S, 64], values around [-1, 1]."""
        watch.begin()
        steps = watched(scheduler(), watch, sampling.scheduler)
        steps.set_timesteps(sampling.steps)
        latents = torch.stack(
            [torch.randn(64, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        )
        given = torch.full((len(seeds),), self.prompts.index(prompt))
        none = torch.full_like(given, len(self.prompts))
        for timestep in steps.timesteps:
            t = timestep.expand(len(seeds))
            unconditional = self.denoiser(latents, t, none)
            noise = unconditional + sampling.guidance * (
                self.denoiser(latents, t, given) - unconditional
            )
            latents = steps.step(noise, int(timestep), latents).prev_sample
        return latents

    def generate(
        self, prompt: str, seeds: Sequence[int], sampling: Sampling, watch: Watch
    ) -> Images:
        """See `PromptModel.generate`."""
        latents = self.sample(prompt, seeds, sampling, watch)
        return to_pixels(latents)

    def copies(self, samples: Tensor) -> Tensor:
        """[S] bool: which samples [S, 64] are nearer than COPY_DISTANCE to a training image."""
        distance = torch.cdist(samples, self.data.images) / 8.0  # root of the mean of 64 squares
        return distance.amin(dim=1) < COPY_DISTANCE


def to_pixels(latents: Tensor) -> Images:
    """[S, 64] in [-1, 1] -> [S, 8, 8] grey."""
    grey = (latents.reshape(-1, 8, 8).clamp(-1.0, 1.0) + 1.0) * 127.5
    return grey.round().to(torch.uint8).numpy()


def from_pixels(images: Images) -> Tensor:
    """Undoes `to_pixels`, up to rounding."""
    return torch.from_numpy(images).float().reshape(-1, 64) / 127.5 - 1.0
