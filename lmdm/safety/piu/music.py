"""The same method on the instrument's own model: a style of music gives way to another.

An identity is a style, its embeddings those of several ways to ask for it, and the recogniser is a
projection of spectral statistics fitted to what the model itself plays. Training needs no
recording: targets are noise, contexts are what the teacher has played.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lmdm.safety.piu.identities import Array, Identities, labelled
from lmdm.safety.piu.scope import Scope
from lmdm.safety.piu.style_judge import StyleJudge
from lmdm.stream.block_stream import BlockConditions, BlockStream

if TYPE_CHECKING:
    from lmdm.checkpoints import Model

GUIDANCE = 2.5  # of what is played for training and for judgement

SCOPES = {
    "surgical": Scope("cross_attn", tuple(f"transformer.layers.{n}" for n in range(2, 7))),
    "cross-attention": Scope("cross_attn"),
    "full": Scope(),
}

STYLES: Mapping[str, Sequence[str]] = {
    "piano": (
        "solo piano", "a piano alone", "felt piano", "grand piano piece", "quiet piano music",
        "piano melody",
    ),
    "strings": (
        "string quartet", "legato strings", "violins and cellos", "string ensemble",
        "bowed strings, slow", "chamber strings",
    ),
    "techno": (
        "techno", "four-on-the-floor techno with synth bass", "club beat with drum machine",
        "dark techno", "electronic dance beat", "driving techno drums",
    ),
    "guitar": (
        "acoustic guitar", "fingerpicked guitar", "solo guitar", "nylon-string guitar",
        "gentle guitar", "guitar arpeggios",
    ),
    "chiptune": (
        "chiptune", "8-bit square waves", "video game music, 8-bit", "retro console music",
        "pulse wave melody", "chip music",
    ),
    "jazz": (
        "jazz trio with brushed drums", "swing jazz", "jazz piano with double bass",
        "walking bass and brushes", "cool jazz", "late-night jazz trio",
    ),
    "organ": (
        "church organ", "pipe organ", "organ chorale", "solemn organ", "organ music",
        "big church organ",
    ),
    "ambient": (
        "ambient pads, slow", "ambient drone", "soft synth pads", "calm ambient texture",
        "warm evolving pads", "slow ambient music",
    ),
}  # fmt: skip


def styles(encode: Any, listed: Mapping[str, Sequence[str]] = STYLES) -> Identities:
    """Styles as identities, in order; encode: prompt -> [1, D]."""
    rows = [encode(prompt)[0] for prompts in listed.values() for prompt in prompts]
    sizes = [len(prompts) for prompts in listed.values()]
    return labelled(np.stack(rows), np.arange(len(sizes)).repeat(sizes))


@dataclass(frozen=True)
class MusicSettings:
    """How much is played. Frames are latent frames of 46 ms."""

    context_frames: int = 32  # of what the student is trained on
    contexts: int = 4  # played by the teacher a style
    judged_frames: int = 128  # of a sample that is judged


class MusicStyles:
    """The starter, or a model like it, as an identity model; samples are sound [N, 2, S]."""

    training_steps = 1000

    def __init__(self, model: Model, people: Identities, settings: MusicSettings) -> None:
        self._model, self._settings = model, settings
        self.denoiser: nn.Module = model.dit
        self._config = model.stream_config
        embeddings = torch.tensor(people.embeddings, dtype=torch.float32)
        picked = [people.of(style)[: settings.contexts] for style in range(len(people.centroids))]
        rows = embeddings[np.concatenate(picked)]
        played = self._play(model.dit, rows, seed=0, frames=settings.context_frames)
        self._contexts = played
        self._judge: StyleJudge | None = None

    # --- the method's side ---------------------------------------------------------------------

    def data_free(self, count: int, generator: torch.Generator) -> Tensor:
        """[count, C, s + o]: a context that the teacher played, then z_0 ~ N(0, I)."""
        chosen = torch.randint(len(self._contexts), (count,), generator=generator)
        shape = (count, self._contexts.shape[1], self._config.block_frames)
        target = torch.randn(shape, generator=generator)
        return torch.cat([self._contexts[chosen], target], dim=2)

    def noised(self, latents: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """x_t = (1 − t) x_0 + t ε of the target; the context stays clean."""
        block = self._config.block_frames
        t = self._time(timestep)[:, None, None]
        target = (1 - t) * latents[..., -block:] + t * noise[..., -block:]
        return torch.cat([latents[..., :-block], target], dim=2)

    def predict(
        self, denoiser: nn.Module, latents: Tensor, timestep: Tensor, embeddings: Tensor
    ) -> Tensor:
        """Velocity of the target [N, C, o], the context encoded as encoder-decoder streams do."""
        dit: Any = denoiser
        block, whole = self._config.block_frames, self._config.context_frames
        context, target = latents[..., :-block], latents[..., -block:]
        seen = context.shape[2]
        local = latents.new_zeros(len(latents), dit.config.local_channels, seen + block)
        text = dit.text_keys_values(embeddings[:, None])
        past = dit.embed_context(context, local[..., :seen])
        own = dit.embed_target(target, local[..., seen:])
        token = dit.embed_global(self._time(timestep), None)
        hidden = torch.cat([past, own, token], dim=1)
        positions = torch.arange(whole - seen + 1, whole + block + 1)
        positions = torch.cat([positions, positions.new_zeros(1)])
        allowed = torch.ones(seen + block + 1, seen + block + 1, dtype=torch.bool)
        allowed[:seen, seen:] = False
        hidden, _ = dit.transform(hidden, positions, text, allowed)
        return dit.project(hidden[:, seen : seen + block])

    def _time(self, timestep: Tensor) -> Tensor:
        return (timestep + 0.5) / self.training_steps

    # --- the judge's side ----------------------------------------------------------------------

    def sample(self, denoiser: nn.Module, embeddings: Tensor, seed: int) -> Tensor:
        """Sound [N, 2, S] of prompts [N, D], played from silence as the instrument plays."""
        frames = self._settings.judged_frames
        latents = self._play(denoiser, embeddings, seed, frames)
        with torch.inference_mode():
            return self._model.codec.decode(latents)

    def _play(self, denoiser: Any, embeddings: Tensor, seed: int, frames: int) -> Tensor:
        """Latents [N, C, frames]."""
        stream = BlockStream(denoiser, self._config)
        blocks = range(-(-frames // self._config.block_frames))
        played = []
        for number, row in enumerate(embeddings):
            stream.reset()
            stream.reseed(seed * 100_003 + number)
            stream.block = 0
            conditions = BlockConditions(text_tokens=row[None], local=None, guidance=GUIDANCE)
            music = torch.cat([stream.next_block(conditions) for _ in blocks], dim=1)
            played.append(music[:, :frames].clone())
        return torch.stack(played)

    def fit_judge(self, people: Identities, repeats: int = 3) -> Array:
        """Fits the recogniser to what the teacher plays; the styles' centroids in its space."""
        centroids = torch.tensor(people.centroids, dtype=torch.float32)
        rows = centroids.repeat_interleave(repeats, dim=0)
        labels = np.arange(len(centroids)).repeat(repeats)
        sound = self.sample(self.denoiser, rows, seed=1)
        self._judge = StyleJudge.fit(sound, labels)
        return labelled(self._judge(sound), labels).centroids

    def embed(self, images: Tensor) -> Tensor:
        """Sound [N, 2, S] -> the recogniser's embeddings of unit length."""
        if self._judge is None:
            raise RuntimeError("the judge is fitted first, by fit_judge")
        return torch.from_numpy(self._judge(images))
