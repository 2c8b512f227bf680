"""Fingerprints of a corpus find their own passages, also shifted and disturbed, and no others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmdm.errors import InputError
from lmdm.safety.memorization.passages import HOP_FRAMES, WINDOW_FRAMES, Passages


def music(frames: int, seed: int) -> Tensor:
    """Latents [16, frames] that change slowly, as music's do."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(16, frames + 24, generator=generator)
    return steps.unfold(1, 25, 1).mean(dim=2) * torch.linspace(0.5, 3.0, 16)[:, None]


@pytest.fixture(scope="module")
def corpus() -> list[tuple[str, Tensor]]:
    return [(f"piece {seed}", music(300, seed)) for seed in range(12)]


@pytest.fixture(scope="module")
def passages(corpus: list[tuple[str, Tensor]]) -> Passages:
    return Passages.of(corpus)


@pytest.mark.parametrize("start", [0, 101, 226, 252])
def test_a_passage_is_found_where_it_stands(passages, corpus, start):
    latents = corpus[7][1][:, start : start + WINDOW_FRAMES]
    generator = torch.Generator().manual_seed(1)
    disturbed = latents + 0.3 * latents.std() * torch.randn(latents.shape, generator=generator)
    found = passages.nearest(disturbed)
    assert found.piece == "piece 7"
    assert abs(found.frame - start) <= HOP_FRAMES
    assert found.similarity > 0.9


def test_other_music_is_less_near(passages, corpus):
    own = min(passages.nearest(each[:, 60 : 60 + WINDOW_FRAMES]).similarity for _, each in corpus)
    other = max(passages.nearest(music(WINDOW_FRAMES, 100 + n)).similarity for n in range(20))
    assert other < own - 0.1


def test_a_file_holds_them(passages, corpus):
    again = Passages.read(passages.tensors(), passages.names())
    window = corpus[3][1][:, 40 : 40 + WINDOW_FRAMES]
    one, two = passages.nearest(window), again.nearest(window)
    assert (one.piece, one.frame) == (two.piece, two.frame)
    assert two.similarity == pytest.approx(one.similarity, abs=0.01)


def test_pieces_shorter_than_a_window_are_left_out_and_refused_alone(corpus):
    short = [("short", music(WINDOW_FRAMES - 1, 1))]
    assert Passages.of([*corpus[:3], *short]).pieces == ("piece 0", "piece 1", "piece 2")
    with pytest.raises(InputError, match=f"{WINDOW_FRAMES} latent frames"):
        Passages.of(short)
