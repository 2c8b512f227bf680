"""Arc2Face-class models: a Stable Diffusion 1.5 UNet conditioned on an ArcFace vector (§2).

The prompt is "photo of a id person"; where the token "id" stands, the token's embedding gives way
to the 512-d ArcFace vector, padded with zeros. Encoder and VAE stay frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmdm.errors import InputError

PROMPT = "photo of a id person"
STEPS, GUIDANCE = 25, 3.0

Recogniser = Callable[[Tensor], Tensor]  # images [N, 3, H, W] in [-1, 1] -> unit embeddings [N, D]


class Arc2Face:
    """The parts of a pipeline, and the recogniser that judges what it makes."""

    def __init__(
        self,
        unet: Any,
        encoder: Any,
        tokenizer: Any,
        vae: Any,
        schedule: Any,
        recogniser: Recogniser,
    ) -> None:
        """unet: UNet2DConditionModel. encoder: CLIPTextModel. vae: AutoencoderKL. schedule: any
        scheduler configuration of theirs, DDPM's usually.
        """
        from diffusers import DDPMScheduler

        self.denoiser: nn.Module = unet.eval()
        self.encoder, self.tokenizer, self.vae = encoder.eval(), tokenizer, vae.eval()
        self._noising = DDPMScheduler.from_config(schedule.config)
        self._recogniser = recogniser
        self.training_steps = int(self._noising.config.num_train_timesteps)
        size = unet.config.sample_size
        self.image_size = int(size * 2 ** (len(vae.config.block_out_channels) - 1))
        self._latent_shape = (unet.config.in_channels, size, size)
        for part in (self.denoiser, self.encoder, self.vae):
            part.requires_grad_(False)

    @classmethod
    def load(cls, folder: Path, recogniser: Recogniser) -> Arc2Face:
        """From a folder with unet, encoder (or text_encoder), tokenizer, vae and scheduler.

        Raises:
            InputError: a part is missing or is not of its class.
        """
        from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTokenizer

        encoder = "encoder" if (folder / "encoder").is_dir() else "text_encoder"
        parts = {
            "unet": UNet2DConditionModel,
            encoder: CLIPTextModel,
            "tokenizer": CLIPTokenizer,
            "vae": AutoencoderKL,
            "scheduler": DDPMScheduler,
        }
        loaded: list[Any] = []
        for name, kind in parts.items():
            weights = {} if name in ("tokenizer", "scheduler") else {"use_safetensors": True}
            try:
                part = kind.from_pretrained(folder / name, local_files_only=True, **weights)
            except (OSError, ValueError, KeyError, TypeError) as problem:
                said = " ".join(str(problem).split())[:200]
                raise InputError(
                    f"{folder / name} is not a {kind.__name__} with safetensors weights ({said})"
                ) from None
            loaded.append(part)
        unet, text, tokenizer, vae, schedule = loaded
        return cls(unet, text, tokenizer, vae, schedule, recogniser)

    def data_free(self, count: int, generator: torch.Generator) -> Tensor:
        """z_0 ~ N(0, I)."""
        return torch.randn(count, *self._latent_shape, generator=generator)

    def noised(self, latents: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """See `IdentityModel.noised`."""
        return self._noising.add_noise(latents, noise, timestep)

    @torch.no_grad()
    def condition(self, embeddings: Tensor) -> Tensor:
        """ArcFace vectors [N, D] -> encoder states [N, 77, width]."""
        width = self.encoder.get_input_embeddings().weight.shape[1]
        if embeddings.shape[1] > width:
            raise InputError(
                f"embeddings have {embeddings.shape[1]} values, but the encoder takes {width}"
            )
        tokens = self.tokenizer(
            PROMPT,
            truncation=True,
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids.expand(len(embeddings), -1)
        place = tokens == self.tokenizer.encode("id", add_special_tokens=False)[0]
        padded = nn.functional.pad(embeddings, (0, width - embeddings.shape[1]))

        def replaced(_module: nn.Module, _inputs: Any, states: Tensor) -> Tensor:
            return torch.where(place[..., None], padded[:, None].to(states), states)

        hook = self.encoder.get_input_embeddings().register_forward_hook(replaced)
        try:
            return self.encoder(input_ids=tokens).last_hidden_state
        finally:
            hook.remove()

    def predict(
        self, denoiser: nn.Module, latents: Tensor, timestep: Tensor, embeddings: Tensor
    ) -> Tensor:
        """See `IdentityModel.predict`."""
        states = self.condition(embeddings)
        return denoiser(latents, timestep, encoder_hidden_states=states).sample

    @torch.no_grad()
    def sample(self, denoiser: nn.Module, embeddings: Tensor, seed: int) -> Tensor:
        """Images [N, 3, H, W] in [-1, 1]: DPM-Solver++, 25 steps, guidance 3, as deployed."""
        from diffusers import DPMSolverMultistepScheduler

        solver = DPMSolverMultistepScheduler.from_config(self._noising.config)
        solver.set_timesteps(STEPS)
        states = self.condition(embeddings)
        none = self._unconditional(len(embeddings))
        generator = torch.Generator().manual_seed(seed)
        latents = self.data_free(len(embeddings), generator)
        for timestep in solver.timesteps:
            given = denoiser(latents, timestep, encoder_hidden_states=states).sample
            absent = denoiser(latents, timestep, encoder_hidden_states=none).sample
            noise = absent + GUIDANCE * (given - absent)
            latents = solver.step(noise, timestep, latents).prev_sample
        return self.vae.decode(latents / self.vae.config.scaling_factor).sample.clamp(-1.0, 1.0)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W] in [-1, 1] -> latents, the means of the VAE's posterior."""
        return self.vae.encode(images).latent_dist.mean * self.vae.config.scaling_factor

    def _unconditional(self, count: int) -> Tensor:
        tokens = self.tokenizer(
            "",
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids
        return self.encoder(input_ids=tokens).last_hidden_state.expand(count, -1, -1)

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """See `IdentityModel.embed`."""
        return self._recogniser(images)


class OnnxRecogniser:
    """An ArcFace network in ONNX. Images are resized to 112 x 112 whole: no detector aligns them,
    which suits what Arc2Face makes (centred, aligned faces) and little else.
    """

    def __init__(self, path: Path) -> None:
        """Raises InputError unless the file is an ONNX network."""
        import onnxruntime

        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=["CPUExecutionProvider"]
            )
        except Exception as problem:  # onnxruntime raises classes of its own
            said = " ".join(str(problem).split())[:200]
            raise InputError(f"{path} is not an ONNX network ({said})") from None

    def __call__(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] in [-1, 1] -> [N, D]."""
        small = nn.functional.interpolate(images, (112, 112), mode="bilinear", antialias=True)
        name = self._session.get_inputs()[0].name
        (made,) = self._session.run(None, {name: small.float().numpy()})
        return nn.functional.normalize(torch.from_numpy(made), dim=1)
