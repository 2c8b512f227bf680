"""Masks against their definitions in words, one pair of tokens at a time."""

from __future__ import annotations

import pytest
import torch

from lmdm.dit.masks import (
    block_causal_context_mask,
    block_causal_mask,
    encoder_decoder_mask,
    parallel_block_mask,
    parallel_block_positions,
)


@pytest.mark.parametrize(("context", "target"), [(12, 3), (4, 4), (0, 2)])
def test_encoder_decoder_is_the_published_rule(context: int, target: int) -> None:
    mask = encoder_decoder_mask(context, target)
    for query in range(context + target + 1):
        for key in range(context + target + 1):
            assert bool(mask[query, key]) == (key < context or query >= context)


def test_copies_of_the_target_do_not_see_each_other() -> None:
    mask = encoder_decoder_mask(6, 2, copies=3)
    assert mask.shape == (15, 15)
    for first in (6, 9, 12):
        own = torch.zeros(15, dtype=torch.bool)
        own[:6] = own[first : first + 3] = True
        assert (mask[first : first + 3] == own).all()
    assert not mask[:6, 6:].any()


@pytest.mark.parametrize("window", [1, 2, 4])
def test_block_causal_reach(window: int) -> None:
    context, target, block = 12, 3, 3
    mask = block_causal_mask(context, target, block, window)
    for query in range(16):
        for key in range(16):
            of_query, of_key = min(query // block, 4), min(key // block, 4)
            reach = window if query >= context else window - 1
            assert bool(mask[query, key]) == (0 <= of_query - of_key <= reach)
    assert torch.equal(block_causal_context_mask(context, block, window), mask[:12, :12])


def test_a_short_block_of_context_comes_first() -> None:
    mask = block_causal_context_mask(7, 3, 2)  # blocks 0 | 123 | 456
    assert mask[0].tolist() == [True] + [False] * 6
    assert mask[1].tolist() == [True] * 4 + [False] * 3
    assert mask[6].tolist() == [False] + [True] * 6


def test_parallel_blocks_see_what_the_stream_shows_them() -> None:
    blocks, block, window = 6, 2, 3
    mask = parallel_block_mask(blocks, block, window)
    clean = [(index // block, False) for index in range(blocks * block)]
    noisy = [(index // (block + 1), True) for index in range(blocks * (block + 1))]
    tokens = clean + noisy
    for query, (of_query, query_noisy) in enumerate(tokens):
        for key, (of_key, key_noisy) in enumerate(tokens):
            behind = of_query - of_key
            if key_noisy:
                allowed = query_noisy and behind == 0
            elif query_noisy:
                allowed = 1 <= behind <= window
            else:
                allowed = 0 <= behind < window
            assert bool(mask[query, key]) == allowed


def test_parallel_positions_keep_the_streams_distances() -> None:
    """In the stream the target stands at s+1.. and its global token at 0."""
    context, block = 8, 4
    positions = parallel_block_positions(3, block, context)
    assert positions[:12].tolist() == list(range(1, 13))
    for index in range(3):
        group = positions[12 + 5 * index : 17 + 5 * index]
        distances = group[:4] - group[4]
        assert distances.tolist() == [9, 10, 11, 12]
        assert torch.equal(group[:4], positions[4 * index : 4 * index + 4])
