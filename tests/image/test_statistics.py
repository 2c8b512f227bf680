from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmdm.image.autoencoder import Latents
from lmdm.image.statistics import EPSILON, LatentStatistics


@settings(max_examples=25)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.integers(0, 2))
def test_batches_add_up_to_the_whole(sizes: list[int], queries: int) -> None:
    generator = torch.Generator().manual_seed(sum(sizes))
    parts = [
        Latents(
            5 + 3 * torch.randn(size, 4, 3, generator=generator),
            torch.randn(size, queries, 3, generator=generator) if queries else None,
        )
        for size in sizes
    ]
    found = LatentStatistics.of(parts, 4, queries, 3)
    z = torch.cat([part.z for part in parts]).double()
    assert torch.allclose(found.mean[:4].double(), z.mean(0), atol=1e-5)
    wanted = (z.var(0, correction=0) + EPSILON).sqrt()
    assert torch.allclose(found.std[:4].double(), wanted, atol=1e-5)
    for part in parts:
        again = found.denormalize(found.normalize(part))
        assert torch.allclose(again.z, part.z, atol=1e-4)
        assert (again.q is None) == (part.q is None)
        if part.q is not None and again.q is not None:
            assert torch.allclose(again.q, part.q, atol=1e-4)


def test_groups_are_normalised_apart() -> None:
    latents = Latents(10 + torch.randn(500, 4, 3), 0.1 * torch.randn(500, 2, 3) - 4)
    x = LatentStatistics.of([latents], 4, 2, 3).normalize(latents)
    assert torch.allclose(x.mean(0), torch.zeros(6, 3), atol=1e-3)
    assert torch.allclose(x.std(0), torch.ones(6, 3), atol=1e-2)
