"""Laws of the commit horizon: taken back == never generated ahead; a deep lead costs no latency."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmdm.checkpoints import Model, load
from lmdm.live import messages as m
from lmdm.live.block import Block
from lmdm.live.controls import Controls
from lmdm.live.horizon import Horizon, Placed
from lmdm.live.ring import AudioRing
from lmdm.live.session import Session
from lmdm.live.take import Applied

PROMPTS = Controls(prompts=(("felt piano", 1.0), ("church choir", 1.0)), seed=3)
GENERATION = 0.03  # seconds that a block takes on the test's clock


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    torch.set_num_threads(1)
    return load(tiny_model)


class Instrument:
    """A session, its horizon and a reader, on a clock of their own."""

    def __init__(self, model: Model, ring: AudioRing, lead: float) -> None:
        self.session = Session(model, PROMPTS)
        self.ring = ring
        self.horizon = Horizon(self.session, ring, self.report)
        self.lead = round(lead * 44100)
        self.heard: list[np.ndarray] = []
        self.blocks: dict[int, Block] = {}
        self.placed: list[Placed] = []
        self._time = 0.0
        self._number = 0

    def clock(self) -> float:
        self._time += GENERATION
        return self._time

    def report(self, block: Block, state: dict, placed: list[Placed]) -> None:
        self.blocks = {n: b for n, b in self.blocks.items() if n < state["blocks"]}
        self.blocks[state["blocks"]] = block
        self.placed += placed

    def fill(self) -> None:
        while self.horizon.ahead < self.lead:
            self.horizon.forget()
            self.horizon.extend(self.clock, None)

    def hear(self, samples: int) -> None:
        while samples > 0:
            self.fill()
            piece = self.ring.read(min(samples, 500))
            self.heard.append(piece)
            samples -= len(piece)

    def change(self, *messages: m.Message) -> None:
        controls = []
        for message in messages:
            self._number += 1
            controls.append((self._number, message))
        self.horizon.change(controls, self.clock)

    def sound(self) -> np.ndarray:
        return np.concatenate(self.heard)

    def log(self) -> list[Applied]:
        return [each for block in self.blocks.values() for each in block.applied]


@pytest.fixture
def ring() -> Iterator[AudioRing]:
    with AudioRing.create(6 * 44100) as ring:
        yield ring


def replayed(model: Model, log: list[Applied], samples: int) -> np.ndarray:
    """A session that never generated ahead of anything."""
    session = Session(model, PROMPTS)
    for each in log:
        session.apply(each.message, each.sample)
    pieces = [session.next_block().pcm]
    while sum(map(len, pieces)) < samples:
        pieces.append(session.next_block().pcm)
    return np.concatenate(pieces)[:samples]


CHANGES = st.sampled_from(
    [
        m.NoteOn(60),
        m.NoteOff(60),
        m.NoteOn(67, 30),
        m.SetGuidance(2.5),
        m.SetBlend(0.3),
        m.SetTempo(90.0),
        m.SetClock(100.0, 3.0, 20000),
        m.SetSeed(9),
        m.SetDrums(True),
        m.ResetContext(),
        m.SetFreeze(0.25),
        m.SetFreeze(None),
        m.SetEconomy(4),
        m.SetEconomy(1),
        m.UndoBars(1),
        m.SetGlide(2.0),
        m.SetNegativePrompt("noise"),
        m.SetPrompts((("drums", 1.0),)),
        m.SetQuantise("beat"),
        m.SetSeedMode("hold"),
        m.SetSeedMode("drift"),
        m.SetBeat(0.0),
        m.SetFreeze(0.5),
        m.SetControls({"freeze": 0.25}),
        m.SetControls({"freeze": None}),
        m.Quantised("beat", m.SetBrightness(1.0)),
        m.Quantised("bar", m.SetControls({"chord": [0, 4, 7], "bpm": 140.0}, "verse")),
        m.CancelQuantised(),
    ]
)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(100, 30000), st.lists(CHANGES, max_size=3)), max_size=8),
    st.sampled_from([0.25, 1.0, 2.0]),
)
@example([(1024, [m.SetFreeze(0.25)]), (100, [m.SetFreeze(None)])], 0.25)  # in one block
def test_taken_back_is_as_if_it_had_never_been_generated(model, script, lead):
    with AudioRing.create(6 * 44100) as ring:
        instrument = Instrument(model, ring, lead)
        for samples, messages in script:
            instrument.hear(samples)
            if messages:
                instrument.change(*messages)
        instrument.hear(20000)
        sound = instrument.sound()
    np.testing.assert_array_equal(replayed(model, instrument.log(), len(sound)), sound)


def delays(model: Model, lead: float) -> list[int]:
    """From the read position at a note to the first sample it touched, note by note."""
    with AudioRing.create(6 * 44100) as ring:
        instrument = Instrument(model, ring, lead)
        instrument.hear(10000)
        found = []
        for note in range(12):
            read = ring.read_total
            instrument.change(m.NoteOn(60 + note))
            instrument.hear(7001)
            found.append(instrument.placed[-1].sample - read)
        return found


def test_the_latency_of_a_control_does_not_grow_with_the_lead(model):
    short, deep = delays(model, 0.5), delays(model, 4.0)
    assert short == deep
    frame = 2048
    made = GENERATION * 44100 + 0.02 * 44100  # generation and safety
    assert min(short) >= made
    assert max(short) <= 2 * made + 2 * frame


def test_what_a_note_changes_begins_where_it_was_placed(model, ring):
    plain = replayed(model, [], 60000)
    instrument = Instrument(model, ring, 2.0)
    instrument.hear(20000)
    instrument.change(m.NoteOn(60))
    instrument.hear(20000)
    sound, first = instrument.sound(), instrument.placed[0].sample
    np.testing.assert_array_equal(sound[:first], plain[:first])
    assert not np.array_equal(sound[first : first + 2048], plain[first : first + 2048])


def test_the_join_is_as_smooth_as_the_music(model, ring):
    """No step where the new sound begins: it is not larger than those a moment before and after."""
    instrument = Instrument(model, ring, 2.0)
    instrument.hear(30000)
    instrument.change(m.SetPrompts((("drums", 1.0),)), m.SetSeed(77))
    instrument.hear(20000)
    steps = np.abs(np.diff(instrument.sound(), axis=0)).max(axis=1)
    first = instrument.placed[0].sample
    around = np.concatenate([steps[first - 3000 : first - 20], steps[first + 1000 : first + 4000]])
    assert steps[first - 20 : first + 1000].max() <= 1.5 * around.max()


def test_a_change_that_comes_too_late_is_placed_later_and_the_old_sound_plays_on(model, ring):
    instrument = Instrument(model, ring, 2.0)
    instrument.hear(20000)
    true_block = instrument.session.next_block

    def slow(*arguments, **keywords):
        """While the block is made, the reader goes far beyond what was planned."""
        instrument.session.next_block = true_block
        block = true_block(*arguments, **keywords)
        instrument.heard.append(ring.read(20000))
        return block

    instrument.session.next_block = slow
    instrument.change(m.NoteOn(60))
    instrument.hear(30000)
    sound = instrument.sound()
    assert instrument.placed[-1].sample > 40000
    np.testing.assert_array_equal(replayed(model, instrument.log(), len(sound)), sound)


def test_a_kind_of_control_that_takes_long_to_make_is_in_time_once_that_is_known(model, ring):
    """New words take ten times as long as a key; the reader reads on meanwhile."""
    instrument = Instrument(model, ring, 3.0)
    instrument.hear(20000)
    true_block, made = instrument.session.next_block, []

    def slow(*arguments, **keywords):
        block = true_block(*arguments, **keywords)
        words = any(isinstance(each.message, m.SetPrompts) for each in block.applied)
        seconds = (10 if words else 1) * GENERATION
        instrument._time += seconds - GENERATION  # the clock itself adds one
        instrument.heard.append(ring.read(round(seconds * 44100)))
        made.append(words)
        return block

    def tries(message):
        made.clear()
        instrument.session.next_block = slow
        instrument.change(message)
        instrument.session.next_block = true_block
        instrument.hear(30000)
        return len(made)

    assert tries(m.SetPrompts((("drums", 1.0),))) > 1
    assert tries(m.SetPrompts((("choir", 1.0),))) == 1
    read = ring.read_total
    assert tries(m.NoteOn(60)) == 1
    assert instrument.placed[-1].sample - read < 10 * GENERATION * 44100  # as before
    sound = instrument.sound()
    np.testing.assert_array_equal(replayed(model, instrument.log(), len(sound)), sound)


def test_a_key_comes_up_after_it_went_down_however_late_it_went_down(model, ring):
    instrument = Instrument(model, ring, 2.0)
    instrument.hear(20000)
    true_frame, lateness = instrument.horizon._first_frame, [8.0]
    instrument.horizon._first_frame = lambda controls=(), late=1.0: true_frame(
        controls, lateness.pop() if lateness else 1.0
    )
    instrument.change(m.NoteOn(60))
    instrument.change(m.NoteOff(60))
    instrument.hear(60000)
    down, up = instrument.log()
    assert isinstance(down.message, m.NoteOn) and isinstance(up.message, m.NoteOff)
    assert down.sample <= up.sample
    assert not instrument.session.notes.pitches


def test_the_reader_overtaking_at_the_last_moment_breaks_nothing(model, ring, monkeypatch):
    instrument = Instrument(model, ring, 2.0)
    instrument.hear(20000)
    rewind, calls = ring.rewind_writer, []

    def overtaken(to_total, margin=0):
        calls.append(to_total)
        if len(calls) == 1:
            instrument.heard.append(ring.read(to_total + 10 - ring.read_total))
        return rewind(to_total, margin)

    monkeypatch.setattr(ring, "rewind_writer", overtaken)
    instrument.change(m.NoteOn(60))
    instrument.hear(30000)
    sound = instrument.sound()
    assert len(calls) >= 2
    np.testing.assert_array_equal(replayed(model, instrument.log(), len(sound)), sound)


def test_an_interrupted_block_leaves_everything_as_it_was(model, ring):
    instrument = Instrument(model, ring, 0.5)
    instrument.hear(10000)

    def stop():
        raise InterruptedError

    for _ in range(3):
        with pytest.raises(InterruptedError):
            instrument.horizon.extend(instrument.clock, stop)
    instrument.hear(20000)
    sound = instrument.sound()
    np.testing.assert_array_equal(replayed(model, [], len(sound)), sound)


def test_a_quantised_change_lands_on_the_nearest_frame_of_its_boundary(model, ring):
    instrument = Instrument(model, ring, 2.0)
    instrument.hear(20000)
    instrument.change(m.Quantised("beat", m.SetDrums(True)), m.Quantised("bar", m.SetDrums(False)))
    assert [each.boundary for each in instrument.horizon.waiting()] == ["beat", "bar"]
    instrument.hear(100000)
    assert instrument.horizon.waiting() == []
    places = [each.sample for each in instrument.log()]
    assert [round(place / 2048) * 2048 for place in places] == places
    assert abs(places[0] - 2 * 22050) <= 1024
    assert abs(places[1] - 4 * 22050) <= 1024


def test_a_change_of_tempo_moves_what_waits(model, ring):
    instrument = Instrument(model, ring, 2.0)
    instrument.hear(20000)
    instrument.change(m.Quantised("bar", m.SetDrums(True)))
    instrument.change(m.SetTempo(60.0))
    instrument.hear(180000)
    tempo, drums = (each.sample for each in instrument.log())
    beats_then = tempo * 2 / 44100
    assert abs(drums - (tempo + (4 - beats_then) * 44100)) <= 1024
