"""An identity-conditioned diffusion model of drawn faces, small enough to train in minutes.

The parts mirror Arc2Face: a recogniser whose embedding is the condition, a frozen linear codec in
the place of the VAE, a conditioner that gives tokens, a denoiser with self- and cross-attention
(`attn1`, `attn2`). The recogniser is trained on identities that the denoiser never sees.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmdm.config import begin, check_whole, from_dict, read_json
from lmdm.errors import InputError
from lmdm.fitting import cosine_rate, fit_network, generator_at
from lmdm.safety.piu.faces import SIZE, draw, random_identities, random_nuisance
from lmdm.weights import load_into, save_module

EMBEDDING = 32
TOKENS, CHANNELS = 16, 8  # of the latents
CONDITION_TOKENS = 4
TRAINING_STEPS = 200  # of the noise schedule
MARGIN, SHARPNESS = 0.2, 16.0  # of the recogniser's loss


@dataclass(frozen=True)
class FaceConfig:
    """Sizes and budgets."""

    width: int = 64
    blocks: int = 6
    heads: int = 4
    recogniser_identities: int = 600
    recogniser_steps: int = 1500
    people: int = 160  # identities that the denoiser is trained on, and one of which it forgets
    pictures: int = 64  # of each in its training set
    denoiser_steps: int = 5000
    batch: int = 64
    rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole(self, {"width": 1024, "blocks": 64, "heads": 64, "batch": 4096})
        check_whole(self, {"people": 10**4, "pictures": 10**4, "recogniser_identities": 10**5})
        check_whole(self, {"recogniser_steps": 10**6, "denoiser_steps": 10**6})
        check_whole(self, {"seed": 2**31}, least=0)
        if self.width % self.heads:
            raise InputError(f"width {self.width} cannot be split over {self.heads} heads")


class Recogniser(nn.Module):
    """Faces [N, 3, 32, 32] -> embeddings [N, 32] of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1), nn.SiLU(),
            nn.Conv2d(32, 64, 3, 2, 1), nn.SiLU(),
            nn.Conv2d(64, 96, 3, 2, 1), nn.SiLU(),
            nn.Flatten(), nn.Linear(96 * 16, 128), nn.SiLU(), nn.Linear(128, EMBEDDING),
        )  # fmt: skip

    def forward(self, faces: Tensor) -> Tensor:
        """See the class."""
        return nn.functional.normalize(self.network(faces), dim=1)


class FaceCodec(nn.Module):
    """Faces <-> latents [N, 16, 8]: principal components of drawn faces, scaled to near 1."""

    def __init__(self) -> None:
        super().__init__()
        pixels = 3 * SIZE * SIZE
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("components", torch.zeros(TOKENS * CHANNELS, pixels))
        self.register_buffer("scale", torch.ones(TOKENS * CHANNELS))
        self.mean: Tensor
        self.components: Tensor
        self.scale: Tensor

    def fit(self, faces: Tensor) -> None:
        """Sets the components from faces [N, 3, 32, 32]."""
        flat = faces.flatten(1)
        self.mean.copy_(flat.mean(dim=0))
        _, _, directions = torch.pca_lowrank(flat - self.mean, TOKENS * CHANNELS, center=False)
        self.components.copy_(directions.T)
        spread = ((flat - self.mean) @ directions).std(dim=0)
        self.scale.copy_(spread.sqrt() * spread.mean().sqrt())  # half whitened

    def encode(self, faces: Tensor) -> Tensor:
        """See the class."""
        latents = (faces.flatten(1) - self.mean) @ self.components.T / self.scale
        return latents.reshape(-1, TOKENS, CHANNELS)

    def decode(self, latents: Tensor) -> Tensor:
        """See the class."""
        flat = latents.flatten(1) * self.scale @ self.components + self.mean
        return flat.reshape(-1, 3, SIZE, SIZE)


class Attention(nn.Module):
    """Of tokens [N, T, width] to tokens [N, S, source]."""

    def __init__(self, width: int, source: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(source, width, bias=False)
        self.to_v = nn.Linear(source, width, bias=False)
        self.to_out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, source: Tensor) -> Tensor:
        """See the class."""
        q, k, v = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.to_q(tokens), self.to_k(source), self.to_v(source))
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.to_out(mixed.transpose(1, 2).flatten(2))


class FaceBlock(nn.Module):
    """Self-attention, cross-attention to the identity, MLP; the timestep shifts every norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1 = Attention(width, width, heads)
        self.attn2 = Attention(width, width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.time = nn.Linear(width, 3 * width)

    def forward(self, tokens: Tensor, condition: Tensor, time: Tensor) -> Tensor:
        """Tokens [N, 16, width], condition [N, 4, width], time [N, width]."""
        first, second, third = self.time(time)[:, None].chunk(3, dim=-1)
        normed = self.norm1(tokens) + first
        tokens = tokens + self.attn1(normed, normed)
        tokens = tokens + self.attn2(self.norm2(tokens) + second, condition)
        return tokens + self.mlp(self.norm3(tokens) + third)


class FaceDenoiser(nn.Module):
    """v of latents [N, 16, 8] at step t [N], for condition tokens [N, 4, width]."""

    def __init__(self, config: FaceConfig) -> None:
        super().__init__()
        width = config.width
        self.enter = nn.Linear(CHANNELS, width)
        self.position = nn.Parameter(torch.randn(TOKENS, width) * 0.02)
        self.time = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(FaceBlock(width, config.heads) for _ in range(config.blocks))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, CHANNELS))

    def forward(self, latents: Tensor, timestep: Tensor, condition: Tensor) -> Tensor:
        """See the class."""
        frequency = torch.exp(torch.arange(16, device=latents.device) * (-6.0 / 16))
        angles = timestep[:, None].float() * frequency
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        tokens = self.enter(latents) + self.position
        for block in self.blocks:
            tokens = block(tokens, condition, time)
        return self.leave(tokens)


class FaceModel(nn.Module):
    """Everything, on one device. What may be unlearned is `denoiser`; the rest stays frozen."""

    image_size = SIZE
    training_steps = TRAINING_STEPS

    def __init__(self, config: FaceConfig) -> None:
        super().__init__()
        self.config = config
        self.recogniser = Recogniser()
        self.codec = FaceCodec()
        self.conditioner = nn.Sequential(
            nn.Linear(EMBEDDING, 2 * config.width),
            nn.SiLU(),
            nn.Linear(2 * config.width, CONDITION_TOKENS * config.width),
        )
        self.denoiser: nn.Module = FaceDenoiser(config)

    def data_free(self, count: int, generator: torch.Generator) -> Tensor:
        """z_0 ~ N(0, I), [count, 16, 8]."""
        return torch.randn(count, TOKENS, CHANNELS, generator=generator)

    def condition(self, embeddings: Tensor) -> Tensor:
        """Embeddings [N, 32] -> condition tokens [N, 4, width]."""
        return self.conditioner(embeddings).reshape(-1, CONDITION_TOKENS, self.config.width)

    def noised(self, latents: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """Latents at a step of the noise schedule."""
        return noising().add_noise(latents, noise, timestep)

    def predict(
        self, denoiser: nn.Module, latents: Tensor, timestep: Tensor, embeddings: Tensor
    ) -> Tensor:
        """v of a denoiser, this model's own or a copy, for identities [N, 32]."""
        return denoiser(latents, timestep, self.condition(embeddings))

    @torch.no_grad()
    def sample(self, denoiser: nn.Module, embeddings: Tensor, seed: int, steps: int = 25) -> Tensor:
        """Faces [N, 3, 32, 32] of identities [N, 32]; equal seeds start from equal noise."""
        sampler = scheduler()
        sampler.set_timesteps(steps)
        generator = torch.Generator().manual_seed(seed)
        latents = self.data_free(len(embeddings), generator)
        for timestep in sampler.timesteps:
            t = timestep.expand(len(latents))
            velocity = self.predict(denoiser, latents, t, embeddings)
            latents = sampler.step(velocity, int(timestep), latents).prev_sample
        return self.codec.decode(latents).clamp(-1.0, 1.0)

    @torch.no_grad()
    def encode(self, faces: Tensor) -> Tensor:
        """Faces -> latents."""
        return self.codec.encode(faces)

    @torch.no_grad()
    def embed(self, faces: Tensor) -> Tensor:
        """Faces -> embeddings of unit length, [N, 32]."""
        return self.recogniser(faces)


def scheduler() -> Any:
    """DDIM over 200 steps of linear betas."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=TRAINING_STEPS,
        beta_start=5e-4,
        beta_end=0.08,
        beta_schedule="linear",
        prediction_type="v_prediction",  # as sure of colours as of edges, at every step
        clip_sample=False,
        set_alpha_to_one=True,
    )


@cache
def noising() -> Any:
    """The same schedule, built once, for noising alone; it is never stepped."""
    return scheduler()


def train(folder: Path, config: FaceConfig, quiet: bool = False) -> FaceModel:
    """Trains the recogniser, the codec and the denoiser in `folder`, or goes on with them.

    Raises:
        InputError: the folder was begun with another configuration.
    """
    begin(folder / "config.json", asdict(config))
    torch.manual_seed(config.seed)
    model = FaceModel(config)
    _train_recogniser(model, folder, quiet)
    model.codec.fit(_faces(4096, torch.Generator().manual_seed(config.seed + 1)))
    _train_denoiser(model, folder, quiet)
    model.eval().requires_grad_(False)
    save_module(model, folder / "model.safetensors", half=False)
    return model


def load(folder: Path) -> FaceModel:
    """A trained model. Raises InputError unless `folder` holds one."""
    settings = folder / "config.json"
    model = FaceModel(from_dict(FaceConfig, read_json(settings), str(settings)))
    load_into(model, folder / "model.safetensors")
    return model.eval().requires_grad_(False)


def _faces(count: int, generator: torch.Generator) -> Tensor:
    return draw(random_identities(count, generator), random_nuisance(count, generator))


def _train_recogniser(model: FaceModel, folder: Path, quiet: bool) -> None:
    """Cosine softmax with a margin over identities of its own."""
    config = model.config
    people = random_identities(
        config.recogniser_identities, torch.Generator().manual_seed(config.seed + 2)
    )
    classes = nn.Parameter(torch.randn(len(people), EMBEDDING))
    both = nn.ModuleDict({"recogniser": model.recogniser})
    both.register_parameter("classes", classes)

    def loss_of(step: int) -> Tensor:
        generator = generator_at(config.seed, step)
        who = torch.randint(len(people), (2 * config.batch,), generator=generator)
        faces = draw(people[who], random_nuisance(len(who), generator))
        faces = faces + 0.05 * torch.randn(faces.shape, generator=generator)
        cosine = model.recogniser(faces) @ nn.functional.normalize(classes, dim=1).T
        cosine = cosine - MARGIN * nn.functional.one_hot(who, len(people))
        return nn.functional.cross_entropy(SHARPNESS * cosine, who)

    optimizer = torch.optim.AdamW(both.parameters(), config.rate)
    state = folder / "recogniser.state.safetensors"
    fit_network(
        both, optimizer, loss_of, state, config.recogniser_steps, title="recogniser", quiet=quiet
    )
    model.recogniser.requires_grad_(False)


def _train_denoiser(model: FaceModel, folder: Path, quiet: bool) -> None:
    """The condition is the embedding of another picture of the same identity."""
    config = model.config
    faces, embeddings, _ = gallery(model, config.people, config.pictures, seed=config.seed)
    latents = model.encode(faces).unflatten(0, (config.people, config.pictures))
    known = torch.tensor(embeddings, dtype=torch.float32).unflatten(
        0, (config.people, config.pictures)
    )
    both = nn.ModuleDict({"denoiser": model.denoiser, "conditioner": model.conditioner})

    def loss_of(step: int) -> Tensor:
        generator = generator_at(config.seed + 1, step)
        shape = (config.batch,)
        who = torch.randint(config.people, shape, generator=generator)
        shown, told = torch.randint(config.pictures, (2, *shape), generator=generator)
        clean = latents[who, shown]
        noise = torch.randn(clean.shape, generator=generator)
        timestep = torch.randint(TRAINING_STEPS, shape, generator=generator)
        noised = model.noised(clean, noise, timestep)
        velocity = noising().get_velocity(clean, noise, timestep)
        predicted = model.predict(model.denoiser, noised, timestep, known[who, told])
        return nn.functional.mse_loss(predicted, velocity)

    optimizer = torch.optim.AdamW(both.parameters(), config.rate)
    steps = config.denoiser_steps
    fit_network(
        both,
        optimizer,
        loss_of,
        folder / "denoiser.state.safetensors",
        steps,
        rate=lambda step: cosine_rate(step, steps, config.rate, final=0.01),
        title="denoiser",
        quiet=quiet,
    )


def gallery(
    model: FaceModel, people: int, pictures: int, seed: int, which: int = 0
) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Pictures of identities: faces [N, ...], embeddings [N, 32], true identities [N].

    Equal seeds give equal identities; `which` chooses other pictures of them.
    """
    identities = random_identities(people, torch.Generator().manual_seed(seed + 10_000))
    who = torch.arange(people).repeat_interleave(pictures)
    generator = torch.Generator().manual_seed(seed + 20_000 + which)
    faces = draw(identities[who], random_nuisance(len(who), generator))
    return faces, model.embed(faces).numpy().astype(np.float64), who.numpy()
