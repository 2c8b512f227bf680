"""Long-form memory: it costs no tokens, hears the right bars, and snapshots exactly."""

from __future__ import annotations

from dataclasses import replace
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
    Statement,
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


def of_form(form: str) -> Memory:
    """Bars of sections, two to a phrase, each of two blocks."""
    memory = Memory()
    for bar, section in enumerate(form):
        place = Place(section, bar % 2, bar)
        memory = memory.with_bar(place, begins=8.0 * bar, beat_frames=2.0)
        for _ in range(2):
            memory = memory.after(place, piece(bar))
    return memory


def nearest(memory: Memory, place: Place, before: int) -> Statement:
    found = memory.nearest(place, before)
    assert found is not None
    return found


def test_only_the_first_statement_is_kept_and_the_section_finds_it():
    memory = of_form("AABBAA")
    assert nearest(memory, Place("A", 1, 5), before=4).bar == 1
    assert nearest(memory, Place("B", 0, 6), before=4).bar == 2
    assert memory.nearest(Place("A", 0, 1), before=0) is None
    assert memory.nearest(Place("C", 0, 6), before=6) is None
    stated = nearest(memory, Place("A", 0, 4), before=4)
    assert (stated.begins, len(stated.blocks)) == (0.0, 2)


def test_the_bank_is_bounded():
    memory = Memory()
    for bar in range(MOST_BARS + 20):
        memory = memory.with_bar(Place(str(bar), 0, bar), 8.0 * bar, 2.0)
    assert len(memory.bars) == MOST_BARS
    assert min(each.bar for each in memory.bars.values()) == 20


def test_what_was_taken_back_is_not_remembered():
    memory = of_form("ABCD").until(16)
    assert {each.bar for each in memory.bars.values()} == {0, 1}


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


def returning(model: Model, recall: float) -> tuple[np.ndarray, np.ndarray]:
    """Latents of A, B and A again, four bars each, at a bar of four blocks: the two As [C, n]."""
    seconds = 4 * model.stream_config.block_frames * model.codec.frame_samples / 44100
    session = Session(model, replace(FAST, bpm=4 * 60.0 / seconds, recall=recall))
    parts = []
    for section in "ABA":
        session.apply(m.SetSection(section))
        parts.append(np.concatenate([session.next_block().latents for _ in range(16)], axis=1))
    return parts[0], parts[2]


def test_a_theme_returns_at_its_own_beat(model):
    """Block by block the return is nearer to its own place in the theme than to the one beside."""
    likeness = {}
    for recall in (0.0, 1.0):
        first, back = returning(model, recall)
        block = model.stream_config.block_frames
        beside = np.roll(first, block, axis=1)
        likeness[recall] = np.corrcoef(first.ravel(), back.ravel())[0, 1]
        if recall:
            assert likeness[recall] > np.corrcoef(beside.ravel(), back.ravel())[0, 1] + 0.1
    assert likeness[1.0] > likeness[0.0] + 0.1


def test_the_more_recall_the_nearer(model):
    near = [np.square(np.subtract(*returning(model, recall))).mean() for recall in (0.3, 0.6, 1.0)]
    assert near == sorted(near, reverse=True)


def test_a_song_that_is_set_to_another_bar_keeps_its_memory_and_one_taken_back_does_not(model):
    session = Session(model, FAST)
    for section in "AB":
        session.apply(m.SetSection(section))
        played(session, 13)
    kept = session.state()["remembered"]
    session.apply(m.SetBeat(0.0))  # a sequencer loops
    session.apply(m.SetSection("A"))
    played(session, 4)
    assert session.state()["remembered"] >= kept
    assert len(session.state()["recalled"]) == 1
    session.apply(m.UndoBars(4))
    played(session, 1)
    assert session.state()["remembered"] < kept
