"""Attention masks: who may look at whom. True allows; rows are queries, columns keys.

Audio frames come in blocks of `block` frames; a target is followed by its global token.
"""

from __future__ import annotations

import torch
from torch import Tensor


def encoder_decoder_mask(context: int, target: int, copies: int = 1) -> Tensor:
    """Context sees context; each target copy (with its global token) sees context and itself.

    Sequence: [context | copy 1: target frames, global | copy 2 …]. One copy is LMDM's ED mask
    (allow = key < s or query >= s, dossier §2.4); several share one context in training.
    Returns bool [N, N], N = context + copies * (target + 1).
    """
    group = torch.cat(
        [torch.full((context,), -1), torch.arange(copies).repeat_interleave(target + 1)]
    )
    keys_are_context = (group == -1)[None, :]
    return keys_are_context | (group[:, None] == group[None, :])


def block_causal_mask(context: int, target: int, block: int, window: int) -> Tensor:
    """Block-causal context, target and global token see the last `window` context blocks and self.

    Sequence: [context | target, global]. A context block sees itself and the `window - 1` blocks
    before it. Bool [N, N], N = context + target + 1.
    """
    blocks = context // block
    index = torch.cat(
        [torch.arange(context) // block, torch.full((target + 1,), blocks, dtype=torch.long)]
    )
    behind = index[:, None] - index[None, :]
    reach = torch.where(index == blocks, window, window - 1)[:, None]
    return (behind >= 0) & (behind <= reach)


def block_causal_context_mask(context: int, block: int, window: int) -> Tensor:
    """Context alone: each block sees itself and the `window - 1` blocks before it. Bool [s, s].

    Blocks are counted from the right end, so a context that is no whole number of blocks has its
    short block first.
    """
    index = (torch.arange(context) - context) // block
    behind = index[:, None] - index[None, :]
    return (behind >= 0) & (behind < window)


def parallel_block_mask(blocks: int, block: int, window: int) -> Tensor:
    """All blocks of a sequence trained at once, each as if it were the stream's newest.

    Sequence: [clean frames of all blocks | for each block: its noisy frames, its global token].
    Clean block i sees clean blocks i-window+1..i; noisy block i sees clean blocks i-window..i-1
    and itself: what `BlockStream` sees when it generates block i. Bool [N, N].
    """
    clean = torch.arange(blocks).repeat_interleave(block)
    noisy = torch.arange(blocks).repeat_interleave(block + 1)
    index = torch.cat([clean, noisy])
    is_noisy = torch.cat([torch.zeros_like(clean), torch.ones_like(noisy)]).bool()
    behind = index[:, None] - index[None, :]
    query_noisy, key_noisy = is_noisy[:, None], is_noisy[None, :]
    clean_to_clean = ~query_noisy & ~key_noisy & (behind >= 0) & (behind < window)
    noisy_to_clean = query_noisy & ~key_noisy & (behind >= 1) & (behind <= window)
    noisy_to_self = query_noisy & key_noisy & (behind == 0)
    return clean_to_clean | noisy_to_clean | noisy_to_self


def parallel_block_positions(blocks: int, block: int, context: int) -> Tensor:
    """RoPE positions for `parallel_block_mask`: float-free int64 [N].

    Frames count from 1. In the stream a target stands at context+1.. and its global token at 0, so
    here each global token stands context+1 before its block's first frame.
    """
    frames = torch.arange(1, blocks * block + 1)
    noisy = []
    for index in range(blocks):
        own = frames[index * block : (index + 1) * block]
        noisy.append(torch.cat([own, own[:1] - context - 1]))
    return torch.cat([frames, *noisy])
