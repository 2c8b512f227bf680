"""Loops begin and end at their own sample, wherever blocks begin and end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.live.loop import Looper
from lmdm.live.messages import Message, SetControls, SetFreeze, UndoBars

BAR, BLOCK = 8000.0, 4000
MOVES = (SetFreeze(0.5), SetFreeze(None))


def heard(moves: list[int], block: int) -> np.ndarray:
    """Six blocks' worth of noise, frozen and let go in turn at the samples told."""
    looper, given_out = Looper(), []
    noise = np.random.default_rng(0).standard_normal((6 * BLOCK, 2)).astype(np.float32)
    changes = [(at, MOVES[turn % 2], BAR) for turn, at in enumerate(sorted(set(moves)))]
    for start in range(0, len(noise), block):
        own = [each for each in changes if start <= each[0] < start + block]
        if looper.loop is not None and looper.rests(message for _, message, _ in own):
            pcm = looper.loop.at(start, block)
        else:
            pcm = looper.turn(noise[start : start + block], start, own)
        looper.remember(pcm)
        given_out.append(pcm)
    return np.concatenate(given_out)


@given(st.lists(st.integers(1500, 6 * BLOCK - 1500), max_size=5))
def test_sound_before_a_move_is_as_without_it(moves: list[int]) -> None:
    for count, at in enumerate(sorted(set(moves))):
        without = heard(sorted(set(moves))[:count], BLOCK)
        np.testing.assert_array_equal(heard(moves, BLOCK)[:at], without[:at])


def test_a_loop_within_one_block_ends_in_it() -> None:
    moves = [BLOCK + 1500, BLOCK + 3000]
    frozen, free = heard(moves, BLOCK), heard([], BLOCK)
    assert not np.array_equal(frozen[moves[0] : moves[1]], free[moves[0] : moves[1]])
    for part in (slice(0, moves[0]), slice(moves[1] + 1000, None)):
        np.testing.assert_array_equal(frozen[part], free[part])


def test_a_shorter_loop_is_cut_from_the_one_that_sounds() -> None:
    looper = Looper()
    noise = np.random.default_rng(1).standard_normal((5 * BLOCK, 2)).astype(np.float32)
    looper.remember(looper.turn(noise[: 3 * BLOCK], 0, ()))
    long = looper.turn(noise[:BLOCK], 3 * BLOCK, [(3 * BLOCK, SetFreeze(1.0), BAR)])
    looper.remember(long)
    short = looper.turn(noise[:BLOCK], 4 * BLOCK, [(4 * BLOCK, SetFreeze(0.25), BAR)])
    assert looper.loop is not None and len(looper.loop.samples) == BAR / 4
    np.testing.assert_allclose(short[900:1100], long[-1100:-900], atol=1e-6)


@pytest.mark.parametrize(
    "message", [SetFreeze(None), SetControls({"freeze": None}), UndoBars(1)], ids=str
)
def test_every_message_that_ends_a_loop_ends_it(message: Message) -> None:
    looper = Looper()
    noise = np.random.default_rng(1).standard_normal((3 * BLOCK, 2)).astype(np.float32)
    looper.remember(noise)
    looper.turn(noise, len(noise), [(len(noise), SetControls({"freeze": 0.5}), BAR)])
    assert looper.loop is not None and looper.rests([SetControls({"guidance": 2.0})])
    assert not looper.rests([message])
    looper.turn(noise, 2 * len(noise), [(2 * len(noise), message, BAR)])
    assert looper.loop is None
