"""What is recorded of a block is what its sampler did, and recording changes nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.checkpoints import Model, load
from lmdm.live.controls import Controls
from lmdm.live.messages import NoteOn
from lmdm.live.session import Session
from lmdm.safety.memorization.block_updates import BlockUpdates, stream_setting
from lmdm.stream.block_stream import BlockConditions, BlockStream
from lmdm.stream.config import StreamConfig

PLAYED = Controls(prompts=(("felt piano", 1.0),), guidance=2.0, seed=3)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    torch.set_num_threads(1)
    return load(tiny_model)


def test_of_euler_they_are_the_updates_themselves(model):
    """Each pass begins where the update before it led."""
    config = StreamConfig(context_frames=16, block_frames=4, window_blocks=4, steps=5)
    stream = BlockStream(model.dit, config, seed=1)
    points: list[torch.Tensor] = []
    updates = BlockUpdates()

    def see(x, t, velocities):
        points.append(x.clone())
        updates(x, t, velocities)

    block = stream.next_block(BlockConditions(guidance=3.0), after_step=see)
    points.append(block[None])
    norms = updates.taken(3.0)
    made = torch.stack([(b - a).double().norm() for a, b in pairwise(points)])
    assert norms is not None and norms.shape == (5, 3)
    torch.testing.assert_close(norms[:, 0], made, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        norms[:, 2], torch.stack([p.double().norm() for p in points[1:]]), rtol=1e-4, atol=1e-5
    )
    assert float(norms[-1, 1]) == pytest.approx(float(block.double().norm()), rel=1e-4)


def test_fresh_noise_is_no_update(model):
    """Ping-pong's last step ends at its x0, whatever noise the steps before drew."""
    config = StreamConfig(
        context_frames=16, block_frames=4, window_blocks=4, steps=4, sampler="ping-pong"
    )
    stream, updates = BlockStream(model.dit, config, seed=1), BlockUpdates()
    block = stream.next_block(BlockConditions(), after_step=updates)
    norms = updates.taken(1.0)
    assert norms is not None
    assert float(norms[-1, 1]) == pytest.approx(float(block.double().norm()), rel=1e-4)
    assert updates.taken(1.0) is None, "they are taken once"


def test_a_block_that_was_broken_off_leaves_nothing(model):
    updates = BlockUpdates()
    x = torch.ones(1, 64, 4)
    updates(x, 1.0, (x, None))
    updates(x, 0.6, (x, None))
    updates(x, 1.0, (2 * x, None))  # another block begins
    norms = updates.taken(1.0)
    assert norms is not None and len(norms) == 1


def test_watching_changes_no_sample_and_sees_whole_blocks_from_noise_alone(model):
    plain, watched = Session(model, PLAYED), Session(model, PLAYED)
    watched.watch = updates = BlockUpdates()
    seen = []
    for number in range(6):
        if number == 3:
            for session in (plain, watched):
                session.apply(NoteOn(60), session.position + 2 * session.frame_samples)
        np.testing.assert_array_equal(plain.next_block().pcm, watched.next_block().pcm)
        norms = updates.taken(2.0)
        seen.append(0 if norms is None else len(norms))
    assert seen == [2] * 6, "steps of the first pass; the one with settled frames is not watched"
    watched.apply(NoteOn(64), watched.position + 2 * watched.frame_samples)
    watched.next_block(settled=watched.stream.context.latents[:, :2])
    assert updates.taken(2.0) is None


def test_a_setting_tells_steps_and_guidance_apart(model):
    settings = [stream_setting(model, k, g) for k in (2, 4) for g in (1.0, 1.5)]
    assert len({str(each) for each in settings}) == 4
    assert settings[0]["model"] == model.sha256
