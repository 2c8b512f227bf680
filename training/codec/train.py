"""Train a codec on folders of audio: Oobleck as a VAE, or the spectral codec."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from lmdm import checkpoints
from lmdm.codec.oobleck import Oobleck
from lmdm.codec.spectral import DecoderOutput, SpectralCodec
from lmdm.codec.synthesis import flush, synthesize
from lmdm.dit.model import DiT
from lmdm.errors import InputError
from lmdm.stream.config import StreamConfig
from training import engine
from training.checkpoint import State, bare
from training.codec import losses
from training.codec.config import CodecConfig
from training.codec.discriminator import MultiScaleDiscriminator
from training.codec.spectral_loss import analyse, loss_terms, weighted
from training.data.audio_pool import AudioPool
from training.engine import HELD_OUT_STEP, Rows, row_noise

HELD_OUT_ROWS = 8
CONTROLS = ("notes", "beat", "chord", "loudness", "drums")  # of models to be trained on it


class Reconstruction(nn.Module):
    """Encode, disturb, decode, as one module that DDP can wrap."""

    def __init__(
        self, codec: Oobleck | SpectralCodec, frozen: bool = False, sounding: bool = True
    ) -> None:
        """frozen: the encoder keeps its weights and its whitening. sounding: sound is asked for;
        the spectral codec can learn from its heads alone, which is cheaper.
        """
        super().__init__()
        self.codec, self.frozen, self.sounding = codec, frozen, sounding
        if frozen:
            for name, parameter in codec.named_parameters():
                parameter.requires_grad_(not name.startswith("encoder"))

    def train(self, mode: bool = True) -> Reconstruction:
        """See `nn.Module.train`."""
        super().train(mode)
        if self.frozen and isinstance(self.codec, SpectralCodec):
            self.codec.whiten.eval()
        return self

    def forward(self, audio: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """audio [B, 2, S], noise [B, C, T] -> sound, encoder output, raw heads (spectral).

        Sound is silent where none is asked for. The noise is the VAE's own draw, or the spectral
        codec's `latent_noise`.
        """
        if isinstance(self.codec, Oobleck):
            parameters = self.codec.encode_parameters(audio)
            latents = sampled(self.codec, parameters, noise)
            return self.codec.decode(latents), parameters, ()
        with torch.no_grad():
            features = self.codec.features(audio)
        latents = self.codec.encode_features(features)
        disturbed = latents + self.codec.config.latent_noise * noise
        heads, state = self.codec.heads(disturbed, self.codec.initial_state(len(audio)))
        if not self.sounding:
            return torch.zeros_like(audio), latents, tuple(heads)
        shape = self.codec.parameters_of(heads)
        sound, after = synthesize(shape, state.synthesis, self.codec.noise_table)
        aligned = torch.cat([sound[..., self.codec.delay_samples :], flush(after)], dim=-1)
        return aligned, latents, tuple(heads)


def sampled(codec: Oobleck, parameters: Tensor, noise: Tensor) -> Tensor:
    """mean + std noise of a VAE bottleneck; other bottlenecks as they are."""
    if codec.config.bottleneck != "vae":
        return codec.latents_of(parameters)
    mean, scale = parameters.chunk(2, dim=1)
    return (mean + (nn.functional.softplus(scale) + 1e-4) * noise) / codec.config.scale


class CodecTrainer:
    """See `training.engine.Trainer`."""

    name = "codec"

    def __init__(self, config: CodecConfig, accelerator: Accelerator, folder: Path) -> None:
        self.config, self.accelerator = config, accelerator
        self.dit: DiT | None = None
        self.model: Any = None
        codec = self._codec()
        self.codec = codec
        cache = Path(config.cache) if config.cache else folder / "audio"
        if not Path(config.audio).is_dir():
            raise InputError(f"there is no folder {config.audio}; give one that holds music")
        self.pool = AudioPool(Path(config.audio), cache)
        if not self.pool.arrays(held_out=False):
            raise InputError(f"{config.audio} holds no audio that can be read")
        self.samples = config.frames * codec.frame_samples
        self.rows = Rows.of(config.engine, accelerator)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.engine.seed)
            plan = config.discriminator
            discriminator = MultiScaleDiscriminator(plan.sizes, plan.filters)
        self._blueprint = copy.deepcopy(codec)
        weights = config.weights
        heard = bool(weights.stft or weights.adversarial or weights.feature_matching)
        step = Reconstruction(codec, config.freeze_encoder, heard)
        average = copy.deepcopy(codec).eval() if config.ema else None
        self.module, players = engine.prepare(
            accelerator, config.engine, step, {"codec": (config.optimizer, step)}
        )
        self.discriminator, judges = engine.prepare(
            accelerator,
            config.engine,
            discriminator,
            {"discriminator": (plan.optimizer, discriminator)},
        )
        self.optimizers = {**players, **judges}
        self.state = State(
            {"codec": self.module, "discriminator": self.discriminator},
            {name: (name, each.optimizer) for name, each in self.optimizers.items()},
            {} if average is None else {"codec": average.to(accelerator.device)},
        )

    def _codec(self) -> Oobleck | SpectralCodec:
        c = self.config
        if c.model:
            codec = checkpoints.load_codec(c.model)[0].train().requires_grad_(True)
            if c.freeze_encoder:  # the model stays whole: its network knows these latents
                try:
                    self.model = checkpoints.load(c.model)
                except InputError:
                    self.model = None  # a folder that has a codec only
            return codec
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(c.engine.seed)
            return Oobleck(c.oobleck) if c.kind == "oobleck" else SpectralCodec(c.spectral)

    # -- steps --------------------------------------------------------------------------------

    def audio(self, step: int, rows: list[int], held_out: bool = False) -> Tensor:
        """Segments [B, 2, S] of a step's rows."""
        seed = self.config.engine.seed
        cut = [
            self.pool.batch(np.random.default_rng([seed, step, row]), 1, self.samples, held_out)
            for row in rows
        ]
        return torch.from_numpy(np.concatenate(cut)).to(self.accelerator.device)

    def _rebuilt(self, audio: Tensor, step: int, rows: list[int]) -> Any:
        shape = (len(audio), self.codec.latent_channels, self.config.frames)
        noise = row_noise(audio.new_zeros(shape), self.config.engine.seed, step, 41, rows=rows)
        return self.module(audio, noise)

    def terms(
        self, audio: Tensor, rebuilt: tuple[Tensor, Tensor, tuple[Tensor, ...]]
    ) -> dict[str, Tensor]:
        """Reconstruction and bottleneck losses, unweighted, by name."""
        sound, parameters, heads = rebuilt
        weights, found = self.config.weights, {}
        if weights.stft:
            found["stft"] = losses.stereo_stft_loss(sound.float(), audio)
        if isinstance(self.codec, Oobleck):
            if weights.kl and self.codec.config.bottleneck == "vae":
                found["kl"] = losses.kl_to_normal(parameters.float())
        elif weights.spectral:
            output = DecoderOutput(*(head.float() for head in heads))
            parts = loss_terms(self.codec, output, analyse(self.codec, audio))
            found["spectral"] = weighted(parts)
            found |= {f"spectral/{name}": part for name, part in parts.items()}
        return found

    def _codec_loss(self, step: int, rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        weights = self.config.weights
        audio = self.audio(step, rows)
        rebuilt = self._rebuilt(audio, step, rows)
        found = self.terms(audio, rebuilt)
        if self._adversarial(step):
            judge = bare(self.discriminator)
            logits, features = judge(rebuilt[0].float())
            with torch.no_grad():
                _, of_real = judge(audio)
            found["adversarial"] = losses.hinge_generator(logits)
            found["feature_matching"] = losses.feature_matching(of_real, features)
        counted = [getattr(weights, name) * v for name, v in found.items() if "/" not in name]
        loss = torch.stack(counted).sum()
        return loss, {"loss": loss, **found}

    def _discriminator_loss(self, step: int, rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        audio = self.audio(step, rows)
        with torch.no_grad():
            sound = self._rebuilt(audio, step, rows)[0].float()
        logits, _ = self.discriminator(torch.cat([audio, sound]))
        pairs = [each.chunk(2) for each in logits]
        loss = losses.hinge_discriminator([real for real, _ in pairs], [fake for _, fake in pairs])
        return loss, {"loss": loss}

    def _adversarial(self, step: int) -> bool:
        weights = self.config.weights
        wanted = bool(weights.adversarial or weights.feature_matching)
        return wanted and step >= self.config.discriminator.after

    def facts(self) -> Mapping[str, Any]:
        """Sizes and hashes."""
        return {
            "hours": round(self.pool.hours, 4),
            "skipped": {str(path): why for path, why in self.pool.skipped.items()},
            "codec_parameters": engine.trained_parameters(self.module),
        }

    def step(self, step: int) -> Mapping[str, Tensor | float]:
        """The discriminator's step, once it has joined in, then the codec's."""
        c = self.config
        figures: dict[str, Tensor | float] = {}
        parts = [("codec", c.optimizer, self.module, self._codec_loss)]
        if self._adversarial(step):
            judge = ("discriminator", c.discriminator.optimizer, self.discriminator)
            parts.insert(0, (*judge, self._discriminator_loss))
        for name, plan, module, loss in parts:
            judged = bare(self.discriminator) if name == "codec" else nn.Module()
            with engine.frozen(judged):
                found = engine.descend(
                    self.accelerator,
                    module,
                    self.optimizers[name],
                    plan,
                    plan.rate(step, c.engine.steps),
                    partial(loss, step),
                    self.rows.microbatches(),
                )
            figures |= {f"{name}/{key}": value for key, value in found.items()}
        for average in self.state.averages.values():
            engine.update_average(average, self.state.part("codec", "codec"), step, c.ema)
        return figures

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Reconstruction losses on held-out files, always the same segments."""
        if not self.pool.arrays(held_out=True):
            return {}
        rows = list(range(HELD_OUT_ROWS))
        audio = self.audio(HELD_OUT_STEP, rows, held_out=True)
        bare(self.module).eval()
        found = self.terms(audio, self._rebuilt(audio, HELD_OUT_STEP, rows))
        bare(self.module).train()
        return {name: float(value) for name, value in found.items()}

    def export(self, folder: Path) -> None:
        """Write a model folder: the codec, and the network that goes with it if there is one."""
        weights = self.state.trained("codec", "codec")
        if not self.accelerator.is_main_process:
            return
        codec = self._blueprint.requires_grad_(False)
        codec.load_state_dict(weights)
        model = self.model
        known = model.conditioning.names if model and model.conditioning else ()
        checkpoints.save(
            folder,
            dit=model.dit if model else None,
            codec=codec.eval(),
            stream_config=model.stream_config if model else StreamConfig(),
            controls=known if model else CONTROLS,
            text=model.config.get("text") if model else checkpoints.MINILM,
            conditioner=model.conditioner if model else None,
            half=False,
        )


def train_codec(
    folder: Path, file: Path | None, settings: list[str], minutes: float
) -> dict[str, Any]:
    """See `engine.train`."""
    return engine.train(CodecTrainer, CodecConfig, folder, file, settings, minutes, False)
