"""What the planted duplicates are judged by: a copy is near at any offset, other music is not."""

from __future__ import annotations

import torch

from lmdm.safety.memorization.passages import WINDOW_FRAMES
from training.experiments.memorization_light import distances


def test_a_copy_is_near_wherever_it_stands_and_other_music_is_far() -> None:
    generator = torch.Generator().manual_seed(0)
    passage, other, noise = torch.randn(3, 16, 2 * WINDOW_FRAMES, generator=generator)
    copy = passage[:, 17 : 17 + WINDOW_FRAMES]
    assert abs(distances(copy, [other, passage]).item()) < 1e-5
    assert 0.7 < distances(copy, [other]).item() < 1.0  # the nearest of many that are unrelated
    loose = copy + 0.5 * noise[:, :WINDOW_FRAMES]
    # |a - b|^2 / (|a|^2 + |b|^2) of b = a + e with |e|^2 = |a|^2 / 4
    assert abs(distances(loose, [passage]).item() - 0.25 / 2.25) < 0.03
