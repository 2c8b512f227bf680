"""What the output pulls: fresh sound, a moment's patience, then the loop."""

import numpy as np
import pytest

from lmdm.live.player import FRESH_SECONDS, PATIENCE_SECONDS, SAMPLE_RATE, Player
from lmdm.live.ring import AudioRing


@pytest.fixture
def ring():
    with AudioRing.create(2 * SAMPLE_RATE) as ring:
        yield ring


def test_it_waits_then_loops_then_takes_fresh_sound_again(ring):
    now, holds, heard = [0.0], [], []
    player = Player(ring, on_hold=lambda *hold: holds.append(hold), clock=lambda: now[0])
    player.add_tap(lambda pcm, position: heard.append((position, len(pcm))))
    sound = np.random.default_rng(0).standard_normal((8000, 2)).astype(np.float32)
    ring.write(sound)
    assert not player.read(512).any()  # not begun
    assert (player.position, heard) == (0, [])
    player.begin()
    np.testing.assert_array_equal(player.read(8000), sound)
    assert len(player.read(512)) == 0  # dry: patience
    now[0] += PATIENCE_SECONDS
    assert np.abs(player.read(512)).max() > 0
    assert (player.holding, player.starvations) == (True, 1)
    ring.write(sound[:100])  # too little to go on with
    assert len(player.read(512)) == 512
    assert (ring.readable, player.starvations) == (100, 1)
    ring.write(np.tile(sound, (2, 1))[: int(FRESH_SECONDS * SAMPLE_RATE)])
    player.read(512)
    assert not player.holding
    assert holds == [(8000, 512), (8512, 512)]
    assert heard == [(0, 8000), (8000, 512), (8512, 512), (9024, 512)]


def test_one_channel_is_the_mean(ring):
    player = Player(ring, channels=1)
    player.begin()
    ring.write(np.array([[1.0, 0.0], [0.5, 0.5]], np.float32))
    assert player.read(2).tolist() == [[0.5], [0.5]]
