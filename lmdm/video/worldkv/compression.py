"""World compression: of a chunk's frames but the first, only what the first does not say already.

Keys and values are [B, heads, N, head_dim], N = frames x tokens, frame after frame (dossier §2).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lmdm.dit.layers import KeysValues

RULES = ("centroid", "nearest", "random")


def similarity(keys: Tensor, tokens: int, rule: str) -> Tensor:
    """How much the first frame (the anchor) says of every other token: [B, N - tokens].

    centroid: the cosine of the token's key and the mean of the anchor's keys, all heads together.
    nearest: the largest cosine to any one of the anchor's keys.
    """
    together = keys.transpose(1, 2).flatten(2)  # [B, N, heads * head_dim]
    anchor, others = together[:, :tokens], together[:, tokens:]
    if rule == "centroid":
        return F.cosine_similarity(others, anchor.mean(1, keepdim=True), dim=-1)
    cosines = F.normalize(others, dim=-1) @ F.normalize(anchor, dim=-1).transpose(1, 2)
    return cosines.amax(-1)


def kept_indices(
    keys: Tensor, tokens: int, keep: float, *, rule: str = "centroid", pooled: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Which tokens of a chunk are kept, in order: long [B, kept].

    The anchor frame is kept whole, and of the other frames the share `keep` that is least similar
    to it: in each frame, or, pooled, in all of them together (the same number in all).

    Raises:
        ValueError: an unknown rule.
    """
    if rule not in RULES:
        raise ValueError(f"unknown rule {rule!r}; known: {', '.join(RULES)}")
    batch, _, count, _ = keys.shape
    frames = count // tokens - 1
    each = int(keep * tokens + 0.5)
    if rule == "random":
        scores = torch.rand(batch, count - tokens, generator=generator).to(keys.device)
    else:
        scores = similarity(keys, tokens, rule)
    if pooled:
        chosen = scores.topk(each * frames, dim=-1, largest=False).indices
    else:
        by_frame = scores.unflatten(1, (frames, tokens))
        least = by_frame.topk(each, dim=-1, largest=False).indices
        first = torch.arange(frames, device=keys.device)[:, None] * tokens
        chosen = (least + first).flatten(1)
    anchor = torch.arange(tokens, device=keys.device).expand(batch, -1)
    return torch.cat([anchor, tokens + chosen.sort(dim=-1).values], dim=1)


def compressed(keys_values: KeysValues, indices: Tensor) -> KeysValues:
    """The kept tokens' keys and values, copied: a slice would keep the whole chunk alive."""
    key, value = keys_values
    where = indices[:, None, :, None].expand(-1, key.shape[1], -1, key.shape[3])
    return key.gather(2, where).clone(), value.gather(2, where).clone()
