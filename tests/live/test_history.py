"""How far back a session reaches: to the exact frames, and no further than is kept."""

import pytest
import torch

from lmdm.live.controls import Controls
from lmdm.live.history import KEPT_FRAMES, Bar, History


def played(block_frames: int, blocks: int) -> History:
    """A history whose latents and local features are the numbers of their frames."""
    history = History(block_frames)
    for number in range(blocks):
        frames = torch.arange(number * block_frames, (number + 1) * block_frames)
        bars = [Bar(number * block_frames, 4.0 * number, Controls())] if number % 8 == 0 else []
        history.add(frames[None].float(), -frames[None].float(), bars)
    return history


@pytest.mark.parametrize("block_frames", [4, 48])
def test_what_is_kept_is_of_fixed_length(block_frames):
    full = KEPT_FRAMES // block_frames
    history = played(block_frames, full + 1000)
    snapshot = history.snapshot()
    assert len(snapshot.blocks) == full
    assert len(snapshot.bars) <= full // 8 + 1
    assert history.frames == (full + 1000) * block_frames  # those that are gone are counted


def test_frames_before_a_place_are_those_that_were_played():
    history = played(4, KEPT_FRAMES // 4 + 3)
    latents, local = history.before(history.frames - 6, 10)
    newest = history.frames
    assert latents.tolist() == [list(range(newest - 16, newest - 6))]
    assert local.tolist() == [[-each for each in range(newest - 16, newest - 6)]]
    oldest = newest - KEPT_FRAMES
    assert history.before(oldest + 3, 10)[0].tolist() == [[oldest, oldest + 1, oldest + 2]]


def test_a_snapshot_is_exact_though_blocks_are_dropped_after_it():
    history = played(4, KEPT_FRAMES // 4)
    snapshot = history.snapshot()
    before = history.before(history.frames, 9)[0]
    history.add(torch.zeros(1, 4), torch.zeros(1, 4), [])
    history.restore(snapshot)
    assert history.frames == KEPT_FRAMES
    assert torch.equal(history.before(history.frames, 9)[0], before)
    assert history.before(4, 4)[0].tolist() == [[0, 1, 2, 3]]
