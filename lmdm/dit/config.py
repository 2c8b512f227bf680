"""The sizes and switches of a diffusion transformer, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from lmdm.errors import InputError

QK_NORMS = ("none", "ln", "l2", "dyt")  # stable-audio-tools' own names
OBJECTIVES = ("rectified_flow", "v")


@dataclass(frozen=True)
class DiTConfig:
    """Structure of the backbone (dossier §2.1, §7.1). Defaults are Stable Audio Open Small's.

    What stands below `objective` occurs in other checkpoints of stable-audio-tools, not in the two
    that are published.
    """

    latent_channels: int = 64
    dim: int = 1024
    depth: int = 16
    heads: int = 8
    text_dim: int = 768  # channels of a text token before `to_cond_embed`, 0 = hears no text
    project_text: bool = True  # widen text tokens to `dim` (Small) or keep their width (1.0)
    global_dim: int = 768  # channels of the global condition, 0 = none
    local_channels: int = 0  # frame-aligned controls, beside the inpaint mask and context latents
    routed: bool = True  # has `to_input_add_embed`: the context stem B
    qk_norm: str | bool = "ln"  # of queries and keys, a head at a time; True is "ln", False "none"
    rope_base: float = 10000.0
    feedforward_multiplier: float = 4
    timestep_features: int = 256
    objective: str = "rectified_flow"  # what the output is: "v" is cos(φ) noise - sin(φ) data

    kv_heads: int | None = None  # of cross-attention; None: as many as text channels fill
    text_width: int | None = None  # channels of a text token after `to_cond_embed`; None: the rule
    rotary_channels: int | None = None  # of each head; None: half of them, at least 32; 0: none
    global_projected: bool = True  # `to_global_embed` widens to `dim`, or keeps the width
    modulated: bool = False  # adaLN: timestep and globals scale and shift, and are no token
    patch: int = 1  # latent frames a token
    memory_tokens: int = 0  # learnt tokens before all others
    cross_layers: int | None = None  # the first layers only read text; None: all of them do
    layer_scale: bool = False
    norm: str = "layer"  # or "tanh", elementwise in place of LayerNorm
    norm_eps: float = 1e-5
    feedforward_bias: bool = True  # of its second matrix
    concatenated: int = 0  # channels a frame that stand beside the noisy latents at the input
    inpainting: bool = False  # these are a mask (1: given) and the given latents
    prepended_dim: int = 0  # channels of tokens that stand before the global one; 0: none do
    differential: bool = False  # attention is the difference of two
    conformer: bool = False  # convolutions over tokens between attention and feed-forward

    def __post_init__(self) -> None:
        if isinstance(self.qk_norm, bool):
            object.__setattr__(self, "qk_norm", "ln" if self.qk_norm else "none")
        for name, known in (
            ("qk_norm", QK_NORMS),
            ("objective", OBJECTIVES),
            ("norm", ("layer", "tanh")),
        ):
            if getattr(self, name) not in known:
                raise InputError(
                    f"dit config: {name} is {getattr(self, name)!r}; known: {', '.join(known)}"
                )
        if self.dim % self.heads:
            raise InputError(f"dit config: dim {self.dim} is not divisible by heads {self.heads}")
        if self.text_dim and self.kv_heads is None and self.kv_dim % self.head_dim:
            raise InputError(
                f"dit config: text width {self.kv_dim} is not divisible by the head size "
                f"{self.head_dim}"
            )
        if self.text_dim and (not self.cross_heads or self.heads % self.cross_heads):
            raise InputError(
                f"dit config: {self.heads} heads cannot share {self.cross_heads} heads of text"
            )
        if self.global_dim and self.global_width != self.dim:
            raise InputError(
                f"dit config: the global condition has {self.global_dim} channels and is not "
                f"projected, but dim is {self.dim}"
            )
        if self.inpainting and self.concatenated != 1 + self.latent_channels:
            raise InputError(
                f"dit config: a mask and latents are {1 + self.latent_channels} channels, not "
                f"{self.concatenated}"
            )
        whole = self.concatenated or self.prepended_dim or self.differential or self.conformer
        if self.routed and (self.patch > 1 or self.modulated or self.memory_tokens or whole):
            raise InputError(
                "dit config: a context stem goes with one frame a token, one global token, no "
                "memory tokens, concatenated channels or prepended conditions, and plain layers"
            )

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.dim // self.heads

    @property
    def kv_dim(self) -> int:
        """Channels of text keys and values."""
        if self.text_width is not None:
            return self.text_width
        return self.dim if self.project_text else self.text_dim

    @property
    def cross_heads(self) -> int:
        """Heads of text keys and values."""
        return self.kv_heads if self.kv_heads is not None else self.kv_dim // self.head_dim

    @property
    def global_width(self) -> int:
        """Channels of the global condition after `to_global_embed`."""
        return self.dim if self.global_projected else self.global_dim

    @property
    def rotary_dim(self) -> int:
        """Channels of each head that rotate, an even number; 0: positions are not heard."""
        if self.rotary_channels is not None:
            return self.rotary_channels
        wanted = min(self.head_dim, max(self.head_dim // 2, 32))
        return wanted + wanted % 2

    @property
    def input_channels(self) -> int:
        """Channels of a frame as stem A takes it: noisy latents, and what stands beside them."""
        return self.latent_channels + self.concatenated

    @property
    def stem_channels(self) -> int:
        """Inputs of the context stem B: inpaint mask, masked latents, local controls."""
        return 1 + self.latent_channels + self.local_channels

    def reads_text(self, layer: int) -> bool:
        """Whether a layer has cross-attention."""
        return self.text_dim > 0 and (self.cross_layers is None or layer < self.cross_layers)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DiTConfig:
        """Raises InputError on a key that no field has."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(f"dit config has unknown key {unknown[0]!r}; known: {sorted(known)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for config.json."""
        return asdict(self)
