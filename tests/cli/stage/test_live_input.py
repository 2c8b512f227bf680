"""The live input as the output hears it: each frame once, in order; after a stall the newest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from lmdm.cli.stage.live_input import MOST_PIECES, LiveInput


@pytest.fixture
def live_input() -> Iterator[LiveInput]:
    live_input = LiveInput(lambda: 0, print)
    yield live_input
    live_input.close()


def pieces(first: int, count: int, size: int = 200) -> list[np.ndarray]:
    """Frames that count on."""
    numbers = np.arange(first, first + count * size, dtype=np.float32)
    return list(np.repeat(numbers[:, None], 2, axis=1).reshape(count, size, 2))


def test_every_frame_is_given_once(live_input: LiveInput) -> None:
    heard = []
    for piece in pieces(0, 20):
        live_input._take(piece)
        heard.append(live_input.monitor(3000))
        heard.append(live_input.monitor(3000))
    np.testing.assert_array_equal(np.concatenate(heard)[:, 0], np.arange(4000))


def test_after_a_stall_the_newest_is_given_and_nothing_is_left(live_input: LiveInput) -> None:
    for piece in pieces(0, MOST_PIECES + 20):
        live_input._take(piece)
    end = 200 * (MOST_PIECES + 20)
    np.testing.assert_array_equal(live_input.monitor(3000)[:, 0], np.arange(end - 3000, end))
    assert len(live_input.monitor(3000)) == 0
