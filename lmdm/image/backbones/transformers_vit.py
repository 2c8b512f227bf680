"""DINOv2, DINOv2 with registers, SigLIP and SigLIP 2 through transformers, frozen.

Patch tokens alone are kept: class token and registers go. z is the last layer's output under a
LayerNorm without affine, as RAE takes it; the model's own final norm is not used.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmdm.errors import InputError
from lmdm.image.backbones import protocol
from lmdm.image.backbones.protocol import Features
from lmdm.image.layers import patchify

HALF = (0.5, 0.5, 0.5)
# model_type -> transformers class, mean, std of its pictures unless preprocessor_config.json tells
KINDS: dict[str, tuple[str, Sequence[float], Sequence[float]]] = {
    "dinov2": ("Dinov2Model", protocol.IMAGENET_MEAN, protocol.IMAGENET_STD),
    "dinov2_with_registers": (
        "Dinov2WithRegistersModel",
        protocol.IMAGENET_MEAN,
        protocol.IMAGENET_STD,
    ),
    "siglip": ("SiglipVisionModel", HALF, HALF),
    "siglip_vision_model": ("SiglipVisionModel", HALF, HALF),
    "siglip2": ("Siglip2VisionModel", HALF, HALF),
    "siglip2_vision_model": ("Siglip2VisionModel", HALF, HALF),
}
GRID = 16  # RAE's tokens a side, where the model's own size does not say less


class TransformersBackbone:
    """A vision transformer of the library behind the protocol."""

    def __init__(
        self,
        model: nn.Module,
        name: str,
        image_size: int | None,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        config: Any = model.config
        self.model = protocol.frozen(model)
        self.name, self.mean, self.std = name, tuple(mean), tuple(std)
        self.patch = int(config.patch_size)
        # SigLIP 2 (NaFlex) has no image size: it takes patches, and says how many it was made for
        own = int(getattr(config, "image_size", 0) or 0)
        if not own:
            own = self.patch * round(int(config.num_patches) ** 0.5)
        self.image_size = image_size or min(own // self.patch, GRID) * self.patch
        if self.image_size % self.patch:
            raise InputError(
                f"{name} cuts patches of {self.patch} pixels, so its size must be a multiple of "
                f"that, not {self.image_size}"
            )
        self.grid, self.dim = self.image_size // self.patch, int(config.hidden_size)
        self.depth = int(config.num_hidden_layers)
        self.flexible = "siglip2" in config.model_type
        self.interpolates = config.model_type.startswith("siglip_vision")
        self.fingerprint = protocol.fingerprint(model)

    def tap_dims(self, taps: Sequence[int]) -> tuple[int, ...]:
        """Every tap is `dim` wide."""
        protocol.check_taps(taps, self.depth, self.name)
        return (self.dim,) * len(taps)

    def features(self, images: Tensor, taps: Sequence[int] = ()) -> Features:
        """See `VisionBackbone`. What each layer gives is caught as it passes, before any norm."""
        states: list[Tensor] = []

        def catch(_: nn.Module, __: Any, output: Any) -> None:
            states.append(output[0] if isinstance(output, tuple) else output)

        hooks = [layer.register_forward_hook(catch) for layer in _layers(self.model)]
        try:
            seen = protocol.resized(images, self.image_size)
            self._run(protocol.normalized(seen, self.mean, self.std))
        finally:
            for hook in hooks:
                hook.remove()
        patches = [state[:, -(self.grid**2) :] for state in states]
        return Features(protocol.layer_norm(patches[-1]), tuple(patches[tap] for tap in taps))

    def _run(self, pixels: Tensor) -> None:
        if not self.flexible:
            more = {"interpolate_pos_encoding": True} if self.interpolates else {}
            self.model(pixel_values=pixels, **more)
            return
        count, grid = len(pixels), self.grid
        # NaFlex patches are row, column, channel; `patchify` gives channel, row, column
        cut = patchify(pixels, self.patch).unflatten(2, (3, -1)).transpose(2, 3).flatten(2)
        self.model(
            pixel_values=cut,
            pixel_attention_mask=torch.ones(count, grid**2, dtype=torch.long, device=cut.device),
            spatial_shapes=torch.full((count, 2), grid, dtype=torch.long, device=cut.device),
        )

    def to(self, device: torch.device) -> TransformersBackbone:
        """Moves the weights."""
        self.model.to(device)
        return self


def _layers(model: Any) -> list[nn.Module]:
    """The embedding, then the blocks, by whichever of the library's two names they have."""
    encoder = model.encoder
    return [model.embeddings, *(encoder.layer if hasattr(encoder, "layer") else encoder.layers)]


def load_transformers(name: str, image_size: int | None) -> TransformersBackbone:
    """A folder that `save_pretrained` wrote, or a hub id.

    Raises:
        InputError: it is not there, cannot be fetched, is of another kind, or holds pickles only.
    """
    try:
        import transformers
        from transformers import AutoConfig
    except ImportError:
        raise InputError("this backbone needs transformers: pip install transformers") from None
    transformers.logging.set_verbosity_error()  # no load report; what is lacking is told below
    transformers.logging.disable_progress_bar()
    local = Path(name).exists()
    if not local and (name.startswith((".", "/", "~")) or name.count("/") != 1):
        raise InputError(
            f"there is no backbone {name!r}: give small-vit, efficientnet-lite0, a folder with a "
            "DINOv2 or SigLIP model, or a hub id such as facebook/dinov2-with-registers-base"
        )
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError, KeyError) as problem:
        raise InputError(_unreachable(name, local, problem)) from None
    if config.model_type not in KINDS:
        raise InputError(
            f"{name} is a {config.model_type} model; known here are {', '.join(KINDS)}"
        )
    class_name, mean, std = KINDS[config.model_type]
    try:
        model, about = getattr(transformers, class_name).from_pretrained(
            name, use_safetensors=True, output_loading_info=True
        )
    except Exception as problem:  # each backend of the library has its own kinds
        raise InputError(_unreachable(name, local, problem)) from None
    lacking = sorted(key for key in about["missing_keys"] if not key.startswith("head."))
    if lacking:
        raise InputError(f"{name} lacks the weights {lacking[0]!r}; its model is not whole")
    described = _preprocessing(name) if local else {}
    return TransformersBackbone(
        model, name, image_size, described.get("image_mean", mean), described.get("image_std", std)
    )


def _preprocessing(folder: str) -> dict[str, Any]:
    try:
        return dict(json.loads((Path(folder) / "preprocessor_config.json").read_text()))
    except (OSError, ValueError):
        return {}


def _unreachable(name: str, local: bool, problem: BaseException) -> str:
    why = " ".join(str(problem).split())[:200]
    if local:
        return f"{name} cannot be loaded as a vision model in safetensors: {why}"
    return (
        f"{name} is no folder here and cannot be fetched from the hub ({why[:80]}...); give the "
        "path of a folder with its config.json and model.safetensors, or small-vit"
    )
