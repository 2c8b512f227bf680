"""A session is a function of its controls: the same ones give the same samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.checkpoints import Model, load
from lmdm.live.controls import Controls
from lmdm.live.messages import (
    AllNotesOff,
    Message,
    NoteOff,
    NoteOn,
    PrimeFromBars,
    Quantised,
    ResetContext,
    Resume,
    SetBeat,
    SetBlend,
    SetChord,
    SetControls,
    SetDrums,
    SetGuidance,
    SetLoudness,
    SetNotesMode,
    SetPrompts,
    SetSeed,
    SetSteps,
    SetTempo,
    Sustain,
    UndoBars,
)
from lmdm.live.session import Session, UnsoundError

PROMPTS = Controls(prompts=(("felt piano", 1.0), ("church choir", 1.0)), seed=3)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    torch.set_num_threads(1)
    return load(tiny_model)


def sound(session: Session, blocks: int) -> np.ndarray:
    return np.concatenate([session.next_block().pcm for _ in range(blocks)])


def test_the_same_controls_give_the_same_samples(model):
    def play() -> np.ndarray:
        session = Session(model, PROMPTS)
        first = sound(session, 3)
        for message in (NoteOn(60), SetTempo(97.0), SetGuidance(2.0), SetBlend(0.3)):
            session.apply(message)
        return np.concatenate([first, sound(session, 4)])

    np.testing.assert_array_equal(play(), play())


def test_positions_count_the_samples_given_out(model):
    session = Session(model, PROMPTS)
    given = 0
    for number in range(4):
        block = session.next_block()
        assert block.start == given
        given += len(block.pcm)
        assert session.position == (number + 1) * session.block_samples
    assert session.emitted == given == session.position - model.codec.delay_samples


CHANGES: list[Message] = [
    SetPrompts((("drums", 1.0),)),
    SetBlend(1.0),
    SetGuidance(3.0),
    SetSteps(1),
    SetTempo(150.0),
    SetBeat(2.0),
    SetDrums(True),
    SetDrums(False),
    SetChord((0, 4, 7)),
    SetLoudness(-40.0),
    SetNotesMode("follow"),
    SetSeed(99),
    ResetContext(),
    NoteOn(64, 90),
    Resume(17),
]


@pytest.mark.parametrize("message", CHANGES, ids=str)
def test_every_control_changes_the_music_and_nothing_before_it(model, message):
    plain, changed = Session(model, PROMPTS), Session(model, PROMPTS)
    np.testing.assert_array_equal(sound(plain, 3), sound(changed, 3))
    changed.apply(message)
    block = changed.next_block()
    assert [each.message for each in block.applied] == [message]
    assert not np.array_equal(block.latents, plain.next_block().latents)


@pytest.mark.parametrize("before", [[], [NoteOn(60), Sustain(True), SetGuidance(2.0)]])
def test_restored_it_goes_on_as_if_nothing_had_happened(model, before):
    session = Session(model, PROMPTS)
    for message in before:
        session.apply(message)
    sound(session, 6)  # more than the context holds
    session.apply(NoteOn(72))  # not applied yet: it belongs to the snapshot
    session.apply(SetTempo(80.0), session.position + 3 * session.block_samples)
    snapshot = session.snapshot()
    expected = sound(session, 6)
    for message in (SetSeed(5), SetGuidance(1.0), AllNotesOff(), ResetContext(), SetPrompts(())):
        session.apply(message)
        session.next_block()
    session.restore(snapshot)
    np.testing.assert_array_equal(sound(session, 6), expected)
    session.restore(snapshot)
    np.testing.assert_array_equal(sound(session, 6), expected)


def test_a_new_session_resumed_plays_what_the_old_one_would_have_played(model):
    """The law behind replaying a take in which an engine died."""
    old = Session(model, PROMPTS)
    old.apply(NoteOn(60))
    latents = [old.next_block().latents for _ in range(9)]
    state = old.state()
    new = Session(model, Controls())
    new.resume(state, np.concatenate(latents[-4:], axis=1))
    first = new.next_block()
    resume = next(each for each in first.applied if isinstance(each.message, Resume))
    old.apply(resume.message, resume.sample)
    np.testing.assert_array_equal(old.next_block().pcm, first.pcm)
    np.testing.assert_array_equal(sound(old, 5), sound(new, 5))
    assert (new.emitted, new.notes.pitches) == (old.emitted, (60,))


def test_onsets_lie_in_their_frame(model):
    session, frame = Session(model, PROMPTS), model.codec.frame_samples
    session.apply(NoteOn(60), 2 * frame + 5)
    session.apply(NoteOff(60), 5 * frame)
    first, second = session.next_block(), session.next_block()
    assert [each.sample for each in first.applied] == [2 * frame]
    assert [each.sample for each in second.applied] == [5 * frame]
    session.apply(NoteOn(61), 0)  # too late for its place
    assert session.next_block().applied[0].sample == 8 * frame


def test_what_is_logged_replays_wherever_it_was_asked_for(model):
    live = Session(model, PROMPTS)
    asked = [NoteOn(60), SetBlend(0.1), SetBlend(0.6), NoteOff(60), SetTempo(90.0), NoteOn(60)]
    for step, message in enumerate(asked):
        live.apply(message, 3000 * step)
    blocks = [live.next_block() for _ in range(4)]
    again = Session(model, PROMPTS)
    for applied in [each for block in blocks for each in block.applied]:
        again.apply(applied.message, applied.sample)
    np.testing.assert_array_equal(np.concatenate([block.pcm for block in blocks]), sound(again, 4))


def test_a_flood_of_one_control_leaves_its_last_value(model):
    session = Session(model, PROMPTS)
    for step in range(1000):
        session.apply(SetBlend(step / 999))
    assert [each.message for each in session.next_block().applied] == [SetBlend(1.0)]


def test_two_edits_taken_back_in_one_frame_are_both_taken_back(model):
    session = Session(model, replace(PROMPTS, guidance=4.0, density=0.9))
    session.apply(SetControls({"guidance": 2.0}))
    session.apply(SetControls({"density": None}))
    session.next_block()
    assert (session.controls.guidance, session.controls.density) == (2.0, None)


def test_the_tempo_changes_at_its_sample_and_beats_go_on(model):
    session = Session(model, Controls(bpm=120.0))
    session.apply(SetTempo(60.0), 5000)
    session.next_block()
    expected = 5000 * 2 / 44100 + (44100 - 5000) / 44100
    assert session.clock.beat(44100) == pytest.approx(expected)


@pytest.mark.parametrize("message", [SetBeat(0.0), UndoBars(2)], ids=str)
def test_what_began_some_beats_ago_did_so_wherever_the_clock_jumps(model, message):
    """A sequencer that loops must not stretch a glide, nor let keys of long ago count as new."""
    session = Session(model, replace(PROMPTS, bpm=300.0, blend=0.0, glide=2.0))
    sound(session, 20)
    session.apply(NoteOn(60))
    session.apply(NoteOff(60))
    sound(session, 1)
    session.apply(SetBlend(1.0))
    sound(session, 1)
    session.apply(message)
    sound(session, 1)
    later = session.clock.beat(session.position)
    assert later < 13.0
    assert 0.9 <= later - session.last_note_beat <= 3.0
    if isinstance(message, SetBeat):
        assert session.glide.share(later) == pytest.approx(0.93, abs=0.1)


def test_a_change_waits_for_the_next_bar_wherever_the_clock_jumps(model):
    session = Session(model, replace(PROMPTS, bpm=300.0))
    sound(session, 20)
    session.apply(Quantised("bar", SetChord((0,))))  # at beat 18.6: for beat 20
    session.apply(SetBeat(5.0))
    sound(session, 1)
    left = session.clock.boundary(session.position, "bar") - session.clock.beat(session.position)
    assert [each.due(session.clock, session.position) for each in session.waiting] == [8.0]
    while session.controls.chord is None:
        sound(session, 1)
    assert session.clock.beat(session.position) == pytest.approx(8.5, abs=0.5) and left < 4.0


def test_blocks_that_are_not_finite_are_made_again_without_context(model, monkeypatch):
    session = Session(model, PROMPTS)
    sound(session, 2)
    true_block = session.stream.next_block

    def poisoned(conditions, **keywords):
        latents = true_block(conditions, **keywords)
        return latents * float("nan") if session.stream.context.frames > 4 else latents

    monkeypatch.setattr(session.stream, "next_block", poisoned)
    block = session.next_block()
    assert np.isfinite(block.pcm).all()
    assert "not finite" in block.remarks[0]
    assert np.isfinite(session.next_block().pcm).all()
    monkeypatch.setattr(
        session.stream, "next_block", lambda conditions, **keywords: torch.full((64, 4), torch.nan)
    )
    with pytest.raises(UnsoundError, match="not finite"):
        session.next_block()


@pytest.mark.parametrize("message", [UndoBars(1), UndoBars(3), PrimeFromBars(2)], ids=str)
@pytest.mark.parametrize("blocks", [0, 1, 3, 12, 30])
def test_going_back_is_possible_at_any_time(model, message, blocks):
    """At the very beginning as well, and twice over."""
    session = Session(model, replace(PROMPTS, bpm=300.0))
    if blocks:
        sound(session, blocks)
    for _ in range(2):
        session.apply(message)
        assert np.isfinite(sound(session, 3)).all()


def test_undone_music_goes_on_from_the_beginning_of_its_bar(model):
    session = Session(model, replace(PROMPTS, bpm=300.0))
    sound(session, 12)  # 2.2 s: two bars and three quarters of the third
    session.apply(SetChord((0, 4, 7)))
    sound(session, 1)
    session.apply(UndoBars(1))
    at = session.position
    sound(session, 1)
    assert session.clock.beat(at) == pytest.approx(4.0)
    assert session.controls.chord is None


def test_primed_music_starts_at_sample_0_after_the_given_sound(model):
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(64, 16, generator=generator)
    session = Session(model, PROMPTS)
    session.prime(given)
    block = session.next_block()
    assert (block.start, len(block.pcm)) == (0, session.block_samples - model.codec.delay_samples)
    assert not np.array_equal(block.latents, Session(model, PROMPTS).next_block().latents)
