"""Live input: in its place, in the take, and never louder without end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.checkpoints import Model, load
from lmdm.live import messages as m
from lmdm.live import wire
from lmdm.live.controls import Controls
from lmdm.live.jam import GUARD_DB, InputTape, Jam
from lmdm.live.pitch import SAMPLE_RATE, WINDOW, level_db, pitches
from lmdm.live.ring import AudioRing
from lmdm.live.session import Session

PROMPTS = Controls(prompts=(("felt piano", 1.0),), seed=3)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    torch.set_num_threads(1)
    return load(tiny_model)


@pytest.fixture
def ring() -> Iterator[AudioRing]:
    with AudioRing.create(10 * 44100) as ring:
        yield ring


def tone(pitch: float, seconds: float = 0.5, level: float = 0.2, partials: int = 4) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    frequency = 440.0 * 2 ** ((pitch - 69) / 12)
    wave = sum(np.sin(2 * np.pi * n * frequency * time) / n for n in range(1, partials + 1))
    return np.repeat((level * wave)[:, None], 2, axis=1).astype(np.float32)


@pytest.mark.parametrize("pitch", [48, 55, 60, 64, 69, 76, 84])
def test_a_note_with_its_partials_is_one_pitch(pitch):
    assert pitches(tone(pitch)) == (pitch,)


def test_a_chord_is_its_notes():
    chord = sum(tone(pitch, partials=2) for pitch in (60, 64, 67))
    assert pitches(chord) == (60, 64, 67)


def test_silence_and_too_little_sound_are_no_pitch():
    assert pitches(np.zeros((WINDOW, 2), np.float32)) == ()
    assert pitches(tone(60)[: WINDOW - 1]) == ()


def test_the_tape_knows_what_was_played_when(ring):
    tape = InputTape(ring)
    played = np.arange(3000, dtype=np.float32)[:, None].repeat(2, axis=1)
    ring.write(played)
    tape.listen()
    assert tape.at(0, 10).max() == 0.0  # nobody has said where it lies
    tape.offset = 500
    np.testing.assert_array_equal(tape.at(600, 100), played[100:200])
    np.testing.assert_array_equal(tape.at(495, 10)[:, 0], [0] * 5 + [0, 1, 2, 3, 4])
    assert tape.end == 3500
    assert tape.at(3499, 2)[:, 0].tolist() == [2999, 0]


def jam_of(model: Model, ring: AudioRing, **controls) -> tuple[Session, Jam]:
    session = Session(model, PROMPTS)
    for message in controls.pop("messages", []):
        session.apply(message)
    for _ in range(6):
        session.next_block()
    tape = InputTape(ring)
    tape.offset = 0
    return session, Jam(model, session, tape)


def test_context_asks_for_what_was_played_up_to_the_block_and_t_f(model, ring):
    session, jam = jam_of(
        model, ring, messages=[m.SetJamMode("context"), m.SetFutureVisibility(-0.5)]
    )
    ring.write(tone(60, seconds=0.1))
    jam.tape.listen()
    assert not jam.ready()
    ring.write(tone(60, seconds=1.0))
    jam.tape.listen()
    assert jam.ready()
    message = jam.for_block(session.past)
    assert isinstance(message, m.HearInput)
    block = wire.array_of(message.latents, 64)
    assert block.shape == (64, session.block_frames)


def test_what_the_model_hears_of_the_input_changes_the_music_and_replays(model):
    heard = m.HearInput(wire.text_of(np.random.default_rng(0).normal(size=(64, 4))))

    def play(mode: str, hears: bool) -> np.ndarray:
        session = Session(model, PROMPTS)
        session.apply(m.SetJamMode(mode))
        blocks = [session.next_block().pcm]
        if hears:
            session.apply(heard)
        return np.concatenate([*blocks, *(session.next_block().pcm for _ in range(3))])

    for mode in ("context", "delay"):
        np.testing.assert_array_equal(play(mode, True), play(mode, True))
        assert not np.array_equal(play(mode, True), play(mode, False))


def test_little_transform_keeps_the_input(model):
    source = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    distances = []
    for amount in (0.1, 1.0):
        session = Session(model, PROMPTS)
        for message in (m.SetJamMode("delay"), m.SetTransform(amount)):
            session.apply(message)
        session.apply(m.HearInput(wire.text_of(source.numpy())))
        distances.append(np.abs(session.next_block().latents - source.numpy()).mean())
    assert distances[0] < 0.5 * distances[1]


def test_silent_input_leaves_the_music_alone(model, ring):
    session, jam = jam_of(model, ring, messages=[m.SetJamMode("context")])
    ring.write(np.zeros((44100, 2), np.float32))
    jam.tape.listen()
    assert jam.for_block(session.past) is None


def test_a_delay_too_short_to_hear_the_input_in_time_is_taken_several_times(model, ring):
    session, jam = jam_of(
        model, ring, messages=[m.SetJamMode("delay"), m.SetDelay(0.25), m.SetTempo(120.0)]
    )
    ring.write(tone(60, seconds=1.0))
    jam.tape.listen()
    jam.reckon(read=44100, pressing=20000)  # blocks are made 450 ms before they are heard
    first, end = jam._span(session.position)
    delay = session.position - first
    assert delay % (44100 // 8) == 0
    assert end + 20000 <= session.position
    assert delay < 20000 + 2 * session.block_samples + 44100 // 8
    assert len(jam.notices) == 1
    jam.reckon(read=44100, pressing=18000)  # a little easier: nothing moves
    assert session.position - jam._span(session.position)[0] == delay
    session.apply(m.SetDelay(4.0))
    session.next_block()
    assert session.position - jam._span(session.position)[0] == 2 * 44100
    assert len(jam.notices) == 1


def test_feedback_cannot_grow_without_end(model, ring):
    session, jam = jam_of(model, ring, messages=[m.SetJamMode("delay"), m.SetFeedback(0.95)])
    loud = tone(60, seconds=8.0, level=0.9)
    ring.write(loud)
    jam.tape.listen()
    session.apply(m.SetBeat(8.0))
    for _ in range(14):
        session.next_block()
    assert jam.for_block(lambda position, count: 4 * loud[:count]) is not None
    assert jam.guard_db < 0.0
    pcm = jam._guarded(10 * loud)
    assert level_db(pcm) <= GUARD_DB + 0.1


def test_a_sketch_plays_what_it_hears_once_it_is_sure(model, ring):
    session, jam = jam_of(model, ring, messages=[m.SetJamMode("sketch")])
    asked: list[m.Message] = []
    for turn in range(20):
        ring.write(tone(64 if turn < 10 else 67, seconds=0.06))
        jam.tape.listen()
        asked += jam.sketch(turn * 0.06)
    notes = [each for each in asked if isinstance(each, (m.NoteOn, m.NoteOff))]
    assert [(type(n), n.pitch) for n in notes] == [
        (m.NoteOn, 64), (m.NoteOff, 64), (m.NoteOn, 67)
    ] or [(type(n), n.pitch) for n in notes] == [
        (m.NoteOn, 64), (m.NoteOn, 67), (m.NoteOff, 64)
    ]  # fmt: skip
    assert any(isinstance(each, m.SetLoudness) for each in asked)
    session.apply(m.SetJamMode("off"))
    session.next_block()
    assert jam.sketch(99.0) == [m.NoteOff(67), m.SetLoudness(None)]


def test_after_a_sketch_the_loudness_is_the_musicians_again(model, ring):
    session, jam = jam_of(model, ring, messages=[m.SetJamMode("sketch"), m.SetLoudness(-30.0)])
    ring.write(tone(60))
    jam.tape.listen()
    asked = [each for look in range(3) for each in jam.sketch(float(look))]
    loud = [each for each in asked if isinstance(each, m.SetLoudness)]
    assert loud[0].level_db > -30.0
    for each in (*asked, m.SetJamMode("off")):
        session.apply(each)
    session.next_block()
    assert jam.sketch(9.0) == [m.NoteOff(60), m.SetLoudness(-30.0)]
    assert jam.sketch(10.0) == []
