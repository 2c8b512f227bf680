"""What a model hears of another's playing: in its place, alike live and offline, and in takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.checkpoints import Model, load
from lmdm.conditioning.accompaniment import AccompanimentFrames
from lmdm.dit.model import DiT
from lmdm.errors import InputError
from lmdm.live import messages as m
from lmdm.live import wire
from lmdm.live.accompaniment import hears_accompaniment
from lmdm.live.controls import Controls
from lmdm.live.hearing import heard_kinds
from lmdm.live.input_file import encoded, heard_input
from lmdm.live.jam import LOOK_FRAMES, InputTape, Jam
from lmdm.live.ring import AudioRing
from lmdm.live.session import Session
from tests.live.test_horizon import Instrument, replayed
from tests.live.test_jam import tone

JAM = Controls(prompts=(("felt piano", 1.0),), jam_mode="context", seed=3)


@pytest.fixture(scope="module")
def model(tiny_accompanist: Path) -> Model:
    torch.set_num_threads(1)
    return load(tiny_accompanist)


@pytest.fixture(scope="module")
def stem_model(model: Model) -> Model:
    """As a fine-tune of Stable Audio with 130 inputs: a mask and latents beside the latents."""
    config = replace(model.dit.config, local_channels=65)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        dit = DiT(config)
        for parameter in dit.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    stream = replace(model.stream_config, accompaniment=True, absent_context="zeros")
    return replace(model, dit=dit.eval(), conditioning=None, stream_config=stream)


def played(number: int, ahead: int = 0, known: tuple[bool, ...] = ()) -> m.HearInput:
    latents = np.random.default_rng(number).normal(size=(64, 4)).astype(np.float32)
    return m.HearInput(wire.text_of(latents), ahead, known)


def blocks(model: Model, count: int, hears: bool, known: tuple[bool, ...] = ()) -> np.ndarray:
    session = Session(model, JAM)
    for number in range(count):
        if hears:
            session.apply(played(number, known=known))
        last = session.next_block()
    return last.latents


def test_models_say_whether_they_accompany(model, stem_model, tiny_model):
    assert hears_accompaniment(model) and hears_accompaniment(stem_model)
    assert not hears_accompaniment(load(tiny_model))


def test_the_control_is_given_what_was_played_and_nothing_where_it_is_unknown(model):
    given = model.conditioning.slices["accompaniment"]
    session = Session(model, JAM)
    message = played(1, known=(True, True, False, False))
    session.apply(message)
    session.next_block()
    latents = wire.array_of(message.latents, 64)
    local = session.stream.context.local[given].numpy()
    np.testing.assert_array_equal(local[0], [1, 1, 0, 0])
    np.testing.assert_array_equal(local[1:, :2], latents[:, :2])
    assert not local[1:, 2:].any()
    session.next_block()  # what is heard is heard once
    assert not session.stream.context.local[given, 4:].any()


@pytest.mark.parametrize("which", ["model", "stem_model"])
def test_the_input_changes_the_music_and_the_unknown_does_not(which, request):
    model = request.getfixturevalue(which)
    plain = blocks(model, 3, hears=False)
    assert not np.array_equal(blocks(model, 3, hears=True), plain)
    np.testing.assert_array_equal(blocks(model, 3, True, known=(False,) * 4), plain)


def test_input_of_another_length_is_refused(model):
    session = Session(model, JAM)
    session.apply(m.HearInput(wire.text_of(np.zeros((64, 3), np.float32))))
    with pytest.raises(InputError, match="a block has 4"):
        session.next_block()


def test_live_is_what_offline_is(model):
    """The tape, block by block, hears what the whole file gives, as far as it is in time."""
    sound = np.concatenate([tone(60, 1.0), tone(67, 1.0), tone(64, 1.0)])
    visible = -6
    offline = dict(heard_input(model, sound, visible, 2 * 44100))
    with AudioRing.create(10 * 44100) as ring:
        session = Session(model, replace(JAM, bpm=60.0, future_visibility=visible * 2048 / 44100))
        tape = InputTape(ring)
        jam = Jam(model, session, tape)
        ring.write(sound)
        tape.listen()
        tape.offset = 0
        compared = 0
        for _ in range(8):
            message = jam.for_block(session.past)
            if message is not None and not any(message.known):  # all of it
                there = offline[session.position]
                assert (message.ahead, message.known) == (there.ahead, there.known) == (visible, ())
                np.testing.assert_allclose(
                    wire.array_of(message.latents, 64), wire.array_of(there.latents, 64), atol=1e-3
                )
                compared += 1
            session.next_block()
    assert compared >= 5


def test_live_no_more_is_visible_than_has_been_played(model):
    with AudioRing.create(10 * 44100) as ring:
        session = Session(model, JAM)
        tape = InputTape(ring)
        jam = Jam(model, session, tape)
        ring.write(tone(60, 1.0))
        tape.listen()
        tape.offset = 0
        for _ in range(7):
            session.next_block()
        read = session.position - 8000
        jam.reckon(read, pressing=8000)
        message = jam.for_block(session.past)
        late = 8000 + read - 44100
        assert message.ahead == -late // 2048 - LOOK_FRAMES
        assert all(message.known or (True,))
        jam.reckon(read, pressing=8000 - 100)  # a little less late: the place is kept
        assert jam.for_block(session.past).ahead == message.ahead


def test_taken_back_blocks_hear_the_same_input(model):
    with AudioRing.create(6 * 44100) as ring:
        instrument = Instrument(model, ring, 1.0)
        extend = instrument.horizon.extend

        def hearing(clock, before_step):
            if not instrument.session.fed:
                instrument.session.apply(played(instrument.session.blocks))
            extend(clock, before_step)

        instrument.horizon.extend = hearing
        instrument.change(m.SetJamMode("context"))
        for note in range(3):
            instrument.hear(15_000)
            instrument.change(m.NoteOn(60 + note))
        instrument.hear(15_000)
        sound = instrument.sound()
        log = instrument.log()
    assert sum(isinstance(each.message, m.HearInput) for each in log) >= 6
    np.testing.assert_array_equal(replayed(model, log, len(sound)), sound)


def test_a_stem_hears_what_has_become_known_at_its_own_time(stem_model):
    session = Session(stem_model, JAM)
    for number in range(3):
        session.apply(played(number, ahead=-2))
        session.next_block()
    local = session.stream.context.local.numpy()  # 16 frames, the newest 4 of the third block
    assert local[0].tolist() == [1] * 10 + [0] * 6  # of the block before two frames, and the block
    for number, frames in ((1, slice(2, 6)), (2, slice(6, 10))):
        latents = wire.array_of(played(number).latents, 64)
        np.testing.assert_array_equal(local[1:, frames], latents)


def test_a_stem_sees_into_the_block_as_far_as_t_f_says(stem_model):
    session = Session(stem_model, JAM)
    session.apply(played(0, ahead=3))  # one frame before the block, three in it
    session.next_block()
    local = session.stream.context.local.numpy()
    assert local[0].tolist() == [1] * 15 + [0]  # silence, as in training, before all this
    latents = wire.array_of(played(0).latents, 64)
    np.testing.assert_array_equal(local[1:, 11:15], latents)


def test_a_stem_without_an_input_hears_silence(stem_model):
    session = Session(stem_model, replace(JAM, jam_mode="off"))
    session.next_block()
    local = session.stream.context.local
    assert bool((local[0] == 1.0).all()) and not local[1:].any()


def test_frames_of_a_file_are_encoded_in_pieces_as_in_one(model):
    sound = 0.1 * np.random.default_rng(1).standard_normal((300 * 2048 + 100, 2)).astype(np.float32)
    with torch.inference_mode():
        whole = model.codec.encode(torch.from_numpy(sound[: 300 * 2048].T.copy())[None])[0].numpy()
    inside = slice(16, 299)  # silence is heard before the file and after it
    np.testing.assert_allclose(encoded(model, sound)[:, inside], whole[:, inside], atol=1e-4)


def test_macros_are_channels_where_the_model_has_them_and_words_where_not(model, tiny_model):
    asked = Controls(density=1.0, brightness=0.0, bass_mute=True)
    session = Session(model, asked)
    session.next_block()
    local = session.stream.context.local.numpy()
    for name, value in (("density", 1.0), ("brightness", 0.0), ("bass", 0.0)):
        given, amount = local[model.conditioning.slices[name]]
        assert (given == 1.0).all() and (amount == value).all()
    assert asked.weighted_prompts(session.local_controls) == ()
    assert dict(asked.weighted_prompts()).keys() == {"dark, busy"}
    kinds = {"set_density", "set_brightness", "set_bass_mute"}
    assert kinds <= set(heard_kinds(model))
    assert not kinds & set(heard_kinds(load(tiny_model)))


def test_frames_are_those_of_the_control(model):
    latents = np.random.default_rng(0).normal(size=(64, 40)).astype(np.float32)
    frames = AccompanimentFrames.shifted(latents, 8, 4, -2, 4)
    np.testing.assert_array_equal(frames.latents, latents[:, 2:6])
