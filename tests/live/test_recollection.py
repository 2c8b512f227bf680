"""Long-form memory: it costs no tokens, hears the right bars, and snapshots exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.checkpoints import Model, load
from lmdm.dit.cache import KVCache
from lmdm.dit.rotary import rotate
from lmdm.live import messages as m
from lmdm.live.controls import Controls
from lmdm.live.session import Session
from lmdm.stream.config import StreamConfig
from lmdm.stream.memory import (
    MOST_BARS,
    Memory,
    Place,
    Remembered,
    newest_block,
    recalled,
    windowed,
)

FAST = Controls(prompts=(("felt piano", 1.0),), bpm=400.0, seed=1, recall=1.0)  # a bar is 0.6 s


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    torch.set_num_threads(1)
    return load(tiny_model)


def played(session: Session, blocks: int) -> np.ndarray:
    return np.concatenate([session.next_block().pcm for _ in range(blocks)])


def cache_of(model: Model, valid: int = 16) -> tuple[KVCache, StreamConfig]:
    generator = torch.Generator().manual_seed(0)
    shape = (2, 2, 1, 16, 32)
    keys, values = (torch.randn(shape, generator=generator) for _ in range(2))
    return KVCache(keys, values, valid), StreamConfig(
        context_frames=16, block_frames=4, window_blocks=4
    )


def test_recalled_frames_stand_in_the_oldest_slots_and_the_rest_stays(model):
    cache, config = cache_of(model)
    block = newest_block(model.dit, config, cache)
    assert block is not None
    heard = recalled(model.dit, cache, block)
    assert heard.key_slots.shape == cache.key_slots.shape  # as many tokens as before
    assert torch.equal(heard.keys[:, :, :, 4:], cache.keys[:, :, :, 4:])
    moved = rotate(cache.keys[:, :, :, -4:], model.dit.rotation(torch.tensor([-12])))
    torch.testing.assert_close(heard.keys[:, :, :, :4], moved, atol=3e-3, rtol=3e-3)
    torch.testing.assert_close(
        heard.values[:, :, :, :4], cache.values[:, :, :, -4:], atol=3e-3, rtol=3e-3
    )


def test_a_context_that_is_not_full_hears_nothing_else(model):
    cache, config = cache_of(model, valid=12)
    block = newest_block(model.dit, config, cache)
    assert recalled(model.dit, cache, block) is cache


def piece(number: int) -> Remembered:
    return Remembered(torch.full((1, 1, 1, 4, 2), number), torch.full((1, 1, 1, 4, 2), number))


def test_only_the_first_statement_is_kept_and_the_section_finds_it():
    memory = Memory()
    for bar, section in enumerate("AABBAA"):
        for _ in range(2):
            memory = memory.after(Place(section, bar % 2, bar), piece(bar))
    assert memory.nearest(Place("A", 1, 5), before=4)[0] == 1
    assert memory.nearest(Place("B", 0, 6), before=4)[0] == 2
    assert memory.nearest(Place("A", 0, 1), before=0) is None
    assert memory.nearest(Place("C", 0, 6), before=6) is None
    assert len(memory.nearest(Place("A", 0, 4), before=4)[1]) == 2


def test_the_bank_is_bounded():
    memory = Memory()
    for bar in range(MOST_BARS + 20):
        memory = memory.after(Place(str(bar), 0, bar), piece(bar))
    assert len(memory.bars) == MOST_BARS
    assert min(number for number, _ in memory.bars.values()) == 20


def test_a_window_of_a_bar_ends_where_it_is_asked_to():
    blocks = tuple(piece(n) for n in range(5))
    assert windowed(blocks, 3, 2).keys[0, 0, 0, ::4, 0].tolist() == [1, 2]
    assert windowed(blocks, 1, 2).keys[0, 0, 0, ::4, 0].tolist() == [0, 1]
    assert windowed(blocks, 9, 9).keys.shape[3] == 20


def form(recall: float) -> list[m.Message]:
    return [m.SetRecall(recall), m.SetSection("A")]


def test_recall_changes_the_return_of_a_section_and_nothing_before_it(model):
    sounds, bars = [], []
    for recall in (0.0, 1.0):
        session = Session(model, FAST)
        for message in form(recall):
            session.apply(message)
        first = played(session, 13)  # four bars of A
        session.apply(m.SetSection("B"))
        middle = played(session, 26)
        session.apply(m.SetSection("A"))
        played(session, 4)
        bars.append(session.state()["recalled"])
        sounds.append((first, middle, played(session, 8)))
    np.testing.assert_array_equal(sounds[0][0], sounds[1][0])
    assert not np.array_equal(sounds[0][2], sounds[1][2])
    assert bars[0] == []
    assert len(bars[1]) == 1
    assert bars[1][0] < 4


def test_restored_it_remembers_the_same(model):
    session = Session(model, FAST)
    session.apply(m.SetSection("A"))
    played(session, 30)
    snapshot = session.snapshot()
    expected = played(session, 12)
    session.apply(m.SetSection("B"))
    played(session, 9)
    session.restore(snapshot)
    np.testing.assert_array_equal(played(session, 12), expected)
