"""The sizes and switches of a diffusion transformer, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from lmdm.errors import InputError


@dataclass(frozen=True)
class DiTConfig:
    """Structure of the backbone (dossier §2.1, §7.1). Defaults are Stable Audio Open Small's."""

    latent_channels: int = 64
    dim: int = 1024
    depth: int = 16
    heads: int = 8
    text_dim: int = 768  # channels of a text token before `to_cond_embed`
    project_text: bool = True  # widen text tokens to `dim` (Small) or keep their width (1.0)
    global_dim: int = 768  # channels of the global condition, 0 = none
    local_channels: int = 0  # frame-aligned controls, beside the inpaint mask and context latents
    routed: bool = True  # has `to_input_add_embed`: the context stem B
    qk_norm: bool = True  # per-head LayerNorm on queries and keys
    rope_base: float = 10000.0
    feedforward_multiplier: int = 4
    timestep_features: int = 256

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise InputError(f"dit config: dim {self.dim} is not divisible by heads {self.heads}")
        if self.kv_dim % self.head_dim:
            raise InputError(
                f"dit config: text width {self.kv_dim} is not divisible by the head size "
                f"{self.head_dim}"
            )

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.dim // self.heads

    @property
    def kv_dim(self) -> int:
        """Channels of text keys and values."""
        return self.dim if self.project_text else self.text_dim

    @property
    def rotary_dim(self) -> int:
        """Channels of each head that rotate: the first half, at least 32."""
        return min(self.head_dim, max(self.head_dim // 2, 32))

    @property
    def stem_channels(self) -> int:
        """Inputs of the context stem B: inpaint mask, masked latents, local controls."""
        return 1 + self.latent_channels + self.local_channels

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
